import fc from 'fast-check';
import { atan2, cos, fraction, length, sin, smoothstep } from '../../../datasets/synthetic/arithmetic';
import { Noise } from '../../../datasets/synthetic/noise';
import { Random } from '../../../datasets/synthetic/random';

describe('Random', () => {
  it('gives the same numbers for the same seed, and these', () => {
    const take = (seed: string): number[] => {
      const random = new Random(seed);
      return [random.bits(), random.bits(), random.bits()];
    };
    expect(take('crane')).toEqual(take('crane'));
    expect(take('crane')).not.toEqual(take('cranf'));
    expect(take('crane')).toEqual(GOLDEN_BITS);
  });

  it('splits by name, not by what was drawn before', () => {
    const fresh = new Random('a').split('b');
    const used = new Random('a');
    for (let i = 0; i < 9; i++) used.next();
    expect(used.split('b').bits()).toBe(fresh.bits());
    expect(new Random('a').split('c').bits()).not.toBe(new Random('a').split('b').bits());
  });

  it('is uniform enough: mean, spread, neighbours uncorrelated, ends reached', () => {
    const random = new Random('uniform');
    const n = 40_000;
    const values = Array.from({ length: n }, () => random.next());
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    let together = 0;
    for (let i = 1; i < n; i++) together += ((values[i - 1]! - mean) * (values[i]! - mean)) / n;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.006);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.002);
    expect(Math.abs(together / variance)).toBeLessThan(0.02);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    const whole = new Set(Array.from({ length: 300 }, () => random.integer(-1, 2)));
    expect([...whole].sort((a, b) => a - b)).toEqual([-1, 0, 1, 2]);
  });

  it('refuses to pick from nothing', () => {
    expect(() => new Random('x').pick([])).toThrow(RangeError);
  });
});

describe('arithmetic', () => {
  it('agrees with Math to what it claims', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -60, max: 60, noNaN: true }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (x, y) => {
          expect(Math.abs(sin(x) - Math.sin(x))).toBeLessThan(1e-7);
          expect(Math.abs(cos(x) - Math.cos(x))).toBeLessThan(1e-7);
          if (length(x, y) > 1e-9) expect(Math.abs(atan2(y, x) - Math.atan2(y, x)) % (2 * Math.PI)).toBeLessThan(2e-5);
          expect(length(x, y)).toBeCloseTo(Math.hypot(x, y), 12);
        },
      ),
    );
    expect(atan2(0, 0)).toBe(0);
    expect(fraction(-0.25)).toBe(0.75);
    expect(smoothstep(0, 2, 1)).toBe(0.5);
    expect(smoothstep(1, 0, -3)).toBe(1);
  });
});

describe('Noise', () => {
  it('is smooth: no jump between neighbouring places, also across lattice lines', () => {
    const noise = new Noise(new Random('smooth'));
    fc.assert(
      fc.property(
        fc.double({ min: -300, max: 300, noNaN: true }),
        fc.double({ min: -300, max: 300, noNaN: true }),
        (x, y) => {
          expect(Math.abs(noise.at(x + 1e-4, y) - noise.at(x, y))).toBeLessThan(1e-3);
          expect(Math.abs(noise.grain(x, y + 1e-4) - noise.grain(x, y))).toBeLessThan(1e-3);
          expect(Math.abs(noise.at(x, y))).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('finds the nearest cell as a search over many cells does', () => {
    const noise = new Noise(new Random('cells'));
    const centres: [number, number][] = [];
    for (let j = -3; j < 9; j++) {
      for (let i = -3; i < 9; i++) {
        // The middle of a unit square is always nearest to a point that some cell owns: collect the owners.
        for (const [u, v] of [
          [0.2, 0.2],
          [0.8, 0.2],
          [0.5, 0.5],
          [0.2, 0.8],
          [0.8, 0.8],
        ] as const) {
          noise.cell(i + u, j + v, 0.8);
          centres.push([noise.centreX, noise.centreY]);
        }
      }
    }
    for (let k = 0; k < 200; k++) {
      const [x, y] = [(k * 0.377) % 6, (k * 0.731) % 6];
      noise.cell(x, y, 0.8);
      const best = Math.min(...centres.map(([cx, cy]) => Math.hypot(cx - x, cy - y)));
      expect(noise.nearest).toBeCloseTo(best, 9);
      expect(noise.second).toBeGreaterThanOrEqual(noise.nearest);
    }
  });
});

const GOLDEN_BITS: readonly number[] = [2481934505, 174555410, 226071043];

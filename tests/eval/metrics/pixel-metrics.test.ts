import * as fc from 'fast-check';
import { PIXEL_METRIC_IDS } from '../../../eval/metrics/metric-ids';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';
import { keyOfScore, scoreOfKey } from '../../../eval/metrics/score-keys';
import { randomMaps, seeded } from './random-cases';
import {
  f1At,
  pixelsOf,
  slowAuroc,
  slowAveragePrecision,
  slowBestF1,
  slowExactAupro,
  slowPaperAupro,
  type SlowMap,
} from './slow-metrics';

function metricsOf(maps: readonly SlowMap[]): PixelMetrics {
  const metrics = new PixelMetrics();
  for (const { scores, mask, width, height } of maps) {
    metrics.add(Float32Array.from(scores), Uint8Array.from(mask), width, height);
  }
  return metrics;
}

const row = (scores: readonly number[], mask: readonly number[]): SlowMap => {
  return { scores, mask, width: scores.length, height: 1 };
};

describe('pixel metrics by hand', () => {
  // Regions: one pixel (.9), and two pixels (.8 and .2); normal pixels .85, .5, .4, .3, .1.
  const maps = [row([0.9, 0.85, 0.8, 0.2, 0.5], [1, 0, 1, 1, 0]), row([0.4, 0.3, 0.1], [0, 0, 0])];

  test('AUPRO over all thresholds', () => {
    // PRO: .5 at rate 0; .75 from rate .2 (after .85, .8) on, up to the limit .3: straight from (0, .5) to (.2, .5),
    // up to .75, level to .3.
    expect(metricsOf(maps).value()['pixel/aupro/exact@0.3']).toBeCloseTo((0.2 * 0.5 + 0.1 * 0.75) / 0.3, 12);
  });

  test('the others', () => {
    const values = metricsOf(maps).value();
    expect(values['pixel/auroc']).toBeCloseTo((5 + 4 + 1) / 15, 12);
    expect(values['pixel/ap']).toBeCloseTo((1 + 2 / 3 + 3 / 7) / 3, 12);
    expect(values['pixel/f1max']).toBeCloseTo(4 / 6, 12);
    expect(metricsOf(maps).bestF1Threshold()?.threshold).toBe(Math.fround(0.8));
  });

  test('a tie across the limit is crossed on a straight line', () => {
    // All at one score: from (0, 0) to (1, 1), so the area to .3 is .045 of .3.
    const constant = metricsOf([row([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0])]);
    expect(constant.value()).toEqual({
      'pixel/auroc': 0.5,
      'pixel/ap': 0.25,
      'pixel/f1max': 0.4,
      'pixel/aupro/paper200@0.3': null,
      'pixel/aupro/exact@0.3': expect.closeTo(0.15, 12) as number,
    });
    expect(constant.reasons()).toEqual({ 'pixel/aupro/paper200@0.3': 'all pixels have the same score 0.5' });
  });

  test('regions weigh the same whatever their size, and equal neighbours of two images stay apart', () => {
    // A large region found, a small one missed: half.
    const map = row([1, 1, 1, 1, 0, 0, 0.5, 0.4], [1, 1, 1, 1, 0, 1, 0, 0]);
    expect(metricsOf([map]).value()['pixel/aupro/exact@0.3']).toBeCloseTo(0.5, 12);
  });
});

test('pixel metrics equal the slow ones on 200 random categories', () => {
  let withoutPaper = 0;
  for (let seed = 0; seed < 200; seed++) {
    const maps = randomMaps(seed);
    const metrics = metricsOf(maps);
    const values = metrics.value();
    const pixels = pixelsOf(maps);
    expect(values['pixel/auroc']).toBeCloseTo(slowAuroc(pixels), 12);
    expect(values['pixel/ap']).toBeCloseTo(slowAveragePrecision(pixels), 12);
    expect(values['pixel/f1max']).toBeCloseTo(slowBestF1(pixels), 12);
    expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(slowExactAupro(maps, 0.3), 12);
    const paper = slowPaperAupro(maps, 0.3);
    if (Number.isNaN(paper)) {
      withoutPaper++;
      expect(values['pixel/aupro/paper200@0.3']).toBeNull();
      expect(metrics.reasons()['pixel/aupro/paper200@0.3']).toMatch(/same score|do not span a range/);
    } else {
      expect(values['pixel/aupro/paper200@0.3']).toBeCloseTo(paper, 12);
    }
    expect(f1At(pixels, metrics.bestF1Threshold()?.threshold ?? NaN)).toBeCloseTo(values['pixel/f1max'] as number, 12);
  }
  expect(withoutPaper).toBeGreaterThan(5);
  expect(withoutPaper).toBeLessThan(150);
});

describe('properties', () => {
  const seeds = fc.integer({ min: 0, max: 1e6 });

  test('values are fractions or null', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        for (const value of Object.values(metricsOf(randomMaps(seed)).value())) {
          if (value === null) continue;
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1 + 1e-12);
        }
      }),
    );
  });

  test('the order of the images does not matter, nor reading in between', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const maps = randomMaps(seed);
        const forward = metricsOf(maps).value();
        const backward = new PixelMetrics();
        for (const map of [...maps].reverse()) {
          backward.add(Float32Array.from(map.scores), Uint8Array.from(map.mask), map.width, map.height);
          backward.value();
        }
        for (const id of PIXEL_METRIC_IDS) {
          const value = forward[id];
          if (value === null) expect(backward.value()[id]).toBeNull();
          else expect(backward.value()[id]).toBeCloseTo(value, 12);
        }
      }),
    );
  });

  test('a rising function of the scores changes nothing but the paper sweep', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const maps = randomMaps(5 * seed + 1); // scores are multiples of 1/4, so that cubes stay apart in float32
        const { 'pixel/aupro/paper200@0.3': _, ...values } = metricsOf(maps).value();
        const cubed = maps.map((map) => ({ ...map, scores: map.scores.map((score) => (score - 0.5) ** 3) }));
        expect(metricsOf(cubed).value()).toMatchObject(values);
      }),
    );
  });

  test('the paper sweep is unchanged by scaling with a power of two', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const maps = randomMaps(5 * seed);
        const scaled = maps.map((map) => ({ ...map, scores: map.scores.map((score) => score * 8) }));
        expect(metricsOf(scaled).value()).toEqual(metricsOf(maps).value());
      }),
    );
  });
});

describe('where nothing is defined', () => {
  test.each([
    ['no map', [], 'no pixel was scored'],
    ['normal pixels only', [row([0.1, 0.2], [0, 0])], 'all 2 pixels are normal'],
    ['anomalous pixels only', [row([0.1, 0.2, 0.3], [1, 1, 1])], 'all 3 pixels are anomalous'],
  ])('%s: null with a reason', (_, maps, reason) => {
    const metrics = metricsOf(maps);
    expect(Object.values(metrics.value())).toEqual([null, null, null, null, null]);
    for (const id of PIXEL_METRIC_IDS) expect(metrics.reasons()[id]).toContain(reason);
    expect(metrics.bestF1Threshold()).toBeNull();
    expect([metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()]).toEqual([null, null, null]);
  });
});

describe('bad input', () => {
  test.each([NaN, Infinity, -Infinity])('%p is refused with its place, and the map is not counted', (score) => {
    const metrics = metricsOf([row([0, 1], [0, 1])]);
    expect(() => metrics.add(Float32Array.of(0, 1, 2, score), Uint8Array.of(0, 1, 1, 0), 2, 2)).toThrow(
      expect.objectContaining({ name: 'MetricError', code: 'metric/not-finite', data: { score, x: 1, y: 1 } }),
    );
    expect(metrics.value()).toEqual(metricsOf([row([0, 1], [0, 1])]).value());
  });

  test('sizes must agree', () => {
    const metrics = new PixelMetrics();
    const adding = (scores: number, pixels: number, width: number, height: number) => () =>
      metrics.add(new Float32Array(scores), new Uint8Array(pixels), width, height);
    expect(adding(6, 5, 3, 2)).toThrow(expect.objectContaining({ code: 'metric/mask-size' }));
    expect(adding(5, 6, 3, 2)).toThrow(expect.objectContaining({ code: 'metric/map-size' }));
    expect(adding(0, 0, 0, 0)).toThrow(expect.objectContaining({ code: 'metric/map-size' }));
  });

  test('the map given is left as it was', () => {
    const map = Float32Array.of(0.5, -0.25, 3);
    new PixelMetrics().add(map, Uint8Array.of(0, 1, 0), 3, 1);
    expect([...map]).toEqual([0.5, -0.25, 3]);
  });
});

test('the PRO curve is thinned, and encloses the area that AUPRO says', () => {
  const random = seeded(3);
  const mask = Uint8Array.from({ length: 10_000 }, (_, at) => (at % 100 < 12 && at % 3000 < 900 ? 1 : 0));
  const map = Float32Array.from(mask, (inside) => random() + 0.5 * inside);
  const metrics = new PixelMetrics();
  metrics.add(map, mask, 100, 100);
  const curve = metrics.proCurve();
  if (curve === null) throw new Error('no curve');
  expect(curve.x.length).toBeLessThanOrEqual(200);
  let area = 0;
  for (let at = 1; at < curve.x.length && (curve.x[at] as number) <= 0.3; at++) {
    const [x0, x1] = curve.x.slice(at - 1) as [number, number];
    const [y0, y1] = curve.y.slice(at - 1) as [number, number];
    area += ((x1 - x0) * (y0 + y1)) / 2;
  }
  expect(Math.abs(area / 0.3 - (metrics.value()['pixel/aupro/exact@0.3'] as number))).toBeLessThan(0.03);
});

describe('keys of scores', () => {
  const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });

  test('keep the order of scores, and give them back', () => {
    fc.assert(
      fc.property(float32, float32, (a, b) => {
        expect(Math.sign(keyOfScore(a) - keyOfScore(b))).toBe(Math.sign(a - b) + 0);
        expect(scoreOfKey(keyOfScore(a))).toBe(a + 0);
      }),
    );
  });

  test('at the ends, and around zero', () => {
    const least = 2 ** -149;
    const rising = [-3.4028234663852886e38, -1, -(2 ** -126), -least, 0, least, 2 ** -126, 1, 3.4028234663852886e38];
    const keys = rising.map(keyOfScore);
    expect(keys).toEqual([...keys].sort((a, b) => a - b));
    expect(new Set(keys).size).toBe(rising.length);
    expect(keyOfScore(-0)).toBe(keyOfScore(0));
    expect(keyOfScore(least) - keyOfScore(0)).toBe(1);
  });
});

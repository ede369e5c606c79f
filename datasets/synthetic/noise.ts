import { cos, sin } from './arithmetic';
import type { Random } from './random';

const { floor, sqrt } = Math;

const fade = (t: number): number => t * t * t * (t * (t * 6 - 15) + 10);

/** Gradient noise, grain and cells over the plane, all from one table of 256 random entries. */
export class Noise {
  private readonly order = new Uint8Array(512);
  private readonly gradientX = new Float64Array(256);
  private readonly gradientY = new Float64Array(256);
  private readonly values = new Float64Array(256);

  /** What the last call of `cell` found: distances to the two nearest points, and a number 0 to 255 of the nearest one. */
  nearest = 0;
  second = 0;
  identity = 0;
  centreX = 0;
  centreY = 0;

  constructor(random: Random) {
    for (let i = 0; i < 256; i++) {
      const angle = random.angle();
      this.gradientX[i] = cos(angle);
      this.gradientY[i] = sin(angle);
      this.values[i] = random.range(-1, 1);
      this.order[i] = i;
    }
    for (let i = 255; i > 0; i--) {
      const j = random.integer(0, i);
      const kept = this.order[i]!;
      this.order[i] = this.order[j]!;
      this.order[j] = kept;
    }
    this.order.copyWithin(256, 0, 256);
  }

  private hash(x: number, y: number): number {
    return this.order[this.order[x & 255]! + (y & 255)]!;
  }

  /** A fixed random value of a whole-numbered place, -1 to 1. */
  value(x: number, y: number): number {
    return this.values[this.hash(x, y)]!;
  }

  /** Perlin's gradient noise, one bump per unit, about -0.7 to 0.7. */
  at(x: number, y: number): number {
    const x0 = floor(x);
    const y0 = floor(y);
    const fx = x - x0;
    const fy = y - y0;
    const a = this.hash(x0, y0);
    const b = this.hash(x0 + 1, y0);
    const c = this.hash(x0, y0 + 1);
    const d = this.hash(x0 + 1, y0 + 1);
    const u = fade(fx);
    const v = fade(fy);
    const na = this.gradientX[a]! * fx + this.gradientY[a]! * fy;
    const nb = this.gradientX[b]! * (fx - 1) + this.gradientY[b]! * fy;
    const nc = this.gradientX[c]! * fx + this.gradientY[c]! * (fy - 1);
    const nd = this.gradientX[d]! * (fx - 1) + this.gradientY[d]! * (fy - 1);
    const top = na + (nb - na) * u;
    return top + (nc + (nd - nc) * u - top) * v;
  }

  /** Several octaves of `at`, each twice as fine and half as strong. */
  clouds(x: number, y: number, octaves: number): number {
    let sum = 0;
    let weight = 1;
    for (let i = 0; i < octaves; i++) {
      sum += weight * this.at(x + 17.3 * i, y - 9.1 * i);
      weight *= 0.5;
      x *= 2;
      y *= 2;
    }
    return sum;
  }

  /** Value noise with linear blending, one value per unit, -1 to 1: the cheap grain of paper, sand and sensors. */
  grain(x: number, y: number): number {
    const x0 = floor(x);
    const y0 = floor(y);
    const u = x - x0;
    const v = y - y0;
    const top = this.value(x0, y0) * (1 - u) + this.value(x0 + 1, y0) * u;
    const bottom = this.value(x0, y0 + 1) * (1 - u) + this.value(x0 + 1, y0 + 1) * u;
    return top + (bottom - top) * v;
  }

  /** Finds the two nearest of one jittered point per unit square; `jitter` 0 (a grid) to 1. The answer is in the fields. */
  cell(x: number, y: number, jitter: number): void {
    const x0 = floor(x);
    const y0 = floor(y);
    let first = 9;
    let second = 9;
    for (let j = -1; j <= 1; j++) {
      for (let i = -1; i <= 1; i++) {
        const h = this.hash(x0 + i, y0 + j);
        const px = x0 + i + 0.5 + 0.5 * jitter * this.values[h]!;
        const py = y0 + j + 0.5 + 0.5 * jitter * this.values[(h + 101) & 255]!;
        const distance = (px - x) * (px - x) + (py - y) * (py - y);
        if (distance < first) {
          second = first;
          first = distance;
          this.identity = h;
          this.centreX = px;
          this.centreY = py;
        } else if (distance < second) second = distance;
      }
    }
    this.nearest = sqrt(first);
    this.second = sqrt(second);
  }
}

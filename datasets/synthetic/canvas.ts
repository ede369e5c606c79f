import { clamp, cos, sin } from './arithmetic';
import type { Colour } from './colours';
import type { Box, Shape } from './shapes';

const { ceil, floor, max, min, round, sqrt } = Math;

const EVERYWHERE: Box = [0, 0, 1, 1];

export interface FillOptions {
  /** 0 to 1; 1 by default. */
  readonly opacity?: number;
  /** Width of a rounded rim lit from the side, in image units; none by default. */
  readonly bevel?: number;
  /** How strongly the rim is lit, about 0.2 to 0.6. */
  readonly relief?: number;
  /** Softness of the edge in image units, on top of antialiasing. */
  readonly soft?: number;
}

/** Distances of a shape at the pixels round it. */
interface Field {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly distances: Float32Array; // [height, width]
}

/** How far beyond a shape its distances are kept, for its shadow (image units). */
const FIELD_MARGIN = 0.045;

/**
 * A square image in the making: float RGB, and coordinates from 0 to 1 (x right, y down), so that a drawing looks
 * the same at every size. Nothing here is random.
 */
export class Canvas {
  readonly pixels: Float32Array; // [size, size, 3], 0 to 1
  private readonly lightX: number;
  private readonly lightY: number;
  /** An outline is shaded, filled and measured: its distances are found once. */
  private readonly fields = new WeakMap<Shape, Field>();

  /** `light` is the direction towards the light, in radians. */
  constructor(
    readonly size: number,
    readonly light = -2.2,
  ) {
    this.pixels = new Float32Array(size * size * 3);
    this.lightX = cos(light);
    this.lightY = sin(light);
  }

  copy(): Canvas {
    const copy = new Canvas(this.size, this.light);
    copy.pixels.set(this.pixels);
    return copy;
  }

  /** Pixel rows and columns that a box touches, with a margin in image units. */
  private span([x0, y0, x1, y1]: Box, margin = 0): readonly [number, number, number, number] {
    const n = this.size;
    return [
      max(0, floor((x0 - margin) * n - 1)),
      max(0, floor((y0 - margin) * n - 1)),
      min(n, ceil((x1 + margin) * n + 1)),
      min(n, ceil((y1 + margin) * n + 1)),
    ];
  }

  /** Sets each pixel in the box to the colour found at its centre. */
  paint(colourAt: (x: number, y: number) => Colour, box: Box = EVERYWHERE): void {
    const [left, top, right, bottom] = this.span(box);
    const n = this.size;
    for (let row = top; row < bottom; row++) {
      const y = (row + 0.5) / n;
      let at = (row * n + left) * 3;
      for (let column = left; column < right; column++, at += 3) {
        const colour = colourAt((column + 0.5) / n, y);
        this.pixels[at] = colour[0];
        this.pixels[at + 1] = colour[1];
        this.pixels[at + 2] = colour[2];
      }
    }
  }

  /** Lays one colour over the image with the opacity (0 to 1) found at each pixel. */
  cover(colour: Colour, opacityAt: (x: number, y: number) => number, box: Box = EVERYWHERE): void {
    const [left, top, right, bottom] = this.span(box);
    const n = this.size;
    const [r, g, b] = colour;
    const p = this.pixels;
    for (let row = top; row < bottom; row++) {
      const y = (row + 0.5) / n;
      let at = (row * n + left) * 3;
      for (let column = left; column < right; column++, at += 3) {
        const opacity = clamp(opacityAt((column + 0.5) / n, y));
        if (opacity === 0) continue;
        p[at] = p[at]! + (r - p[at]!) * opacity;
        p[at + 1] = p[at + 1]! + (g - p[at + 1]!) * opacity;
        p[at + 2] = p[at + 2]! + (b - p[at + 2]!) * opacity;
      }
    }
  }

  /** Multiplies each pixel by the factor found there: light, shade and grain. */
  scale(factorAt: (x: number, y: number) => number, box: Box = EVERYWHERE): void {
    const [left, top, right, bottom] = this.span(box);
    const n = this.size;
    const p = this.pixels;
    for (let row = top; row < bottom; row++) {
      const y = (row + 0.5) / n;
      let at = (row * n + left) * 3;
      for (let column = left; column < right; column++, at += 3) {
        const factor = factorAt((column + 0.5) / n, y);
        p[at] = p[at]! * factor;
        p[at + 1] = p[at + 1]! * factor;
        p[at + 2] = p[at + 2]! * factor;
      }
    }
  }

  /** One colour everywhere. */
  flood([r, g, b]: Colour): void {
    for (let at = 0; at < this.pixels.length; at += 3) {
      this.pixels[at] = r;
      this.pixels[at + 1] = g;
      this.pixels[at + 2] = b;
    }
  }

  private field(shape: Shape, margin: number): Field {
    const known = this.fields.get(shape);
    if (known !== undefined) return known;
    const [left, top, right, bottom] = this.span(shape.box, margin);
    const width = max(0, right - left);
    const height = max(0, bottom - top);
    const distances = new Float32Array(width * height);
    for (let j = 0, at = 0; j < height; j++) {
      const y = (top + j + 0.5) / this.size;
      for (let i = 0; i < width; i++, at++) distances[at] = shape.distance((left + i + 0.5) / this.size, y);
    }
    const field = { left, top, width, height, distances };
    if (margin >= FIELD_MARGIN) this.fields.set(shape, field);
    return field;
  }

  /** Fills a shape, antialiased; its colour may depend on the place. With `bevel`, its rim catches the light. */
  fill(
    shape: Shape,
    colour: Colour | ((x: number, y: number) => Colour),
    { opacity = 1, bevel = 0, relief = 0.35, soft = 0 }: FillOptions = {},
  ): void {
    const n = this.size;
    const { left, top, width, height, distances } = this.field(shape, soft);
    const edge = 1 / max(1 / n, soft);
    const p = this.pixels;
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        const own = j * width + i;
        const distance = distances[own]!;
        const coverage = clamp(0.5 - distance * edge) * opacity;
        if (coverage === 0) continue;
        const at = ((top + j) * n + left + i) * 3;
        const tone = typeof colour === 'function' ? colour((left + i + 0.5) / n, (top + j + 0.5) / n) : colour;
        let lit = 1;
        if (bevel > 0 && distance > -bevel) {
          // The distance's slope points out of the shape: towards the light is the bright side of the rim.
          const dx = i > 0 ? distance - distances[own - 1]! : width > 1 ? distances[own + 1]! - distance : 0;
          const dy = j > 0 ? distance - distances[own - width]! : 0;
          lit += relief * (dx * this.lightX + dy * this.lightY) * n * clamp(1 + distance / bevel);
        }
        p[at] = p[at]! + (tone[0] * lit - p[at]!) * coverage;
        p[at + 1] = p[at + 1]! + (tone[1] * lit - p[at + 1]!) * coverage;
        p[at + 2] = p[at + 2]! + (tone[2] * lit - p[at + 2]!) * coverage;
      }
    }
  }

  /** A soft shadow of a shape, thrown away from the light by `reach` (image units, at most 0.02). */
  shadow(shape: Shape, reach: number, strength: number): void {
    const n = this.size;
    const { left, top, width, height, distances } = this.field(shape, FIELD_MARGIN);
    const dx = -this.lightX * reach;
    const dy = -this.lightY * reach;
    const spread = 2.5 * reach;
    const [x0, y0, x1, y1] = shape.box;
    this.scale(
      (x, y) => {
        const u = min(width - 1, max(0, (x - dx) * n - 0.5 - left));
        const v = min(height - 1, max(0, (y - dy) * n - 0.5 - top));
        const i = min(width - 2, floor(u));
        const j = min(height - 2, floor(v));
        const at = j * width + i;
        const above = distances[at]! + (distances[at + 1]! - distances[at]!) * (u - i);
        const below = distances[at + width]! + (distances[at + width + 1]! - distances[at + width]!) * (u - i);
        const t = clamp(0.5 - (above + (below - above) * (v - j)) / spread);
        return 1 - strength * t * t * (3 - 2 * t);
      },
      width < 2 || height < 2
        ? [0, 0, -1, -1]
        : [x0 + dx - spread, y0 + dy - spread, x1 + dx + spread, y1 + dy + spread],
    );
  }

  /** Coverage of a shape, 0 to 1. */
  coverage(shape: Shape): Float32Array {
    // [size, size]
    const n = this.size;
    const mask = new Float32Array(n * n);
    const { left, top, width, height, distances } = this.field(shape, 0);
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) mask[(top + j) * n + left + i] = clamp(0.5 - distances[j * width + i]! * n);
    }
    return mask;
  }

  /**
   * Lights the image as if it had the height found at each place (image units), within the box: slopes towards
   * the light become brighter.
   */
  emboss(heightAt: (x: number, y: number) => number, strength: number, box: Box = EVERYWHERE): void {
    const n = this.size;
    // Slopes over the same distance at every size, or a larger image would have harder creases.
    const reach = max(1, round(n / 112));
    const [left, top, right, bottom] = this.span(box);
    const width = right - left;
    if (width <= 0 || bottom <= top) return;
    const stride = width + reach;
    const heights = new Float32Array(stride * (bottom - top + reach));
    for (let row = top - reach, at = 0; row < bottom; row++) {
      for (let column = left - reach; column < right; column++, at++)
        heights[at] = heightAt((column + 0.5) / n, (row + 0.5) / n);
    }
    const p = this.pixels;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const own = (row - top + reach) * stride + column - left + reach;
        const dx = ((heights[own]! - heights[own - reach]!) * n) / reach;
        const dy = ((heights[own]! - heights[own - reach * stride]!) * n) / reach;
        const slope = -strength * (dx * this.lightX + dy * this.lightY);
        const lit = slope > 0.8 ? 1.8 : slope < -0.8 ? 0.2 : 1 + slope;
        const at = (row * n + column) * 3;
        p[at] = p[at]! * lit;
        p[at + 1] = p[at + 1]! * lit;
        p[at + 2] = p[at + 2]! * lit;
      }
    }
  }

  /** The colour at a place, between the four nearest pixels. */
  colourAt(x: number, y: number): Colour {
    const n = this.size;
    const u = min(n - 1, max(0, x * n - 0.5));
    const v = min(n - 1, max(0, y * n - 0.5));
    const x0 = floor(u);
    const y0 = floor(v);
    const x1 = min(n - 1, x0 + 1);
    const y1 = min(n - 1, y0 + 1);
    const channel = (c: number): number => {
      const top = this.pixels[(y0 * n + x0) * 3 + c]! * (x0 + 1 - u) + this.pixels[(y0 * n + x1) * 3 + c]! * (u - x0);
      const bottom =
        this.pixels[(y1 * n + x0) * 3 + c]! * (x0 + 1 - u) + this.pixels[(y1 * n + x1) * 3 + c]! * (u - x0);
      return top * (y0 + 1 - v) + bottom * (v - y0);
    };
    return [channel(0), channel(1), channel(2)];
  }

  /** Mean colour and spread of brightness (standard deviation) in a square round a place, clipped at the border. */
  around(x: number, y: number, radius: number): { mean: Colour; spread: number } {
    const [left, top, right, bottom] = this.span([x - radius, y - radius, x + radius, y + radius]);
    let [r, g, b, squares, count] = [0, 0, 0, 0, 0];
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const at = (row * this.size + column) * 3;
        r += this.pixels[at]!;
        g += this.pixels[at + 1]!;
        b += this.pixels[at + 2]!;
        const level = 0.299 * this.pixels[at]! + 0.587 * this.pixels[at + 1]! + 0.114 * this.pixels[at + 2]!;
        squares += level * level;
        count++;
      }
    }
    if (count === 0) return { mean: this.colourAt(x, y), spread: 0 };
    const mean: Colour = [r / count, g / count, b / count];
    const level = 0.299 * mean[0] + 0.587 * mean[1] + 0.114 * mean[2];
    return { mean, spread: sqrt(max(0, squares / count - level * level)) };
  }
}

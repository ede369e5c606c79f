import { DatasetError, UsageError } from '../../lib/errors';
import { clamp, cos, sin } from './arithmetic';
import { Canvas } from './canvas';
import { captionOf } from './captions';
import { defectNamed, type DefectKind } from './defects';
import { familyNamed } from './families';
import type { Layout } from './layout';
import { Noise } from './noise';
import { Random } from './random';

const { abs, floor, max, round } = Math;

/** Goes up whenever the same arguments no longer give the same bytes. */
export const GENERATOR_VERSION = 1;

/** A pixel has changed when one of its channels moved by at least this much, of 255. */
export const CHANGE_THRESHOLD = 8;

/** Least and largest share of the image that a defect may change. */
export const DEFECT_AREA: readonly [number, number] = [0.003, 0.15];

/** Least mean change over the changed pixels (largest channel, of 255): what a person still sees. */
const VISIBLE_CHANGE = 26;
const ATTEMPTS = 16;

export interface PictureRequest {
  /** A name of `families`. */
  readonly family: string;
  /** A kind of defect; null or left out for a perfect object. */
  readonly defect?: string | null;
  readonly seed: number | string;
  /** Width and height in pixels. The same seed shows the same object at every size. */
  readonly size: number;
}

export interface DrawnPicture {
  readonly family: string;
  readonly defect: string | null;
  readonly size: number;
  readonly pixels: Uint8Array; // [size, size, 3], 0 to 255
  /** 1 where the image differs from the perfect one; all 0 for a perfect one. */
  readonly mask: Uint8Array; // [size, size], 0 or 1
  readonly caption: string;
}

export interface DrawnPair {
  readonly clean: DrawnPicture;
  readonly damaged: DrawnPicture;
}

/** One synthetic image. Equal arguments give equal bytes on every machine and in any order. Throws a UsageError for unknown names and sizes. */
export function drawPicture({ family, defect = null, seed, size }: PictureRequest): DrawnPicture {
  if (defect !== null) return drawPair({ family, defect, seed, size }).damaged;
  return perfect(begin(family, seed, size)).picture;
}

/** The perfect and the damaged image of the very same object: they are equal outside the mask. */
export function drawPair({ family, defect, seed, size }: PictureRequest & { readonly defect: string }): DrawnPair {
  const scene = begin(family, seed, size);
  const kind = defectNamed(defect);
  const { picture: clean } = perfect(scene);
  const { pixels, mask } = damage(scene, clean.pixels, kind);
  const caption = captionOf({ family, defect }, scene.random.split(`caption/${defect}`));
  return { clean, damaged: { family, defect, size, pixels, mask, caption } };
}

interface Scene {
  readonly family: string;
  readonly size: number;
  readonly random: Random;
  readonly canvas: Canvas;
  readonly layout: Layout;
  /** Light and sensor, the same for both images of a pair: gain and offset of every pixel. */
  readonly gain: Float32Array; // [size, size]
  readonly offset: Float32Array; // [size, size]
  readonly tint: readonly [number, number, number];
}

function begin(family: string, seed: number | string, size: number): Scene {
  if (!Number.isInteger(size) || size < 16 || size > 2048)
    throw new UsageError(
      'synthetic/size',
      `the size of a synthetic image must be a whole number from 16 to 2048, not ${size}`,
      { size },
    );
  const random = new Random(`${family}/${seed}`);
  const conditions = random.split('conditions');
  const canvas = new Canvas(size, conditions.range(-2.9, -0.3));
  const layout = familyNamed(family).draw(canvas, random.split('thing'));
  const exposure = conditions.range(0.85, 1.12);
  const slope = conditions.range(0, 0.16);
  const direction = conditions.angle();
  const [gx, gy] = [slope * cos(direction), slope * sin(direction)];
  const vignette = conditions.chance(0.4) ? conditions.range(0.1, 0.35) : 0;
  const grain = conditions.range(0.004, 0.022);
  const warmth = conditions.range(-0.05, 0.05);
  const noise = new Noise(conditions);
  const gain = new Float32Array(size * size);
  const offset = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    const y = (row + 0.5) / size - 0.5;
    for (let column = 0; column < size; column++) {
      const x = (column + 0.5) / size - 0.5;
      const at = row * size + column;
      gain[at] = exposure * (1 + 2 * (x * gx + y * gy) - vignette * (x * x + y * y));
      offset[at] = grain * noise.grain(x * 112 + 300, y * 112 + 300);
    }
  }
  return { family, size, random, canvas, layout, gain, offset, tint: [1 + warmth, 1, 1 - warmth] };
}

/** What the camera makes of the drawing. */
function develop(drawing: Canvas, { gain, offset, tint }: Scene): Uint8Array {
  // [size, size, 3]
  const bytes = new Uint8Array(drawing.pixels.length);
  for (let i = 0, at = 0; at < bytes.length; i++) {
    for (let channel = 0; channel < 3; channel++, at++) {
      bytes[at] = floor(clamp(drawing.pixels[at]! * gain[i]! * tint[channel]! + offset[i]!) * 255 + 0.5);
    }
  }
  return bytes;
}

function perfect(scene: Scene): { picture: DrawnPicture } {
  const { family, size, random } = scene;
  const caption = captionOf({ family, defect: null }, random.split('caption'));
  return {
    picture: {
      family,
      defect: null,
      size,
      pixels: develop(scene.canvas, scene),
      mask: new Uint8Array(size * size),
      caption,
    },
  };
}

/** Draws the defect, again and stronger or larger where it could not be seen or grew too large. */
function damage(scene: Scene, clean: Uint8Array, kind: DefectKind): { pixels: Uint8Array; mask: Uint8Array } {
  const { size } = scene;
  const vigour = scene.random.split(`defect/${kind.name}`);
  let contrast = vigour.range(0.85, 1.2);
  let extent = vigour.pick([0.85, 1, 1.15, 1.35, 1.6, 1.9]);
  let best: { pixels: Uint8Array; mask: Uint8Array } | null = null;
  let bestShortfall = Infinity;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const drawing = scene.canvas.copy();
    kind.draw(drawing, scene.layout, scene.random.split(`defect/${kind.name}/${attempt}`), { contrast, extent });
    const pixels = develop(drawing, scene);
    const { mask, area, change } = changedRegion(clean, pixels, size);
    const tooSmall = DEFECT_AREA[0] / max(area, 1e-6);
    const tooLarge = area / DEFECT_AREA[1];
    const tooFaint = VISIBLE_CHANGE / max(change, 1e-6);
    const shortfall = max(tooSmall, tooLarge, tooFaint, 1);
    if (area > 0 && shortfall < bestShortfall) {
      best = { pixels, mask };
      bestShortfall = shortfall;
    }
    if (shortfall <= 1) break;
    if (tooSmall > 1) extent *= 1.15;
    if (tooLarge > 1) extent *= 0.8;
    if (tooFaint > 1 || tooSmall > 1) contrast *= 1.12;
  }
  if (best === null)
    throw new DatasetError(
      'synthetic/no-trace',
      `the defect "${kind.name}" left no trace on a ${scene.family} in ${ATTEMPTS} tries (${scene.random.seed})`,
      { defect: kind.name, family: scene.family, size },
    );
  // Changes too faint to be marked are taken back, so that nothing differs outside the mask.
  const { pixels, mask } = best;
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] === 1) continue;
    for (let at = 3 * i; at < 3 * i + 3; at++) pixels[at] = clean[at]!;
  }
  return { pixels, mask };
}

/** Where two images differ, small gaps closed; with its share of the image and its mean change (of 255). */
export function changedRegion(
  clean: Uint8Array,
  damaged: Uint8Array,
  size: number,
): { mask: Uint8Array; area: number; change: number } {
  const changed = new Uint8Array(size * size);
  let count = 0;
  let sum = 0;
  for (let i = 0, at = 0; i < changed.length; i++, at += 3) {
    const most = max(
      abs(clean[at]! - damaged[at]!),
      abs(clean[at + 1]! - damaged[at + 1]!),
      abs(clean[at + 2]! - damaged[at + 2]!),
    );
    if (most < CHANGE_THRESHOLD) continue;
    changed[i] = 1;
    count++;
    sum += most;
  }
  const mask = closed(changed, size, closingRadius(size));
  let area = 0;
  for (const value of mask) area += value;
  return { mask, area: area / mask.length, change: count > 0 ? sum / count : 0 };
}

/** Half the width of the gaps that are closed in a mask, in pixels: about 1.2 % of the image. */
export function closingRadius(size: number): number {
  return max(1, round(size * 0.012));
}

/** Morphological closing by a square: grown, then shrunk back; what lies outside the image does not shrink it. */
function closed(mask: Uint8Array, size: number, radius: number): Uint8Array {
  return slide(slide(mask, size, radius, 1), size, radius, 0);
}

/** 1 pixels (or, for `value` 0, the 0 pixels) grow by a radius, along rows and then columns. */
function slide(mask: Uint8Array, size: number, radius: number, value: 0 | 1): Uint8Array {
  let from = mask;
  for (const step of [1, size]) {
    const to = Uint8Array.from(from);
    const stride = step === 1 ? size : 1;
    for (let line = 0; line < size; line++) {
      const start = line * stride;
      // How far back the last pixel to grow from lies.
      let since = radius + 1;
      for (let i = 0; i < size; i++) {
        since = from[start + i * step] === value ? 0 : since + 1;
        if (since <= radius) to[start + i * step] = value;
      }
      since = radius + 1;
      for (let i = size - 1; i >= 0; i--) {
        since = from[start + i * step] === value ? 0 : since + 1;
        if (since <= radius) to[start + i * step] = value;
      }
    }
    from = to;
  }
  return from;
}

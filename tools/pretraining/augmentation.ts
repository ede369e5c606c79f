import type { Random } from '../../datasets/synthetic/random';
import { CLIP_MEAN, CLIP_STD } from '../../lib/image/normalisation';
import type { Phase } from './recipe';

/** A square part of a synthetic image, rotated and mirrored, at a given resolution. */
export interface View {
  /** Upper left corner and side, in pixels of the synthetic image. */
  readonly left: number;
  readonly top: number;
  readonly side: number;
  /** Side of the view in pixels. */
  readonly size: number;
  /** One of the eight ways to rotate and mirror a square. */
  readonly turn: number;
}

/** Chooses the part to show: near a pixel of the defect, or anywhere in the image. */
export function placeView(
  mask: Uint8Array,
  drawnSize: number,
  { size, whole }: Phase,
  near: boolean,
  random: Random,
): View {
  // Crops show the object at its scale in the whole image, up to a quarter larger or smaller.
  const side = whole
    ? drawnSize * random.range(0.82, 1)
    : Math.min(drawnSize, (drawnSize / 2) * random.range(0.75, 1.15));
  const room = drawnSize - side;
  let [left, top] = [random.range(0, room), random.range(0, room)];
  const at = near ? somePixelOf(mask, random) : -1;
  if (at >= 0) {
    const [x, y] = [at % drawnSize, Math.floor(at / drawnSize)];
    left = Math.min(room, Math.max(0, x - side * random.range(0.1, 0.9)));
    top = Math.min(room, Math.max(0, y - side * random.range(0.1, 0.9)));
  }
  return { left, top, side, size, turn: random.integer(0, 7) };
}

function somePixelOf(mask: Uint8Array, random: Random): number {
  let count = 0;
  for (const value of mask) count += value;
  if (count === 0) return -1;
  let wanted = random.integer(1, count);
  for (let at = 0; at < mask.length; at++) {
    wanted -= mask[at] as number;
    if (wanted === 0) return at;
  }
  return -1;
}

/** The effects of light, camera and file format on a view; the same for both images of a pair. */
export interface Looks {
  /** Mixes the channels, row by row, then adds. */
  readonly matrix: readonly number[]; // [3, 3]
  readonly offset: readonly [number, number, number];
  readonly gamma: number;
  /** Brightness gradient across the view, from the middle to the right and lower edges. */
  readonly slope: readonly [number, number];
  /** Passes of a small blur; below 0, one pass of sharpening. */
  readonly blur: number;
  readonly noise: number;
  /** Grey levels per channel; 0 leaves them unchanged. */
  readonly levels: number;
  readonly noiseSeed: number;
}

/** A view without any such effect. */
export const AS_DRAWN: Looks = {
  matrix: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  offset: [0, 0, 0],
  gamma: 1,
  slope: [0, 0],
  blur: 0,
  noise: 0,
  levels: 0,
  noiseSeed: 1,
};

/** Random imperfections of a photograph: mostly mild, sometimes several at once. */
export function drawLooks(random: Random): Looks {
  const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  let matrix = identity;
  const kind = random.next();
  if (kind < 0.12) {
    const grey = [0.299, 0.587, 0.114];
    const amount = random.range(0.7, 1);
    matrix = identity.map((value, at) => value * (1 - amount) + (grey[at % 3] as number) * amount);
  } else if (kind < 0.5) {
    // A random mixture of channels whose rows sum to one: hues change, greys do not.
    matrix = [0, 1, 2].flatMap((row) => {
      const weights = [0, 1, 2].map((column) => (row === column ? 1 : 0) + random.range(-0.35, 0.35));
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / sum);
    });
  }
  const contrast = random.range(0.65, 1.35);
  const brightness = random.range(-0.12, 0.12);
  const inverted = random.chance(0.05) ? -1 : 1;
  const gains = [0, 1, 2].map(() => contrast * random.range(0.93, 1.07) * inverted);
  matrix = matrix.map((value, at) => value * (gains[Math.floor(at / 3)] as number));
  const offset = gains.map((gain) => 0.5 - 0.5 * gain + brightness) as [number, number, number];
  const shaded = random.chance(0.3);
  const soft = random.next();
  return {
    matrix,
    offset,
    gamma: random.chance(0.3) ? Math.exp(random.range(-0.35, 0.35)) : 1,
    slope: shaded ? [random.range(-0.25, 0.25), random.range(-0.25, 0.25)] : [0, 0],
    blur: soft < 0.2 ? 1 : soft < 0.25 ? 2 : soft < 0.35 ? -1 : 0,
    noise: random.chance(0.35) ? random.range(0.005, 0.035) : 0,
    levels: random.chance(0.1) ? random.integer(16, 48) : 0,
    noiseSeed: random.bits(),
  };
}

/** The position of a view's pixel (column, row) in the synthetic image, as the weights of an affine map. */
function affine({ left, top, side, size, turn }: View): readonly [number, number, number, number, number, number] {
  const scale = side / size;
  const flipX = (turn & 1) !== 0;
  const flipY = (turn & 2) !== 0;
  const [sx, sy] = [flipX ? -scale : scale, flipY ? -scale : scale];
  const x0 = left + (flipX ? side : 0) + 0.5 * sx - 0.5;
  const y0 = top + (flipY ? side : 0) + 0.5 * sy - 0.5;
  // The other four of the eight swap rows and columns.
  return (turn & 4) !== 0 ? [x0, 0, sx, y0, sy, 0] : [x0, sx, 0, y0, 0, sy];
}

/** Writes the pixels of a view, normalised for the network, into `into` `[size, size, 3]`. */
export function renderView(picture: Uint8Array, drawnSize: number, view: View, looks: Looks, into: Float32Array): void {
  const { size } = view;
  const [x0, xColumn, xRow, y0, yColumn, yRow] = affine(view);
  const last = drawnSize - 1;
  const { matrix: m, offset, gamma, slope, levels } = looks;
  const scratch = new Float32Array(size * size * 3);
  for (let row = 0, at = 0; row < size; row++) {
    for (let column = 0; column < size; column++, at += 3) {
      const x = Math.min(last, Math.max(0, x0 + xColumn * column + xRow * row));
      const y = Math.min(last, Math.max(0, y0 + yColumn * column + yRow * row));
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [u, v] = [x - left, y - top];
      const a = (top * drawnSize + left) * 3;
      const b = left < last ? a + 3 : a;
      const below = top < last ? drawnSize * 3 : 0;
      const wa = (1 - u) * (1 - v);
      const wb = u * (1 - v);
      const wc = (1 - u) * v;
      const wd = u * v;
      for (let channel = 0; channel < 3; channel++) {
        scratch[at + channel] =
          (picture[a + channel]! * wa +
            picture[b + channel]! * wb +
            picture[a + below + channel]! * wc +
            picture[b + below + channel]! * wd) /
          255;
      }
    }
  }
  const soft = looks.blur === 0 ? scratch : soften(scratch, size, looks.blur);
  let state = looks.noiseSeed | 1;
  const grain = looks.noise * 3.46; // a uniform value's standard deviation is its width over √12
  for (let row = 0, at = 0; row < size; row++) {
    for (let column = 0; column < size; column++, at += 3) {
      const shade = 1 + slope[0] * (column / size - 0.5) + slope[1] * (row / size - 0.5);
      const [r, g, b] = [soft[at]!, soft[at + 1]!, soft[at + 2]!];
      for (let channel = 0; channel < 3; channel++) {
        let value =
          (m[3 * channel]! * r + m[3 * channel + 1]! * g + m[3 * channel + 2]! * b + offset[channel]!) * shade;
        if (grain > 0) {
          state ^= state << 13;
          state ^= state >>> 17;
          state ^= state << 5;
          value += grain * ((state >>> 0) / 4294967296 - 0.5);
        }
        value = value < 0 ? 0 : value > 1 ? 1 : value;
        if (gamma !== 1) value = value ** gamma;
        if (levels > 0) value = Math.round(value * levels) / levels;
        into[at + channel] = (value - CLIP_MEAN[channel]!) / CLIP_STD[channel]!;
      }
    }
  }
}

/** A 3 by 3 mean mixed with the image: by half to blur, by a negative share to sharpen. */
function soften(pixels: Float32Array, size: number, passes: number): Float32Array {
  const amount = passes < 0 ? -0.5 : 0.7;
  let from = pixels;
  for (let pass = 0; pass < Math.abs(passes); pass++) {
    const to = new Float32Array(from.length);
    for (let row = 0; row < size; row++) {
      const up = row > 0 ? -size * 3 : 0;
      const down = row < size - 1 ? size * 3 : 0;
      for (let column = 0; column < size; column++) {
        const left = column > 0 ? -3 : 0;
        const right = column < size - 1 ? 3 : 0;
        const start = (row * size + column) * 3;
        for (let at = start; at < start + 3; at++) {
          const mean =
            (from[at]! +
              from[at + left]! +
              from[at + right]! +
              from[at + up]! +
              from[at + down]! +
              from[at + up + left]! +
              from[at + up + right]! +
              from[at + down + left]! +
              from[at + down + right]!) /
            9;
          to[at] = from[at]! + amount * (mean - from[at]!);
        }
      }
    }
    from = to;
  }
  return from;
}

/** The mask of a view, by the nearest pixel. `[size, size]`, 0 or 1 */
export function sampleMask(mask: Uint8Array, drawnSize: number, view: View): Uint8Array {
  const { size } = view;
  const [x0, xColumn, xRow, y0, yColumn, yRow] = affine(view);
  const last = drawnSize - 1;
  const shown = new Uint8Array(size * size);
  for (let row = 0, at = 0; row < size; row++) {
    for (let column = 0; column < size; column++, at++) {
      const x = Math.min(last, Math.max(0, Math.round(x0 + xColumn * column + xRow * row)));
      const y = Math.min(last, Math.max(0, Math.round(y0 + yColumn * column + yRow * row)));
      shown[at] = mask[y * drawnSize + x] as number;
    }
  }
  return shown;
}

/** Writes the share of each patch that the mask covers into `into` `[(size/patchSize)²]`. */
export function coverageOfPatches(mask: Uint8Array, size: number, patchSize: number, into: Float32Array): void {
  const grid = size / patchSize;
  const share = 1 / (patchSize * patchSize);
  for (let row = 0; row < size; row++) {
    const start = Math.floor(row / patchSize) * grid;
    for (let column = 0; column < size; column++) {
      const patch = start + Math.floor(column / patchSize);
      into[patch] = (into[patch] as number) + share * (mask[row * size + column] as number);
    }
  }
}

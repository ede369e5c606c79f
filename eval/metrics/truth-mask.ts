import sharp from 'sharp';
import { ImageError, MetricError } from '../../lib/errors';
import { decodeImage } from '../../lib/image/decode';
import { mapSize } from '../../lib/image/map-file';
import type { NpyArray } from '../../lib/image/npy';
import { loadMaskAtOwnSize, resizeMask, type Mask } from '../../lib/image/preprocess';
import { resizeBilinear } from '../../lib/image/resample';

/** A mask that may exclude pixels. Both planes are [height, width] of 0 and 1, and no pixel is 1 in both. */
export interface TruthMask extends Mask {
  /** 1 where a pixel is excluded, since its label is unknown or irrelevant; undefined where no pixel is. */
  readonly ignored?: Uint8Array | undefined;
}

/** Mask values that exclude a pixel; NaN may be one of them. */
export type IgnoredValues = ReadonlySet<number>;

/**
 * An array as a mask: 0 is normal, anything above it anomalous, and values in `ignoring` are excluded.
 * @param source its name in messages
 * @throws ImageError `map/shape`; MetricError `metric/mask-value` for values below 0, NaN and infinities that are not
 *   ignored
 */
export function truthOfArray({ shape, data }: NpyArray, source: string, ignoring: IgnoredValues): TruthMask {
  const { width, height } = mapSize(shape, source);
  const marked = new Uint8Array(data.length);
  const ignored = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const value = Number(data[at]);
    if (ignoring.has(value)) {
      ignored[at] = 1;
    } else if (value > 0 && value < Infinity) {
      marked[at] = 1;
    } else if (value !== 0) {
      const [x, y] = [at % width, Math.floor(at / width)];
      throw new MetricError(
        'metric/mask-value',
        `${source}: this mask holds ${value} at x ${x}, y ${y}; expected 0 where it is normal and a number above 0 where it is anomalous. ` +
          `Correct the mask; or, to leave such pixels out, pass \`ignoring: [${[...ignoring, value].join(', ').toLowerCase()}]\`.`,
        { path: source, value, x, y },
      );
    }
  }
  return { width, height, data: marked, ...(ignored.includes(1) ? { ignored } : {}) };
}

/**
 * An image as a mask, as `loadMaskAtOwnSize` reads it. Levels in `ignoring` are excluded: 0 to 255, or 0 to 65535
 * in 16-bit grey; in colour, where red, green and blue all have that level.
 * @throws ImageError as `loadMaskAtOwnSize`; MetricError `metric/mask-value` for images that do not keep their levels,
 *   where some are ignored
 */
export async function truthOfImage(file: string, ignoring: IgnoredValues): Promise<TruthMask> {
  const mask = await loadMaskAtOwnSize(file);
  if (![...ignoring].some((value) => Number.isInteger(value) && value >= 0)) return mask;
  const { mode, data, width, height, lossy } = await decodeImage(file);
  const unkept = lossy
    ? 'is lossily compressed, so its levels are not the original ones'
    : mode === 'P'
      ? 'has a palette, whose indices are not levels'
      : mode !== 'I;16' && (await isWide(file))
        ? 'has several 16-bit channels, which are read as 8 bits'
        : undefined;
  if (unkept !== undefined) {
    throw new MetricError(
      'metric/mask-value',
      `${file}: this mask ${unkept}, and the values in \`ignoring\` cannot be found in it. Save it as a grey PNG or as .npy.`,
      { path: file },
    );
  }
  if (width !== mask.width || height !== mask.height)
    throw new ImageError(
      'image/size-mismatch',
      `${file}: its mask is ${mask.width} x ${mask.height}, its image ${width} x ${height}`,
      { file },
    );
  const channels = data.length / (width * height);
  const colours = channels < 3 ? 1 : 3;
  const ignored = new Uint8Array(width * height);
  const marked = mask.data.slice();
  for (let pixel = 0; pixel < ignored.length; pixel++) {
    const levels = data.subarray(pixel * channels, pixel * channels + colours);
    if (!ignoring.has(levels[0] as number) || levels.some((level) => level !== levels[0])) continue;
    ignored[pixel] = 1;
    marked[pixel] = 0;
  }
  return { width, height, data: marked, ...(ignored.includes(1) ? { ignored } : {}) };
}

async function isWide(file: string): Promise<boolean> {
  // BMP, which sharp does not read, has 8 bits.
  return (
    (
      await sharp(file)
        .metadata()
        .catch(() => undefined)
    )?.depth === 'ushort'
  );
}

/**
 * The union of the masks of one image: anomalous where any mask says so; otherwise excluded where any mask excludes.
 * @param source names the image in messages
 * @returns undefined where there is none
 * @throws MetricError `metric/mask-size` where they differ in size
 */
export function unionOf(masks: readonly TruthMask[], source: string): TruthMask | undefined {
  const [first, ...others] = masks;
  if (first === undefined || others.length === 0) return first;
  const { width, height } = first;
  const different = others.find((other) => other.width !== width || other.height !== height);
  if (different !== undefined) {
    throw new MetricError(
      'metric/mask-size',
      `${source}: its masks have different sizes, ${width} x ${height} and ${different.width} x ${different.height}; they must be of one image`,
    );
  }
  const data = first.data.map((_, at) => (masks.some((mask) => mask.data[at] !== 0) ? 1 : 0));
  const ignored = data.map((marked, at) => (marked === 0 && masks.some((mask) => mask.ignored?.[at] === 1) ? 1 : 0));
  return { width, height, data, ...(ignored.includes(1) ? { ignored } : {}) };
}

/**
 * A mask at another size, bilinear as `resizeMask`: a pixel is excluded where at least half of it is, and otherwise
 * anomalous where no more of it is normal than anomalous; without excluded pixels, this is the cut at one half.
 */
export function resizeTruth({ width, height, data, ignored }: TruthMask, toWidth: number, toHeight: number): TruthMask {
  if (ignored === undefined)
    return { width: toWidth, height: toHeight, data: resizeMask({ width, height, data }, toWidth, toHeight) };
  const shares = (plane: Uint8Array): Uint8Array =>
    resizeBilinear(
      plane.map((value) => 255 * value),
      width,
      height,
      1,
      toWidth,
      toHeight,
    );
  const [marked, open] = [shares(data), shares(ignored)];
  const left = open.map((share) => (share > 127 ? 1 : 0));
  return {
    width: toWidth,
    height: toHeight,
    data: marked.map((share, at) => (left[at] === 0 && 2 * share + (open[at] as number) > 255 ? 1 : 0)),
    ...(left.includes(1) ? { ignored: left } : {}),
  };
}

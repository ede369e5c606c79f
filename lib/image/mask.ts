import { ImageError } from '../errors';
import { decodeImage, type DecodeOptions } from './decode';
import { toRgb, type ImageFrame } from './decoded-image';
import type { ImageInput } from './input';
import { readMaskSamples, type MaskSamples } from './mask-samples';
import { turn, type Mask } from './orientation';
import { resizeBilinear } from './resample';

export interface MaskOptions extends DecodeOptions {
  /**
   * Levels (of 255; of 65535 for 16 bits; values as they are for wider ones) above which a pixel counts as anomalous. Default
   * 0: anything at all. Masks with lossy compression (JPEG, AVIF, lossy WebP) are noisy around 0 and are cut at 127.
   */
  readonly above?: number;
  /**
   * The image that the mask belongs to. Where its EXIF orientation turns the image, the mask is turned with it, since masks
   * are drawn on the pixels of the file; unless the mask's size or its own tag says that it is upright already.
   */
  readonly image?: ImageFrame | undefined;
}

/** Half of the levels: far from the noise around 0 and around 255. */
const LOSSY_CUT = 127;

/**
 * A mask at the size of its file: 1 where any colour is above `above`, compared at the file's own precision. Where the colours
 * do not tell pixels apart, since all or none are above, alpha decides; and where there is none or it does not either, the
 * indices of a palette: the first colour is normal.
 *
 * With `reference`, as the reference reads: the luminance of 8-bit colours above 0, noise of JPEG included, alpha ignored;
 * and neither turned nor compared with its image.
 *
 * @throws ImageError as `decodeImage`; `image/pages`, `image/mask-values`; with `image`, `image/mask-shape` for a mask whose
 *   shape fits its image neither as stored nor turned
 */
export async function loadMaskAtOwnSize(input: ImageInput, options: MaskOptions = {}): Promise<Mask> {
  if (options.reference === true) return referenceMask(input, options);
  const samples = await readMaskSamples(input, options);
  const { width, height, orientation } = samples;
  const mask = { width, height, data: await marksOf(samples, options.above ?? (samples.lossy ? LOSSY_CUT : 0)) };
  return options.image === undefined
    ? turn(mask, orientation)
    : placed(mask, orientation, options.image, samples.source);
}

async function marksOf(
  { data, channels, colours, indices, width, height }: MaskSamples,
  above: number,
): Promise<Uint8Array> {
  const marks = new Uint8Array(width * height);
  const mark = (from: number, to: number): boolean => {
    let count = 0;
    for (let pixel = 0, at = 0; pixel < marks.length; pixel++, at += channels) {
      let marked = 0;
      for (let channel = from; channel < to; channel++) if ((data[at + channel] as number) > above) marked = 1;
      marks[pixel] = marked;
      count += marked;
    }
    return count > 0 && count < marks.length;
  };
  if (mark(0, colours)) return marks;
  for (let channel = colours; channel < channels; channel++) if (mark(channel, channel + 1)) return marks;
  const places = await indices?.();
  if (places !== undefined) {
    const byPlace = Uint8Array.from(places, (place) => (place > 0 ? 1 : 0));
    if (byPlace.includes(0) && byPlace.includes(1)) return byPlace;
  }
  mark(0, colours);
  return marks;
}

/** Shapes are alike up to this share of a side, or a pixel: sizes are rounded when masks are made smaller. */
const SHAPE_TOLERANCE = 0.01;

/** The mask as its image is shown: the first way that gives it the image's size, else the first that gives it its shape. */
function placed(mask: Mask, own: number, image: ImageFrame, source: string): Mask {
  // A tag of 1 is written by habit, and means nothing.
  const ways = [...new Set([...(own > 1 ? [own] : []), image.orientation, 1])];
  const sizeBy = (way: number): { width: number; height: number } =>
    way > 4 ? { width: mask.height, height: mask.width } : mask;
  const isSize = (way: number): boolean => sizeBy(way).width === image.width && sizeBy(way).height === image.height;
  const isShape = (way: number): boolean => {
    const { width, height } = sizeBy(way);
    const difference = Math.abs(width * image.height - height * image.width);
    return difference <= Math.max(image.width, image.height, SHAPE_TOLERANCE * width * image.height);
  };
  const way = ways.find(isSize) ?? ways.find(isShape);
  if (way !== undefined) return turn(mask, way);
  const turned = image.orientation > 1 ? `, turned by its EXIF orientation ${image.orientation}` : '';
  throw new ImageError(
    'image/mask-shape',
    `${source}: a mask of ${mask.width}x${mask.height} for an image of ${image.width}x${image.height}${turned}: it fits neither as stored nor turned, and is not stretched. Check whether it belongs to that image, or save it at the image's size.`,
    { source, width: mask.width, height: mask.height, image },
  );
}

async function referenceMask(input: ImageInput, options: MaskOptions): Promise<Mask> {
  const decoded = await decodeImage(input, options);
  const { mode, width, height, data } = decoded;
  const above = options.above ?? 0;
  const channels = data.length / (width * height);
  if (channels < 3)
    return {
      width,
      height,
      data: Uint8Array.from({ length: width * height }, (_, pixel) =>
        (data[pixel * channels] as number) > above ? 1 : 0,
      ),
    };
  const rgb = mode === 'RGBA' ? data : toRgb(decoded);
  const step = rgb.length / (width * height);
  const level = (at: number): number => luminance(rgb[at] as number, rgb[at + 1] as number, rgb[at + 2] as number);
  return {
    width,
    height,
    data: Uint8Array.from({ length: width * height }, (_, pixel) => (level(pixel * step) > above ? 1 : 0)),
  };
}

/** Pillow's conversion of colour to grey: ITU-R 601 weights in 16 bits of fixed point. */
function luminance(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/**
 * A mask at the network's size, as the reference makes it: binarised at its own size, resized bilinearly with antialias as
 * 0 and 255, and cut at one half; see docs/method.md#masks
 *
 * @param input `undefined` for an image without a mask: nothing in it is anomalous
 * @returns uint8 [height, width] of 0 and 1
 * @throws ImageError as {@link loadMaskAtOwnSize}
 */
export async function preprocessMask(
  input: ImageInput | undefined,
  target: { readonly width: number; readonly height: number },
  options: MaskOptions = {},
): Promise<Uint8Array> {
  const { width, height } = target;
  if (input === undefined) return new Uint8Array(width * height);
  return resizeMask(await loadMaskAtOwnSize(input, options), width, height);
}

/** {@link preprocessMask} for a mask already in memory. @throws ImageError where mask and size do not fit */
export function resizeMask(mask: Mask, width: number, height: number): Uint8Array {
  if (mask.data.length !== mask.width * mask.height) {
    throw new ImageError(
      'image/size-mismatch',
      `a mask of ${mask.width} x ${mask.height} expected, found ${mask.data.length} values`,
      { ...mask, data: undefined },
    );
  }
  const bytes = mask.data.map((value) => (value > 0 ? 255 : 0));
  const resized = resizeBilinear(bytes, mask.width, mask.height, 1, width, height);
  return resized.map((value) => (value > 127 ? 1 : 0));
}

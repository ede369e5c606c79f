import { CLIP_MEAN, CLIP_STD, type InputRule, type ResizeFilter } from '../config';
import { ImageError } from '../errors';
import { decodeImage, type DecodeOptions } from './decode';
import { toRgb, type DecodedImage } from './decoded-image';
import type { ImageInput } from './input';
import { premultiply, unpremultiply } from './premultiply';
import { resize16, resizeBicubic, resizeBilinear, resizeNearest } from './resample';

/** How pictures are made ready for the network. Part of a model's options and stored with its weights as one record. */
export interface Preprocessing extends InputRule {
  /** Whether pictures are decoded as the reference does, see `DecodeOptions.reference`. */
  readonly reference: boolean;
}

export const CLIP_PREPROCESSING: Preprocessing = { resize: 'bicubic', mean: CLIP_MEAN, std: CLIP_STD, reference: false };

/**
 * Resizes straight to a size (the aspect is not kept) in the picture's own mode, and converts to colour afterwards: bicubic
 * unless the weights say otherwise; alpha premultiplied meanwhile; palette and bilevel pictures by nearest neighbour. spec 1.2
 *
 * @param resize filter for all but palette and bilevel pictures
 * @returns uint8 [height, width, 3]
 */
export function resizeToRgb(decoded: DecodedImage, width: number, height: number, resize: ResizeFilter = 'bicubic'): Uint8Array {
  const { mode, reference, source } = decoded;
  const data = resizeInMode(decoded, width, height, resize);
  return toRgb({ mode, data, width, height, reference, source });
}

function resizeInMode(decoded: DecodedImage, toWidth: number, toHeight: number, filter: ResizeFilter): Uint8Array | Uint16Array {
  const { mode, width, height } = decoded;
  if (width === toWidth && height === toHeight) return decoded.data;
  if (mode === 'I;16') return resize16(decoded.data as Uint16Array, width, height, toWidth, toHeight, filter);
  const resize = filter === 'bilinear' ? resizeBilinear : resizeBicubic;
  const data = decoded.data as Uint8Array;
  switch (mode) {
    case '1':
      return resizeNearest(data, width, height, 1, toWidth, toHeight);
    case 'P':
      return resizeNearest(data, width, height, 3, toWidth, toHeight);
    case 'L':
      return resize(data, width, height, 1, toWidth, toHeight);
    case 'RGB':
      return resize(data, width, height, 3, toWidth, toHeight);
    case 'LA':
    case 'RGBA': {
      const channels = mode === 'LA' ? 2 : 4;
      const resized = resize(premultiply(data, channels), width, height, channels, toWidth, toHeight);
      return unpremultiply(resized, channels);
    }
  }
}

/**
 * The network's input for one picture.
 *
 * @param target size in pixels, and what the weights say of their input; what is left out is CLIP's
 * @returns float32 [height, width, 3]: (value / 255 - mean) / std, in float32 steps as PyTorch takes them
 */
export function preprocessImage(
  decoded: DecodedImage,
  target: { readonly width: number; readonly height: number } & Partial<InputRule>,
): Float32Array<ArrayBuffer> {
  const { width, height, mean = CLIP_MEAN, std = CLIP_STD, resize } = target;
  const rgb = resizeToRgb(decoded, width, height, resize);
  const [red, green, blue] = [0, 1, 2].map((channel) => normalised(mean[channel] as number, std[channel] as number)) as [
    Float32Array, Float32Array, Float32Array,
  ];
  const out = new Float32Array(width * height * 3); // [height, width, 3]
  for (let at = 0; at < out.length; at += 3) {
    out[at] = red[rgb[at] as number] as number;
    out[at + 1] = green[rgb[at + 1] as number] as number;
    out[at + 2] = blue[rgb[at + 2] as number] as number;
  }
  return out;
}

/** The normalised value of each of the 256 levels. */
function normalised(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, level) => {
    const centred = Math.fround(Math.fround(level / 255) - Math.fround(mean));
    return centred / Math.fround(std);
  });
}

/** A binary mask: uint8 [height, width], 1 where the picture is anomalous. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface MaskOptions extends DecodeOptions {
  /**
   * Levels (of 255; of 65535 for 16 bits) above which a pixel counts as anomalous. Default 0: any luminance at all. Masks
   * kept as JPEG are noisy around 0 and are cut at 127; at 0 as well where they are read as the reference reads (`reference`).
   */
  readonly above?: number;
}

/**
 * A mask at the size of its file: 1 where the luminance is above `above`. Alpha does not count.
 *
 * @throws ImageError as {@link decodeImage}
 */
export async function loadMaskAtOwnSize(input: ImageInput, options: MaskOptions = {}): Promise<Mask> {
  const decoded = await decodeImage(input, options);
  const { width, height } = decoded;
  const noisy = decoded.lossy === true && options.reference !== true;
  return { width, height, data: binarise(decoded, options.above ?? (noisy ? JPEG_CUT : 0)) };
}

/** Half of the levels: far from the noise around 0 and around 255. */
const JPEG_CUT = 127;

function binarise(decoded: DecodedImage, above: number): Uint8Array {
  const { mode, data, width, height } = decoded;
  const out = new Uint8Array(width * height);
  const channels = data.length / out.length;
  const colour = mode === 'RGB' || mode === 'RGBA' || mode === 'P';
  for (let pixel = 0, at = 0; pixel < out.length; pixel++, at += channels) {
    const level = colour
      ? luminance(data[at] as number, data[at + 1] as number, data[at + 2] as number)
      : (data[at] as number);
    out[pixel] = level > above ? 1 : 0;
  }
  return out;
}

/** Pillow's conversion of colour to grey: ITU-R 601 weights in 16 bits of fixed point. */
function luminance(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/**
 * A mask at the network's size, as the reference makes it: binarised at its own size, resized bilinearly with antialias as
 * 0 and 255, and cut at one half. spec 1.2
 *
 * @param input `undefined` for a picture without a mask: nothing in it is anomalous
 * @returns uint8 [height, width] of 0 and 1
 * @throws ImageError as {@link decodeImage}
 */
export async function preprocessMask(
  input: ImageInput | undefined, target: { readonly width: number; readonly height: number }, options: MaskOptions = {},
): Promise<Uint8Array> {
  const { width, height } = target;
  if (input === undefined) return new Uint8Array(width * height);
  return resizeMask(await loadMaskAtOwnSize(input, options), width, height);
}

/** {@link preprocessMask} for a mask already in memory. @throws ImageError where mask and size do not fit */
export function resizeMask(mask: Mask, width: number, height: number): Uint8Array {
  if (mask.data.length !== mask.width * mask.height) {
    throw new ImageError('image/size-mismatch', `a mask of ${mask.width} x ${mask.height} expected, found ${mask.data.length} values`, { ...mask, data: undefined });
  }
  const bytes = mask.data.map((value) => (value > 0 ? 255 : 0));
  const resized = resizeBilinear(bytes, mask.width, mask.height, 1, width, height);
  return resized.map((value) => (value > 127 ? 1 : 0));
}

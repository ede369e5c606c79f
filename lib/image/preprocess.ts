import { CLIP_MEAN, CLIP_STD, type InputRule, type ResizeFilter } from './normalisation';
import { toRgb, type DecodedImage } from './decoded-image';
import { premultiply, unpremultiply } from './premultiply';
import { resize16, resizeBicubic, resizeBilinear, resizeNearest } from './resample';

export { loadMaskAtOwnSize, preprocessMask, resizeMask, type MaskOptions } from './mask';
export type { Mask } from './orientation';

/** How images are prepared for the network. Part of a model's options and stored with its weights as one record. */
export interface Preprocessing extends InputRule {
  /** Whether images are decoded as the reference does, see `DecodeOptions.reference`. */
  readonly reference: boolean;
}

export const CLIP_PREPROCESSING: Preprocessing = {
  resize: 'bicubic',
  mean: CLIP_MEAN,
  std: CLIP_STD,
  reference: false,
};

/**
 * Resizes straight to a size (the aspect is not kept) in the image's own mode, and converts to colour afterwards: bicubic
 * unless the weights say otherwise; alpha premultiplied meanwhile; palette and bilevel images by nearest neighbour.
 * See docs/method.md#preprocessing.
 *
 * @param resize filter for all but palette and bilevel images
 * @returns uint8 [height, width, 3]
 */
export function resizeToRgb(
  decoded: DecodedImage,
  width: number,
  height: number,
  resize: ResizeFilter = 'bicubic',
): Uint8Array {
  const { mode, reference, source } = decoded;
  const data = resizeInMode(decoded, width, height, resize);
  return toRgb({ mode, data, width, height, reference, source });
}

function resizeInMode(
  decoded: DecodedImage,
  toWidth: number,
  toHeight: number,
  filter: ResizeFilter,
): Uint8Array | Uint16Array {
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
    case 'CMYK':
      return resize(data, width, height, 4, toWidth, toHeight);
    case 'LA':
    case 'RGBA': {
      const channels = mode === 'LA' ? 2 : 4;
      const resized = resize(premultiply(data, channels), width, height, channels, toWidth, toHeight);
      return unpremultiply(resized, channels);
    }
  }
}

/**
 * The network's input for one image.
 *
 * @param target size in pixels, and what the weights say about their input; CLIP's by default
 * @returns float32 [height, width, 3]: (value / 255 - mean) / std, in float32 steps as PyTorch takes them
 */
export function preprocessImage(
  decoded: DecodedImage,
  target: { readonly width: number; readonly height: number } & Partial<InputRule>,
): Float32Array<ArrayBuffer> {
  const { width, height, mean = CLIP_MEAN, std = CLIP_STD, resize } = target;
  const rgb = resizeToRgb(decoded, width, height, resize);
  const [red, green, blue] = [0, 1, 2].map((channel) =>
    normalised(mean[channel] as number, std[channel] as number),
  ) as [Float32Array, Float32Array, Float32Array];
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

import { ImageError } from '../errors';
import { multiply255 } from './premultiply';

/**
 * How an image keeps its samples, under Pillow's names: bilevel, grey, grey with alpha, palette, colour, colour with
 * alpha, inks (255 is full ink), 16-bit grey. The mode decides how an image is resampled, see
 * docs/method.md#preprocessing.
 */
export type PixelMode = '1' | 'L' | 'LA' | 'P' | 'RGB' | 'RGBA' | 'CMYK' | 'I;16';

/** How many samples a pixel has. Palette images are kept expanded to their colours. */
export const CHANNELS: Readonly<Record<PixelMode, number>> = {
  '1': 1,
  L: 1,
  LA: 2,
  P: 3,
  RGB: 3,
  RGBA: 4,
  CMYK: 4,
  'I;16': 1,
};

/** How an image file is shown. */
export interface ImageFrame {
  /** As shown: turned as the orientation says. */
  readonly width: number;
  readonly height: number;
  /** The EXIF tag by which the file's pixels are turned, 1 (not at all) to 8. */
  readonly orientation: number;
}

/** An image in memory: rows from the top, samples interleaved, [height, width, channels of the mode]. */
export interface DecodedImage extends ImageFrame {
  readonly mode: PixelMode;
  /** 0..255 (bilevel: 0 or 255); 0..65535 in a Uint16Array for 'I;16'. */
  readonly data: Uint8Array | Uint16Array;
  /** Read as the reference program reads: 16-bit samples above 255 count as white instead of being scaled. */
  readonly reference: boolean;
  /** Whether the file keeps samples that are near the original values but not equal to them, as JPEG does. */
  readonly lossy?: boolean;
  /** How many images the file holds, if more than one: pages of TIFF, frames of GIF and WebP. This is the first. */
  readonly pages?: number;
  /** Where it came from, for messages: a path, a URL, "a buffer of 12 bytes", "raw pixels". */
  readonly source: string;
}

/** A colour image at its own size, as the overlays want it: uint8 [height, width, 3]. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * Samples of any mode to colour, without a change of size: alpha is dropped, not blended; 16-bit samples are scaled, or
 * clipped where the image was read as the reference reads.
 *
 * @param image its samples [height, width, channels]
 * @returns uint8 [height, width, 3]; for RGB and P the image's own array
 */
export function toRgb(
  image: Pick<DecodedImage, 'mode' | 'data' | 'reference' | 'width' | 'height' | 'source'>,
): Uint8Array {
  const { mode, data, width, height } = image;
  const channels = CHANNELS[mode];
  if (data.length !== width * height * channels) {
    throw new ImageError(
      'image/size-mismatch',
      `${image.source}: ${width} x ${height} pixels of mode ${mode} take ${width * height * channels} samples, found ${data.length}`,
      { width, height, mode, found: data.length },
    );
  }
  if ((mode === 'RGB' || mode === 'P') && data.BYTES_PER_ELEMENT === 1) return data as Uint8Array;
  if (mode === 'CMYK') return inksToRgb(data);
  const grey = channels < 3;
  const bytes = mode === 'I;16' ? narrow(data, image.reference) : data;
  const out = new Uint8Array(width * height * 3);
  for (let read = 0, write = 0; write < out.length; read += channels, write += 3) {
    out[write] = bytes[read] as number;
    out[write + 1] = bytes[grey ? read : read + 1] as number;
    out[write + 2] = bytes[grey ? read : read + 2] as number;
  }
  return out;
}

/** Pillow's conversion of inks: what cyan, magenta and yellow leave of what black leaves. */
function inksToRgb(data: ArrayLike<number>): Uint8Array {
  const out = new Uint8Array((data.length / 4) * 3);
  for (let read = 0, write = 0; write < out.length; read += 4, write += 3) {
    const left = 255 - (data[read + 3] as number);
    for (let ink = 0; ink < 3; ink++) out[write + ink] = left - multiply255(data[read + ink] as number, left);
  }
  return out;
}

/** 16 bits to 8: 65535 becomes 255 in proportion; or, as in the reference, everything above 255 becomes 255. */
function narrow(data: ArrayLike<number>, clip: boolean): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let at = 0; at < out.length; at++) {
    const value = data[at] as number;
    out[at] = clip ? Math.min(255, value) : Math.round(value / 257);
  }
  return out;
}

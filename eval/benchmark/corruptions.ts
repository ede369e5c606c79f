import sharp, { type Sharp } from 'sharp';
import { decodeImage } from '../../lib/image/decode';
import { toRgb, type RgbImage } from '../../lib/image/decoded-image';
import type { RawPixels } from '../../lib/image/input';
import { seededNormal } from '../../lib/weights/seeded';

/** Ways in which images from a production line are worse than those of a data set. */
export const CORRUPTION_KINDS = ['noise', 'blur', 'brightness', 'jpeg'] as const;
export type CorruptionKind = (typeof CORRUPTION_KINDS)[number];

/** From barely visible to heavy. */
export const STRENGTHS = [1, 2, 3, 4, 5] as const;
export type Strength = (typeof STRENGTHS)[number];

export interface Corruption {
  readonly kind: CorruptionKind;
  readonly strength: Strength;
}

/** Raised whenever a corruption produces different images. */
export const CORRUPTIONS_VERSION = 1;

interface Definition {
  /** The unit of the level, in words. */
  readonly unit: string;
  /** By strength. */
  readonly levels: readonly [number, number, number, number, number];
}

/** The levels of each kind, graded as in ImageNet-C, in units that do not depend on the size of the image. */
export const CORRUPTIONS: Readonly<Record<CorruptionKind, Definition>> = {
  noise: { unit: 'standard deviation of Gaussian noise, of 255', levels: [5, 10, 20, 30, 45] },
  blur: { unit: 'standard deviation of a Gaussian, in thousandths of the shorter side', levels: [2, 4, 6, 9, 14] },
  brightness: { unit: 'added to every level, of 255', levels: [25, 50, 75, 100, 125] },
  jpeg: { unit: 'JPEG quality', levels: [50, 30, 20, 10, 5] },
};

/** The level of a corruption, in the unit of its kind. */
export function levelOf({ kind, strength }: Corruption): number {
  return CORRUPTIONS[kind].levels[strength - 1] as number;
}

export interface CorruptOptions {
  /** Seed of the noise; different for each image. */
  readonly seed: string;
  /** Read the image as the reference does, see `DecodeOptions`. */
  readonly reference?: boolean;
}

/**
 * An image file, decoded and degraded at its own size, as input for the network.
 * @throws ImageError as `decodeImage`
 */
export async function corruptedImage(
  file: string,
  corruption: Corruption,
  { seed, reference = false }: CorruptOptions,
): Promise<RawPixels> {
  const decoded = await decodeImage(file, { reference });
  const input = { width: decoded.width, height: decoded.height, data: toRgb(decoded) };
  return { ...(await corrupt(input, corruption, seed)), channels: 3 };
}

/** Degrades an image: uint8 `[height, width, 3]` in and out. Equal seeds give equal images; the input is kept. */
export async function corrupt(input: RgbImage, corruption: Corruption, seed: string): Promise<RgbImage> {
  const { width, height, data } = input;
  const level = levelOf(corruption);
  switch (corruption.kind) {
    case 'noise': {
      const next = seededNormal(`${seed} noise ${corruption.strength}`);
      return {
        width,
        height,
        data: new Uint8Array(new Uint8ClampedArray(data).map((value) => value + level * next())),
      };
    }
    case 'brightness':
      return { width, height, data: data.map((value) => Math.min(255, value + level)) };
    case 'blur': {
      // Below 0.3, the least that libvips accepts, a Gaussian hardly leaves its pixel. The default would cut it at 0.2.
      const sigma = Math.max(0.3, (level / 1000) * Math.min(width, height));
      return pixelsOf(input, (image) => image.blur({ sigma, precision: 'float', minAmplitude: 0.01 }));
    }
    case 'jpeg': {
      const coded = await asSharp(input).jpeg({ quality: level, chromaSubsampling: '4:2:0' }).toBuffer();
      return pixelsOf(coded, (image) => image);
    }
  }
}

function asSharp({ width, height, data }: RgbImage): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

async function pixelsOf(input: RgbImage | Buffer, change: (image: Sharp) => Sharp): Promise<RgbImage> {
  const image = Buffer.isBuffer(input) ? sharp(input) : asSharp(input);
  const { data, info } = await change(image).raw().toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

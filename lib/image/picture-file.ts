import sharp, { type Metadata, type Sharp } from 'sharp';
import { ImageError } from '../errors';
import type { PixelMode } from './decoded-image';
import { kindOf, type FileKind } from './file-kind';
import type { ReadLimits } from './input';
import { readPngHeader } from './png-header';
import { readTiffHeader, FLOATING, PHOTOMETRIC, type TiffHeader } from './tiff-header';

export interface DecodeOptions extends ReadLimits {
  /**
   * Read as the reference program does: EXIF orientation ignored, 16-bit samples clipped at 255. By default orientation
   * is applied and 16 bits are scaled. Default false.
   */
  readonly reference?: boolean;
  /** Largest width x height. Default 268 402 689 (16383 squared). */
  readonly maxPixels?: number;
}

export const DEFAULT_MAX_PIXELS = 16383 ** 2;
const FORMAT_NAMES = 'PNG, JPEG, WebP, TIFF, GIF, AVIF or BMP';
/** What TIFF files can hold besides, by `photometric`: colours that need a profile, and raw sensor data. */
const READ_PHOTOMETRIC = [0, 1, 2, 3, 5, 6];

/** An image file other than BMP whose header has been read and not its pixels. */
export interface PictureFile {
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly kind: Exclude<FileKind, 'bmp'>;
  readonly metadata: Metadata;
  readonly tiff: TiffHeader | undefined;
  /** As Pillow would open it. */
  readonly mode: PixelMode;
  /** Place of the alpha among the samples of a pixel; -1 where there is none. */
  readonly alphaAt: number;
  /** Images in the file, of which the first is read. */
  readonly pages: number;
  /** The EXIF tag, 1 to 8: how the image is to be turned. */
  readonly orientation: number;
}

/** libvips on the bytes of a file: truncated and broken data is an error, as in Pillow; harmless warnings of codecs are not. */
export function pipelineOf(bytes: Uint8Array): Sharp {
  // The limit on pixels is checked by us, where the message can say what was found. The codecs' own safety limits stay on.
  return sharp(bytes, { failOn: 'error', limitInputPixels: false, ignoreIcc: true });
}

/**
 * Reads the header of an image file other than BMP.
 * @throws ImageError as `decodeImage`
 */
export async function openPicture(
  bytes: Uint8Array,
  source: string,
  { reference = false, maxPixels = DEFAULT_MAX_PIXELS }: DecodeOptions,
): Promise<PictureFile> {
  const kind = kindOf(bytes);
  if (kind === undefined || kind === 'bmp') throw notAPicture(source, bytes);
  const tiff = kind === 'tiff' ? readTiffHeader(bytes) : undefined;
  refusePhotometric(tiff, source);
  const metadata = await pipelineOf(bytes)
    .metadata()
    .catch((error: unknown) => {
      throw corrupt(source, error);
    });
  checkHeader(metadata, source, maxPixels);
  if (tiff?.sampleFormat === FLOATING && (metadata.bitsPerSample ?? 32) < 32) {
    // libvips would take their bits for whole numbers.
    throw new ImageError(
      'image/unsupported',
      `${source}: a TIFF of floating point in 16 bits, which is not read. Save it with 8 or 16 bits of whole numbers.`,
      { source },
    );
  }
  const extra = alphaIndex(metadata, tiff, reference);
  const mode = modeOf(metadata, bytes, tiff, extra >= 0);
  return {
    bytes,
    source,
    kind,
    metadata,
    tiff,
    mode,
    alphaAt: extra < 0 ? -1 : coloursOf(metadata) + extra,
    pages: tiff?.pages ?? (kind === 'gif' || kind === 'webp' ? (metadata.pages ?? 1) : 1),
    orientation: metadata.orientation ?? 1,
  };
}

/** How many samples of a pixel are colours. */
export function coloursOf({ space, channels = 3 }: Metadata): number {
  if (space === 'b-w' || space === 'grey16') return 1;
  return Math.min(channels, space === 'cmyk' ? 4 : 3);
}

/** Which of the samples behind the colours is alpha, from 0; -1 for none. In TIFF only what the file calls alpha. */
function alphaIndex(metadata: Metadata, tiff: TiffHeader | undefined, reference: boolean): number {
  if (metadata.hasAlpha !== true || metadata.space === 'cmyk') return -1;
  if (tiff === undefined) return 0;
  // Where the file does not describe a fourth sample, Pillow takes it for alpha.
  if (tiff.extraSamples.length === 0) return reference && coloursOf(metadata) === 3 ? 0 : -1;
  return tiff.extraSamples.findIndex((meaning) => meaning === 1 || meaning === 2);
}

/** The mode that Pillow would open the image in. */
function modeOf(metadata: Metadata, bytes: Uint8Array, tiff: TiffHeader | undefined, alpha: boolean): PixelMode {
  const header = readPngHeader(bytes);
  if (header) {
    switch (header.colour) {
      // A colour declared transparent does not make an alpha channel, here and in the other cases without "alpha".
      case 'grey':
        return header.depth === 1 ? '1' : header.depth === 16 ? 'I;16' : 'L';
      case 'palette':
        return 'P';
      case 'grey-alpha':
        return 'LA';
      case 'rgba':
        return 'RGBA';
      case 'rgb':
        return 'RGB';
    }
  }
  if (metadata.isPalette === true || metadata.format === 'gif' || tiff?.photometric === PHOTOMETRIC.palette) return 'P';
  if (metadata.space === 'cmyk') return 'CMYK';
  if (coloursOf(metadata) === 1) {
    if (alpha) return 'LA';
    if (metadata.depth === 'ushort') return 'I;16';
    return metadata.bitsPerSample === 1 ? '1' : 'L';
  }
  return alpha ? 'RGBA' : 'RGB';
}

function checkHeader(metadata: Metadata, source: string, maxPixels: number): void {
  const { format, width = 0, height = 0, compression, space, channels = 3 } = metadata;
  if (format === 'heif' && compression !== 'av1') {
    throw new ImageError(
      'image/unsupported',
      `${source}: a HEIC image (${compression ?? 'unknown'} compression), whose codec is not free; ${FORMAT_NAMES} is read. Convert it to JPEG or PNG.`,
      { source, format, compression },
    );
  }
  if (space === 'cmyk' && channels < 4) {
    throw new ImageError(
      'image/unsupported',
      `${source}: an image of ${channels} inks; only cyan, magenta, yellow and black together are read. Convert it to RGB.`,
      { source, channels },
    );
  }
  checkPixels(width, height, source, maxPixels);
}

function refusePhotometric(tiff: TiffHeader | undefined, source: string): void {
  const photometric = tiff?.photometric;
  if (photometric === undefined || READ_PHOTOMETRIC.includes(photometric)) return;
  const kind = [8, 9, 10].includes(photometric) ? 'Lab colours' : `colours of the kind ${photometric}`;
  throw new ImageError(
    'image/unsupported',
    `${source}: a TIFF of ${kind}; grey, RGB, palette, CMYK and YCbCr are read. Convert it to RGB.`,
    { source, photometric },
  );
}

/** @throws ImageError `image/too-many-pixels` */
export function checkPixels(width: number, height: number, source: string, maxPixels: number): void {
  if (width * height > maxPixels) {
    throw new ImageError(
      'image/too-many-pixels',
      `${source}: ${width} x ${height} pixels, the limit is ${maxPixels}. Shrink it or raise maxPixels.`,
      { source, width, height, maxPixels },
    );
  }
}

function notAPicture(source: string, bytes: Uint8Array): ImageError {
  const text = Buffer.from(bytes.subarray(0, 256)).toString('latin1');
  if (/<svg/i.test(text) || text.startsWith('%PDF')) {
    const kind = text.startsWith('%PDF') ? 'PDF' : 'SVG';
    return new ImageError(
      'image/unsupported',
      `${source}: a drawing (${kind}), which has no pixels of its own; ${FORMAT_NAMES} is read. Convert it to PNG.`,
      { source, format: kind.toLowerCase() },
    );
  }
  return new ImageError(
    'image/unknown-format',
    `${source}: not an image that can be read: it ${beginning(bytes)}. ${FORMAT_NAMES} was expected.`,
    { source },
  );
}

/** The error for a file whose decoder gave up. */
export function corrupt(source: string, error: unknown): ImageError {
  const reason = reasonOf(error);
  return new ImageError(
    'image/corrupt',
    `${source}: damaged or truncated (${reason}). Copy or export it again.`,
    { source, reason },
    { cause: error },
  );
}

/** The first line of what libvips says; it repeats itself. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

function beginning(bytes: Uint8Array): string {
  const head = bytes.subarray(0, 16);
  const text = Buffer.from(head).toString('latin1');
  return /^[\x20-\x7e\s]+$/.test(text)
    ? `begins with the text ${JSON.stringify(text)}`
    : `begins with the bytes ${Buffer.from(head).toString('hex')}`;
}

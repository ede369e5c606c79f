import sharp, { type Metadata, type Sharp } from 'sharp';
import { ImageError, UsageError } from '../errors';
import { decodeBmp, isBmp } from './bmp';
import { CHANNELS, type DecodedImage, type PixelMode } from './decoded-image';
import { describeInput, isBytes, isRawPixels, isSharp, readBytes, type ImageInput, type RawPixels, type ReadLimits } from './input';
import { readPngHeader } from './png-header';
import { isJpegTiff } from './tiff-header';

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

const FORMATS = ['png', 'jpeg', 'webp', 'tiff', 'gif', 'heif'] as const;
const FORMAT_NAMES = 'PNG, JPEG, WebP, TIFF, GIF, AVIF or BMP';

/**
 * Decodes a picture into its own mode, as Pillow would: grey stays grey, palettes stay palettes, 16-bit grey stays 16 bit.
 * PNG, JPEG, WebP, TIFF, AVIF, uncompressed BMP, first frame of GIF; JPEG at full size, without shrink-on-load. Embedded colour
 * profiles are ignored, as in the reference.
 *
 * @returns samples [height, width, channels], with EXIF orientation applied unless `reference`
 * @throws ImageError naming the picture: `image/not-found`, `image/unreadable`, `image/empty`, `image/too-large`,
 *   `image/download`, `image/url`, `image/unknown-format`, `image/unsupported`, `image/corrupt`, `image/too-many-pixels`,
 *   `image/size-mismatch` (raw pixels)
 * @throws UsageError `image/input` for something that is no picture at all
 */
export async function decodeImage(input: ImageInput, options: DecodeOptions = {}): Promise<DecodedImage> {
  const source = describeInput(input);
  if (isSharp(input)) return decodeSharp(input, source, options);
  if (isRawPixels(input)) return wrapRaw(input, source, options);
  if (typeof input !== 'string' && !(input instanceof URL) && !isBytes(input)) {
    throw new UsageError('image/input', `a picture was expected (path, URL, bytes, sharp instance or raw pixels), found ${source}`, { found: source });
  }
  const bytes = await readBytes(input, options);
  return decodeBytes(bytes, source, options);
}

async function decodeBytes(bytes: Uint8Array, source: string, options: DecodeOptions): Promise<DecodedImage> {
  const reference = options.reference ?? false;
  const maxPixels = options.maxPixels ?? DEFAULT_MAX_PIXELS;
  if (isBmp(bytes)) return { ...decodeBmp(bytes, source, maxPixels), reference, source };

  const pipeline = sharp(bytes, {
    // Truncated and broken data is an error, as in Pillow; harmless warnings of the codecs are not.
    failOn: 'error',
    // Checked below, where the message can say what was found. The codecs' own safety limits stay on.
    limitInputPixels: false,
    ignoreIcc: true,
  });
  const metadata = await pipeline.metadata().catch((error: unknown) => {
    throw unreadable(source, bytes, error);
  });
  checkFormat(metadata, source, maxPixels);

  const mode = modeOf(metadata, bytes);
  // Pillow turns a TIFF by its orientation tag while loading; other formats it leaves lying.
  if (!reference || metadata.format === 'tiff') pipeline.autoOrient();
  const wide = mode === 'I;16';
  const grey = mode === 'L' || mode === '1';
  const { data, info } = await pipeline
    .toColourspace(wide ? 'grey16' : grey ? 'b-w' : 'srgb')
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw unreadable(source, bytes, error);
    });
  const samples = wide ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : plain(data);
  return {
    mode,
    width: info.width,
    height: info.height,
    data: pickChannels(samples, info.channels, mode),
    reference,
    source,
    ...(metadata.format === 'jpeg' || isJpegTiff(bytes) ? { lossy: true } : {}),
  };
}

/** The mode that Pillow would open the picture in. */
function modeOf(metadata: Metadata, bytes: Uint8Array): PixelMode {
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
  if (metadata.isPalette === true || metadata.format === 'gif') return 'P';
  const alpha = metadata.hasAlpha === true;
  const channels = (metadata.channels ?? 3) - (alpha ? 1 : 0);
  if (channels === 1 && (metadata.space === 'b-w' || metadata.space === 'grey16')) {
    if (metadata.depth === 'ushort') return alpha ? 'LA' : 'I;16';
    if (alpha) return 'LA';
    return metadata.bitsPerSample === 1 ? '1' : 'L';
  }
  return alpha ? 'RGBA' : 'RGB';
}

/** From what the decoder gave (1 to 4 channels) to the channels of the mode. */
function pickChannels<Samples extends Uint8Array | Uint16Array>(data: Samples, found: number, mode: PixelMode): Samples {
  const wanted = CHANNELS[mode];
  if (found === wanted) return data;
  const pixels = data.length / found;
  const out = (data.BYTES_PER_ELEMENT === 2 ? new Uint16Array(pixels * wanted) : new Uint8Array(pixels * wanted)) as Samples;
  const alphaAt = mode === 'LA' || mode === 'RGBA' ? wanted - 1 : -1;
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < wanted; channel++) {
      const from = channel === alphaAt ? found - 1 : Math.min(channel, found - 1);
      out[pixel * wanted + channel] = data[pixel * found + from] as number;
    }
  }
  return out;
}

async function decodeSharp(input: Sharp, source: string, options: DecodeOptions): Promise<DecodedImage> {
  try {
    // A clone, so that the caller's instance can go on to write its own file.
    const { data, info } = await input.clone().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return wrapRaw({ data, width: info.width, height: info.height, channels: info.channels as RawPixels['channels'] }, source, options);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError('image/corrupt', `${source}: its pipeline failed (${reasonOf(error)}). Check its input and its operations.`, { source }, { cause: error });
  }
}

function wrapRaw(input: RawPixels, source: string, options: DecodeOptions): DecodedImage {
  const { data, width, height, channels } = input;
  const mode = ({ 1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA' } as const)[channels];
  if (mode === undefined || !(Number.isInteger(width) && width > 0 && Number.isInteger(height) && height > 0)) {
    throw new ImageError('image/size-mismatch', `${source}: width and height of 1 or more and 1 to 4 channels expected, found ${width} x ${height} x ${channels}`, { source, width, height, channels });
  }
  if (data.BYTES_PER_ELEMENT !== 1 || data.length !== width * height * channels) {
    throw new ImageError(
      'image/size-mismatch',
      `${source}: ${width} x ${height} x ${channels} takes ${width * height * channels} bytes of 0..255, found ${data.length} values of ${data.BYTES_PER_ELEMENT} bytes. Check the sizes and the type of the array.`,
      { source, width, height, channels, found: data.length },
    );
  }
  checkPixels(width, height, source, options.maxPixels ?? DEFAULT_MAX_PIXELS);
  return { mode, width, height, data: plain(data), reference: options.reference ?? false, source };
}

/** The same memory as a Uint8Array of this realm, whether it came as Buffer or clamped array. */
function plain(data: Uint8Array | Uint8ClampedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function checkFormat(metadata: Metadata, source: string, maxPixels: number): void {
  const { format, width = 0, height = 0, depth, compression } = metadata;
  if (!(FORMATS as readonly string[]).includes(format ?? '')) {
    throw new ImageError('image/unsupported', `${source}: a file of the kind "${format ?? 'unknown'}"; ${FORMAT_NAMES} is read. Convert it to PNG.`, { source, format });
  }
  if (format === 'heif' && compression !== 'av1') {
    throw new ImageError('image/unsupported', `${source}: a HEIC picture (${compression ?? 'unknown'} compression), whose codec is not free; ${FORMAT_NAMES} is read. Convert it to JPEG or PNG.`, { source, format, compression });
  }
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new ImageError('image/unsupported', `${source}: its samples are of the type "${depth ?? 'unknown'}"; pictures of 8 or 16 bits are read. Convert it to one of these, so that it is clear which value is white.`, { source, depth });
  }
  checkPixels(width, height, source, maxPixels);
}

function checkPixels(width: number, height: number, source: string, maxPixels: number): void {
  if (width * height > maxPixels) {
    throw new ImageError('image/too-many-pixels', `${source}: ${width} x ${height} pixels, the limit is ${maxPixels}. Shrink it or raise maxPixels.`, { source, width, height, maxPixels });
  }
}

function unreadable(source: string, bytes: Uint8Array, error: unknown): ImageError {
  const reason = reasonOf(error);
  if (/unsupported image format/i.test(reason)) {
    return new ImageError(
      'image/unknown-format',
      `${source}: not a picture that can be read, it ${beginning(bytes)}. ${FORMAT_NAMES} was expected.`,
      { source },
      { cause: error },
    );
  }
  return new ImageError('image/corrupt', `${source}: damaged or cut off (${reason}). Copy or export it again.`, { source, reason }, { cause: error });
}

/** The first line of what libvips says; it repeats itself. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

function beginning(bytes: Uint8Array): string {
  const head = bytes.subarray(0, 16);
  const text = Buffer.from(head).toString('latin1');
  return /^[\x20-\x7e\s]+$/.test(text) ? `begins with the text ${JSON.stringify(text)}` : `begins with the bytes ${Buffer.from(head).toString('hex')}`;
}

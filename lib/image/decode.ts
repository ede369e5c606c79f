import type { Sharp } from 'sharp';
import { ImageError, UsageError } from '../errors';
import { decodeBmp, readBmpHeader } from './bmp';
import { CHANNELS, type DecodedImage, type ImageFrame, type PixelMode } from './decoded-image';
import { isLossy, kindOf } from './file-kind';
import { describeInput, isBytes, isRawPixels, isSharp, readBytes, type ImageInput, type RawPixels } from './input';
import {
  checkPixels,
  corrupt,
  DEFAULT_MAX_PIXELS,
  openPicture,
  pipelineOf,
  reasonOf,
  type DecodeOptions,
  type PictureFile,
} from './picture-file';

export { DEFAULT_MAX_PIXELS, type DecodeOptions } from './picture-file';

/**
 * Decodes an image into its own mode, as Pillow would: grey stays grey, palettes stay palettes, inks stay inks, 16-bit grey
 * stays 16 bit. PNG, JPEG, WebP, TIFF, AVIF, uncompressed BMP, GIF; of several pages or frames the first; JPEG at full size,
 * without shrink-on-load. Embedded colour profiles are ignored, as in the reference.
 *
 * @returns samples [height, width, channels], with EXIF orientation applied unless `reference`
 * @throws ImageError naming the image: `image/not-found`, `image/unreadable`, `image/empty`, `image/too-large`,
 *   `image/download`, `image/url`, `image/unknown-format`, `image/unsupported`, `image/corrupt`, `image/too-many-pixels`,
 *   `image/size-mismatch` (raw pixels)
 * @throws UsageError `image/input` for something that is not an image at all
 */
export async function decodeImage(input: ImageInput, options: DecodeOptions = {}): Promise<DecodedImage> {
  const source = describeInput(input);
  if (isSharp(input)) return decodeSharp(input, source, options);
  if (isRawPixels(input)) return wrapRaw(input, source, options);
  if (typeof input !== 'string' && !(input instanceof URL) && !isBytes(input)) {
    throw new UsageError(
      'image/input',
      `an image was expected (path, URL, bytes, sharp instance or raw pixels), found ${source}`,
      { found: source },
    );
  }
  const bytes = await readBytes(input, options);
  if (kindOf(bytes) === 'bmp') return decodeBitmap(bytes, source, options);
  const picture = await openPicture(bytes, source, options);
  await options.memory?.grow(pixelBytes(picture));
  return decodePicture(picture, options.reference ?? false);
}

/**
 * How an image file is shown, from its header alone.
 * @throws ImageError as {@link decodeImage}
 */
export async function readFrame(input: string | URL | Uint8Array, options: DecodeOptions = {}): Promise<ImageFrame> {
  const source = describeInput(input);
  const bytes = await readBytes(input, options);
  if (kindOf(bytes) === 'bmp') {
    const { width, height } = readBmpHeader(bytes, source);
    return { width, height, orientation: 1 };
  }
  const { metadata, orientation } = await openPicture(bytes, source, options);
  const [width, height] = orientation > 4 ? [metadata.height, metadata.width] : [metadata.width, metadata.height];
  return { width, height, orientation };
}

async function decodeBitmap(
  bytes: Uint8Array,
  source: string,
  { reference = false, maxPixels = DEFAULT_MAX_PIXELS, memory }: DecodeOptions,
): Promise<DecodedImage> {
  const header = readBmpHeader(bytes, source);
  checkPixels(header.width, header.height, source, maxPixels);
  await memory?.grow(header.width * header.height * 4);
  const { mode, width, height, data } = decodeBmp(bytes, source, maxPixels);
  return { mode, width, height, data, reference, orientation: 1, source };
}

/** What decoding takes at once: the samples, and a copy in which they are turned or sorted. */
export function pixelBytes({ metadata: { width, height, channels = 3, depth } }: PictureFile): number {
  return (
    2 *
    width *
    height *
    Math.max(3, channels) *
    (depth === 'uchar' || depth === 'char' ? 1 : depth === 'ushort' || depth === 'short' ? 2 : 8)
  );
}

async function decodePicture(
  { bytes, source, metadata, mode, alphaAt, kind, orientation, pages }: PictureFile,
  reference: boolean,
): Promise<DecodedImage> {
  if (metadata.depth !== 'uchar' && metadata.depth !== 'ushort') {
    throw new ImageError(
      'image/unsupported',
      `${source}: its samples are of the type "${metadata.depth ?? 'unknown'}"; images of 8 or 16 bits are read. Convert it to one of these, so that it is clear which value is white.`,
      { source, depth: metadata.depth },
    );
  }
  const pipeline = pipelineOf(bytes);
  // Pillow turns a TIFF by its orientation tag while loading; other formats it leaves as they are.
  const turned = !reference || kind === 'tiff';
  if (turned) pipeline.autoOrient();
  const wide = mode === 'I;16' || (mode === 'CMYK' && metadata.depth === 'ushort');
  const grey = mode === 'L' || mode === '1';
  // Inks would be turned into colours by a profile, and back.
  if (mode === 'CMYK') pipeline.pipelineColourspace('cmyk');
  const { data, info } = await pipeline
    .toColourspace(mode === 'CMYK' ? 'cmyk' : wide ? 'grey16' : grey ? 'b-w' : 'srgb')
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw corrupt(source, error);
    });
  const samples = wide ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : plain(data);
  // Grey comes as three equal colours beside alpha.
  const spread = mode === 'LA' ? info.channels - (metadata.channels ?? info.channels) : 0;
  const picked = pickChannels(samples, info.channels, mode, alphaAt + spread);
  return {
    mode,
    width: info.width,
    height: info.height,
    data: mode === 'CMYK' && wide ? Uint8Array.from(picked, (value) => value >> 8) : picked,
    reference,
    orientation: turned ? orientation : 1,
    source,
    ...(isLossy(kind, bytes) ? { lossy: true } : {}),
    ...(pages > 1 ? { pages } : {}),
  };
}

/** From what the decoder gave to the channels of the mode. */
function pickChannels<Samples extends Uint8Array | Uint16Array>(
  data: Samples,
  found: number,
  mode: PixelMode,
  alphaAt: number,
): Samples {
  const wanted = CHANNELS[mode];
  if (found === wanted) return data;
  const pixels = data.length / found;
  const out = (
    data.BYTES_PER_ELEMENT === 2 ? new Uint16Array(pixels * wanted) : new Uint8Array(pixels * wanted)
  ) as Samples;
  const places = Array.from({ length: wanted }, (_, channel) => Math.min(channel, found - 1));
  if (mode === 'LA' || mode === 'RGBA') places[wanted - 1] = Math.min(alphaAt, found - 1);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < wanted; channel++) {
      out[pixel * wanted + channel] = data[pixel * found + (places[channel] as number)] as number;
    }
  }
  return out;
}

async function decodeSharp(input: Sharp, source: string, options: DecodeOptions): Promise<DecodedImage> {
  try {
    // A clone, so that the caller's instance can still write its own file.
    const { data, info } = await input.clone().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return wrapRaw(
      { data, width: info.width, height: info.height, channels: info.channels as RawPixels['channels'] },
      source,
      options,
    );
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError(
      'image/corrupt',
      `${source}: its pipeline failed (${reasonOf(error)}). Check its input and its operations.`,
      { source },
      { cause: error },
    );
  }
}

function wrapRaw(input: RawPixels, source: string, options: DecodeOptions): DecodedImage {
  const { data, width, height, channels } = input;
  const mode = ({ 1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA' } as const)[channels];
  if (mode === undefined || !(Number.isInteger(width) && width > 0 && Number.isInteger(height) && height > 0)) {
    throw new ImageError(
      'image/size-mismatch',
      `${source}: width and height of 1 or more and 1 to 4 channels expected, found ${width} x ${height} x ${channels}`,
      { source, width, height, channels },
    );
  }
  if (data.BYTES_PER_ELEMENT !== 1 || data.length !== width * height * channels) {
    throw new ImageError(
      'image/size-mismatch',
      `${source}: ${width} x ${height} x ${channels} needs ${width * height * channels} bytes of 0..255, found ${data.length} values of ${data.BYTES_PER_ELEMENT} bytes. Check the sizes and the type of the array.`,
      { source, width, height, channels, found: data.length },
    );
  }
  checkPixels(width, height, source, options.maxPixels ?? DEFAULT_MAX_PIXELS);
  return { mode, width, height, data: plain(data), reference: options.reference ?? false, orientation: 1, source };
}

/** The same memory as a Uint8Array of this realm, whether it came as Buffer or clamped array. */
function plain(data: Uint8Array | Uint8ClampedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

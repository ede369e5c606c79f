import { ImageError } from '../errors';
import { decodeBmp } from './bmp';
import { decodeImage, pixelBytes } from './decode';
import { CHANNELS, toRgb, type DecodedImage } from './decoded-image';
import { isLossy, kindOf } from './file-kind';
import { describeInput, isBytes, readBytes, type ImageInput } from './input';
import {
  coloursOf,
  corrupt,
  DEFAULT_MAX_PIXELS,
  openPicture,
  pipelineOf,
  type DecodeOptions,
  type PictureFile,
} from './picture-file';
import { pngOfIndices } from './png-header';
import { PHOTOMETRIC, TIFF_TAGS } from './tiff-header';

type Samples = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

/** The pixels of a mask's file as stored, in the file's own precision. */
export interface MaskSamples {
  readonly width: number;
  readonly height: number;
  /** [height, width, channels] */
  readonly data: Samples;
  readonly channels: number;
  /** How many of the channels are colours; those after them are alpha, or what the file does not name. */
  readonly colours: number;
  /** Of a palette: which of its colours each pixel has, [height, width], 0 for the first and more for any other. */
  readonly indices?: () => Promise<ArrayLike<number>>;
  readonly lossy: boolean;
  /** The file's own EXIF tag. */
  readonly orientation: number;
  readonly source: string;
}

/**
 * Reads a mask without rounding its samples, whichever type they have.
 * @throws ImageError as `decodeImage`; `image/pages` for a file of several images, `image/mask-values` for samples below 0 and
 *   NaN
 */
export async function readMaskSamples(input: ImageInput, options: DecodeOptions): Promise<MaskSamples> {
  const source = describeInput(input);
  if (typeof input !== 'string' && !(input instanceof URL) && !isBytes(input))
    return ofDecoded(await decodeImage(input, options));
  const bytes = await readBytes(input, options);
  if (kindOf(bytes) === 'bmp') {
    const { mode, width, height, data, indices } = decodeBmp(bytes, source, options.maxPixels ?? DEFAULT_MAX_PIXELS);
    const decoded = ofDecoded({ mode, width, height, data, reference: false, orientation: 1, source });
    return indices ? { ...decoded, indices: () => Promise.resolve(indices) } : decoded;
  }
  const picture = await openPicture(bytes, source, options);
  refuseSeveral(picture);
  await options.memory?.grow(pixelBytes(picture));
  if (picture.mode === 'CMYK')
    return {
      ...ofDecoded({ ...(await decodeImage(bytes, { ...options, reference: true })), source }),
      lossy: isLossy(picture.kind, bytes),
      orientation: picture.orientation,
    };
  return ofFile(picture);
}

function ofDecoded(decoded: DecodedImage): MaskSamples {
  const { mode, width, height, source } = decoded;
  const inks = mode === 'CMYK';
  const channels = inks ? 3 : CHANNELS[mode];
  const colours = mode === 'LA' || mode === 'RGBA' ? channels - 1 : channels;
  return {
    width,
    height,
    data: inks ? toRgb(decoded) : decoded.data,
    channels,
    colours,
    lossy: false,
    orientation: 1,
    source,
  };
}

async function ofFile(picture: PictureFile): Promise<MaskSamples> {
  const { metadata, kind, bytes, orientation, source } = picture;
  const read = await readSamples(picture);
  const channels = read.data.length / (read.width * read.height);
  // Grey beside alpha comes as three equal colours.
  const colours = channels >= 3 ? 3 : Math.min(channels, coloursOf(metadata));
  return {
    ...read,
    channels,
    colours,
    lossy: isLossy(kind, bytes),
    orientation,
    source,
    ...(picture.mode === 'P' && kind !== 'gif' ? { indices: () => indicesOf(picture) } : {}),
  };
}

interface Read {
  readonly width: number;
  readonly height: number;
  readonly data: Samples;
}

async function readSamples({ bytes, metadata, tiff, source }: PictureFile): Promise<Read> {
  const { depth, channels = 3, hasAlpha } = metadata;
  const grey = coloursOf(metadata) === 1 && hasAlpha !== true;
  switch (depth) {
    case 'uchar':
      return render(bytes, source, grey ? 'b-w' : 'srgb', 'uchar');
    case 'ushort':
      return render(bytes, source, grey ? 'grey16' : 'rgb16', 'ushort');
    case 'char':
    case 'short': {
      // Read as unsigned, since libvips cuts signed ones at 0 on the way: what lies below is the upper half then.
      const unsigned = channels === 1 ? tiff?.with(TIFF_TAGS.sampleFormat, 1) : undefined;
      if (unsigned === undefined) break;
      const read = await (depth === 'char'
        ? render(unsigned, source, 'b-w', 'uchar')
        : render(unsigned, source, 'grey16', 'ushort'));
      return checked(read, (value) => value < (depth === 'char' ? 0x80 : 0x8000), source);
    }
    case 'uint':
    case 'int':
    case 'float':
    case 'double':
      if (channels === 1)
        return checked(
          await render(bytes, source, 'b-w', depth === 'uint' ? 'uint' : 'double'),
          (value) => value >= 0,
          source,
        );
      break;
    default:
  }
  throw new ImageError(
    'image/unsupported',
    `${source}: a mask whose samples are of the type "${depth}", ${channels} per pixel. Save it as PNG of 8 or 16 bits.`,
    { source, depth, channels },
  );
}

async function render(
  bytes: Uint8Array,
  source: string,
  space: 'b-w' | 'srgb' | 'grey16' | 'rgb16',
  depth: 'uchar' | 'ushort' | 'uint' | 'double',
): Promise<Read> {
  const { data, info } = await pipelineOf(bytes)
    .toColourspace(space)
    .raw({ depth })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw corrupt(source, error);
    });
  const { width, height } = info;
  // Typed arrays of wider samples must begin at a multiple of their width.
  const aligned = (): ArrayBuffer =>
    data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
  switch (depth) {
    case 'uchar':
      return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
    case 'ushort':
      return { width, height, data: new Uint16Array(aligned()) };
    case 'uint':
      return { width, height, data: new Uint32Array(aligned()) };
    case 'double':
      return { width, height, data: new Float64Array(aligned()) };
  }
}

function checked(read: Read, isMask: (value: number) => boolean, source: string): Read {
  const wrong = read.data.findIndex((value) => !isMask(value));
  if (wrong < 0) return read;
  const value = read.data[wrong] as number;
  const place = `column ${wrong % read.width}, row ${Math.floor(wrong / read.width)}`;
  const found = Number.isNaN(value) ? 'NaN' : 'below 0';
  throw new ImageError(
    'image/mask-values',
    `${source}: the value at ${place} is ${found}; in a mask 0 is normal and anything above it anomalous. Decide which of the two such values are, and save it that way.`,
    { source },
  );
}

/** A palette's indices, by reading the same file as one of grey levels. */
async function indicesOf({ bytes, kind, tiff, source }: PictureFile): Promise<ArrayLike<number>> {
  const grey = kind === 'tiff' ? tiff?.with(TIFF_TAGS.photometric, PHOTOMETRIC.black) : pngOfIndices(bytes);
  return (await render(grey ?? bytes, source, 'b-w', 'uchar')).data;
}

function refuseSeveral({ pages, source }: PictureFile): void {
  if (pages <= 1) return;
  throw new ImageError(
    'image/pages',
    `${source}: contains ${pages} images; a mask is a single one. Save each in its own file, or merge them into one.`,
    { source, pages },
  );
}

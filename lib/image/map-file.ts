import * as path from 'node:path';
import * as fs from 'node:fs/promises';
import sharp from 'sharp';
import { ImageError } from '../errors';
import { decodeImage } from './decode';
import { readNpy, type NpyArray, type NpyData } from './npy';
import { readTiffHeader } from './tiff-header';

/** A map of scores with its size: float32 [height, width]. */
export interface ScoreMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A map as a file holds it: float64 where float32 would round its scores. [height, width] */
export interface StoredMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array | Float64Array;
}

/**
 * A map as a 16-bit grey PNG: 0..1 becomes 0..65535, rounded; values outside are clipped and NaN becomes 0.
 *
 * @param map [height, width]
 */
export async function encodeMapPng(map: Float32Array, width: number, height: number): Promise<Buffer> {
  const levels = new Uint16Array(map.length);
  for (let at = 0; at < levels.length; at++) {
    levels[at] = Math.round(Math.min(1, Math.max(0, map[at] as number)) * 65535);
  }
  return sharp(levels, { raw: { width, height, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toBuffer();
}

/**
 * Reads a map of anomaly scores: `.npy` of any number type, [height, width] (axes of length 1 before or after are
 * dropped); PNG and integer TIFF of one channel, 8 or 16 bits, scaled to 0..1; TIFF of float32, values as they are. No
 * score is rounded, or the file is refused.
 *
 * @throws ImageError as {@link readNpy}, {@link mapOfArray} and {@link decodeImage}; `map/shape` where it is not one map;
 *   `map/precision` for samples that cannot be read without rounding; `map/special` for a pipe, a device or a folder
 */
export async function readMap(file: string): Promise<StoredMap> {
  // Reading a pipe would wait forever.
  const stat = await fs.stat(file).catch(() => undefined);
  if (stat?.isFile() === false)
    throw new ImageError('map/special', `${file}: not a regular file. Save the map to a regular file.`, { file });
  if (path.extname(file).toLowerCase() === '.npy') return mapOfArray(await readNpy(file), file);
  const float = await readFloatTiff(file);
  if (float) return float;
  const { mode, width, height, data } = await decodeImage(file, { reference: true });
  if (mode !== 'L' && mode !== 'I;16' && mode !== '1') {
    throw new ImageError(
      'map/shape',
      `${file}: a map of one channel expected, found an image of mode ${mode}. Heatmaps in colour cannot be turned back into scores; save .npy or 16-bit PNG.`,
      { file, mode },
    );
  }
  const white = mode === 'I;16' ? 65535 : 255;
  return { width, height, data: Float32Array.from(data, (value) => value / white) };
}

/**
 * An array as a map: [height, width], axes of length 1 before or after dropped.
 * @param source names it in messages
 * @throws ImageError `map/shape` where it is not one map; `map/precision` for whole numbers that float64 would round
 */
export function mapOfArray({ shape, data }: NpyArray, source: string): StoredMap {
  return { ...mapSize(shape, source), data: exactScores(data, source) };
}

/**
 * Width and height of an array that is one map.
 * @throws ImageError `map/shape` where it is not
 */
export function mapSize(shape: readonly number[], source: string): { readonly width: number; readonly height: number } {
  let [from, to] = [0, shape.length];
  while (to - from > 2 && shape[from] === 1) from++;
  while (to - from > 2 && shape[to - 1] === 1) to--;
  const [height, width, ...rest] = shape.slice(from, to);
  if (height === undefined || width === undefined || rest.length > 0) {
    throw new ImageError(
      'map/shape',
      `${source}: a map [height, width] expected, found [${shape.join(', ')}]. Save one map per file.`,
      { file: source, shape },
    );
  }
  return { width, height };
}

/** As float32 where that holds every score exactly, else as float64. */
function exactScores(data: NpyData, source: string): Float32Array | Float64Array {
  if (data instanceof Float32Array) return data;
  const scores =
    data instanceof Float64Array
      ? data
      : data instanceof BigInt64Array || data instanceof BigUint64Array
        ? exactNumbers(data, source)
        : Float64Array.from(data);
  return scores.every((score) => Object.is(Math.fround(score), score)) ? Float32Array.from(scores) : scores;
}

function exactNumbers(data: BigInt64Array | BigUint64Array, source: string): Float64Array {
  const scores = new Float64Array(data.length);
  for (const [at, value] of data.entries()) {
    scores[at] = Number(value);
    if (BigInt(scores[at]) === value) continue;
    throw new ImageError(
      'map/precision',
      `${source}: holds ${value}, which 64-bit floating point would round, and with it the order of the scores. Subtract what the scores have in common, or save them as float64.`,
      { file: source, value: String(value) },
    );
  }
  return scores;
}

async function readFloatTiff(file: string): Promise<StoredMap | undefined> {
  if (!/\.tiff?$/i.test(file)) return undefined;
  // What cannot be opened at all gets its message from decodeImage.
  const bytes = await fs.readFile(file).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const pages = readTiffHeader(bytes)?.pages ?? 1;
  if (pages > 1)
    throw new ImageError('map/shape', `${file}: a TIFF of one page expected, found ${pages}. Save one page per file.`, {
      file,
      pages,
    });
  const metadata = await sharp(bytes)
    .metadata()
    .catch((error: Error) => {
      if (!/samples out of range/.test(error.message)) return undefined;
      throw new ImageError(
        'map/precision',
        `${file}: a TIFF whose samples have more than 32 bits, which is not read. Save the scores as .npy.`,
        { file },
        { cause: error },
      );
    });
  if (metadata?.depth !== 'float' && metadata?.depth !== 'double') return undefined;
  if (metadata.channels !== 1) {
    throw new ImageError('map/shape', `${file}: a map of one channel expected, found ${metadata.channels}`, {
      file,
      channels: metadata.channels,
    });
  }
  // libvips takes float16 for whole levels of 16 bits.
  if (metadata.depth === 'double' || metadata.space !== 'b-w') {
    throw new ImageError(
      'map/precision',
      `${file}: a TIFF of floating point other than float32, which is not read. Save the scores as .npy.`,
      { file },
    );
  }
  try {
    const { data, info } = await sharp(bytes, { failOn: 'error', ignoreIcc: true })
      // As TIFF of whole numbers is turned by its own tag.
      .autoOrient()
      .toColourspace('b-w')
      .raw({ depth: 'float' })
      .toBuffer({ resolveWithObject: true });
    const values = new Float32Array(
      data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer,
    );
    return { width: info.width, height: info.height, data: values };
  } catch (error) {
    throw new ImageError(
      'image/corrupt',
      `${file}: damaged or truncated (${(error as Error).message}). Copy or save it again.`,
      { file },
      { cause: error },
    );
  }
}

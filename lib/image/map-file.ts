import * as path from 'node:path';
import * as fs from 'node:fs/promises';
import sharp from 'sharp';
import { ImageError } from '../errors';
import { decodeImage } from './decode';
import { readNpy, type NpyArray } from './npy';

/** A map of scores with its size: float32 [height, width]. */
export interface ScoreMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
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
  return sharp(levels, { raw: { width, height, channels: 1 } }).toColourspace('grey16').png().toBuffer();
}

/** Writes {@link encodeMapPng} to a file. */
export async function writeMapPng(file: string, map: Float32Array, width: number, height: number): Promise<void> {
  await fs.writeFile(file, await encodeMapPng(map, width, height));
}

/**
 * Reads a map of anomaly scores: `.npy` of any number type, [height, width] (axes of length 1 before or after are
 * dropped); PNG and integer TIFF of one channel, 8 or 16 bits, scaled to 0..1; floating-point TIFF, values as they are.
 *
 * @throws ImageError as {@link readNpy} and {@link decodeImage}; `map/shape` where it is not one map
 */
export async function readMap(file: string): Promise<ScoreMap> {
  if (path.extname(file).toLowerCase() === '.npy') {
    return mapOfArray(await readNpy(file), file);
  }
  const float = await readFloatTiff(file);
  if (float) return float;
  const decoded = await decodeImage(file, { reference: true });
  const { mode, width, height, data } = decoded;
  if (mode !== 'L' && mode !== 'I;16' && mode !== '1') {
    throw new ImageError('map/shape', `${file}: a map of one channel expected, found a picture of mode ${mode}. Heatmaps in colour cannot be turned back into scores; save .npy or 16-bit PNG.`, { file, mode });
  }
  const white = mode === 'I;16' ? 65535 : 255;
  return { width, height, data: Float32Array.from(data, (value) => value / white) };
}

/**
 * An array as a map: [height, width], axes of length 1 before or after dropped.
 * @param source names it in messages
 * @throws ImageError `map/shape` where it is not one map
 */
export function mapOfArray({ shape, data }: NpyArray, source: string): ScoreMap {
  const [height, width, ...rest] = shape.length === 2 ? shape : shape.filter((n) => n !== 1);
  if (height === undefined || width === undefined || rest.length > 0) {
    throw new ImageError('map/shape', `${source}: a map [height, width] expected, found [${shape.join(', ')}]. Save one map per file.`, { file: source, shape });
  }
  return { width, height, data: data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number | bigint>, Number) };
}

async function readFloatTiff(file: string): Promise<ScoreMap | undefined> {
  if (!['.tif', '.tiff'].includes(path.extname(file).toLowerCase())) return undefined;
  // What cannot be opened here gets its message from decodeImage.
  const metadata = await sharp(file).metadata().catch(() => undefined);
  if (metadata?.depth !== 'float' && metadata?.depth !== 'double') return undefined;
  if (metadata.channels !== 1) {
    throw new ImageError('map/shape', `${file}: a map of one channel expected, found ${metadata.channels}`, { file, channels: metadata.channels });
  }
  try {
    const { data, info } = await sharp(file, { failOn: 'error', ignoreIcc: true })
      .toColourspace('b-w')
      .raw({ depth: 'float' })
      .toBuffer({ resolveWithObject: true });
    const values = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer);
    return { width: info.width, height: info.height, data: values };
  } catch (error) {
    throw new ImageError('image/corrupt', `${file}: damaged or cut off (${(error as Error).message}). Copy or save it again.`, { file }, { cause: error });
  }
}

import * as path from 'node:path';
import { writeFileAtomically } from './files/atomic-file';
import { ImageError, UsageError } from './errors';
import type { RgbImage } from './image/decoded-image';
import { renderHeatmap, renderMask, renderOverlay, type OverlayOptions } from './image/heatmap';
import { encodeMapPng, type ScoreMap } from './image/map-file';
import { encodeNpy } from './image/npy';

/**
 * What a saved map shows.
 * - `overlay`: colours over the image (PNG, JPEG, WebP)
 * - `heatmap`: colours alone (PNG, JPEG, WebP)
 * - `map`: the values themselves: float32 `.npy`, or 16-bit grey PNG with 0..1 as 0..65535
 * - `mask`: white where the map reaches the threshold, else black (PNG)
 */
export type MapForm = 'overlay' | 'heatmap' | 'map' | 'mask';

/** What a saved map shows, and how. */
export interface SaveMapOptions extends Omit<OverlayOptions, 'format'> {
  /** Default: 'map' for `.npy`, else 'overlay'. */
  readonly as?: MapForm;
}

/** The data for an {@link AnomalyMap}. */
export interface AnomalyMapParts {
  /** float32 [height, width], row by row. Copied. */
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  /** The image under an overlay, or a function that reads it again, so that it need not be kept in memory. */
  readonly source?: RgbImage | (() => RgbImage | Promise<RgbImage>);
  /** The map at the network's size, after the Gaussian and before it was resized to the image's size. */
  readonly native?: ScoreMap;
}

type PictureFormat = 'png' | 'jpeg' | 'webp';
const PICTURE_FORMATS: Readonly<Record<string, PictureFormat>> = {
  '.png': 'png',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
};

/**
 * The anomaly map of one image: float32 [height, width] at the image's own size, row by row; the higher, the more
 * anomalous. It is a Float32Array, so `map[y * map.width + x]` and all array methods work; what they return (`slice`,
 * `map`, `subarray`) are plain Float32Arrays.
 *
 * ```ts
 * await map.save('part.png');                                  // overlay on the image
 * await map.save('part.png', { as: 'heatmap' });               // colours alone
 * await map.save('part.npy');                                  // float32 [height, width]
 * await map.save('part.png', { as: 'map' });                   // 16-bit grey PNG
 * await map.save('part.png', { as: 'mask', threshold: 0.5 });  // black and white
 * ```
 */
export class AnomalyMap extends Float32Array<ArrayBuffer> {
  readonly width: number;
  readonly height: number;
  /** The map at the network's size; undefined if it was not kept. */
  readonly native: ScoreMap | undefined;
  readonly #source: AnomalyMapParts['source'];

  static get [Symbol.species](): Float32ArrayConstructor {
    return Float32Array;
  }

  // Array's own `from` and `of` would call the constructor below with a length.
  /** As `Float32Array.from`: a plain array without a size. */
  static override from<T = number>(
    values: Iterable<T> | ArrayLike<T>,
    change?: (value: T, index: number) => number,
    thisArg?: unknown,
  ): Float32Array<ArrayBuffer> {
    return Float32Array.from(values as Iterable<T>, change as (value: T, index: number) => number, thisArg);
  }

  /** As `Float32Array.of`: a plain array without a size. */
  static override of(...values: number[]): Float32Array<ArrayBuffer> {
    return Float32Array.of(...values);
  }

  /** @throws ImageError `map/shape` if the data do not fit the size */
  constructor({ data, width, height, source, native }: AnomalyMapParts) {
    if (!(
      Number.isInteger(width) &&
      width > 0 &&
      Number.isInteger(height) &&
      height > 0 &&
      data.length === width * height
    )) {
      throw new ImageError('map/shape', `a map of ${width} x ${height} values expected, found ${data.length} values`, {
        width,
        height,
        found: data.length,
      });
    }
    super(new ArrayBuffer(data.length * 4));
    this.set(data);
    this.width = width;
    this.height = height;
    this.native = native;
    this.#source = source;
  }

  /** [height, width] */
  get shape(): readonly [number, number] {
    return [this.height, this.width];
  }

  /** The pixels at or above a threshold: uint8 [height, width] of 0 and 1. */
  toMask(threshold: number): Uint8Array {
    return Uint8Array.from(this, (value) => (value >= threshold ? 1 : 0));
  }

  /**
   * Renders the map to the bytes of an image file, in any form except raw values.
   *
   * @param form 'mask' requires `options.threshold`; 'overlay' requires a map made from an image
   * @throws UsageError `map/threshold`, `map/no-picture`, `map/scale`; ImageError if the image can no longer be read
   */
  async render(form: Exclude<MapForm, 'map'>, options: OverlayOptions = {}): Promise<Buffer> {
    const map: ScoreMap = { data: this, width: this.width, height: this.height };
    switch (form) {
      case 'overlay':
        return renderOverlay(map, await this.picture(), options);
      case 'heatmap':
        return renderHeatmap(map, options);
      case 'mask':
        if (options.threshold === undefined || Number.isNaN(options.threshold)) {
          throw new UsageError('map/threshold', "a mask needs a threshold: { as: 'mask', threshold: 0.5 }", {});
        }
        return renderMask(map, options.threshold);
    }
  }

  /**
   * Writes the map to a file; missing folders are created. `as` and the suffix decide what it shows, see
   * {@link MapForm}. The suffix decides the format: `.npy`, `.png`, and for colours also `.jpg`, `.jpeg`, `.webp`.
   *
   * @throws UsageError `map/suffix` if the form cannot be saved with the suffix, and as {@link render}
   * @throws ImageError `map/unwritable`, and as {@link render}
   */
  async save(file: string, options: SaveMapOptions = {}): Promise<void> {
    const suffix = path.extname(file).toLowerCase();
    const { as = suffix === '.npy' ? 'map' : 'overlay', ...rendering } = options;
    await write(file, await this.encode(as, suffix, rendering));
  }

  /**
   * Writes the map at the network's size, before it was resized to the image's: float32 `.npy` [side, side], or a 16-bit PNG.
   *
   * @throws UsageError `map/no-native` if it was not kept, `map/suffix`; ImageError `map/unwritable`
   */
  async saveNative(file: string): Promise<void> {
    if (this.native === undefined) {
      throw new UsageError('map/no-native', "this map has no copy at the network's size; use save", {});
    }
    await write(file, await encodeValues(this.native, path.extname(file).toLowerCase()));
  }

  private async encode(form: MapForm, suffix: string, options: OverlayOptions): Promise<Buffer> {
    if (form === 'map') return encodeValues({ data: this, width: this.width, height: this.height }, suffix);
    const format = PICTURE_FORMATS[suffix];
    if (format === undefined || (form === 'mask' && format !== 'png')) {
      throw wrongSuffix(form, suffix, form === 'mask' ? '.png' : Object.keys(PICTURE_FORMATS).join(', '));
    }
    return this.render(form, { ...options, format });
  }

  private async picture(): Promise<RgbImage> {
    const source = this.#source;
    if (source === undefined) {
      throw new UsageError(
        'map/no-picture',
        "this map was made without its image, so it has nothing to overlay; save it with { as: 'heatmap' }",
        {},
      );
    }
    const picture = typeof source === 'function' ? await source() : source;
    if (picture.width !== this.width || picture.height !== this.height) {
      throw new ImageError(
        'map/picture-changed',
        `the image was ${this.width} x ${this.height} when it was scored and is ${picture.width} x ${picture.height} now. Score it again.`,
        { width: picture.width, height: picture.height },
      );
    }
    return picture;
  }
}

async function encodeValues(map: ScoreMap, suffix: string): Promise<Buffer> {
  if (suffix === '.npy') return encodeNpy(map.data, [map.height, map.width], 'float32');
  if (suffix === '.png') return encodeMapPng(map.data, map.width, map.height);
  throw wrongSuffix('map', suffix, '.npy, .png');
}

function wrongSuffix(form: MapForm, suffix: string, wanted: string): UsageError {
  return new UsageError(
    'map/suffix',
    `a map in the form "${form}" is written as ${wanted}; found the suffix "${suffix}"`,
    { form, suffix },
  );
}

async function write(file: string, bytes: Buffer): Promise<void> {
  try {
    await writeFileAtomically(file, bytes);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new ImageError(
      'map/unwritable',
      `${file}: cannot be written (${code}). Check the folder, its permissions and the free space.`,
      { file, code },
      { cause: error },
    );
  }
}

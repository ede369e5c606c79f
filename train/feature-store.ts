import * as os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { ImageError, TrainingError, UsageError } from '../lib/errors';
import { decodeImage } from '../lib/image/decode';
import { preprocessImage, preprocessMask, type Preprocessing } from '../lib/image/preprocess';
import type { CraneModel } from '../lib/methods/crane/model';
import type { OnProgress } from '../lib/progress';
import { narrowToHalf, widenHalf } from '../lib/weights/half';
import type { Sample } from '../datasets/sample';
import type { TrainingBatch } from './trainer';

/** How patch features are kept. Halves lose less than 0.0005 of a feature of length one. */
export type FeaturePrecision = 'float16' | 'float32';

export interface EncodeOptions {
  readonly preprocessing: Preprocessing;
  /** `bilinear` training needs whole masks; `nearest` only each patch's share of anomalous pixels. */
  readonly interpolation: 'nearest' | 'bilinear';
  /** Default: float32 while all features together stay below 256 MiB, else float16. */
  readonly precision?: FeaturePrecision;
  /** Leaves out an image that cannot be read, or whose mask cannot; without it, or where it throws, encoding fails. */
  readonly onUnreadable?: (sample: Sample, error: ImageError) => void;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Everything that training needs of one image. */
interface EncodedImage {
  readonly global: Float32Array; // [E]
  readonly patches: readonly (Float32Array | Uint16Array)[]; // [N, E] each
  readonly mask: Float32Array | Uint8Array; // shares [R, C], or pixels [S, S]
  readonly anomalous: boolean;
}

const FLOAT32_LIMIT = 256 * 2 ** 20;
const LARGEST_BATCH = 16;

/**
 * Features of the auxiliary set. The vision encoder is frozen, so every image is encoded once, not once per epoch.
 */
export class FeatureStore {
  private constructor(
    /** Those that were encoded, in the order of places. */
    readonly samples: readonly Sample[],
    private readonly images: readonly EncodedImage[],
    private readonly grid: readonly [number, number],
    private readonly maskSize: readonly [number, number],
    readonly precision: FeaturePrecision,
  ) {}

  /**
   * Encodes images; the next ones are decoded meanwhile.
   * @throws ImageError for an image or mask that cannot be read, unless `onUnreadable` takes it; TrainingError
   *   `training/memory` where the features cannot fit, `training/features` where they are not finite; the signal's reason
   */
  static async encode(model: CraneModel, samples: readonly Sample[], options: EncodeOptions): Promise<FeatureStore> {
    const { preprocessing, interpolation, onUnreadable, onProgress, signal } = options;
    const { imageSize } = model.options;
    const maskSize = interpolation === 'nearest' ? model.grid : ([imageSize, imageSize] as const);
    const precision = options.precision ?? defaultPrecision(model, samples.length);
    refuseTooLarge(featureCount(model, samples.length) * (precision === 'float32' ? 4 : 2), samples.length);

    const batchSize = Math.min(LARGEST_BATCH, model.imagesAtOnce);
    const load = (from: number): Promise<(LoadedSample | UnreadableSample)[]> => {
      const loading = Promise.all(
        samples.slice(from, from + batchSize).map((sample) =>
          loadSample(sample, imageSize, preprocessing).catch((error: unknown): UnreadableSample => {
            if (error instanceof ImageError && onUnreadable) return { sample, error };
            throw error;
          }),
        ),
      );
      // It may fail while the batch before is still computed; whoever awaits it later gets the error.
      loading.catch(() => undefined);
      return loading;
    };

    const encodedSamples: Sample[] = [];
    const images: EncodedImage[] = [];
    onProgress?.({ kind: 'start', task: 'encode', total: samples.length, unit: 'images' });
    let next = load(0);
    for (let from = 0; from < samples.length; from += batchSize) {
      await setImmediate();
      signal?.throwIfAborted();
      const loaded = await next;
      next = load(from + batchSize);
      for (const item of loaded) if ('error' in item) onUnreadable?.(item.sample, item.error);
      const batch = loaded.filter((item) => 'pixels' in item);
      const encoded = batch.length === 0 ? [] : await encodeBatch(model, batch);
      batch.forEach(({ sample, mask }, index) => {
        const { global, patches } = encoded[index] as { global: Float32Array; patches: Float32Array[] };
        if (![global, ...patches].every((feature) => Number.isFinite(feature.reduce((sum, value) => sum + value, 0)))) {
          throw new TrainingError('training/features', `${sample.imagePath}: its features are no finite numbers; check the backbone's weights`, { path: sample.imagePath });
        }
        encodedSamples.push(sample);
        images.push({
          global,
          patches: precision === 'float32' ? patches : patches.map(narrowToHalf),
          mask: interpolation === 'nearest' ? anomalousShares(mask, imageSize, model.grid) : mask,
          anomalous: sample.anomalous,
        });
      });
      onProgress?.({ kind: 'advance', task: 'encode', done: Math.min(from + batchSize, samples.length), total: samples.length });
    }
    onProgress?.({ kind: 'done', task: 'encode' });
    return new FeatureStore(encodedSamples, images, model.grid, maskSize, precision);
  }

  /** How many images there are. */
  get size(): number {
    return this.images.length;
  }

  /**
   * The images at these places as tensors, which the caller disposes with `disposeBatch`.
   * @throws UsageError `training/place` for a place that does not exist
   */
  batch(places: readonly number[]): TrainingBatch {
    const chosen = places.map((place) => {
      const image = this.images[place];
      if (image === undefined) throw new UsageError('training/place', `there is no image ${place} among ${this.images.length}; places count from 0`, { place, images: this.images.length });
      return image;
    });
    const [rows, columns] = this.grid;
    const width = chosen[0]?.global.length ?? 0;
    const sets = chosen[0]?.patches.length ?? 0;
    return {
      global: tf.tensor2d(joined(chosen.map(({ global }) => global)), [chosen.length, width]),
      patches: Array.from({ length: sets }, (_, set) =>
        tf.tensor3d(joined(chosen.map(({ patches }) => widened(patches[set] as Float32Array | Uint16Array))), [chosen.length, rows * columns, width]),
      ),
      masks: tf.tensor3d(joined(chosen.map(({ mask }) => mask)), [chosen.length, ...this.maskSize]),
      labels: tf.tensor1d(chosen.map(({ anomalous }) => (anomalous ? 1 : 0)), 'int32'),
    };
  }
}

export function disposeBatch({ global, patches, masks, labels }: TrainingBatch): void {
  tf.dispose([global, ...patches, masks, labels]);
}

interface LoadedSample {
  readonly sample: Sample;
  readonly pixels: Float32Array; // [S, S, 3]
  readonly mask: Uint8Array; // [S, S]
}

interface UnreadableSample {
  readonly sample: Sample;
  readonly error: ImageError;
}

async function loadSample(sample: Sample, size: number, { mean, std, reference }: Preprocessing): Promise<LoadedSample> {
  const target = { width: size, height: size };
  const decoded = await decodeImage(sample.imagePath, { reference });
  return {
    sample,
    pixels: preprocessImage(decoded, { ...target, mean, std }),
    mask: await preprocessMask(sample.maskPath ?? undefined, target, { reference }),
  };
}

async function encodeBatch(model: CraneModel, batch: readonly LoadedSample[]): Promise<{ global: Float32Array; patches: Float32Array[] }[]> {
  const size = model.options.imageSize;
  const features = tf.tidy(() => {
    const images = tf.concat(batch.map(({ pixels }) => tf.tensor4d(pixels, [1, size, size, 3])));
    const { global, patches } = model.encodeImages(images);
    return [global, ...patches] as tf.Tensor[];
  });
  try {
    const [global, ...patches] = (await Promise.all(features.map((tensor) => tensor.data()))) as [Float32Array, ...Float32Array[]];
    const part = (values: Float32Array, index: number): Float32Array => {
      const length = values.length / batch.length;
      return values.slice(index * length, (index + 1) * length);
    };
    return batch.map((_, index) => ({ global: part(global, index), patches: patches.map((set) => part(set, index)) }));
  } finally {
    tf.dispose(features);
  }
}

/** How features of this many images are kept where nothing is said. */
export function defaultPrecision(model: CraneModel, images: number): FeaturePrecision {
  return 4 * featureCount(model, images) <= FLOAT32_LIMIT ? 'float32' : 'float16';
}

function featureCount(model: CraneModel, images: number): number {
  const [rows, columns] = model.grid;
  return images * rows * columns * model.vision.config.embedDimension * model.copies.length;
}

function refuseTooLarge(bytes: number, images: number): void {
  const memory = os.totalmem();
  if (bytes <= 0.75 * memory) return;
  const gibibytes = (value: number): string => `${(value / 2 ** 30).toFixed(1)} GiB`;
  throw new TrainingError(
    'training/memory',
    `the features of ${images} images take ${gibibytes(bytes)}, but this machine has ${gibibytes(memory)}; ` +
      'train on fewer categories (--categories) or at a smaller --image-size',
    { bytes, memory, images },
  );
}

/**
 * Share of anomalous pixels in each patch.
 * @param mask `[size, size]` of 0 and 1
 * @returns `[rows, columns]`, 0 to 1
 */
export function anomalousShares(mask: Uint8Array, size: number, [rows, columns]: readonly [number, number]): Float32Array {
  const [height, width] = [size / rows, size / columns];
  const shares = new Float32Array(rows * columns);
  for (let y = 0; y < size; y++) {
    const row = Math.floor(y / height) * columns;
    for (let x = 0; x < size; x++) {
      const at = row + Math.floor(x / width);
      shares[at] = (shares[at] as number) + (mask[y * size + x] as number);
    }
  }
  return shares.map((count) => count / (height * width));
}

function widened(values: Float32Array | Uint16Array): Float32Array {
  if (values instanceof Float32Array) return values;
  const wide = new Float32Array(values.length);
  widenHalf(values, wide);
  return wide;
}

function joined(parts: readonly (Float32Array | Uint8Array)[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

import * as tf from '@tensorflow/tfjs';
import type { Sample } from '../datasets/sample';
import { UsageError } from '../lib/errors';
import type { TrainingBatch } from '../lib/methods/method';
import {
  encodeSamples,
  type EncodedSamples,
  type EncodeOptions,
  type EncodingModel,
  type FeaturePrecision,
  type ReadyImage,
} from './encode-samples';
import { widenInto } from './encoded-image';

/**
 * Features of the auxiliary set. The vision encoder is frozen, so every image is encoded once: not once per epoch and, with
 * the cache, not once per run. Small sets are held in memory, large ones read batch by batch.
 */
export class FeatureStore {
  private ahead: { readonly places: readonly number[]; readonly images: Promise<ReadyImage[]> } | undefined;

  private constructor(private readonly source: EncodedSamples) {}

  /**
   * Encodes the images that are not in the cache; the next ones are decoded meanwhile. Where equal images are asked for
   * again, also in another set or order, their features are equal to the last bit.
   * @throws ImageError for an image or mask that cannot be read, unless `onUnreadable` is given; TrainingError
   *   `training/memory` where features without a cache cannot fit, `training/features` where they are not finite,
   *   `training/cache-space` and `training/cache-limit` where there is no room, `training/cache-unwritable`; the signal's reason
   */
  static async encode(model: EncodingModel, samples: readonly Sample[], options: EncodeOptions): Promise<FeatureStore> {
    return new FeatureStore(await encodeSamples(model, samples, options));
  }

  /** Those that could be read, in the order given. Places in a batch count them from 0. */
  get samples(): readonly Sample[] {
    return this.source.samples;
  }

  /** How many images there are. */
  get size(): number {
    return this.samples.length;
  }

  get precision(): FeaturePrecision {
    return this.source.precision;
  }

  /** How many of the images went through the encoder; the others came from the cache. */
  get encoded(): number {
    return this.source.encoded;
  }

  /**
   * The images at these places as tensors, which the caller disposes with `disposeBatch`.
   * @param next places of the batch after this one, which are read from the cache meanwhile
   * @throws UsageError `training/place` for a place that does not exist; TrainingError `training/cache-damaged` where the
   *   cache can no longer be read
   */
  async batch(places: readonly number[], next?: readonly number[]): Promise<TrainingBatch> {
    const images = await this.imagesAt(places);
    if (next !== undefined) {
      this.ahead = { places: [...next], images: this.loadAll(next) };
      // Whoever asks for it gets the error.
      this.ahead.images.catch(() => undefined);
    }
    const { width, patches, sets } = this.source.sizes;
    return {
      global: tf.tensor2d(joined(images.map(({ global }) => global)), [images.length, width]),
      patches: Array.from({ length: sets }, (_, set) => {
        const values = new Float32Array(images.length * patches * width);
        images.forEach((image, index) =>
          widenInto(values, index * patches * width, image.patches[set] as Float32Array | Uint16Array),
        );
        return tf.tensor3d(values, [images.length, patches, width]);
      }),
      masks: tf.tensor3d(joined(images.map(({ mask }) => mask)), [images.length, ...this.source.maskSize]),
      labels: tf.tensor1d(
        places.map((place) => (this.samples[place]?.anomalous ? 1 : 0)),
        'int32',
      ),
    };
  }

  private imagesAt(places: readonly number[]): Promise<ReadyImage[]> {
    const { ahead } = this;
    this.ahead = undefined;
    const isAhead =
      ahead?.places.length === places.length && ahead.places.every((place, index) => place === places[index]);
    return isAhead ? ahead.images : this.loadAll(places);
  }

  private async loadAll(places: readonly number[]): Promise<ReadyImage[]> {
    const outside = places.find((place) => this.samples[place] === undefined);
    if (outside !== undefined) {
      throw new UsageError('training/place', `there is no image ${outside} among ${this.size}; places count from 0`, {
        place: outside,
        images: this.size,
      });
    }
    return Promise.all(places.map((place) => this.source.load(place)));
  }

  /** Ends the use of the cache; in-memory features are simply forgotten. */
  async close(): Promise<void> {
    await this.ahead?.images.catch(() => undefined);
    this.ahead = undefined;
    await this.source.close();
  }
}

export function disposeBatch({ global, patches, masks, labels }: TrainingBatch): void {
  tf.dispose([global, ...patches, masks, labels]);
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

import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../lib/errors';
import type { Preprocessing } from '../lib/image/preprocess';
import { MemoryBudget } from '../lib/memory-budget';
import type { CraneModel } from '../lib/methods/crane/model';
import type { Sample } from '../datasets/sample';
import type { EncodedImage } from './encoded-image';
import { decodeSample, readSample, type NetworkInput, type SampleIdentity } from './network-input';

/** Images that are decoded at once, while those before them are encoded. */
const LARGEST_BATCH = 16;

export interface EncodeBatchesOptions<Entry> {
  readonly preprocessing: Preprocessing;
  /**
   * Encode images in batches, which is for encoders whose features depend on the batch by definition. Otherwise each is
   * encoded alone: matrix products take other paths for other numbers of rows and for rows at other places, so that only
   * then an image has features that are equal to the last bit whatever else is encoded.
   */
  readonly together: boolean;
  readonly onImage: (entry: Entry, image: EncodedImage, identity: SampleIdentity) => Promise<void>;
  /** Called with a sample that cannot be read or decoded; throws where that must end the encoding. */
  readonly onFailure: (entry: Entry, error: unknown) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Decoded<Entry> extends NetworkInput {
  readonly entry: Entry;
  readonly identity: SampleIdentity;
}

/**
 * Runs the frozen encoder over samples; the next ones are decoded meanwhile, as many at once as the memory budget takes.
 * @throws TrainingError `training/features` for features that are not finite; what the callbacks throw; the signal's reason
 */
export async function encodeBatches<Entry extends { readonly sample: Sample }>(
  model: CraneModel,
  entries: readonly Entry[],
  { preprocessing, together, onImage, onFailure, signal }: EncodeBatchesOptions<Entry>,
): Promise<void> {
  const size = Math.min(LARGEST_BATCH, model.imagesAtOnce);
  const memory = new MemoryBudget();
  const load = (from: number): Promise<PromiseSettledResult<Decoded<Entry>>[]> =>
    Promise.allSettled(
      entries.slice(from, from + size).map((entry) =>
        memory.run(async (claim) => {
          const { contents, ...identity } = await readSample(entry.sample, claim);
          return {
            entry,
            identity,
            ...(await decodeSample(entry.sample, contents, model.options.imageSize, preprocessing, claim)),
          };
        }),
      ),
    );
  let next = load(0);
  for (let from = 0; from < entries.length; from += size) {
    const loaded = await next;
    next = load(from + size);
    const decoded = loaded.flatMap((result, index) => {
      if (result.status === 'fulfilled') return [result.value];
      onFailure(entries[from + index] as Entry, result.reason);
      return [];
    });
    for (const batch of together ? [decoded] : decoded.map((image) => [image])) {
      // The native backend computes without a pause; a signal, such as Ctrl-C, needs one to arrive.
      await setImmediate();
      signal?.throwIfAborted();
      const features = await encodeBatch(model, batch);
      for (const [index, { entry, mask, identity }] of batch.entries()) {
        const { global, patches } = features[index] as Omit<EncodedImage, 'mask'>;
        refuseNotFinite(entry.sample.imagePath, [global, ...patches]);
        await onImage(entry, { global, patches, mask }, identity);
      }
    }
  }
}

async function encodeBatch(model: CraneModel, batch: readonly NetworkInput[]): Promise<Omit<EncodedImage, 'mask'>[]> {
  if (batch.length === 0) return [];
  const side = model.options.imageSize;
  const features = tf.tidy(() => {
    const { global, patches } = model.encodeImages(
      tf.concat(batch.map(({ pixels }) => tf.tensor4d(pixels, [1, side, side, 3]))),
    );
    return [global, ...patches] as tf.Tensor[];
  });
  try {
    const [global, ...patches] = (await Promise.all(features.map((tensor) => tensor.data()))) as [
      Float32Array,
      ...Float32Array[],
    ];
    const part = (values: Float32Array, index: number): Float32Array => {
      const length = values.length / batch.length;
      return values.slice(index * length, (index + 1) * length);
    };
    return batch.map((_, index) => ({ global: part(global, index), patches: patches.map((set) => part(set, index)) }));
  } finally {
    tf.dispose(features);
  }
}

function refuseNotFinite(path: string, features: readonly (Float32Array | Uint16Array)[]): void {
  if (features.every((feature) => Number.isFinite((feature as Float32Array).reduce((sum, value) => sum + value, 0))))
    return;
  throw new TrainingError(
    'training/features',
    `${path}: its features are NaN or infinite; check the backbone's weights`,
    { path },
  );
}

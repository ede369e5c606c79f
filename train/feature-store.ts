import * as os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Sample } from '../datasets/sample';
import { formatBytes } from '../lib/bytes';
import { CraneError, ImageError, TrainingError, UsageError } from '../lib/errors';
import type { Preprocessing } from '../lib/image/preprocess';
import { MemoryBudget, type MemoryClaim } from '../lib/memory-budget';
import type { AnomalyModel, FeatureEncoder, TrainingBatch } from '../lib/methods/method';
import type { OnProgress } from '../lib/progress';
import { lossPerPatch } from '../lib/scoring/losses';
import {
  anomalousShares,
  batchOf,
  encodeImages,
  halvesOf,
  packedBytes,
  packImage,
  refuseNotFinite,
  unpackImage,
  type EncodedImage,
  type EncodedSizes,
  type FeaturePrecision,
  type LossImage,
} from './encoded-image';
import { FeatureCache, type FeatureCacheOptions } from './feature-cache/feature-cache';
import { featureKey, featureSpace, type FeatureSource, type FeatureSpace } from './feature-cache/space';
import { decodeSample, readSample, type NetworkInput, type SampleIdentity } from './network-input';

type EncodingModel = Pick<AnomalyModel, 'options' | 'imagesAtOnce' | 'dependsOnBatch' | 'features'>;

/** Where features are kept from one run to the next, and for what weights. */
export type CacheUse = Omit<FeatureSource, 'features' | 'preprocessing'> &
  Pick<FeatureCacheOptions, 'folder' | 'limit' | 'onWait'>;

export interface EncodeOptions {
  readonly preprocessing: Preprocessing;
  /** `bilinear` training needs whole masks; `nearest` only each patch's share of anomalous pixels. */
  readonly interpolation: 'nearest' | 'bilinear';
  /**
   * Default float16, with the cache and without, so that both give equal prompts. float32 is for comparison: kept in
   * memory only, in twice the space.
   */
  readonly precision?: FeaturePrecision;
  /** Keep features on disk, and take from there what is there. Without it all are encoded, and kept in memory. */
  readonly cache?: CacheUse;
  /** Features that together take less than this many bytes are kept in memory, others read from the cache. Default 512 MiB. */
  readonly residentBytes?: number;
  /**
   * Called with an image that cannot be read or decoded, which is then left out; what it throws ends the encoding. Without
   * it such an image ends the encoding.
   */
  readonly onUnreadable?: (sample: Sample, error: ImageError) => void;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Features together below this are kept in memory. */
const RESIDENT_BYTES = 512 * 2 ** 20;
/** Files read and hashed at once. */
const FILES_AT_ONCE = 8;
/** Images that are decoded at once, while those before them are encoded. */
const LARGEST_BATCH = 16;

/** A sample and what its features are known by. */
interface Entry {
  readonly sample: Sample;
  key: string;
}

/** A sample made ready for the encoder. */
interface Decoded extends NetworkInput, SampleIdentity {
  readonly entry: Entry;
}

/**
 * Features of the auxiliary set. The vision encoder is frozen, so every image is encoded once: not once per epoch and, with
 * the cache, not once per run. Small sets are held in memory, large ones read batch by batch.
 */
export class FeatureStore {
  readonly precision: FeaturePrecision;
  private readonly features: FeatureEncoder;
  private readonly sizes: EncodedSizes;
  /** Whether masks are kept as each patch's share of anomalous pixels. */
  private readonly perPatch: boolean;
  /** Images by key, where they are all held in memory. */
  private readonly memory = new Map<string, LossImage>();
  private isResident = true;
  /** Where the other images are read from. */
  private cache: FeatureCache | undefined;
  private entries: readonly Entry[] = [];
  private readable: readonly Sample[] = [];
  private readonly unreadable = new Set<string>();
  /** Samples that `onUnreadable` was told of. */
  private readonly reported = new Set<Sample>();
  private throughEncoder = 0;
  private done = 0;
  private ahead: { readonly places: readonly number[]; readonly images: Promise<LossImage[]> } | undefined;

  private constructor(
    private readonly model: EncodingModel,
    private readonly total: number,
    private readonly options: EncodeOptions,
  ) {
    if (model.features === undefined)
      throw new TrainingError('training/features', 'this method is not trained on features of a frozen encoder');
    this.features = model.features;
    const { width, grid, sets } = this.features;
    const { imageSize } = model.options;
    this.sizes = { width, patches: grid[0] * grid[1], sets, imageSize };
    this.perPatch = lossPerPatch(grid, imageSize, options.interpolation);
    this.precision = options.precision ?? 'float16';
  }

  /**
   * Encodes the images that are not in the cache; the next ones are decoded meanwhile. Where equal images are asked for
   * again, also in another set or order, their features are equal to the last bit.
   * @throws ImageError for an image or mask that cannot be read, unless `onUnreadable` is given; TrainingError
   *   `training/memory` where features without a cache cannot fit, `training/features` where they are not finite or the
   *   method has none, `training/cache-space` and `training/cache-limit` where there is no room, `training/cache-unwritable`;
   *   the signal's reason
   */
  static async encode(model: EncodingModel, samples: readonly Sample[], options: EncodeOptions): Promise<FeatureStore> {
    const store = new FeatureStore(model, samples.length, options);
    const { cache, onProgress } = options;
    onProgress?.({ kind: 'start', task: 'encode', total: samples.length, unit: 'images' });
    const isCached = cache !== undefined && store.precision === 'float16' && !model.dependsOnBatch;
    const entries = isCached ? await store.fillFromCache(samples, cache) : await store.fillMemory(samples);
    store.entries = entries.filter(({ key }) => !store.unreadable.has(key));
    store.readable = store.entries.map(({ sample }) => sample);
    onProgress?.({ kind: 'done', task: 'encode' });
    return store;
  }

  /** Those that could be read, in the order given. Places in a batch count them from 0. */
  get samples(): readonly Sample[] {
    return this.readable;
  }

  /** How many images there are. */
  get size(): number {
    return this.readable.length;
  }

  /** How many of the images went through the encoder; the others came from the cache. */
  get encoded(): number {
    return this.throughEncoder;
  }

  /**
   * The images at these places as tensors, which the caller disposes with `disposeBatch`.
   * @param next places of the batch after this one, which are read from the cache meanwhile
   * @throws UsageError `training/place` for a place that does not exist; TrainingError `training/cache-damaged` where the
   *   cache can no longer be read
   */
  async batch(places: readonly number[], next?: readonly number[]): Promise<TrainingBatch> {
    const { ahead, sizes } = this;
    this.ahead = undefined;
    const isAhead =
      ahead?.places.length === places.length && ahead.places.every((place, index) => place === places[index]);
    const images = await (isAhead ? ahead.images : this.loadAll(places));
    if (next !== undefined) {
      this.ahead = { places: [...next], images: this.loadAll(next) };
      // Whoever asks for it gets the error.
      this.ahead.images.catch(() => undefined);
    }
    const labels = places.map((place) => (this.samples[place]?.anomalous ? 1 : 0));
    return batchOf(images, labels, sizes, this.perPatch ? this.features.grid : [sizes.imageSize, sizes.imageSize]);
  }

  private async loadAll(places: readonly number[]): Promise<LossImage[]> {
    const outside = places.find((place) => this.entries[place] === undefined);
    if (outside === undefined) return Promise.all(places.map((place) => this.load(this.entries[place] as Entry)));
    throw new UsageError('training/place', `there is no image ${outside} among ${this.size}; places count from 0`, {
      place: outside,
      images: this.size,
    });
  }

  private async load({ sample, key }: Entry): Promise<LossImage> {
    const resident = this.memory.get(key);
    if (resident !== undefined) return resident;
    const image = await this.readFrom(this.cache, key);
    if (image !== null) return this.ready(image);
    throw new TrainingError(
      'training/cache-damaged',
      `the features of ${sample.imagePath} can no longer be read from the cache; check the disk, and start or resume the training: they will be made again`,
      { path: sample.imagePath },
    );
  }

  private async readFrom(cache: FeatureCache | undefined, key: string): Promise<EncodedImage | null> {
    const packed = await cache?.read(key);
    return packed ? unpackImage(packed, this.sizes) : null;
  }

  /** Ends the use of the cache; in-memory features are simply forgotten. */
  async close(): Promise<void> {
    await this.ahead?.images.catch(() => undefined);
    this.ahead = undefined;
    await this.cache?.close();
  }

  /** Encodes all samples and keeps them in memory. */
  private async fillMemory(samples: readonly Sample[]): Promise<Entry[]> {
    const isWhole = this.precision === 'float32';
    refuseTooLarge(samples.length * packedBytes(this.sizes) * (isWhole ? 2 : 1), samples.length);
    const entries = samples.map((sample, index) => ({ sample, key: String(index) }));
    await this.encodeAll(entries, async ({ entry }, image) =>
      this.keep(entry.key, isWhole ? image : { ...image, patches: image.patches.map(halvesOf) }),
    );
    return entries;
  }

  /** Encodes into the cache what it lacks; small sets are held in memory as well. */
  private async fillFromCache(samples: readonly Sample[], use: CacheUse): Promise<Entry[]> {
    const { preprocessing, residentBytes = RESIDENT_BYTES, signal } = this.options;
    const space = featureSpace({ ...use, features: this.features, preprocessing });
    const entries = await this.identify(samples, space);
    const bytes = packedBytes(this.sizes);
    this.isResident = entries.length * bytes <= residentBytes;
    let cache: FeatureCache;
    try {
      cache = await FeatureCache.open(
        space,
        entries.map(({ key }) => key),
        { ...use, ...(signal ? { signal } : {}) },
      );
    } catch (error) {
      // A home that cannot be written is no reason not to train on a small set.
      if (this.isResident && error instanceof CraneError && error.code === 'training/cache-unwritable')
        return this.fillMemory(samples);
      throw error;
    }
    try {
      const missing = await this.readCached(cache, entries);
      if (missing.length > 0) {
        await cache.fill(bytes, async () => {
          await this.encodeAll(
            missing.filter(({ key }) => !cache.has(key)),
            async ({ entry, recipe, hashes }, image) => {
              // The file may have changed since it was hashed.
              entry.key = featureKey(space, recipe, hashes);
              const packed = packImage(image);
              await cache.append(entry.key, packed);
              this.keep(entry.key, unpackImage(new Uint8Array(packed), this.sizes) as EncodedImage);
            },
          );
        });
        // Those that another process encoded meanwhile.
        await this.readCached(
          cache,
          missing.filter(({ key }) => this.isResident && !this.memory.has(key) && !this.unreadable.has(key)),
        );
      }
      await this.reportEqual(entries);
      if (this.isResident) await cache.close();
      else this.cache = cache;
      return entries;
    } catch (error) {
      await cache.close();
      throw error;
    }
  }

  private keep(key: string, image: EncodedImage): void {
    if (this.isResident) this.memory.set(key, this.ready(image));
  }

  private ready(image: EncodedImage): LossImage {
    const { mask } = image;
    return this.perPatch ? { ...image, mask: anomalousShares(mask, this.sizes.imageSize, this.features.grid) } : image;
  }

  /** Hashes all files; those that cannot be read are left out. */
  private async identify(samples: readonly Sample[], space: FeatureSpace): Promise<Entry[]> {
    const entries: Entry[] = [];
    const memory = new MemoryBudget();
    const keyOf = async (sample: Sample, claim: MemoryClaim): Promise<string> => {
      const { recipe, hashes } = await readSample(sample, claim);
      return featureKey(space, recipe, hashes);
    };
    for (let from = 0; from < samples.length; from += FILES_AT_ONCE) {
      this.options.signal?.throwIfAborted();
      const some = samples.slice(from, from + FILES_AT_ONCE);
      const keys = await Promise.allSettled(some.map((sample) => memory.run((claim) => keyOf(sample, claim))));
      for (const [index, sample] of some.entries()) {
        const key = keys[index] as PromiseSettledResult<string>;
        if (key.status === 'fulfilled') entries.push({ sample, key: key.value });
        else this.leaveOut(sample, key.reason);
      }
    }
    return entries;
  }

  private leaveOut(sample: Sample, error: unknown): void {
    const { onUnreadable } = this.options;
    if (!(error instanceof ImageError) || onUnreadable === undefined) throw error;
    this.reported.add(sample);
    onUnreadable(sample, error);
    this.advance();
  }

  /** Equal images are decoded once; where that failed, each of the others is told of as well, by its own name. */
  private async reportEqual(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (!this.unreadable.has(entry.key) || this.reported.has(entry.sample)) continue;
      try {
        await this.decode(entry);
      } catch (error) {
        this.leaveOut(entry.sample, error);
      }
    }
  }

  /**
   * Runs the frozen encoder over samples; the next ones are decoded meanwhile, as many at once as the memory budget takes.
   *
   * Each image is encoded alone, unless its features depend on the batch by definition: matrix products take other paths for
   * other numbers of rows and for rows at other places, so that only then an image has features that are equal to the last
   * bit whatever else is encoded.
   */
  private async encodeAll(
    entries: readonly Entry[],
    onImage: (decoded: Decoded, image: EncodedImage) => Promise<void>,
  ): Promise<void> {
    const { imagesAtOnce, dependsOnBatch } = this.model;
    const size = Math.min(LARGEST_BATCH, imagesAtOnce);
    const memory = new MemoryBudget();
    const load = (from: number): Promise<PromiseSettledResult<Decoded>[]> =>
      Promise.allSettled(
        entries.slice(from, from + size).map((entry) => memory.run((claim) => this.decode(entry, claim))),
      );
    let next = load(0);
    for (let from = 0; from < entries.length; from += size) {
      const loaded = await next;
      next = load(from + size);
      const decoded = loaded.flatMap((result, index) => {
        if (result.status === 'fulfilled') return [result.value];
        const { sample, key } = entries[from + index] as Entry;
        this.leaveOut(sample, result.reason);
        this.unreadable.add(key);
        return [];
      });
      for (const batch of dependsOnBatch ? [decoded] : decoded.map((image) => [image])) {
        // The native backend computes without a pause; a signal, such as Ctrl-C, needs one to arrive.
        await setImmediate();
        this.options.signal?.throwIfAborted();
        const images = await encodeImages(this.features, batch, this.sizes.imageSize);
        for (const [index, input] of batch.entries()) {
          const image = images[index] as EncodedImage;
          refuseNotFinite(input.entry.sample.imagePath, image);
          await onImage(input, image);
          this.throughEncoder += 1;
          this.advance();
        }
      }
    }
  }

  private async decode(entry: Entry, claim?: MemoryClaim): Promise<Decoded> {
    const { contents, ...identity } = await readSample(entry.sample, claim);
    const { preprocessing } = this.options;
    const input = await decodeSample(entry.sample, contents, this.sizes.imageSize, preprocessing, claim);
    return { entry, ...identity, ...input };
  }

  /** Reads what the cache has, which checks it as well. @returns the entries that it has not, one for each key */
  private async readCached(cache: FeatureCache, entries: readonly Entry[]): Promise<Entry[]> {
    const missing = new Map<string, Entry>();
    const seen = new Set<string>();
    for (const entry of entries) {
      this.options.signal?.throwIfAborted();
      if (!seen.has(entry.key)) {
        seen.add(entry.key);
        const image = await this.readFrom(cache, entry.key);
        if (image === null) missing.set(entry.key, entry);
        else this.keep(entry.key, image);
      }
      if (!missing.has(entry.key)) this.advance();
    }
    return [...missing.values()];
  }

  private advance(): void {
    this.done = Math.min(this.total, this.done + 1);
    this.options.onProgress?.({ kind: 'advance', task: 'encode', done: this.done, total: this.total });
  }
}

function refuseTooLarge(bytes: number, images: number): void {
  const memory = os.totalmem();
  if (bytes <= 0.75 * memory) return;
  throw new TrainingError(
    'training/memory',
    `the features of ${images} images take ${formatBytes(bytes)}, but this machine has ${formatBytes(memory)}; ` +
      'keep them on disk (without `cache: false`), or train on fewer `categories` or at a smaller `imageSize`',
    { bytes, memory, images },
  );
}

import * as os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Sample } from '../datasets/sample';
import { formatBytes } from '../lib/bytes';
import { CraneError, ImageError, TrainingError } from '../lib/errors';
import type { Preprocessing } from '../lib/image/preprocess';
import { MemoryBudget, type MemoryClaim } from '../lib/memory-budget';
import type { AnomalyModel, FeatureEncoder } from '../lib/methods/method';
import type { OnProgress } from '../lib/progress';
import { lossPerPatch } from '../lib/scoring/losses';
import {
  anomalousShares,
  encodeImages,
  halvesOf,
  packedBytes,
  packImage,
  refuseNotFinite,
  unpackImage,
  type EncodedImage,
  type EncodedSizes,
} from './encoded-image';
import { FeatureCache, type FeatureCacheOptions } from './feature-cache/feature-cache';
import { featureKey, featureSpace, type FeatureSource, type FeatureSpace } from './feature-cache/space';
import { decodeSample, readSample, type NetworkInput, type SampleIdentity } from './network-input';

/** What encodes. */
export type EncodingModel = Pick<AnomalyModel, 'options' | 'imagesAtOnce' | 'dependsOnBatch' | 'features'>;

/** @throws TrainingError `training/features` for a method that is not trained on features of a frozen encoder */
function featuresOf({ features }: EncodingModel): FeatureEncoder {
  if (features !== undefined) return features;
  throw new TrainingError('training/features', 'this method is not trained on features of a frozen encoder');
}

/** How patch features are kept. Halves lose less than 0.0005 of a feature of length one. */
export type FeaturePrecision = 'float16' | 'float32';

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

/** Features of one image, ready to be joined into a batch. */
export interface ReadyImage extends Omit<EncodedImage, 'mask'> {
  readonly mask: Float32Array | Uint8Array; // shares [R, C], or pixels [S, S]
}

/** Samples that are encoded, and where their features are. */
export interface EncodedSamples {
  /** Those that could be read, in the order given. */
  readonly samples: readonly Sample[];
  readonly precision: FeaturePrecision;
  /** How many images went through the encoder; the others came from the cache. */
  readonly encoded: number;
  readonly sizes: EncodedSizes;
  /** Of the masks: pixels, or patches. */
  readonly maskSize: readonly [number, number];
  load(place: number): Promise<ReadyImage>;
  close(): Promise<void>;
}

/** A sample and what its features are known by. */
interface Entry {
  readonly sample: Sample;
  key: string;
}

/** A sample made ready for the encoder. */
interface Decoded extends NetworkInput {
  readonly entry: Entry;
  readonly identity: SampleIdentity;
}

/** Features of samples from cache and encoder, by the rules of `FeatureStore.encode`. */
export function encodeSamples(
  model: EncodingModel,
  samples: readonly Sample[],
  options: EncodeOptions,
): Promise<EncodedSamples> {
  return new Encoding(model, samples.length, options).run(samples);
}

class Encoding {
  private readonly features: FeatureEncoder;
  private readonly sizes: EncodedSizes;
  private readonly precision: FeaturePrecision;
  /** Whether masks are kept as each patch's share of anomalous pixels. */
  private readonly perPatch: boolean;
  private readonly memory = new Map<string, ReadyImage>();
  private readonly unreadable = new Set<string>();
  /** Samples that `onUnreadable` was told of. */
  private readonly reported = new Set<Sample>();
  private readonly signal: AbortSignal | undefined;
  private encoded = 0;
  private done = 0;

  constructor(
    private readonly model: EncodingModel,
    private readonly total: number,
    private readonly options: EncodeOptions,
  ) {
    this.features = featuresOf(model);
    const { width, grid, sets } = this.features;
    this.sizes = { width, patches: grid[0] * grid[1], sets, imageSize: model.options.imageSize };
    this.perPatch = lossPerPatch(grid, model.options.imageSize, options.interpolation);
    this.precision = options.precision ?? 'float16';
    this.signal = options.signal;
  }

  private get maskSize(): readonly [number, number] {
    const { imageSize } = this.sizes;
    return this.perPatch ? this.features.grid : [imageSize, imageSize];
  }

  async run(samples: readonly Sample[]): Promise<EncodedSamples> {
    this.options.onProgress?.({ kind: 'start', task: 'encode', total: this.total, unit: 'images' });
    const { cache: use } = this.options;
    const cached = use !== undefined && this.precision === 'float16' && !this.model.dependsOnBatch;
    const result = cached ? await this.withCache(samples, use) : await this.inMemory(samples);
    this.options.onProgress?.({ kind: 'done', task: 'encode' });
    return result;
  }

  private async inMemory(samples: readonly Sample[]): Promise<EncodedSamples> {
    const perImage = packedBytes(this.sizes) * (this.precision === 'float32' ? 2 : 1);
    refuseTooLarge(samples.length * perImage, samples.length);
    const entries = samples.map((sample, index) => ({ sample, key: String(index) }));
    const kept = this.precision === 'float32' ? (image: EncodedImage): EncodedImage => image : asHalves;
    await this.encode(entries, async ({ key }, image) => void this.memory.set(key, this.ready(kept(image))));
    return this.resultOf(entries, async () => undefined);
  }

  private async withCache(samples: readonly Sample[], use: CacheUse): Promise<EncodedSamples> {
    const space = featureSpace({ ...use, features: this.features, preprocessing: this.options.preprocessing });
    const entries = await this.identify(samples, space);
    const bytes = packedBytes(this.sizes);
    const resident = entries.length * bytes <= (this.options.residentBytes ?? RESIDENT_BYTES);
    let cache: FeatureCache;
    try {
      cache = await FeatureCache.open(
        space,
        entries.map(({ key }) => key),
        { ...use, ...(this.signal ? { signal: this.signal } : {}) },
      );
    } catch (error) {
      // A home that cannot be written is no reason not to train on a small set.
      if (resident && error instanceof CraneError && error.code === 'training/cache-unwritable')
        return this.inMemory(samples);
      throw error;
    }
    try {
      const keep = (key: string, image: EncodedImage): void =>
        void (resident && this.memory.set(key, this.ready(image)));
      const missing = await this.readCached(cache, entries, keep);
      if (missing.length > 0) {
        await cache.fill(bytes, async () => {
          await this.encode(
            missing.filter(({ key }) => !cache.has(key)),
            async (entry, image, identity) => {
              // The file may have changed since it was hashed.
              entry.key = featureKey(space, identity.recipe, identity.hashes);
              const packed = packImage(image);
              await cache.append(entry.key, packed);
              keep(entry.key, unpackImage(new Uint8Array(packed), this.sizes) as EncodedImage);
            },
          );
        });
        // Those that another process encoded meanwhile.
        await this.readCached(
          cache,
          missing.filter(({ key }) => resident && !this.memory.has(key) && !this.unreadable.has(key)),
          keep,
        );
      }
      await this.reportEqual(entries);
      if (resident) await cache.close();
      return this.resultOf(entries, () => cache.close(), resident ? undefined : cache);
    } catch (error) {
      await cache.close();
      throw error;
    }
  }

  private resultOf(entries: readonly Entry[], close: () => Promise<void>, cache?: FeatureCache): EncodedSamples {
    const readable = entries.filter(({ key }) => !this.unreadable.has(key));
    return {
      samples: readable.map(({ sample }) => sample),
      precision: this.precision,
      encoded: this.encoded,
      sizes: this.sizes,
      maskSize: this.maskSize,
      load: async (place) => {
        const { sample, key } = readable[place] as Entry;
        const resident = this.memory.get(key);
        if (resident !== undefined) return resident;
        const packed = cache === undefined ? null : await cache.read(key);
        const image = packed && unpackImage(packed, this.sizes);
        if (image !== null) return this.ready(image);
        throw new TrainingError(
          'training/cache-damaged',
          `the features of ${sample.imagePath} can no longer be read from the cache; check the disk, and start or resume the training: they will be made again`,
          { path: sample.imagePath },
        );
      },
      close,
    };
  }

  /** Hashes all files; those that cannot be read are left out. */
  private async identify(samples: readonly Sample[], space: FeatureSpace): Promise<Entry[]> {
    const entries: Entry[] = [];
    const memory = new MemoryBudget();
    for (let from = 0; from < samples.length; from += FILES_AT_ONCE) {
      this.signal?.throwIfAborted();
      const found = await Promise.all(
        samples
          .slice(from, from + FILES_AT_ONCE)
          .map(async (sample): Promise<Entry | { sample: Sample; error: unknown }> => {
            try {
              const { recipe, hashes } = await memory.run((claim) => readSample(sample, claim));
              return { sample, key: featureKey(space, recipe, hashes) };
            } catch (error) {
              return { sample, error };
            }
          }),
      );
      for (const entry of found) {
        if ('key' in entry) entries.push(entry);
        else this.leaveOut(entry.sample, entry.error);
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

  /** Equal pictures are decoded once; where that failed, each of the others is told of as well, by its own name. */
  private async reportEqual(entries: readonly Entry[]): Promise<void> {
    for (const { sample, key } of entries) {
      if (!this.unreadable.has(key) || this.reported.has(sample)) continue;
      try {
        await decodeSample(
          sample,
          (await readSample(sample)).contents,
          this.sizes.imageSize,
          this.options.preprocessing,
        );
      } catch (error) {
        this.leaveOut(sample, error);
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
  private async encode(
    entries: readonly Entry[],
    onImage: (entry: Entry, image: EncodedImage, identity: SampleIdentity) => Promise<void>,
  ): Promise<void> {
    const { imagesAtOnce, dependsOnBatch } = this.model;
    const { imageSize } = this.sizes;
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
        this.signal?.throwIfAborted();
        const images = await encodeImages(this.features, batch, imageSize);
        for (const [index, { entry, identity }] of batch.entries()) {
          const image = images[index] as EncodedImage;
          refuseNotFinite(entry.sample.imagePath, image);
          await onImage(entry, image, identity);
          this.encoded += 1;
          this.advance();
        }
      }
    }
  }

  private async decode(entry: Entry, claim: MemoryClaim): Promise<Decoded> {
    const { preprocessing } = this.options;
    const { contents, ...identity } = await readSample(entry.sample, claim);
    return {
      entry,
      identity,
      ...(await decodeSample(entry.sample, contents, this.sizes.imageSize, preprocessing, claim)),
    };
  }

  private ready(image: EncodedImage): ReadyImage {
    const { imageSize } = this.sizes;
    return this.perPatch ? { ...image, mask: anomalousShares(image.mask, imageSize, this.features.grid) } : image;
  }

  /** Reads what the cache has, which checks it as well. @returns the entries that it has not, one for each key */
  private async readCached(
    cache: FeatureCache,
    entries: readonly Entry[],
    keep: (key: string, image: EncodedImage) => void,
  ): Promise<Entry[]> {
    const missing = new Map<string, Entry>();
    const seen = new Set<string>();
    for (const entry of entries) {
      this.signal?.throwIfAborted();
      if (!seen.has(entry.key)) {
        seen.add(entry.key);
        const packed = await cache.read(entry.key);
        const image = packed && unpackImage(packed, this.sizes);
        if (image === null) missing.set(entry.key, entry);
        else keep(entry.key, image);
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

function asHalves(image: EncodedImage): EncodedImage {
  return { ...image, patches: image.patches.map(halvesOf) };
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

import * as os from 'node:os';
import type { BackendInfo } from '../lib/backend';
import type { Preprocessing } from '../lib/image/preprocess';
import type { OnProgress } from '../lib/progress';
import { formatBytes } from '../lib/bytes';
import { CraneError, ImageError, TrainingError } from '../lib/errors';
import { MemoryBudget } from '../lib/memory-budget';
import type { CraneModel } from '../lib/methods/crane/model';
import type { Sample } from '../datasets/sample';
import { encodeBatches } from './encode-batches';
import {
  anomalousShares,
  packedBytes,
  packImage,
  unpackImage,
  halvesOf,
  type EncodedImage,
  type EncodedSizes,
} from './encoded-image';
import { FeatureCache } from './feature-cache/feature-cache';
import { featureKey, featureSpace, type FeatureSpace } from './feature-cache/space';

import { decodeSample, readSample, type SampleIdentity } from './network-input';
import { lossPerPatch } from './trainer';

/** How patch features are kept. Halves lose less than 0.0005 of a feature of length one. */
export type FeaturePrecision = 'float16' | 'float32';

/** Where features are kept from one run to the next. */
export interface CacheUse {
  /** sha256 of the backbone's weights. */
  readonly backbone: string;
  /** sha256 of the weights of the second vision model; null without one. */
  readonly spatial: string | null;
  readonly backend: BackendInfo;
  /** Default: `features` in the cache folder. */
  readonly folder?: string;
  /** Bytes that the whole cache may take. Default 20 GB. */
  readonly limit?: number;
  /** Told when another process encodes the same images, and this one waits for it. */
  readonly onWait?: () => void;
}

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

/** Features of one image, ready to be joined into a batch. */
export interface ReadyImage extends Omit<EncodedImage, 'mask'> {
  readonly mask: Float32Array | Uint8Array; // shares [R, C], or pixels [S, S]
}

export interface EncodedSamples {
  /** Those that could be read, in the order given. */
  readonly samples: readonly Sample[];
  readonly precision: FeaturePrecision;
  /** How many images went through the encoder; the others came from the cache. */
  readonly encoded: number;
  readonly sizes: EncodedSizes;
  load(place: number): Promise<ReadyImage>;
  close(): Promise<void>;
}

/** A sample and what its features are known by. */
interface Entry {
  readonly sample: Sample;
  key: string;
}

/** Features of samples from cache and encoder, by the rules of `FeatureStore.encode`. */
export async function encodeSamples(
  model: CraneModel,
  samples: readonly Sample[],
  options: EncodeOptions,
): Promise<EncodedSamples> {
  const encoding = new Encoding(model, samples.length, options);
  return encoding.run(samples);
}

class Encoding {
  private readonly sizes: EncodedSizes;
  private readonly precision: FeaturePrecision;
  private readonly memory = new Map<string, ReadyImage>();
  private readonly unreadable = new Set<string>();
  /** Samples that `onUnreadable` was told of. */
  private readonly reported = new Set<Sample>();
  private readonly signal: AbortSignal | undefined;
  private encoded = 0;
  private done = 0;

  constructor(
    private readonly model: CraneModel,
    private readonly total: number,
    private readonly options: EncodeOptions,
  ) {
    const [rows, columns] = model.grid;
    this.sizes = {
      width: model.vision.config.embedDimension,
      patches: rows * columns,
      sets: model.copies.length,
      imageSize: model.options.imageSize,
    };
    this.precision = options.precision ?? 'float16';
    this.signal = options.signal;
  }

  async run(samples: readonly Sample[]): Promise<EncodedSamples> {
    this.options.onProgress?.({ kind: 'start', task: 'encode', total: this.total, unit: 'images' });
    const { cache: use } = this.options;
    const cached = use !== undefined && this.precision === 'float16' && !this.dependsOnBatch;
    const result = cached ? await this.withCache(samples, use) : await this.inMemory(samples);
    this.options.onProgress?.({ kind: 'done', task: 'encode' });
    return result;
  }

  /** The reference's D-Attn takes its mean over the batch, so that an image's features depend on what else is in it. */
  private get dependsOnBatch(): boolean {
    const { spatial, dattnMean } = this.model.options;
    return spatial !== 'none' && dattnMean === 'batch';
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
    const space = featureSpace({ ...use, model: this.model, preprocessing: this.options.preprocessing });
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

  private encode(
    entries: readonly Entry[],
    onImage: (entry: Entry, image: EncodedImage, identity: SampleIdentity) => Promise<void>,
  ): Promise<void> {
    return encodeBatches(this.model, entries, {
      preprocessing: this.options.preprocessing,
      together: this.dependsOnBatch,
      onImage: async (entry, image, identity) => {
        await onImage(entry, image, identity);
        this.encoded += 1;
        this.advance();
      },
      onFailure: ({ sample, key }, error) => {
        this.leaveOut(sample, error);
        this.unreadable.add(key);
      },
      signal: this.signal,
    });
  }

  private ready(image: EncodedImage): ReadyImage {
    if (!lossPerPatch(this.model, this.options.interpolation)) return image;
    return { ...image, mask: anomalousShares(image.mask, this.sizes.imageSize, this.model.grid) };
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

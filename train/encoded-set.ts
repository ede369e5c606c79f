import type { MetricValues } from '../eval/metrics/metric-ids';
import { TrainingError } from '../lib/errors';
import type { Sample } from '../datasets/dataset';
import type { AuxiliarySet } from './auxiliary-set';
import { FeatureStore, type CacheUse } from './feature-store';
import { drawMosaics, type Mosaic } from './mosaic';
import type { PreparedRun } from './prepare-run';
import type { TrainOptions } from './run-options';
import type { SkippedImage } from './run-file';
import type { TrainingBatch } from '../lib/methods/method';
import type { BatchSource } from './training-loop';
import { measureHeldBack, type ValidationGroup } from './validation';

/** Sets of which more than this share cannot be read are not trained on. */
const UNREADABLE_SHARE = 0.01;

/** The auxiliary set as training sees it: features of the images to train on, of mosaics, and of images held back. */
export class EncodedSet implements BatchSource {
  /** Where a sample stands in the store; those that could not be read are not there. */
  private readonly places: ReadonlyMap<Sample, number>;
  /** The images that could be read, without mosaics. */
  private readonly originals: readonly { readonly sample: Sample; readonly chosen: number }[];

  /** @param mosaics by epoch, from 1, and by place among the images that were chosen */
  constructor(
    private readonly parts: PreparedRun,
    private readonly training: FeatureStore,
    private readonly validation: FeatureStore | null,
    private readonly mosaics: readonly ReadonlyMap<number, Mosaic>[],
    readonly skipped: readonly SkippedImage[],
  ) {
    this.places = new Map(training.samples.map((sample, place) => [sample, place]));
    this.originals = parts.selection.training.flatMap((sample, chosen) =>
      this.places.has(sample) ? [{ sample, chosen }] : [],
    );
  }

  /** Images in an epoch. */
  get size(): number {
    return this.originals.length;
  }

  batch(epoch: number, places: readonly number[], next?: readonly number[]): Promise<TrainingBatch> {
    const placesOf = (wanted: readonly number[]): number[] =>
      wanted.map((place) => this.places.get(this.sampleAt(epoch, place)) as number);
    return this.training.batch(placesOf(places), next && placesOf(next));
  }

  paths(epoch: number, places: readonly number[]): string[] {
    return places.flatMap((place) => {
      const sample = this.sampleAt(epoch, place);
      return 'tiles' in sample ? (sample as Mosaic).tiles.map(({ imagePath }) => imagePath) : [sample.imagePath];
    });
  }

  /** What stands at a place in an epoch: the image, or the mosaic in its stead, unless one of its tiles cannot be read. */
  private sampleAt(epoch: number, place: number): Sample {
    const { sample, chosen } = this.originals[place] as { sample: Sample; chosen: number };
    const mosaic = this.mosaics[epoch - 1]?.get(chosen);
    return mosaic !== undefined && this.places.has(mosaic) ? mosaic : sample;
  }

  /** Metrics of the prompts as they are now on the images that were held back; null where none were. */
  async validate(): Promise<MetricValues | null> {
    const { model, set } = this.parts;
    if (this.validation === null) return null;
    const groups = groupsOf(set);
    return await measureHeldBack(model, this.validation, (sample) => groups.get(sample) as ValidationGroup);
  }

  async close(): Promise<void> {
    await this.training.close();
    await this.validation?.close();
  }
}

/**
 * Encodes the images of a run, with the mosaics of all its epochs, which are cached as images are.
 * @throws TrainingError `training/unreadable` where more than 1 % of the images cannot be read; what `FeatureStore.encode`
 *   throws
 */
export async function encodeForTraining(parts: PreparedRun, options: TrainOptions): Promise<EncodedSet> {
  const { set, selection, model, record } = parts;
  const skipped: SkippedImage[] = [];
  const total = selection.training.length + selection.validation.length;
  const onUnreadable = (sample: Sample, { message }: Error): void => {
    // The tiles of a mosaic are images of the set: each is told of by itself.
    if ('tiles' in sample) return;
    skipped.push({ path: sample.imagePath, message });
    if (skipped.length <= UNREADABLE_SHARE * total) return;
    throw new TrainingError(
      'training/unreadable',
      `more than 1 % of the ${total} images cannot be read:\n${skipped.map((image) => `  ${image.message}`).join('\n')}\nRepair them or take them out; "crane datasets check" lists all.`,
      { skipped, images: total },
    );
  };
  const { onProgress, signal } = options;
  const cache = cacheUse(parts, options);
  const common = {
    preprocessing: record.preprocessing,
    precision: record.precision,
    onUnreadable,
    ...(cache ? { cache } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
  const groups = groupsOf(set);
  const { epochs, interpolation } = record.training;
  const mosaics = Array.from({ length: epochs }, (_, index) =>
    drawMosaics(
      selection.training,
      (sample) => (groups.get(sample) as ValidationGroup).name,
      record.training,
      index + 1,
    ),
  );
  const wanted = [...selection.training, ...mosaics.flatMap((ofEpoch) => [...ofEpoch.values()])];
  const training = await FeatureStore.encode(model, wanted, { ...common, interpolation });
  // Metrics count pixels, so these masks are kept whole.
  const validation =
    selection.validation.length === 0
      ? null
      : await FeatureStore.encode(model, selection.validation, { ...common, interpolation: 'bilinear' });
  // From here on only the text side computes; of a large network this frees most of its memory.
  model.features?.release();
  return new EncodedSet(parts, training, validation, mosaics, skipped);
}

function cacheUse({ record, backend }: PreparedRun, { cache = {}, onNotice }: TrainOptions): CacheUse | undefined {
  if (cache === false) return undefined;
  return {
    backbone: record.backbone.sha256,
    spatial: record.spatial?.sha256 ?? null,
    backend,
    onWait: () => onNotice?.('Another run encodes the same images; waiting for it, to use its features.'),
    ...(cache.folder === undefined ? {} : { folder: cache.folder }),
    ...(cache.size === undefined ? {} : { limit: cache.size }),
  };
}

function groupsOf({ datasets }: AuxiliarySet): Map<Sample, ValidationGroup> {
  return new Map(
    datasets.flatMap(({ name, hasMasks, categories }) =>
      categories.flatMap((category) =>
        category.samples.map((sample) => [sample, { name: `${name}/${category.name}`, hasMasks }] as const),
      ),
    ),
  );
}

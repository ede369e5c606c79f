import type { BackendInfo } from '../lib/backend';
import { TrainingError } from '../lib/errors';
import type { MetricValues } from '../eval/metrics/metric-ids';
import type { CraneModel } from '../lib/methods/crane/model';
import type { Sample } from '../datasets/dataset';
import type { AuxiliarySet } from './auxiliary-set';
import { FeatureStore, type CacheUse } from './feature-store';
import type { TrainOptions } from './run';
import type { SkippedImage } from './run-file';
import type { RunRecord } from './run-record';
import type { Selection } from './selection';
import type { TrainingBatch } from './trainer';
import type { BatchSource } from './training-loop';
import { measureHeldBack, type ValidationGroup } from './validation';

/** Sets of which more than this share cannot be read are not trained on. */
const UNREADABLE_SHARE = 0.01;

export interface EncodeParts {
  readonly set: AuxiliarySet;
  readonly selection: Selection;
  readonly model: CraneModel;
  readonly record: RunRecord;
  readonly backend: BackendInfo;
}

/** The auxiliary set as training sees it: features of the images to train on, and of those that were held back. */
export class EncodedSet implements BatchSource {
  constructor(
    private readonly parts: EncodeParts,
    private readonly training: FeatureStore,
    private readonly validation: FeatureStore | null,
    readonly skipped: readonly SkippedImage[],
  ) {}

  get size(): number {
    return this.training.size;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  batch(places: readonly number[], next?: readonly number[]): Promise<TrainingBatch> {
    return this.training.batch(places, next);
  }

  paths(places: readonly number[]): string[] {
    return places.map((place) => (this.training.samples[place] as Sample).imagePath);
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
 * Encodes the images of a run.
 * @throws TrainingError `training/unreadable` where more than 1 % of the images cannot be read; what `FeatureStore.encode`
 *   throws
 */
export async function encodeForTraining(parts: EncodeParts, options: TrainOptions): Promise<EncodedSet> {
  const { selection, model, record, backend } = parts;
  const { cache = {}, onProgress, onNotice, signal } = options;
  const skipped: SkippedImage[] = [];
  const total = selection.training.length + selection.validation.length;
  const onUnreadable = ({ imagePath }: Sample, { message }: Error): void => {
    skipped.push({ path: imagePath, message });
    if (skipped.length <= UNREADABLE_SHARE * total) return;
    throw new TrainingError(
      'training/unreadable',
      `more than 1 % of the ${total} images cannot be read:\n${skipped.map((image) => `  ${image.message}`).join('\n')}\nRepair them or take them out; "crane datasets check" lists all.`,
      { skipped, images: total },
    );
  };
  const onWait = (): void => onNotice?.('Another run encodes the same images; waiting for it, to use its features.');
  const kept: CacheUse | undefined =
    cache === false || record.precision === 'float32'
      ? undefined
      : {
          backbone: record.backbone.sha256,
          spatial: record.spatial?.sha256 ?? null,
          backend,
          onWait,
          ...(cache.folder === undefined ? {} : { folder: cache.folder }),
          ...(cache.size === undefined ? {} : { limit: cache.size }),
        };
  const common = { ...(kept ? { cache: kept } : {}), preprocessing: record.preprocessing, onUnreadable, ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) };
  const training = await FeatureStore.encode(model, selection.training, { ...common, interpolation: record.training.interpolation, precision: record.precision });
  // Metrics count pixels, so these masks are kept whole.
  const validation = selection.validation.length === 0 ? null : await FeatureStore.encode(model, selection.validation, { ...common, interpolation: 'bilinear', precision: record.precision });
  // From here on only the text side computes; of a large network this frees most of its memory.
  model.vision.dispose();
  return new EncodedSet(parts, training, validation, skipped);
}

function groupsOf({ datasets }: AuxiliarySet): Map<Sample, ValidationGroup> {
  return new Map(
    datasets.flatMap(({ name, hasMasks, categories }) =>
      categories.flatMap((category) => category.samples.map((sample) => [sample, { name: `${name}/${category.name}`, hasMasks }] as const)),
    ),
  );
}

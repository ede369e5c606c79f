import type { Sample } from '../datasets/dataset';
import { TrainingError } from '../lib/errors';
import { FeatureStore, type CacheUse } from './feature-store';
import { drawMosaics } from './mosaic';
import type { PreparedRun } from './prepare-run';
import type { TrainOptions } from './run-options';
import type { SkippedImage } from './run-file';
import type { LoopParts } from './training-loop';
import { measureHeldBack, validationGroups, type ValidationGroup } from './validation';

/** Sets of which more than this share cannot be read are not trained on. */
const UNREADABLE_SHARE = 0.01;

/**
 * Encodes the images of a run: those to train on, with the mosaics of all epochs, which are cached as images are, and those
 * that are held back.
 * @returns what the training loop takes of them; the images that could not be read; `close`, which the caller calls at the end
 * @throws TrainingError `training/unreadable` where more than 1 % of the images cannot be read; what `FeatureStore.encode`
 *   throws
 */
export async function encodeRun(
  prepared: PreparedRun,
  options: TrainOptions,
): Promise<
  Pick<LoopParts, 'features' | 'placesOf' | 'validate'> & {
    readonly skipped: readonly SkippedImage[];
    close(): Promise<void>;
  }
> {
  const { set, selection, model, record } = prepared;
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
  const cache = cacheUse(prepared, options);
  const common = {
    preprocessing: record.preprocessing,
    precision: record.precision,
    onUnreadable,
    ...(cache ? { cache } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
  const groups = validationGroups(set.datasets);
  const groupOf = (sample: Sample): ValidationGroup => groups.get(sample) as ValidationGroup;
  const { epochs, interpolation } = record.training;
  const mosaics = Array.from({ length: epochs }, (_, index) =>
    drawMosaics(selection.training, (sample) => groupOf(sample).name, record.training, index + 1),
  );
  const wanted = [...selection.training, ...mosaics.flatMap((ofEpoch) => [...ofEpoch.values()])];
  const features = await FeatureStore.encode(model, wanted, { ...common, interpolation });
  // Metrics count pixels, so these masks are kept whole.
  const heldBack =
    selection.validation.length === 0
      ? null
      : await FeatureStore.encode(model, selection.validation, { ...common, interpolation: 'bilinear' });
  // From here on only the text side computes; of a large network this frees most of its memory.
  model.features?.release();
  const places = new Map(features.samples.map((sample, place) => [sample, place]));
  return {
    features,
    skipped,
    placesOf: (epoch) =>
      selection.training.flatMap((sample, chosen) => {
        const place = places.get(sample);
        if (place === undefined) return [];
        const mosaic = mosaics[epoch - 1]?.get(chosen);
        return [(mosaic && places.get(mosaic)) ?? place];
      }),
    validate: async () => heldBack && (await measureHeldBack(model, heldBack, groupOf)),
    close: async () => {
      await features.close();
      await heldBack?.close();
    },
  };
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

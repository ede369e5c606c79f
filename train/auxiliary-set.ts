import { openDataset, type Dataset } from '../datasets/dataset';
import { ensureSynthetic } from '../datasets/ensure-synthetic';
import { DatasetError, TrainingError, UsageError } from '../lib/errors';
import type { OnProgress } from '../lib/progress';
import type { TrainingOptions } from './options';
import { selectSamples, type Selection, type Stratum } from './selection';

export interface OpenAuxiliaryOptions {
  /** Only these categories; each must exist in at least one set. Default: all. */
  readonly categories?: readonly string[] | undefined;
  /** Name of the layout used to read the sets. Default: for each set, the layout that explains most files. */
  readonly layout?: string | undefined;
  /** Treat images without a mask as normal in sets where only masks mark anomalous images. Default false. */
  readonly normalWithoutMask?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The data that prompts are trained on: one set or several, such as an industrial and a medical one
 * (docs/method.md#auxiliary-sets).
 */
export interface AuxiliarySet {
  readonly datasets: readonly Dataset[];
  /** Names of the sets, joined by commas. */
  readonly name: string;
  readonly strata: readonly Stratum[];
}

/**
 * Opens auxiliary sets by registered name or folder; synthetic ones that are missing are generated.
 * @throws DatasetError for a missing set, with where to get it, or an incomplete or empty one; UsageError for a set named
 *   twice, or a category that no set has
 */
export async function openAuxiliarySet(
  namesOrFolders: readonly string[],
  { categories, layout, normalWithoutMask, onProgress, signal }: OpenAuxiliaryOptions = {},
): Promise<AuxiliarySet> {
  if (namesOrFolders.length === 0) {
    throw new UsageError(
      'training/no-auxiliary',
      'no auxiliary set is named; give one or more registered names or folders with `auxiliary`',
    );
  }
  const datasets: Dataset[] = [];
  for (const nameOrFolder of namesOrFolders) {
    await ensureSynthetic(nameOrFolder, { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
    const dataset = await openDataset(nameOrFolder, { layout, normalWithoutMask, onProgress });
    if (datasets.some(({ root, name }) => root === dataset.root || name === dataset.name)) {
      throw new UsageError(
        'training/auxiliary-twice',
        `the auxiliary set ${dataset.name} (${dataset.root}) is named twice, or has the same name as another; rename its folder, or leave it out`,
        { name: dataset.name },
      );
    }
    datasets.push(categories ? onlyCategories(dataset, categories) : dataset);
  }
  refuseUnknownCategories(datasets, categories);
  const used = datasets.filter((dataset) => dataset.categories.length > 0);
  for (const { root, categories: all } of used) {
    if (all.every(({ samples }) => samples.length === 0))
      throw new DatasetError('training/empty', `${root} holds no test images to train on`, { root });
  }
  return { datasets: used, name: used.map(({ name }) => name).join(','), strata: used.flatMap(strataOf) };
}

/**
 * Chooses the images for training and the held-out ones for validation.
 * @throws TrainingError `training/no-anomalous`, `training/no-masks`, `training/nothing-chosen`
 */
export function chooseSamples({ datasets, strata, name }: AuxiliarySet, training: TrainingOptions): Selection {
  const images = strata.reduce((sum, { samples }) => sum + samples.length, 0);
  if (!strata.some(({ anomalous, samples }) => anomalous && samples.length > 0)) {
    const roots = datasets.map(({ root }) => root);
    throw new TrainingError(
      'training/no-anomalous',
      `none of the ${images} images in ${roots.join(' and ')} is anomalous; training needs both normal and anomalous images. ` +
        'Check the set with "crane datasets check"',
      { roots, images },
    );
  }
  const withoutMasks = datasets.find(({ hasMasks }) => !hasMasks);
  if (withoutMasks && training.pixelWeight > 0) {
    throw new TrainingError(
      'training/no-masks',
      `${withoutMasks.root} has labels only for whole images, but the pixel losses need masks; choose a set with masks, or train on image labels alone with \`pixelWeight: 0\``,
      { root: withoutMasks.root },
    );
  }
  const selection = selectSamples(strata, training);
  if (!selection.training.some(({ anomalous }) => anomalous) || selection.training.length < 2) {
    throw new TrainingError(
      'training/nothing-chosen',
      `of the ${images} images of ${name}, a portion of ${training.portion} and ${training.kShot} shots per category leave ` +
        `${selection.training.length}, ${selection.training.filter(({ anomalous }) => anomalous).length} of them anomalous; choose more`,
      { images, chosen: selection.training.length },
    );
  }
  return selection;
}

function onlyCategories(dataset: Dataset, wanted: readonly string[]): Dataset {
  return { ...dataset, categories: dataset.categories.filter(({ name }) => wanted.includes(name)) };
}

function refuseUnknownCategories(datasets: readonly Dataset[], wanted: readonly string[] | undefined): void {
  const found = new Set(datasets.flatMap(({ categories }) => categories.map(({ name }) => name)));
  const unknown = (wanted ?? []).filter((name) => !found.has(name));
  if (unknown.length === 0) return;
  throw new UsageError(
    'training/category',
    `no auxiliary set has the category ${unknown.join(', ')}; "crane datasets check" lists those of a set`,
    { unknown },
  );
}

function strataOf({ name, categories }: Dataset): Stratum[] {
  return categories.flatMap((category) =>
    [false, true].map((anomalous) => ({
      name: `${name}/${category.name}/${anomalous ? 'anomalous' : 'normal'}`,
      anomalous,
      samples: category.samples.filter((sample) => sample.anomalous === anomalous),
    })),
  );
}

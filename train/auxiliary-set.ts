import { openDataset, type Dataset } from '../datasets/dataset';
import { ensureSynthetic } from '../datasets/ensure-synthetic';
import { DatasetError, TrainingError, UsageError } from '../lib/errors';
import type { OnProgress } from '../lib/progress';
import type { TrainingOptions } from './options';
import { selectSamples, type Selection, type Stratum } from './selection';

export interface OpenAuxiliaryOptions {
  /** Only these categories, each of which at least one set has. Default: all. */
  readonly categories?: readonly string[] | undefined;
  /** Name of the layout that the sets are read by. Default: for each the one that explains most files. */
  readonly layout?: string | undefined;
  /** Images without a mask are normal, where only masks say which are anomalous. Default false. */
  readonly normalWithoutMask?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What prompts are trained on: one set, or several, such as an industrial and a medical one
 * (docs/method.md#auxiliary-sets).
 */
export interface AuxiliarySet {
  readonly datasets: readonly Dataset[];
  /** Names of the sets, joined by commas. */
  readonly name: string;
  readonly strata: readonly Stratum[];
}

/**
 * Opens auxiliary sets by registered name or folder; drawn ones that are not there are drawn.
 * @throws DatasetError for a set that is not there, with where to get it, or that is incomplete or empty; UsageError for
 *   a set named twice, or a category that none has
 */
export async function openAuxiliarySet(
  namesOrFolders: readonly string[],
  { categories, layout, normalWithoutMask, onProgress, signal }: OpenAuxiliaryOptions = {},
): Promise<AuxiliarySet> {
  if (namesOrFolders.length === 0) {
    throw new UsageError(
      'training/no-auxiliary',
      'no auxiliary set is named; give a registered name or a folder, or several, with `auxiliary`',
    );
  }
  const datasets: Dataset[] = [];
  for (const nameOrFolder of namesOrFolders) {
    await ensureSynthetic(nameOrFolder, { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
    const dataset = await openDataset(nameOrFolder, { layout, normalWithoutMask, onProgress });
    if (datasets.some(({ root, name }) => root === dataset.root || name === dataset.name)) {
      throw new UsageError(
        'training/auxiliary-twice',
        `the auxiliary set ${dataset.name} (${dataset.root}) is named twice, or has the name of another; rename its folder, or leave it out`,
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
 * Chooses the images that are trained on, and those held back.
 * @throws TrainingError `training/no-anomalous`, `training/no-masks`, `training/nothing-chosen`
 */
export function chooseSamples({ datasets, strata, name }: AuxiliarySet, training: TrainingOptions): Selection {
  const images = strata.reduce((sum, { samples }) => sum + samples.length, 0);
  if (!strata.some(({ anomalous, samples }) => anomalous && samples.length > 0)) {
    const roots = datasets.map(({ root }) => root);
    throw new TrainingError(
      'training/no-anomalous',
      `none of the ${images} images in ${roots.join(' and ')} is anomalous; prompts are learned from images of both kinds. ` +
        'Check the set with "crane datasets check"',
      { roots, images },
    );
  }
  const withoutMasks = datasets.find(({ hasMasks }) => !hasMasks);
  if (withoutMasks && training.pixelWeight > 0) {
    throw new TrainingError(
      'training/no-masks',
      `${withoutMasks.root} has labels per image only, but the pixel losses need masks; choose a set with masks, or train on image labels alone with \`pixelWeight: 0\``,
      { root: withoutMasks.root },
    );
  }
  const selection = selectSamples(strata, training);
  if (!selection.training.some(({ anomalous }) => anomalous) || selection.training.length < 2) {
    throw new TrainingError(
      'training/nothing-chosen',
      `of the ${images} images of ${name} a portion of ${training.portion} and ${training.kShot} shots per category leave ` +
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

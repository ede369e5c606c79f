import * as path from 'node:path';
import { DatasetError, UsageError } from '../lib/errors';
import { standInRecordOf } from './stand-in-record';
import { realPath, statOf, type CountedFile } from './inventory';
import { bareFolderLayout } from './layouts/bare-folder';
import { settleMasks } from './mask-content';
import type { RegisteredDataset } from './registry';
import { countSamples, type Category, type Dataset, type DatasetProblem, type Sample } from './sample';
import { surveyDataset, type Survey, type SurveyOptions } from './survey';

export type { Category, Dataset, Sample } from './sample';
export { countSamples } from './sample';

export interface OpenDatasetOptions extends SurveyOptions {
  /** Only these categories, in the set's own order. Default: all. */
  readonly categories?: readonly string[];
  /** Open a set with errors, such as missing masks, and leave them in `problems`. Default false. */
  readonly allowIncomplete?: boolean;
}

/**
 * Opens the test split of a registered set, of any folder in a known layout, or of a CSV list. The layout that explains
 * most files is taken. Only names and lists are read, and masks where they alone say what an image is; images are opened
 * by whoever needs them (or by `checkDataset`). Where the set itself is in a nested folder, as archives unpack,
 * that one is taken.
 *
 * @throws DatasetError `dataset/absent` (registered, not on disk), `dataset/folder-missing`, `dataset/layout`,
 *   `dataset/incomplete`; UsageError `dataset/category` for a category that the set does not have, `dataset/unknown-layout`
 */
export async function openDataset(nameOrFolder: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const survey = surveyDataset(nameOrFolder, options);
  const { root, entry, reading } = survey;
  const derived = (await reading.derive?.()) ?? { categories: reading.categories, problems: [] };
  const there = onlyFiles(chooseCategories(derived.categories, options.categories, root));
  const once = countOnce(root, there.categories);
  const settled = await settleMasks(root, once.categories, reading.labelledByMasks !== true);
  const { categories } = settled;
  const found = [
    ...survey.problems,
    ...reading.problems,
    ...derived.problems,
    ...there.problems,
    ...once.problems,
    ...settled.problems,
  ];
  const problems = [
    ...standIn(root),
    ...unlabelled(root, survey.layout),
    ...withoutEffect(survey, options),
    ...found,
    ...leftOver(survey.folder, survey.leftOut, found),
    ...takenForLost(root, reading, found),
    ...absentCategories(derived.categories, entry, root),
  ];
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0 && !options.allowIncomplete) throw incomplete(root, errors, reading.labelledByMasks === true);
  return {
    name: survey.name,
    root,
    kind: entry?.kind ?? 'unknown',
    layout: survey.layout,
    hasMasks: reading.hasMasks,
    hasLabels: survey.layout !== bareFolderLayout.name,
    categories,
    leftOut: survey.leftOut.map(({ path: file }) => file),
    problems,
  };
}

/**
 * What was read of a set, in one line: `masks-beside layout: 1344 images, 392 with masks; 2 files are not part of it`.
 * Masks of normal images, which mark nothing, are not counted.
 */
export function describeReading({
  layout,
  categories,
  hasMasks,
  hasLabels,
  leftOut,
}: Pick<Dataset, 'layout' | 'categories' | 'hasMasks' | 'hasLabels' | 'leftOut'>): string {
  const samples = categories.flatMap((category) => category.samples);
  const { images, anomalous } = countSamples(categories);
  const masked = samples.filter((sample) => sample.anomalous && sample.hasMask).length;
  const parts = [`${images} image${images === 1 ? '' : 's'}`];
  if (hasLabels && (!hasMasks || masked !== anomalous)) parts.push(`${anomalous} anomalous`);
  parts.push(!hasLabels ? 'no labels' : hasMasks ? `${masked} with masks` : 'no masks');
  return `${layout} layout: ${parts.join(', ')}${leftOut.length === 0 ? '' : `; ${partOfIt(leftOut.length)}`}`;
}

function partOfIt(count: number): string {
  return count === 1 ? '1 file is not part of it' : `${count} files are not part of it`;
}

/** Files that were not yet reported, by folder. */
function leftOver(folder: string, leftOut: readonly CountedFile[], said: readonly DatasetProblem[]): DatasetProblem[] {
  const named = new Set(said.map((problem) => problem.path));
  const files = leftOut.filter(({ path: file }) => !named.has(file));
  if (files.length === 0) return [];
  const count = (kind: CountedFile['kind'], one: string, more: string): string[] => {
    const of = files.filter((file) => file.kind === kind).length;
    return of === 0 ? [] : [`${of} ${of === 1 ? one : more}`];
  };
  const counts = [...count('picture', 'image', 'images'), ...count('list', 'list or label', 'lists or labels')].join(
    ' and ',
  );
  const message = `${partOfIt(files.length)} (${counts}), in ${folder}: ${placesOf(folder, files).join(', ')}`;
  return [{ kind: 'left-out', severity: 'warning', path: folder, message }];
}

const shownPlaces = 6;

/** Names of single files, and folders of several with how many. */
function placesOf(root: string, files: readonly CountedFile[]): string[] {
  const byFolder = new Map<string, string[]>();
  for (const { path: file } of files)
    byFolder.set(path.dirname(file), [...(byFolder.get(path.dirname(file)) ?? []), file]);
  const places = [...byFolder].flatMap(([folder, inside]) =>
    inside.length <= 2
      ? inside.map((file) => path.relative(root, file))
      : [`${path.relative(root, folder) || '.'}${path.sep} (${inside.length})`],
  );
  return places.length <= shownPlaces
    ? places
    : [...places.slice(0, shownPlaces - 1), `and ${places.length - shownPlaces + 1} more places`];
}

/** Anything but a file, such as a pipe or a dangling link, could not be read or would never end. */
function onlyFiles(categories: readonly Category[]): { categories: readonly Category[]; problems: DatasetProblem[] } {
  const problems: DatasetProblem[] = [];
  const isFile = (file: string): boolean => {
    const stat = statOf(file);
    if (stat?.isFile()) return true;
    const what = stat === undefined ? 'a link that leads nowhere' : stat.isFIFO() ? 'a named pipe' : 'not a file';
    problems.push({
      kind: 'unreadable',
      severity: 'error',
      path: file,
      message: `${file} is ${what} and is skipped; expected an image`,
    });
    return false;
  };
  const kept = categories.map((category) => ({
    ...category,
    samples: category.samples
      .filter(({ imagePath }) => isFile(imagePath))
      .map((sample): Sample => {
        const { maskParts, ...rest } = sample;
        const masks = (maskParts ?? [sample.maskPath]).filter((mask) => mask !== null && isFile(mask));
        if (masks.length === (maskParts?.length ?? (sample.maskPath === null ? 0 : 1))) return sample;
        // A missing part of a union leaves the union unknown.
        return { ...rest, maskPath: null, hasMask: false };
      }),
  }));
  return { categories: kept, problems };
}

/** A fake set has the name of a real one; nobody should mistake its figures for those. */
function standIn(root: string): DatasetProblem[] {
  const record = standInRecordOf(root);
  if (record === undefined) return [];
  return [
    {
      kind: 'drawn',
      severity: 'warning',
      path: root,
      message: `${root} is a synthetic stand-in for ${record.fakeOf}: its figures say nothing about the real set`,
    },
  ];
}

/** A set with a missing folder may look like a plain folder of images, so this is never assumed silently. */
function unlabelled(root: string, layout: string): DatasetProblem[] {
  if (layout !== bareFolderLayout.name) return [];
  return [
    {
      kind: 'unlabelled-image',
      severity: 'warning',
      path: root,
      message: `${root} is in no known layout: its images are taken as they are, without labels`,
    },
  ];
}

/** Where there are no masks, the folders or a list say what an image is. */
function withoutEffect(
  { root, layout, reading }: Survey,
  { normalWithoutMask = false }: OpenDatasetOptions,
): DatasetProblem[] {
  if (!normalWithoutMask || reading.hasMasks || layout === bareFolderLayout.name) return [];
  return [
    {
      kind: 'ambiguous',
      severity: 'warning',
      path: root,
      message: `treating images without a mask as normal changes nothing in ${root}: there are no masks, and its folders or its list say what its images are`,
    },
  ];
}

/** Only masks say which images are anomalous, so that those without one may as well be normal. */
function takenForLost(
  root: string,
  { labelledByMasks, hasMasks }: Survey['reading'],
  found: readonly DatasetProblem[],
): DatasetProblem[] {
  const lost = found.filter(({ kind }) => kind === 'missing-mask').length;
  if (labelledByMasks !== true || !hasMasks || lost === 0) return [];
  const images =
    lost === 1
      ? '1 image without a mask counts as anomalous, its mask as missing'
      : `${lost} images without a mask count as anomalous, their masks as missing`;
  return [
    {
      kind: 'ambiguous',
      severity: 'warning',
      path: root,
      message: `${images}; where such images are normal, say so (\`normalWithoutMask: true\`)`,
    },
  ];
}

/** A link may lead to images that are in the set already: each file counts once, under the name that is not a link. */
function countOnce(
  root: string,
  categories: readonly Category[],
): { categories: readonly Category[]; problems: DatasetProblem[] } {
  const ways = new Map<string, Sample[]>();
  for (const sample of categories.flatMap(({ samples }) => samples)) {
    const real = realPath(sample.imagePath) ?? sample.imagePath;
    ways.set(real, [...(ways.get(real) ?? []), sample]);
  }
  const again = new Set(
    [...ways].flatMap(([real, samples]) => {
      const kept = samples.find(({ imagePath }) => imagePath === real) ?? samples[0];
      return samples.filter((sample) => sample !== kept);
    }),
  );
  if (again.size === 0) return { categories, problems: [] };
  const [example] = again;
  const message = `${again.size} image${again.size === 1 ? ' is' : 's are'} reached twice, by links or lists, and count${again.size === 1 ? 's' : ''} once: ${example?.imagePath}`;
  const remaining = categories.map((category) => ({
    ...category,
    samples: category.samples.filter((sample) => !again.has(sample)),
  }));
  return {
    categories: remaining.filter(({ samples }, index) => samples.length > 0 || categories[index]?.samples.length === 0),
    problems: [{ kind: 'duplicate', severity: 'warning', path: root, message }],
  };
}

function chooseCategories(
  all: readonly Category[],
  wanted: readonly string[] | undefined,
  root: string,
): readonly Category[] {
  if (wanted === undefined) return all;
  const names = all.map((category) => category.name);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(
      'dataset/category',
      `${root} has no category ${unknown.join(', ')}. It has: ${names.join(', ')}.`,
      { unknown, names },
    );
  }
  return all.filter((category) => wanted.includes(category.name));
}

function absentCategories(
  found: readonly Category[],
  entry: RegisteredDataset | undefined,
  root: string,
): DatasetProblem[] {
  // Medical packs name their one category in different ways, so only lists of several are compared.
  if (entry === undefined || entry.categories.length < 2) return [];
  const names = new Set(found.map((category) => category.name.toLowerCase()));
  const absent = entry.categories.filter((name) => !names.has(name.toLowerCase()));
  if (absent.length === 0) return [];
  const message = `${root} has ${found.length} of the ${entry.categories.length} categories of ${entry.title}; missing: ${absent.join(', ')}`;
  return [{ kind: 'missing-category', severity: 'warning', path: root, message }];
}

function incomplete(root: string, errors: readonly DatasetProblem[], labelledByMasks: boolean): DatasetError {
  const shown = errors.slice(0, 5).map((problem) => `  ${problem.message}`);
  const more = errors.length > 5 ? `\n  and ${errors.length - 5} more: crane datasets check ${root}` : '';
  const onlyDefects = labelledByMasks && errors.some(({ kind }) => kind === 'missing-mask');
  const normal = onlyDefects ? ' Where images without a mask are normal, say so (`normalWithoutMask: true`).' : '';
  return new DatasetError(
    'dataset/incomplete',
    `${root} is not complete:\n${shown.join('\n')}${more}\nRepair the set, leave the category out, or proceed without what is missing (\`allowIncomplete: true\`).${normal}`,
    { path: root, problems: errors.length, missing: errors.map((problem) => problem.path) },
  );
}

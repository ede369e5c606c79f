import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatasetError, UsageError } from '../lib/errors';
import { nearestName } from '../lib/nearest-name';
import type { OnProgress } from '../lib/progress';
import { dataFolder, findDatasetFolder, presentDatasets } from './data-folder';
import { fakeRecordOf } from './fakes/fake-record';
import { layouts } from './layouts';
import { bareFolderLayout } from './layouts/bare-folder';
import { csvFileLayout } from './layouts/csv-list';
import type { Layout } from './layouts/layout';
import { listFolders, stem } from './listing';
import { settleMasks } from './mask-content';
import { findRegisteredDataset, registeredDatasetOfFolder, registeredDatasets, type RegisteredDataset } from './registry';
import type { Category, Dataset, DatasetProblem, Sample } from './sample';

export type { Category, Dataset, DatasetCounts, DatasetProblem, Sample } from './sample';
export { countSamples } from './sample';

export interface OpenDatasetOptions {
  /** Folder that registered names are looked for in. Default: `dataFolder()`. */
  readonly dataFolder?: string;
  /** Only these categories, in the set's own order. Default: all. */
  readonly categories?: readonly string[];
  /** Open a set with errors, such as missing masks, and leave them in `problems`. Default false. */
  readonly allowIncomplete?: boolean;
  /** Take a folder of pictures without labels as well. Default false. */
  readonly allowUnlabelled?: boolean;
  /** Hears of work that some sets need once, such as cutting KolektorSDD into tiles. */
  readonly onProgress?: OnProgress;
}

/**
 * Opens the test split of a registered set, of any folder in a known layout, or of a CSV list. Only names are read;
 * pictures are opened by whoever wants them (or by `checkDataset`). Where the set itself lies in a folder in the folder,
 * as archives unpack, that one is taken.
 *
 * @throws DatasetError `dataset/absent` (registered, not on disk), `dataset/folder-missing`, `dataset/layout`,
 *   `dataset/incomplete`; UsageError `dataset/category` for a category that the set has not
 */
export async function openDataset(nameOrFolder: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const located = locate(nameOrFolder, options.dataFolder ?? dataFolder());
  const { root, layout } = located.layout === undefined ? layoutOf(located.root, located.entry, options) : { root: located.root, layout: located.layout };
  const entry = located.entry ?? (root === located.root ? undefined : registeredDatasetOfFolder(path.basename(root)));
  const reading = await layout.read(root, {
    category: entry?.categories.length === 1 ? (entry.categories[0] as string) : null,
    expectMasks: entry?.hasMasks ?? true,
    registered: entry !== undefined,
    ...(options.onProgress && { onProgress: options.onProgress }),
  });
  const once = countOnce(root, chooseCategories(reading.categories, options.categories, root));
  const settled = await settleMasks(root, once.categories, reading.labelledByMasks !== true);
  const { categories } = settled;
  const problems = [...standIn(root), ...unlabelled(root, layout), ...reading.problems, ...once.problems, ...settled.problems, ...absentCategories(reading.categories, entry, root)];
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0 && !options.allowIncomplete) throw incomplete(root, errors);
  return {
    name: entry?.name ?? located.name,
    root,
    kind: entry?.kind ?? 'unknown',
    layout: layout.name,
    hasMasks: reading.hasMasks,
    hasLabels: layout !== bareFolderLayout,
    categories,
    problems,
  };
}

/** A fake set lies under the name of a real one; nobody should take its figures for those. */
function standIn(root: string): DatasetProblem[] {
  const record = fakeRecordOf(root);
  if (record === undefined) return [];
  return [{ kind: 'drawn', severity: 'warning', path: root, message: `${root} is a drawn stand-in of ${record.fakeOf}: its figures say nothing about the real set` }];
}

/** A set that lost a folder may look like a plain folder of images, so that this is never taken in silence. */
function unlabelled(root: string, layout: Layout): DatasetProblem[] {
  if (layout !== bareFolderLayout) return [];
  return [{ kind: 'unlabelled-image', severity: 'warning', path: root, message: `${root} is in no known layout: its pictures are taken as they are, without labels` }];
}

interface Located {
  readonly root: string;
  readonly entry: RegisteredDataset | undefined;
  /** What it is called where it is not registered. */
  readonly name: string;
  /** Set where a file was named, which says how it is to be read. */
  readonly layout?: Layout;
}

/** A registered name means the set in the data folder; `./name` means the folder. */
function locate(nameOrFolder: string, data: string): Located {
  const named = findRegisteredDataset(nameOrFolder);
  if (named !== undefined) {
    const folder = findDatasetFolder(named, data);
    if (folder === undefined) throw absentDataset(named, data);
    return { root: folder, entry: named, name: named.name };
  }
  const root = path.resolve(nameOrFolder);
  const stat = fs.statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return { root, entry: registeredDatasetOfFolder(path.basename(root)), name: path.basename(root) };
  const list = stat?.isFile() && /\.(csv|tsv)$/i.test(root) ? csvFileLayout(root) : undefined;
  if (list?.fits(root)) return { root: path.dirname(root), entry: undefined, name: stem(root), layout: list };
  if (list !== undefined) throw new DatasetError('dataset/layout', `${root} has no columns for an image and for its label or mask. Expected ${list.looksFor}.`, { path: root });
  const names = registeredDatasets.map((entry) => entry.name);
  const found = stat === undefined ? 'is neither a registered set nor a folder' : 'is a file, not a folder';
  const near = nearestName(nameOrFolder.toLowerCase(), names);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  throw new DatasetError('dataset/folder-missing', `"${nameOrFolder}" ${found}.${hint} Give a folder (looked at ${root}), or one of: ${names.join(', ')}.`, { path: root, names });
}

/** Says all that a person needs to get the set. */
export function absentDataset(entry: RegisteredDataset, data: string): DatasetError {
  const present = presentDatasets(data).map((item) => item.name);
  const place = path.join(data, entry.folders[0] ?? entry.name);
  const where = `${entry.title} is not in ${data}.`;
  const fetching = entry.archives.length > 0 ? `\n  or: crane datasets fetch ${entry.name} --accept-license` : '';
  const here = `Sets present: ${present.length > 0 ? present.join(', ') : 'none'}.`;
  const message =
    entry.kind === 'drawn'
      ? `${where}\n  It is drawn, not downloaded: crane datasets synthesize\n  ${here}`
      : `${where}\n  Get it from: ${entry.source}${fetching}\n  Licence: ${entry.licence}\n  Size: ${entry.downloadSize ?? 'not known'}\n  Unpack to: ${place} (or name another folder with CRANE_DATA, or give the path of the set)\n  ${here}`;
  return new DatasetError('dataset/absent', message, { name: entry.name, source: entry.source, licence: entry.licence, place, present });
}

function layoutOf(folder: string, entry: RegisteredDataset | undefined, options: OpenDatasetOptions): { root: string; layout: Layout } {
  const preferred = (entry?.layouts ?? []).flatMap((name) => layouts.filter((layout) => layout.name === name));
  const tried = [...preferred, ...layouts.filter((layout) => !preferred.includes(layout))];
  const fitting = (root: string): { root: string; layout: Layout } | undefined => {
    const layout = tried.find((candidate) => candidate.fits(root));
    return layout && { root, layout };
  };
  const found = fitting(folder) ?? nested(folder, entry, fitting);
  if (found !== undefined) return found;
  if (options.allowUnlabelled && bareFolderLayout.fits(folder)) return { root: folder, layout: bareFolderLayout };
  const looked = tried.map((candidate) => `  ${candidate.name}: ${candidate.looksFor}`).join('\n');
  const children = fs.readdirSync(folder).sort();
  const has = children.length === 0 ? 'it is empty' : `it has ${children.slice(0, 8).join(', ')}${children.length > 8 ? `, and ${children.length - 8} more` : ''}`;
  throw new DatasetError('dataset/layout', `${folder} is in no known layout: ${has}. Looked for:\n${looked}`, { path: folder, children: children.slice(0, 50) });
}

/** Archives unpack to folders in folders: so deep they are looked into, and no wider, since any folder may be named. */
const NESTED_FOLDERS = 3;
const MOST_FOLDERS = 300;

/** The only folder below that fits, at the least depth at which any does; among several, the one that is called as the set. */
function nested<Fit extends { root: string }>(folder: string, entry: RegisteredDataset | undefined, fitting: (root: string) => Fit | undefined): Fit | undefined {
  let level = [folder];
  for (let depth = 1; depth <= NESTED_FOLDERS; depth++) {
    level = level.flatMap(listFolders);
    if (level.length > MOST_FOLDERS) return undefined;
    const found = level.flatMap((root) => fitting(root) ?? []);
    if (found.length === 0) continue;
    const called = found.find(({ root }) => entry !== undefined && registeredDatasetOfFolder(path.basename(root)) === entry);
    if (called !== undefined || found.length === 1) return called ?? found[0];
    const roots = found.map(({ root }) => root);
    throw new DatasetError('dataset/layout', `${folder} is in no known layout, but ${roots.length} folders in it are: ${roots.slice(0, 5).join(', ')}. Give one of them.`, { path: folder, nested: roots });
  }
  return undefined;
}

/** A link may lead to images that are in the set already: each file counts once, under the name that is no link. */
function countOnce(root: string, categories: readonly Category[]): { categories: readonly Category[]; problems: DatasetProblem[] } {
  const ways = new Map<string, Sample[]>();
  for (const sample of categories.flatMap(({ samples }) => samples)) {
    const real = fs.realpathSync.native(sample.imagePath);
    ways.set(real, [...(ways.get(real) ?? []), sample]);
  }
  const again = new Set([...ways].flatMap(([real, samples]) => {
    const kept = samples.find(({ imagePath }) => imagePath === real) ?? samples[0];
    return samples.filter((sample) => sample !== kept);
  }));
  if (again.size === 0) return { categories, problems: [] };
  const [example] = again;
  const message = `${again.size} image${again.size === 1 ? ' is' : 's are'} reached twice, by links or lists, and count${again.size === 1 ? 's' : ''} once: ${example?.imagePath}`;
  const remaining = categories.map((category) => ({ ...category, samples: category.samples.filter((sample) => !again.has(sample)) }));
  return { categories: remaining.filter(({ samples }, index) => samples.length > 0 || categories[index]?.samples.length === 0), problems: [{ kind: 'duplicate', severity: 'warning', path: root, message }] };
}

function chooseCategories(all: readonly Category[], wanted: readonly string[] | undefined, root: string): readonly Category[] {
  if (wanted === undefined) return all;
  const names = all.map((category) => category.name);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new UsageError('dataset/category', `${root} has no category ${unknown.join(', ')}. It has: ${names.join(', ')}.`, { unknown, names });
  }
  return all.filter((category) => wanted.includes(category.name));
}

function absentCategories(found: readonly Category[], entry: RegisteredDataset | undefined, root: string): DatasetProblem[] {
  // Medical packs name their one category in different ways, so only lists of several are compared.
  if (entry === undefined || entry.categories.length < 2) return [];
  const names = new Set(found.map((category) => category.name.toLowerCase()));
  const absent = entry.categories.filter((name) => !names.has(name.toLowerCase()));
  if (absent.length === 0) return [];
  const message = `${root} has ${found.length} of the ${entry.categories.length} categories of ${entry.title}; missing: ${absent.join(', ')}`;
  return [{ kind: 'missing-category', severity: 'warning', path: root, message }];
}

function incomplete(root: string, errors: readonly DatasetProblem[]): DatasetError {
  const shown = errors.slice(0, 5).map((problem) => `  ${problem.message}`);
  const more = errors.length > 5 ? `\n  and ${errors.length - 5} more: crane datasets check ${root}` : '';
  return new DatasetError(
    'dataset/incomplete',
    `${root} is not complete:\n${shown.join('\n')}${more}\nRepair the set, leave the category out, or go on without what is missing (\`allowIncomplete: true\`).`,
    { path: root, problems: errors.length, missing: errors.map((problem) => problem.path) },
  );
}

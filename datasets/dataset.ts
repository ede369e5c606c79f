import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatasetError, UsageError } from '../lib/errors';
import { dataFolder, findDatasetFolder, presentDatasets } from './data-folder';
import { layouts } from './layouts';
import { bareFolderLayout } from './layouts/bare-folder';
import type { Layout } from './layouts/layout';
import { findRegisteredDataset, registeredDatasetOfFolder, registeredDatasets, type RegisteredDataset } from './registry';
import type { Category, Dataset, DatasetProblem } from './sample';

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
}

/**
 * Opens the test split of a registered set or of any folder in a known layout. Only names are read; pictures are
 * opened by whoever wants them (or by `checkDataset`).
 *
 * @throws DatasetError `dataset/absent` (registered, not on disk), `dataset/folder-missing`, `dataset/layout`,
 *   `dataset/incomplete`; UsageError `dataset/category` for a category that the set has not
 */
export async function openDataset(nameOrFolder: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const { root, entry } = locate(nameOrFolder, options.dataFolder ?? dataFolder());
  const layout = layoutOf(root, entry, options);
  const reading = layout.read(root, {
    category: entry?.categories.length === 1 ? (entry.categories[0] as string) : null,
    expectMasks: entry?.hasMasks ?? true,
  });
  const categories = chooseCategories(reading.categories, options.categories, root);
  const problems = [...reading.problems, ...absentCategories(reading.categories, entry, root)];
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0 && !options.allowIncomplete) throw incomplete(root, errors);
  return {
    name: entry?.name ?? path.basename(root),
    root,
    kind: entry?.kind ?? 'unknown',
    layout: layout.name,
    hasMasks: reading.hasMasks,
    hasLabels: layout !== bareFolderLayout,
    categories,
    problems,
  };
}

/** A registered name means the set in the data folder; `./name` means the folder. */
function locate(nameOrFolder: string, data: string): { root: string; entry: RegisteredDataset | undefined } {
  const named = findRegisteredDataset(nameOrFolder);
  if (named !== undefined) {
    const folder = findDatasetFolder(named, data);
    if (folder === undefined) throw absentDataset(named, data);
    return { root: folder, entry: named };
  }
  const root = path.resolve(nameOrFolder);
  const stat = fs.statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return { root, entry: registeredDatasetOfFolder(path.basename(root)) };
  const names = registeredDatasets.map((entry) => entry.name);
  const found = stat === undefined ? 'is neither a registered set nor a folder' : 'is a file, not a folder';
  throw new DatasetError('dataset/folder-missing', `"${nameOrFolder}" ${found}. Give a folder (looked at ${root}), or one of: ${names.join(', ')}.`, { path: root, names });
}

/** Says all that a person needs to get the set. */
export function absentDataset(entry: RegisteredDataset, data: string): DatasetError {
  const present = presentDatasets(data).map((item) => item.name);
  const place = path.join(data, entry.folders[0] ?? entry.name);
  const where = `${entry.title} is not in ${data}.`;
  const here = `Sets present: ${present.length > 0 ? present.join(', ') : 'none'}.`;
  const message =
    entry.kind === 'drawn'
      ? `${where}\n  It is drawn, not downloaded: crane datasets synthesize\n  ${here}`
      : `${where}\n  Get it from: ${entry.source}\n  Licence: ${entry.licence}\n  Size: ${entry.downloadSize ?? 'not known'}\n  Unpack to: ${place} (or name another folder with CRANE_DATA, or give the path of the set)\n  ${here}`;
  return new DatasetError('dataset/absent', message, { name: entry.name, source: entry.source, licence: entry.licence, place, present });
}

function layoutOf(root: string, entry: RegisteredDataset | undefined, options: OpenDatasetOptions): Layout {
  const preferred = (entry?.layouts ?? []).flatMap((name) => layouts.filter((layout) => layout.name === name));
  const tried = [...preferred, ...layouts.filter((layout) => !preferred.includes(layout)), ...(options.allowUnlabelled ? [bareFolderLayout] : [])];
  const layout = tried.find((candidate) => candidate.fits(root)) ?? soleChildLayout(root, tried);
  if (layout !== undefined) return layout;
  const looked = tried.map((candidate) => `  ${candidate.name}: ${candidate.looksFor}`).join('\n');
  const children = fs.readdirSync(root).sort();
  const found = children.length === 0 ? 'it is empty' : `it has ${children.slice(0, 8).join(', ')}${children.length > 8 ? `, and ${children.length - 8} more` : ''}`;
  throw new DatasetError('dataset/layout', `${root} is in no known layout: ${found}. Looked for:\n${looked}`, { path: root, children: children.slice(0, 50) });
}

/** Archives often unpack to a folder in a folder; then the message names the inner one instead of guessing. */
function soleChildLayout(root: string, tried: readonly Layout[]): Layout | undefined {
  const inner = fs.readdirSync(root, { withFileTypes: true }).filter((child) => child.isDirectory() && !child.name.startsWith('.'));
  const nested = inner.map((child) => path.join(root, child.name)).find((folder) => tried.some((layout) => layout.fits(folder)));
  if (nested === undefined) return undefined;
  throw new DatasetError('dataset/layout', `${root} is in no known layout, but ${nested} in it is: give that folder, or move its content up.`, { path: root, nested });
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
    `${root} is not complete:\n${shown.join('\n')}${more}\nRepair the set, leave the category out, or go on without what is missing (--allow-incomplete).`,
    { path: root, problems: errors.length, missing: errors.map((problem) => problem.path) },
  );
}

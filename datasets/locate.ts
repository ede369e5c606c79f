import * as path from 'node:path';
import { DatasetError } from '../lib/errors';
import { nearestName } from '../lib/nearest-name';
import { findDatasetFolder, presentDatasets } from './data-folder';
import { statOf } from './inventory';
import { csvFileLayout } from './layouts/csv-list';
import type { Layout } from './layouts/layout';
import { stem } from './listing';
import {
  findRegisteredDataset,
  registeredDatasetOfFolder,
  registeredDatasets,
  type RegisteredDataset,
} from './registry';

export interface Located {
  readonly root: string;
  readonly entry: RegisteredDataset | undefined;
  /** What it is called where it is not registered. */
  readonly name: string;
  /** Set where a file was named, which says how it is to be read. */
  readonly layout?: Layout;
}

/** A registered name means the set in the data folder; `./name` means the folder. */
export function locate(nameOrFolder: string, data: string): Located {
  const named = findRegisteredDataset(nameOrFolder);
  if (named !== undefined) {
    const folder = findDatasetFolder(named, data);
    if (folder === undefined) throw absentDataset(named, data);
    return { root: folder, entry: named, name: named.name };
  }
  const root = path.resolve(nameOrFolder);
  const stat = statOf(root);
  if (stat?.isDirectory())
    return { root, entry: registeredDatasetOfFolder(path.basename(root)), name: path.basename(root) };
  const list = stat?.isFile() && /\.(csv|tsv)$/i.test(root) ? csvFileLayout(root) : undefined;
  if (list?.fits(root)) return { root: path.dirname(root), entry: undefined, name: stem(root), layout: list };
  if (list !== undefined)
    throw new DatasetError(
      'dataset/layout',
      `${root} has no columns for an image and for its label or mask. Expected ${list.looksFor}.`,
      { path: root },
    );
  const names = registeredDatasets.map((entry) => entry.name);
  const found = stat === undefined ? 'is neither a registered set nor a folder' : 'is a file, not a folder';
  const near = nearestName(nameOrFolder.toLowerCase(), names);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  throw new DatasetError(
    'dataset/folder-missing',
    `"${nameOrFolder}" ${found}.${hint} Give a folder (looked at ${root}), or one of: ${names.join(', ')}.`,
    { path: root, names },
  );
}

/** Says everything that a person needs to get the set. */
function absentDataset(entry: RegisteredDataset, data: string): DatasetError {
  const present = presentDatasets(data).map((item) => item.name);
  const place = path.join(data, entry.folders[0] ?? entry.name);
  const where = `${entry.title} is not in ${data}.`;
  const fetching = entry.archives.length > 0 ? `\n  or: crane datasets fetch ${entry.name} --accept-license` : '';
  const here = `Sets present: ${present.length > 0 ? present.join(', ') : 'none'}.`;
  const message =
    entry.kind === 'drawn'
      ? `${where}\n  It is synthetic, not downloaded: crane datasets synthesize\n  ${here}`
      : `${where}\n  Get it from: ${entry.source}${fetching}\n  Licence: ${entry.licence}\n  Size: ${entry.downloadSize ?? 'not known'}\n  Unpack to: ${place} (or name another folder with CRANE_DATA, or give the path of the set)\n  ${here}`;
  return new DatasetError('dataset/absent', message, {
    name: entry.name,
    source: entry.source,
    licence: entry.licence,
    place,
    present,
  });
}

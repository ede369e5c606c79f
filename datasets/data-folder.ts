import * as fs from 'node:fs';
import * as path from 'node:path';
import { cacheFolder } from '../lib/files/cache-folder';
import { childFolder } from './listing';
import { bundleFolders, registeredDatasets, type RegisteredDataset } from './registry';

/**
 * Where sets are looked for and the synthetic ones written: `CRANE_DATA`; else `datasets/data` of the checkout; else, when
 * this is an installed package, `data` in the cache folder. Absolute; it may not exist yet.
 */
export function dataFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment['CRANE_DATA'];
  if (named !== undefined && named !== '') return path.resolve(named);
  const root = packageRoot(__dirname);
  const installed = root === undefined || root.split(path.sep).includes('node_modules');
  return installed ? path.join(cacheFolder(environment), 'data') : path.join(root, 'datasets', 'data');
}

/** The folder of a registered set under the data folder; undefined where it is missing. */
export function findDatasetFolder(entry: RegisteredDataset, folder: string = dataFolder()): string | undefined {
  const bundles = bundleFolders.flatMap((name) => childFolder(folder, name) ?? []);
  const places = [
    folder,
    ...bundles,
    ...bundles.flatMap((bundle) => bundleFolders.flatMap((name) => childFolder(bundle, name) ?? [])),
  ];
  for (const place of places) {
    const found = childFolder(place, ...entry.folders);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Registered sets whose folder exists. */
export function presentDatasets(folder: string = dataFolder()): RegisteredDataset[] {
  return registeredDatasets.filter((entry) => findDatasetFolder(entry, folder) !== undefined);
}

function packageRoot(from: string): string | undefined {
  if (fs.existsSync(path.join(from, 'package.json'))) return from;
  const parent = path.dirname(from);
  return parent === from ? undefined : packageRoot(parent);
}

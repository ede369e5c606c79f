import * as fs from 'node:fs';
import * as path from 'node:path';
import { withFileLock } from '../lib/files/file-lock';
import type { OnProgress } from '../lib/progress';
import { dataFolder, findDatasetFolder } from './data-folder';
import { auxiliarySetName, findRegisteredDataset, targetSetName } from './registry';

export interface DrawOptions {
  /** Another seed gives other images of the same kinds. Default 0. */
  readonly seed?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface EnsureSyntheticOptions extends DrawOptions {
  /** Default: `dataFolder()`. */
  readonly dataFolder?: string;
}

/** Names of the synthetic sets. */
export const drawnSetNames = [auxiliarySetName, targetSetName] as const;
export type DrawnSetName = (typeof drawnSetNames)[number];

/**
 * Writes a synthetic set into the data folder when it is named and missing, so that nobody has to call
 * `datasets synthesize` first. Names of other sets, and folders, are left alone. Two processes draw it once.
 *
 * @returns the folder of the set; undefined where the name is not that of a synthetic set
 */
export async function ensureSynthetic(name: string, options: EnsureSyntheticOptions = {}): Promise<string | undefined> {
  const entry = findRegisteredDataset(name);
  const drawn = drawnSetNames.find((candidate) => candidate === entry?.name);
  if (entry === undefined || drawn === undefined) return undefined;
  const { dataFolder: data = dataFolder(), ...drawing } = options;
  const current = async (): Promise<string | undefined> => {
    const folder = findDatasetFolder(entry, data);
    return folder !== undefined && (await isOfThisGenerator(folder)) ? folder : undefined;
  };
  const present = await current();
  if (present !== undefined) return present;
  return withFileLock(
    path.join(data, `.${drawn}.lock`),
    async () => (await current()) ?? drawSet(drawn, data, drawing),
    options.signal ? { signal: options.signal } : {},
  );
}

/** A set from another version of the generator is written anew, or figures would not repeat. */
async function isOfThisGenerator(folder: string): Promise<boolean> {
  const { GENERATOR_VERSION } = await import('./synthetic/draw');
  try {
    const record = JSON.parse(fs.readFileSync(path.join(folder, 'synthetic.json'), 'utf8')) as { generator?: number };
    return record.generator === GENERATOR_VERSION;
  } catch {
    return false;
  }
}

/** Draws one set into `root`, replacing the one there only when all of it is drawn. @returns the folder of the set */
export async function drawSet(name: DrawnSetName, root: string, options: DrawOptions = {}): Promise<string> {
  // Loaded late: a set is drawn once, and named many times.
  const { synthesizeSet } = await import('./synthetic/write-set');
  const { folder } = await synthesizeSet({ ...options, name, root });
  return folder;
}

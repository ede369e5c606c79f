import * as fs from 'node:fs';
import * as path from 'node:path';
import { cacheFolder } from '../files/cache-folder';
import { UsageError, WeightsError } from '../errors';
import { download, sha256OfFile, type DownloadOptions } from './download';
import { withFileLock, type LockOptions } from '../files/file-lock';
import { findRegisteredWeights, registeredWeightsOf } from './registry';
import type { RegisteredWeights, WeightsKind } from './registered-weights';

export interface WeightCacheOptions extends Omit<DownloadOptions, 'sha256' | 'size'>, Pick<LockOptions, 'onWait'> {
  /** Folder of the weight files. Default: `weights` in the cache folder. */
  readonly folder?: string;
}

/**
 * What weights may be fetched by, and who is told.
 * @interface
 */
export type WeightAccess = Pick<WeightCacheOptions, 'offline' | 'allowPrivateUrls' | 'onProgress' | 'signal'>;

/** What of it is given among options, which may say that they are undefined. */
export function weightAccess({
  offline,
  allowPrivateUrls,
  onProgress,
  signal,
}: { readonly [K in keyof WeightAccess]?: WeightAccess[K] | undefined }): WeightAccess {
  return {
    ...(offline === undefined ? {} : { offline }),
    ...(allowPrivateUrls === undefined ? {} : { allowPrivateUrls }),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
}

/** Where a registered file is, or would be, in the cache. */
export function cachedWeightsPath(entry: RegisteredWeights, folder: string = weightsFolder()): string {
  return path.join(folder, entry.file);
}

/** The folder that registered weights are kept in. */
export function weightsFolder(): string {
  return path.join(cacheFolder(), 'weights');
}

/** Whether a registered file is in the cache with the right length; its sha256 is checked when it is used. */
export function isCached(entry: RegisteredWeights, folder?: string): boolean {
  const stat = fs.statSync(cachedWeightsPath(entry, folder), { throwIfNoEntry: false });
  return stat?.isFile() === true && (entry.bytes === null || stat.size === entry.bytes);
}

/**
 * The file or folder that `nameOrPath` means: an existing path is passed through; a registered name gives the cached
 * file, downloaded first where it is missing.
 *
 * @throws UsageError `usage/no-weights` where it is neither; WeightsError of `fetchWeights`
 */
export async function resolveWeights(
  nameOrPath: string,
  kind: WeightsKind,
  options: WeightCacheOptions = {},
): Promise<string> {
  // A registered name wins over a file that happens to be called alike; `./name` means the file.
  const entry = findRegisteredWeights(nameOrPath);
  if (entry !== undefined) return fetchWeights(registeredWeightsOf(nameOrPath, kind), options);
  if (fs.existsSync(nameOrPath)) return nameOrPath;
  if (looksLikePath(nameOrPath)) {
    throw new UsageError(
      'usage/no-weights',
      `there is no ${kind} file or folder ${path.resolve(nameOrPath)}. Give an existing path, or a name from "crane weights list".`,
      { path: nameOrPath, kind },
    );
  }
  return fetchWeights(registeredWeightsOf(nameOrPath, kind), options);
}

/**
 * Puts one registered file into the cache, or finds it there. A second process that wants the same file waits for the
 * first. A file that a person put there by hand is verified once.
 *
 * @throws WeightsError `weights/cached-sha256` where the cached file is a different one, and those of `download`
 */
export async function fetchWeights(entry: RegisteredWeights, options: WeightCacheOptions = {}): Promise<string> {
  const { folder, onWait, ...downloadOptions } = options;
  const file = cachedWeightsPath(entry, folder);
  // Without the lock: a file under its own name is complete, and the cache may be read-only.
  if (isVerified(entry, file) || (fs.existsSync(file) && (await verify(entry, file)))) return file;
  return withFileLock(
    `${file}.lock`,
    async () => {
      if (isVerified(entry, file)) return file;
      const { sha256 } = await download(entry.url, file, {
        ...downloadOptions,
        sha256: entry.sha256,
        size: entry.bytes,
      });
      writeRecord(file, sha256);
      return file;
    },
    { ...(onWait && { onWait }), ...(options.signal && { signal: options.signal }) },
  );
}

/** Written beside a verified file, so that 900 MB are not hashed at every start. */
interface VerifiedRecord {
  readonly sha256: string;
  readonly bytes: number;
  readonly modified: number;
}

function recordPath(file: string): string {
  return `${file}.verified.json`;
}

function isVerified(entry: RegisteredWeights, file: string): boolean {
  const recorded = recordedSha256(file);
  return recorded !== undefined && (entry.sha256 === null || recorded === entry.sha256);
}

/** The sha256 that was found when a file of the cache was verified; undefined where it was not, or has changed since. */
function recordedSha256(file: string): string | undefined {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  try {
    const record = JSON.parse(fs.readFileSync(recordPath(file), 'utf8')) as VerifiedRecord;
    return record.bytes === stat.size && record.modified === stat.mtimeMs ? record.sha256 : undefined;
  } catch {
    return undefined;
  }
}

function writeRecord(file: string, sha256: string): void {
  const stat = fs.statSync(file);
  const record: VerifiedRecord = { sha256, bytes: stat.size, modified: stat.mtimeMs };
  try {
    fs.writeFileSync(recordPath(file), JSON.stringify(record));
  } catch {
    // A cache that cannot be written is verified again next time.
  }
}

/** True where the file is right, or nothing is known against it. */
async function verify(entry: RegisteredWeights, file: string): Promise<boolean> {
  const sha256 = await sha256OfFile(file);
  if (entry.sha256 !== null && sha256 !== entry.sha256) {
    throw new WeightsError(
      'weights/cached-sha256',
      `${file} is not ${entry.name}: it has sha256 ${sha256}, expected ${entry.sha256}. Delete it and call again, or give its path instead of the name.`,
      { file, name: entry.name, found: sha256, expected: entry.sha256 },
    );
  }
  writeRecord(file, sha256);
  return true;
}

/**
 * sha256 of a weights file, in hexadecimal; of a folder, those of its weight files joined by `+`. Files of the cache are not
 * read for it once they are verified.
 */
export async function sha256OfWeights(file: string): Promise<string> {
  if (!fs.statSync(file).isDirectory()) return recordedSha256(file) ?? sha256OfFile(file);
  const parts = fs
    .readdirSync(file)
    .filter((name) => /\.(safetensors|bin|pt|pth)$/.test(name))
    .sort();
  return (await Promise.all(parts.map((name) => sha256OfFile(path.join(file, name))))).join('+');
}

function looksLikePath(text: string): boolean {
  return /[\\]|^[./~]|\.(pt|pth|bin|safetensors)$/i.test(text);
}

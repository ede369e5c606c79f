import * as fs from 'node:fs';
import * as path from 'node:path';
import { cacheFolder } from '../../lib/files/cache-folder';
import { withFileLock } from '../../lib/files/file-lock';
import { leasesIn } from './lease';
import { SHARD_SUFFIX } from './shard';

export interface ShardFile {
  readonly file: string;
  readonly bytes: number;
  /** When a run last used it, in milliseconds. */
  readonly used: number;
}

export interface CacheContents {
  readonly folder: string;
  readonly bytes: number;
  readonly shards: readonly ShardFile[];
}

/** The folder for features, inside the cache folder. */
export function featureFolder(): string {
  return path.join(cacheFolder(), 'features');
}

/** All shards, least recently used first. A missing folder counts as empty. */
export function featureCacheContents(folder: string = featureFolder()): CacheContents {
  const shards = entriesOf(folder)
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => shardsIn(path.join(folder, name)))
    .sort((a, b) => a.used - b.used || (a.file < b.file ? -1 : 1));
  return { folder, bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0), shards };
}

/** The features of one encoder with its options. */
export interface SpaceContents {
  readonly folder: string;
  readonly bytes: number;
  /** When a run last used one of them, in milliseconds. */
  readonly used: number;
  /** What went into their keys; null if unknown. */
  readonly description: Readonly<Record<string, unknown>> | null;
}

/** All spaces, most recently used first. */
export function featureSpaces(folder: string = featureFolder()): SpaceContents[] {
  const bySpace = new Map<string, ShardFile[]>();
  for (const shard of featureCacheContents(folder).shards) {
    const space = path.dirname(shard.file);
    bySpace.set(space, [...(bySpace.get(space) ?? []), shard]);
  }
  return [...bySpace]
    .map(([space, shards]) => ({
      folder: space,
      bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
      used: Math.max(...shards.map(({ used }) => used)),
      description: readDescription(path.join(space, 'space.json')),
    }))
    .sort((a, b) => b.used - a.used);
}

function readDescription(file: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** The shards of one space, in the order of their creation. */
export function shardsIn(folder: string): ShardFile[] {
  return entriesOf(folder)
    .filter(({ name }) => name.endsWith(SHARD_SUFFIX))
    .map(({ name }) => path.join(folder, name))
    .sort()
    .flatMap((file) => {
      const stat = fs.statSync(file, { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ file, bytes: stat.size, used: stat.mtimeMs }];
    });
}

function entriesOf(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * Removes features that no run uses.
 * @returns bytes removed, and bytes kept because a run uses them
 * @throws CraneError `lock/failed` if the folder cannot be written
 */
export async function clearFeatureCache(
  folder: string = featureFolder(),
): Promise<{ readonly removed: number; readonly kept: number }> {
  if (!fs.existsSync(folder)) return { removed: 0, kept: 0 };
  return underCacheLock(folder, () => {
    const { bytes } = featureCacheContents(folder);
    const removed = removeLeastUsed(folder, Infinity);
    return { removed, kept: bytes - removed };
  });
}

/** Only one process at a time may change which shards exist or are in use. */
export function underCacheLock<T>(folder: string, body: () => T, signal?: AbortSignal): Promise<T> {
  return withFileLock(path.join(folder, 'cache.lock'), async () => body(), {
    interval: 20,
    ...(signal ? { signal } : {}),
  });
}

/** Removes unused shards, least recently used first, until `wanted` bytes are freed. @returns bytes removed */
export function removeLeastUsed(folder: string, wanted: number): number {
  const { shards: inUse } = leasesIn(folder);
  let removed = 0;
  for (const { file, bytes } of featureCacheContents(folder).shards) {
    if (removed >= wanted) break;
    if (inUse.has(path.relative(folder, file))) continue;
    fs.rmSync(file, { force: true });
    removed += bytes;
    removeIfEmpty(path.dirname(file));
  }
  return removed;
}

function removeIfEmpty(space: string): void {
  if (shardsIn(space).length > 0) return;
  fs.rmSync(path.join(space, 'space.json'), { force: true });
  try {
    fs.rmdirSync(space);
  } catch {
    // It contains the lock of a run that is about to write.
  }
}

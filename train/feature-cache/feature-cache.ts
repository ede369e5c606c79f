import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeFolderSync } from '../../lib/files/make-folder';
import { formatBytes } from '../../lib/bytes';
import { TrainingError } from '../../lib/errors';
import { withFileLock } from '../../lib/files/file-lock';
import { featureCacheContents, featureFolder, removeLeastUsed, shardsIn, underCacheLock } from './contents';
import { Lease, leasesIn } from './lease';
import { RECORD_OVERHEAD, scanShard, SHARD_SUFFIX, ShardReader, ShardWriter, type StoredRecord } from './shard';
import type { FeatureSpace } from './space';

/** Default limit in bytes for the features of all trainings together. */
const DEFAULT_CACHE_SIZE = 20e9;

/** Size of a shard, small enough that removing the least recently used one removes little at a time. */
const SHARD_BYTES = 256 * 2 ** 20;
/** Disk space left free for other programs. */
const DISK_RESERVE = 64 * 2 ** 20;

export interface FeatureCacheOptions {
  /** Default: `features` in the cache folder. */
  readonly folder?: string;
  /** Bytes that the whole cache may take. Default 20 GB. */
  readonly limit?: number;
  /** Size at which a shard is closed and a new one started. Default 256 MiB. */
  readonly shardBytes?: number;
  /** Called when this process waits for another one that encodes the same images. */
  readonly onWait?: () => void;
  readonly signal?: AbortSignal;
}

/**
 * Features on disk, by content: a key covers everything that determines the features, so nothing is ever out of date. Any
 * number of runs may use one cache at once. Each writes its own shards, and shards in use by a live run are never
 * removed.
 */
export class FeatureCache {
  private readonly records = new Map<string, StoredRecord>();
  private readonly reader = new ShardReader();
  private readonly lease: Lease;
  private readonly root: string;
  private readonly limit: number;
  private readonly spaceFolder: string;
  private writer: ShardWriter | undefined;

  private constructor(
    private readonly space: FeatureSpace,
    private readonly keys: ReadonlySet<string>,
    private readonly options: FeatureCacheOptions,
  ) {
    this.root = options.folder ?? featureFolder();
    this.limit = options.limit ?? DEFAULT_CACHE_SIZE;
    this.spaceFolder = path.join(this.root, space.id);
    this.lease = new Lease(this.root);
  }

  /**
   * Opens the cache and looks up which of the keys are in it. The caller must close it.
   * @throws TrainingError `training/cache-unwritable`; the signal's reason
   */
  static async open(
    space: FeatureSpace,
    keys: Iterable<string>,
    options: FeatureCacheOptions = {},
  ): Promise<FeatureCache> {
    const cache = new FeatureCache(space, new Set(keys), options);
    try {
      makeFolderSync(cache.root);
      fs.accessSync(cache.root, fs.constants.W_OK);
      await cache.look();
      return cache;
    } catch (error) {
      await cache.close();
      options.signal?.throwIfAborted();
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new TrainingError(
        'training/cache-unwritable',
        `features cannot be stored in ${cache.root} (${reason}); name another cache folder with CRANE_CACHE, or train with \`cache: false\``,
        { folder: cache.root },
        { cause: error },
      );
    }
  }

  /** Scans the space's shards for the keys, and marks shards that hold any as in use. */
  private look(): Promise<void> {
    return underCacheLock(
      this.root,
      () => {
        this.records.clear();
        for (const { file } of shardsIn(this.spaceFolder)) {
          // Later shards override earlier ones, so a record rewritten after damage wins.
          for (const [key, record] of scanShard(file)) if (this.keys.has(key)) this.records.set(key, record);
        }
        this.use([...this.records.values()].map(({ file }) => file));
      },
      this.options.signal,
    );
  }

  private use(files: Iterable<string>): void {
    const now = new Date();
    const shards = new Set(files);
    for (const file of shards) {
      try {
        fs.utimesSync(file, now, now);
      } catch {
        // The file belongs to another user; it keeps its old time.
      }
    }
    this.lease.add(shards);
    this.lease.renew();
  }

  has(key: string): boolean {
    return this.records.has(key);
  }

  /** The payload of a key, at the start of its own buffer; null if it is missing or damaged. */
  async read(key: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const record = this.records.get(key);
    if (record === undefined) return null;
    const payload = await this.reader.read(record);
    if (payload === null) this.records.delete(key);
    return payload;
  }

  /**
   * Makes room for the missing records, then runs `body`, which appends them. If another process is filling in the same
   * keys, waits for it first and looks again.
   * @param payloadBytes payload size of one record
   * @throws TrainingError `training/cache-limit`, `training/cache-space` with the space needed and available
   */
  async fill(payloadBytes: number, body: () => Promise<void>): Promise<void> {
    const { signal, onWait } = this.options;
    const lock = path.join(this.spaceFolder, `${hashOf(this.keys)}.lock`);
    let waited = false;
    const wait = (): void => {
      waited = true;
      onWait?.();
    };
    await withFileLock(
      lock,
      async () => {
        if (waited) await this.look();
        const missing = [...this.keys].filter((key) => !this.has(key)).length;
        if (missing === 0) return;
        await this.makeRoom(missing, missing * (payloadBytes + RECORD_OVERHEAD));
        try {
          await body();
        } finally {
          this.lease.pending = 0;
          this.lease.renew();
          this.endShard();
        }
      },
      { onWait: wait, ...(signal ? { signal } : {}) },
    );
  }

  private async makeRoom(images: number, bytes: number): Promise<void> {
    const { bavail, bsize } = await fs.promises.statfs(this.root);
    const free = Math.max(0, bavail * bsize - DISK_RESERVE);
    if (bytes > free) throw noSpace(this.root, images, bytes, free);
    await underCacheLock(
      this.root,
      () => {
        const present = featureCacheContents(this.root).bytes + leasesIn(this.root).pending;
        const excess = present + bytes - this.limit;
        const removed = excess > 0 ? removeLeastUsed(this.root, excess) : 0;
        if (removed < excess) {
          const inUse = present - removed;
          throw new TrainingError(
            'training/cache-limit',
            `the features of ${images} images take ${formatBytes(bytes)}, but the cache is limited to ${formatBytes(this.limit)}` +
              `${inUse > 0 ? `, of which ${formatBytes(inUse)} are in use by this training and others` : ''}; ` +
              `allow more, such as \`cache.size: ${Math.ceil((inUse + bytes) / 1e9) * 1e9}\`, or train with \`cache: false\``,
            { images, bytes, limit: this.limit, inUse },
          );
        }
        this.lease.pending = bytes;
        this.lease.renew();
      },
      this.options.signal,
    );
  }

  /**
   * Adds a record; call it only inside `fill`.
   * @throws TrainingError `training/cache-space` if the disk is full; records added before are kept
   */
  async append(key: string, payload: Uint8Array): Promise<void> {
    const shard = this.writer ?? (await this.beginShard());
    try {
      this.records.set(key, shard.append(key, payload));
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      throw noSpace(this.root, 1, payload.byteLength, 0, error);
    }
    this.lease.pending -= payload.byteLength + RECORD_OVERHEAD;
    if (shard.bytes >= (this.options.shardBytes ?? SHARD_BYTES)) this.endShard();
  }

  private beginShard(): Promise<ShardWriter> {
    // Names sort by time.
    const name = `${String(Date.now()).padStart(14, '0')}-${randomUUID().slice(0, 8)}${SHARD_SUFFIX}`;
    return underCacheLock(this.root, () => {
      const description = path.join(this.spaceFolder, 'space.json');
      this.writer = new ShardWriter(path.join(this.spaceFolder, name));
      this.use([this.writer.file]);
      if (!fs.existsSync(description))
        fs.writeFileSync(description, `${JSON.stringify(this.space.description, null, 2)}\n`);
      return this.writer;
    });
  }

  private endShard(): void {
    this.writer?.close();
    this.writer = undefined;
  }

  /** Closes files and releases the shards, so that they may be removed. */
  async close(): Promise<void> {
    this.endShard();
    this.lease.release();
    await this.reader.close();
  }
}

function noSpace(folder: string, images: number, bytes: number, free: number, cause?: unknown): TrainingError {
  return new TrainingError(
    'training/cache-space',
    `the features of ${images === 1 ? 'one more image' : `${images} images`} take ${formatBytes(bytes)}, but ${folder} has ${formatBytes(free)} free; ` +
      'free some space ("crane cache clear" removes old features), name another cache folder with CRANE_CACHE, or train with `cache: false`',
    { folder, images, bytes, free },
    cause === undefined ? undefined : { cause },
  );
}

function hashOf(keys: Iterable<string>): string {
  return createHash('sha256')
    .update([...keys].sort().join('\n'))
    .digest('hex')
    .slice(0, 16);
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../errors';
import { FileArrivals, type FileStamp } from './file-arrivals';
import { isFolder, isHidden, isImageName } from './image-files';

/** What is watched for, and how patiently. */
export interface WatchOptions {
  /** Leaves out the images that are already there, until they change. Default false. */
  readonly newOnly?: boolean;
  /** Folders below the watched one whose images are not taken, such as the output folder. */
  readonly except?: readonly string[];
  /** How long a file must keep size and time to count as written completely, in milliseconds. Default 200. */
  readonly settle?: number;
  /** The same for a file that cannot be read, before it counts as broken, in milliseconds. Default 3000. */
  readonly patience?: number;
  /**
   * How often the whole folder is scanned, in milliseconds, for file systems that report no changes, such as network
   * folders. Less often where a scan takes long. Default 1000.
   */
  readonly interval?: number;
}

/** What became of a file that could not be read. */
export type Fate = 'gone' | 'changing' | 'broken';

/** Milliseconds: a file that comes back within this time is the same file; a network folder may be away for a moment. */
const FORGET_AFTER = 60_000;
/** Milliseconds: a file that is being written reports every piece. */
const BETWEEN_LOOKS = 20;
/** A scan of the folder may take this share of the time. */
const LARGEST_SHARE = 0.1;
const STATS_AT_ONCE = 16;

/**
 * The images that arrive in a folder and the folders below it, as they arrive: first those that are there, oldest first.
 * A file is given once it has been written completely, or moved into place; when it changes it is given again. Nothing is
 * lost when images arrive faster than they are taken, and no memory is used except for names: the folder is the queue.
 *
 * ```ts
 * const watched = new WatchedFolder('line-3');
 * for await (const { source, score } of crane.stream(watched)) console.log(source, score);
 * ```
 *
 * It can be iterated once, and ends with {@link stop} or when its reader leaves.
 */
export class WatchedFolder implements AsyncIterable<string> {
  private readonly arrivals: FileArrivals;
  private readonly except: ReadonlySet<string>;
  private readonly interval: number;
  private readonly watchers = new Map<string, fs.FSWatcher>();
  /** Files that events were about, and folders to be scanned. */
  private readonly touched = new Set<string>();
  private nextScan = 0;
  private lastLook = 0;
  /** When the first scan of the folder ended: what was seen until then was already there. */
  private startedAt = Infinity;
  private stopped = false;
  private wake: () => void = () => undefined;

  /** @throws UsageError `usage/no-folder` where it is not a folder */
  constructor(
    readonly folder: string,
    private readonly options: WatchOptions = {},
  ) {
    if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      throw new UsageError(
        'usage/no-folder',
        `${folder}: a folder to watch was expected, but there is none of that name. Create it first.`,
        { folder },
      );
    }
    const { settle = 200, patience = 3000, interval = 1000, except = [] } = options;
    this.arrivals = new FileArrivals(settle, Math.max(settle, patience));
    this.interval = interval;
    this.except = new Set(except.map(realPath));
  }

  /** Images that were seen and not taken yet. */
  get waiting(): number {
    return this.arrivals.waiting;
  }

  /** Paths of images as they arrive. A folder can be gone through once. */
  [Symbol.asyncIterator](): AsyncIterator<string, void> {
    let turn: Promise<unknown> = Promise.resolve();
    return {
      next: async () => {
        // Simultaneous requests are answered one after the other.
        const answer = turn.then(() => this.next());
        turn = answer;
        const file = await answer;
        return file === undefined ? { done: true, value: undefined } : { done: false, value: file };
      },
      return: () => {
        this.stop();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Ends the watching: whoever waits for the next image learns that there is none. */
  stop(): void {
    this.stopped = true;
    this.watchers.forEach((watcher) => watcher.close());
    this.watchers.clear();
    this.wake();
  }

  /**
   * For how many milliseconds a file that was taken has looked as it does, as far as was seen; undefined for one that was there
   * at the start, and for one that has changed since.
   */
  ageOf(file: string): number | undefined {
    const since = this.arrivals.sinceOf(file);
    return since === undefined || since <= this.startedAt ? undefined : performance.now() - since;
  }

  /**
   * What to make of a file that was taken and could not be read: it is gone; it was still half-written, or is being rewritten,
   * and will be given once more; or it is broken.
   */
  afterFailure(file: string): Fate {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return 'gone';
    const changing = this.arrivals.doubt(file, stampOf(stat), performance.now());
    this.wake();
    return changing ? 'changing' : 'broken';
  }

  private async next(): Promise<string | undefined> {
    while (!this.stopped) {
      const file = this.arrivals.take();
      if (file !== undefined) return file;
      const wait = this.nextLook() - performance.now();
      if (wait > 0) await this.pause(wait);
      else await this.look();
    }
    return undefined;
  }

  private nextLook(): number {
    if (this.touched.size > 0) return this.lastLook + BETWEEN_LOOKS;
    return Math.min(this.nextScan, this.arrivals.nextDue());
  }

  /** Until the time is over, or something happened. */
  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
    });
  }

  private async look(): Promise<void> {
    const start = performance.now();
    const files = new Set([...this.touched, ...this.arrivals.due(start)]);
    this.touched.clear();
    if (start < this.nextScan) {
      await this.seeAll([...files]);
      this.lastLook = performance.now();
      return;
    }
    // A folder that is found meanwhile requires another scan.
    this.nextScan = Infinity;
    const all = await this.imagesBelow();
    if (all !== undefined) await this.seeAll(all);
    const now = performance.now();
    if (all !== undefined) {
      this.arrivals.forget(start - FORGET_AFTER);
      this.startedAt = Math.min(this.startedAt, now);
    }
    this.lastLook = now;
    this.nextScan = Math.min(this.nextScan, now + Math.max(this.interval, (now - start) / LARGEST_SHARE));
  }

  /** All images at this moment; undefined where the folder cannot be read, as when a network is away. Listens to every folder. */
  private async imagesBelow(): Promise<string[] | undefined> {
    const files: string[] = [];
    const folders = new Set<string>();
    const visit = async (below: string): Promise<void> => {
      const real = realPath(below);
      // A link may lead back to its own folder.
      if (folders.has(real) || this.except.has(real)) return;
      // First, so that nothing comes between.
      this.listen(below, real);
      let entries: fs.Dirent[];
      try {
        entries = await fs.promises.readdir(below, { withFileTypes: true });
      } catch {
        return; // Gone meanwhile, or unreadable: a later scan may find it.
      }
      folders.add(real);
      for (const entry of entries) {
        if (isHidden(entry.name)) continue;
        const place = path.join(below, entry.name);
        if (entry.isDirectory() || (entry.isSymbolicLink() && isFolder(place))) await visit(place);
        else if (isImageName(entry.name)) files.push(place);
      }
    };
    await visit(this.folder);
    if (folders.size === 0) return undefined;
    for (const [real, watcher] of this.watchers) {
      if (folders.has(real)) continue;
      watcher.close();
      this.watchers.delete(real);
    }
    return files;
  }

  /** Notes what files look like now, the oldest first. A folder among them is scanned. */
  private async seeAll(files: readonly string[]): Promise<void> {
    const found: { file: string; stamp: FileStamp }[] = [];
    for (let at = 0; at < files.length; at += STATS_AT_ONCE) {
      await Promise.all(
        files.slice(at, at + STATS_AT_ONCE).map(async (file) => {
          const stat = await fs.promises.stat(file).catch(() => undefined);
          if (stat === undefined) this.arrivals.miss(file);
          else if (stat.isDirectory()) this.noteFolder(file);
          else if (isImageName(path.basename(file))) found.push({ file, stamp: stampOf(stat) });
        }),
      );
    }
    found.sort((a, b) => a.stamp.modified - b.stamp.modified || (a.file < b.file ? -1 : 1));
    const now = performance.now();
    for (const { file, stamp } of found) {
      if (this.options.newOnly === true && this.startedAt === Infinity) this.arrivals.pass(file, stamp, now);
      else this.arrivals.see(file, stamp, now);
    }
  }

  /** A new folder is scanned at once. */
  private noteFolder(folder: string): void {
    const real = realPath(folder);
    if (!this.watchers.has(real) && !this.except.has(real)) this.nextScan = 0;
  }

  /** Events make it fast; where there are none, or too many folders for the system, scanning does the work. */
  private listen(folder: string, real: string): void {
    if (this.watchers.has(real) || this.stopped) return;
    try {
      const watcher = fs.watch(folder, (_, name) => {
        if (name === null || isHidden(name)) return;
        this.touched.add(path.join(folder, name));
        this.wake();
      });
      watcher.on('error', () => {
        watcher.close();
        this.watchers.delete(real);
      });
      this.watchers.set(real, watcher);
    } catch {
      // Not on this file system.
    }
  }
}

function stampOf({ size, mtimeMs }: fs.Stats): FileStamp {
  return { size, modified: mtimeMs };
}

function realPath(place: string): string {
  try {
    return fs.realpathSync(place);
  } catch {
    return path.resolve(place);
  }
}

/** What a file looked like: its size in bytes, and when it was last written in milliseconds. */
export interface FileStamp {
  readonly size: number;
  readonly modified: number;
}

interface Arrival {
  readonly stamp: FileStamp;
  /** When the file was first and last seen like this. */
  readonly since: number;
  seen: number;
  /** How long it must be seen like this until it counts as complete. */
  readonly quiet: number;
}

/**
 * Which files of a folder have been written completely, judged by what they look like each time: a file is complete once it has
 * kept size and time for a while. Files in the order in which they came or changed last; each is taken once, and again when
 * it has changed. All times in milliseconds of one clock that never goes back.
 */
export class FileArrivals {
  private readonly arriving = new Map<string, Arrival>();
  private readonly taken = new Map<string, Arrival>();

  /**
   * @param settle how long a file must keep size and time to count as complete
   * @param patience the same for a file that could not be read, before it is given up
   */
  constructor(
    private readonly settle: number,
    private readonly patience: number,
  ) {}

  /** Files that are not taken yet. */
  get waiting(): number {
    return this.arriving.size;
  }

  /** Notes what a file looks like now. */
  see(file: string, stamp: FileStamp, now: number): void {
    const before = this.arriving.get(file) ?? this.taken.get(file);
    if (before && isSame(before.stamp, stamp)) {
      before.seen = now;
      return;
    }
    this.taken.delete(file);
    this.arrive(file, { stamp, since: now, seen: now, quiet: this.settle });
  }

  /** Notes the present state of a file, which is not to be taken until it changes. */
  pass(file: string, stamp: FileStamp, now: number): void {
    this.taken.set(file, { stamp, since: now, seen: now, quiet: this.settle });
  }

  /** A file that disappeared before it was taken is not waited for. One that was taken is remembered for a while, see {@link forget}. */
  miss(file: string): void {
    this.arriving.delete(file);
  }

  /** Forgets files that were not seen since some time. Until then, one that comes back as it was is not taken again. */
  forget(before: number): void {
    for (const files of [this.arriving, this.taken]) {
      for (const [file, { seen }] of files) if (seen < before) files.delete(file);
    }
  }

  /** The first complete file; undefined where there is none. */
  take(): string | undefined {
    for (const [file, arrival] of this.arriving) {
      if (arrival.seen - arrival.since < arrival.quiet) continue;
      this.arriving.delete(file);
      this.taken.set(file, arrival);
      return file;
    }
    return undefined;
  }

  /** Since when a file that was taken looks as it did then; undefined where it has changed. */
  sinceOf(file: string): number | undefined {
    return this.taken.get(file)?.since;
  }

  /** Files that are due to be checked once more. */
  due(now: number): string[] {
    return [...this.arriving].filter(([, { since, quiet }]) => now - since >= quiet).map(([file]) => file);
  }

  /** When the next file is due; Infinity where none is arriving. */
  nextDue(): number {
    return [...this.arriving.values()].reduce((next, { since, quiet }) => Math.min(next, since + quiet), Infinity);
  }

  /**
   * For a file that was taken and could not be read: whether it may still have been half-written. It is then taken again later.
   * @param stamp what it looks like now
   * @returns false where it has not changed for as long as patience lasts
   */
  doubt(file: string, stamp: FileStamp, now: number): boolean {
    const before = this.taken.get(file);
    if (before === undefined || !isSame(before.stamp, stamp)) {
      this.see(file, stamp, now);
      return true;
    }
    if (now - before.since >= this.patience) return false;
    this.taken.delete(file);
    this.arrive(file, { ...before, quiet: this.patience });
    return true;
  }

  /** To the end of the queue. */
  private arrive(file: string, arrival: Arrival): void {
    this.arriving.delete(file);
    this.arriving.set(file, arrival);
  }
}

function isSame(one: FileStamp, other: FileStamp): boolean {
  return one.size === other.size && one.modified === other.modified;
}

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { isAlive } from '../../lib/files/living-process';
import { makeFolderSync } from '../../lib/files/make-folder';

/** What a run declares in a file in `leases/`, so that other runs leave its shards alone. */
interface LeaseContent {
  readonly pid: number;
  readonly host: string;
  /** Shards that it reads or writes, relative to the cache. */
  readonly shards: readonly string[];
  /** Bytes that it has yet to write. */
  readonly pending: number;
}

const HEARTBEAT = 10_000;
/** A lease not renewed for this long, in milliseconds, is stale: its process was killed, or its machine went down. */
const STALE_AFTER = 600_000;

/** A run's own lease; renewed until it is released. */
export class Lease {
  private readonly file: string;
  private readonly shards = new Set<string>();
  private readonly beat: NodeJS.Timeout;
  /** Bytes that are yet to be written. */
  pending = 0;

  constructor(private readonly root: string) {
    this.file = path.join(root, 'leases', `${randomUUID()}.json`);
    this.beat = setInterval(() => this.renew(), HEARTBEAT);
    this.beat.unref();
  }

  /** Marks shards, by path, as in use; other runs see this after `renew`. */
  add(files: Iterable<string>): void {
    for (const file of files) this.shards.add(path.relative(this.root, file));
  }

  /** Publishes the lease. In a cache that cannot be written, no other run can remove anything either. */
  renew(): void {
    const content: LeaseContent = {
      pid: process.pid,
      host: os.hostname(),
      shards: [...this.shards],
      pending: Math.max(0, this.pending),
    };
    try {
      makeFolderSync(path.dirname(this.file));
      const draft = `${this.file}.draft`;
      fs.writeFileSync(draft, JSON.stringify(content));
      fs.renameSync(draft, this.file);
    } catch {
      // Reading works without a lease: open files stay readable even if they are removed.
    }
  }

  release(): void {
    clearInterval(this.beat);
    try {
      fs.rmSync(this.file, { force: true });
    } catch {
      // Other runs ignore it once this process has ended.
    }
  }
}

/** The combined content of all live leases of a cache; stale ones are removed. */
export function leasesIn(root: string): { readonly shards: ReadonlySet<string>; readonly pending: number } {
  const folder = path.join(root, 'leases');
  const living = listed(folder).flatMap((name) => readLease(path.join(folder, name)) ?? []);
  return {
    shards: new Set(living.flatMap(({ shards }) => shards)),
    pending: living.reduce((sum, { pending }) => sum + pending, 0),
  };
}

function readLease(file: string): LeaseContent | null {
  try {
    const age = Date.now() - fs.statSync(file).mtimeMs;
    const content = file.endsWith('.json') ? (JSON.parse(fs.readFileSync(file, 'utf8')) as LeaseContent) : null;
    const dead = age > STALE_AFTER || (content !== null && content.host === os.hostname() && !isAlive(content.pid));
    if (dead) fs.rmSync(file, { force: true });
    return dead ? null : content;
  } catch {
    return null;
  }
}

function listed(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { makeFolderSync } from './make-folder';
import { CraneError } from '../errors';
import { isAlive } from './living-process';

/** What a lock file says about the process that holds it. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Called once when another process holds the lock. */
  readonly onWait?: (holder: LockHolder | null) => void;
  /** Milliseconds between two checks. Default 200. */
  readonly interval?: number;
}

/** A living holder touches its lock this often, in milliseconds. */
const heartbeat = 10_000;
/** A lock not touched for this long is dead, whatever it says: for holders on other machines. */
const staleAfter = 60_000;

/**
 * Runs `body` while holding `file` as a lock against other processes, also over a shared folder. A lock whose process
 * has died is taken over.
 *
 * @throws CraneError `lock/aborted`, `lock/failed` where the folder cannot be written
 */
export async function withFileLock<T>(file: string, body: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const token = randomUUID();
  await acquire(file, token, options);
  const beat = setInterval(() => touch(file), heartbeat);
  beat.unref();
  try {
    return await body();
  } finally {
    clearInterval(beat);
    if (readHolder(file)?.token === token) fs.rmSync(file, { force: true });
  }
}

async function acquire(file: string, token: string, options: LockOptions): Promise<void> {
  try {
    makeFolderSync(path.dirname(file));
  } catch (error) {
    throw failed(file, error);
  }
  let told = false;
  while (!create(file, { pid: process.pid, host: os.hostname(), token })) {
    const holder = readHolder(file);
    if (isStale(file, holder)) {
      takeAway(file, holder);
      continue;
    }
    if (!told) options.onWait?.(holder);
    told = true;
    if (options.signal?.aborted)
      throw new CraneError('lock/aborted', `stopped while waiting for ${file}`, { file, holder });
    await new Promise((resolve) => setTimeout(resolve, options.interval ?? 200));
  }
}

function create(file: string, holder: LockHolder): boolean {
  // Written aside and linked, so that no other process ever sees a lock without its content.
  const draft = `${file}.${holder.token}`;
  try {
    fs.writeFileSync(draft, JSON.stringify(holder));
    fs.linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw failed(file, error);
  } finally {
    removeQuietly(draft);
  }
}

function failed(file: string, cause: unknown): CraneError {
  const { code } = cause as NodeJS.ErrnoException;
  const message = `nothing can be written to ${path.dirname(file)} (${code ?? String(cause)}). Choose another folder: CRANE_CACHE names the one for weights, CRANE_DATA the one for sets.`;
  return new CraneError('lock/failed', message, { file, code }, { cause });
}

function readHolder(file: string): LockHolder | null {
  try {
    const holder = JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<LockHolder>;
    return typeof holder.pid === 'number' && typeof holder.token === 'string'
      ? { pid: holder.pid, host: holder.host ?? '', token: holder.token }
      : null;
  } catch {
    return null;
  }
}

function isStale(file: string, holder: LockHolder | null): boolean {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (Date.now() - stat.mtimeMs > staleAfter) return true;
  return holder !== null && holder.host === os.hostname() && !isAlive(holder.pid);
}

/** Moves a dead lock aside; puts it back when another process had already replaced it by its own. */
function takeAway(file: string, dead: LockHolder | null): void {
  const aside = `${file}.dead-${randomUUID()}`;
  try {
    fs.renameSync(file, aside);
    if (readHolder(aside)?.token !== dead?.token) fs.linkSync(aside, file);
  } catch {
    // Somebody else moved it first.
  } finally {
    removeQuietly(aside);
  }
}

/** Where nothing could be written nothing remains, and that was already reported. */
function removeQuietly(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    // Below a file there is nothing to remove, which the system calls an error.
  }
}

function touch(file: string): void {
  try {
    const now = new Date();
    fs.utimesSync(file, now, now);
  } catch {
    // The lock was taken away as stale, for instance after the machine slept; the download itself stays valid.
  }
}

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeFolderSync } from '../files/make-folder';
import { WeightsError } from '../errors';
import type { OnProgress } from '../progress';
import { RefusedUrl, requestWeb, type WebAnswer } from '../web/request';
import { IdleWatch, Pace } from './transfer-watch';

export interface DownloadOptions {
  /** Lower-case hex that the whole file must have; null or absent: only the length is verified. */
  readonly sha256?: string | null;
  /** Exact length in bytes that the file must have. */
  readonly size?: number | null;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Refuse instead of using the network. Default: whether `CRANE_OFFLINE` is set to something other than 0. */
  readonly offline?: boolean;
  /** How often in a row an attempt may fail without gaining a byte. Default 4. */
  readonly retries?: number;
  /** Wait before the first retry in milliseconds; doubles each time, 8 s at most. Default 500. */
  readonly backoff?: number;
  /** Milliseconds without an answer or a byte after which an attempt counts as failed. Default 10 000. */
  readonly idleTimeout?: number;
  /** Bytes per second that must arrive, over `speedWindow`. Default 1000. */
  readonly leastSpeed?: number;
  /** Milliseconds over which the speed is taken. Default 60 000. */
  readonly speedWindow?: number;
  /** Most bytes of a file of unknown length. Default 64 GiB. */
  readonly maxBytes?: number;
  /** See `WebRequest`. */
  readonly allowPrivateUrls?: boolean;
}

export interface Downloaded {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A failure that another attempt may fix. */
class TransientFailure extends Error {}

const LARGEST_FILE = 2 ** 36;

/** What is known of the file that a partial download belongs to, kept beside it. */
interface PartialState {
  readonly url: string;
  /** Strong ETag or Last-Modified, for If-Range. */
  readonly validator: string | null;
}

/** Whether the environment forbids network access. */
export function isOffline(): boolean {
  const value = process.env['CRANE_OFFLINE'];
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

/**
 * Downloads one file. Broken downloads are kept as `FILE.partial` and resume where they stopped, in this call or a later
 * one, provided that the server still has the same file. The name `file` appears only when length and sha256 are right.
 * However the server behaves, it ends: at the known length, after so many attempts without a new byte, or below the
 * least speed.
 *
 * @throws WeightsError `weights/offline`, `download/refused` (4xx, with the status; an address that is not contacted),
 *   `download/length`, `download/sha256` (the bytes are removed), `download/disk-full`, `download/write`,
 *   `download/slow` and `download/failed` (after the last retry; the bytes are kept), `download/aborted`
 */
export async function download(url: string, file: string, options: DownloadOptions = {}): Promise<Downloaded> {
  if (options.offline ?? isOffline()) {
    throw new WeightsError(
      'weights/offline',
      `${path.basename(file)} is not cached, and downloads are disabled. Fetch ${url} elsewhere and put it at ${file}, or allow downloads: leave out \`offline\`, and unset CRANE_OFFLINE.`,
      { url, file },
    );
  }
  const transfer = new Transfer(url, file, options);
  transfer.makeFolder();
  await transfer.run();
  return transfer.finish();
}

/** sha256 of a file as lower-case hex, read in pieces. */
export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of fs.createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

class Transfer {
  private readonly partial: string;
  private readonly stateFile: string;
  private readonly task: string;
  private readonly pace: Pace;
  private announced = false;
  /** The most bytes that were ever on disk in this call. */
  private most = 0;
  /** How often in this call the bytes on disk were useless. */
  private restarts = 0;

  constructor(
    private readonly url: string,
    private readonly file: string,
    private readonly options: DownloadOptions,
  ) {
    this.partial = `${file}.partial`;
    this.stateFile = `${file}.partial.json`;
    this.task = `download ${path.basename(file)}`;
    this.pace = new Pace(options.leastSpeed ?? 1000, options.speedWindow ?? 60_000);
  }

  makeFolder(): void {
    this.writing(path.dirname(this.file), () => makeFolderSync(path.dirname(this.file)));
  }

  /** Attempts until the partial file is complete. */
  async run(): Promise<void> {
    const retries = this.options.retries ?? 4;
    let failures = 0;
    for (;;) {
      // Not what is there, so that a server which makes it start over and over gains nothing by it.
      const before = this.most;
      try {
        await this.attempt();
        return;
      } catch (error) {
        if (this.options.signal?.aborted) throw this.aborted();
        if (!(error instanceof TransientFailure)) throw error;
        failures = this.most > before ? 0 : failures + 1;
        if (failures > retries || this.restarts > retries) {
          throw new WeightsError(
            'download/failed',
            `${this.url} could not be downloaded: ${error.message} (${failures > retries ? `${failures} attempts without a new byte` : `restarted ${this.restarts} times`}). Check the network and call again; the ${this.partialLength()} bytes received are kept.`,
            { url: this.url, file: this.file, received: this.partialLength() },
            { cause: error },
          );
        }
        await this.pause(Math.min((this.options.backoff ?? 500) * 2 ** Math.max(failures - 1, 0), 8000));
      }
    }
  }

  /** Verifies the complete partial file and gives it its name. */
  async finish(): Promise<Downloaded> {
    const bytes = this.partialLength();
    this.checkLength(bytes, 'was sent');
    const sha256 = await sha256OfFile(this.partial);
    const wanted = this.options.sha256;
    if (wanted != null && sha256 !== wanted.toLowerCase()) {
      this.discard();
      throw new WeightsError(
        'download/sha256',
        `${this.url} has sha256 ${sha256}, expected ${wanted}. The bytes were removed; another copy or a proxy may be at fault: call again, or fetch the file elsewhere.`,
        { url: this.url, found: sha256, expected: wanted },
      );
    }
    this.writing(this.file, () => fs.renameSync(this.partial, this.file));
    fs.rmSync(this.stateFile, { force: true });
    this.options.onProgress?.({ kind: 'done', task: this.task });
    return { file: this.file, bytes, sha256 };
  }

  /** One request, from the end of what is there. */
  private async attempt(): Promise<void> {
    const state = this.readState();
    const offset = state === null ? 0 : this.partialLength();
    this.most = Math.max(this.most, offset);
    this.checkPace();
    const watch = new IdleWatch(this.options.idleTimeout ?? 10_000, this.options.signal);
    try {
      const answer = await this.request(offset, state?.validator ?? null, watch.signal);
      try {
        await this.take(answer, offset, watch);
      } finally {
        answer.body.destroy();
      }
    } finally {
      watch.stop();
    }
  }

  private async take(answer: WebAnswer, offset: number, watch: IdleWatch): Promise<void> {
    if (answer.status === 416) {
      if (offset > 0 && totalOf(answer) === offset) return;
      this.beginAnew();
      throw new TransientFailure('the server has no such range');
    }
    if (answer.status < 200 || answer.status > 299) this.refuse(answer);
    const encoding = answer.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity')
      throw new TransientFailure(`the server compressed the file (${encoding}), although it was asked not to`);
    const start = answer.status === 206 ? rangeStart(answer) : 0;
    if (start !== 0 && start !== offset) {
      this.beginAnew();
      throw new TransientFailure(`the server answered from byte ${start}, asked for ${offset}`);
    }
    const length = Number(answer.headers['content-length'] ?? NaN);
    const total = totalOf(answer) ?? (Number.isFinite(length) ? start + length : null);
    if (total !== null) this.checkLength(total, 'is offered');
    this.checkSpace((total ?? 0) - start);
    this.announce(total ?? this.options.size ?? 0);
    if (start === 0 && this.partialLength() > 0) this.restarts++;
    await this.receive(answer, start, total, watch);
  }

  private async request(offset: number, validator: string | null, signal: AbortSignal): Promise<WebAnswer> {
    const { allowPrivateUrls } = this.options;
    // A compressed answer would have another length, and ranges of it would mean other bytes.
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (offset > 0) headers['range'] = `bytes=${offset}-`;
    if (offset > 0 && validator !== null) headers['if-range'] = validator;
    try {
      return await requestWeb(this.url, {
        headers,
        signal,
        ...(allowPrivateUrls === undefined ? {} : { allowPrivateUrls }),
      });
    } catch (error) {
      if (!(error instanceof RefusedUrl)) throw new TransientFailure(describeNetworkError(error), { cause: error });
      throw new WeightsError(
        'download/refused',
        `${this.url} was not contacted for ${path.basename(this.file)}: ${error.message}; or fetch the file elsewhere and put it at ${this.file}.`,
        { url: this.url, file: this.file, reason: error.reason },
        { cause: error },
      );
    }
  }

  private async receive(answer: WebAnswer, start: number, total: number | null, watch: IdleWatch): Promise<void> {
    const most = this.options.size ?? Math.min(total ?? Infinity, this.options.maxBytes ?? LARGEST_FILE);
    let received = start;
    let file: number | undefined;
    try {
      file = this.open(start, validatorOf(answer));
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        watch.touch();
        if (received + piece.byteLength > most) throw this.tooMuch(most);
        this.write(file, piece, received, total);
        received += piece.byteLength;
        this.most = Math.max(this.most, received);
        this.pace.count(piece.byteLength);
        this.checkPace();
        this.options.onProgress?.({
          kind: 'advance',
          task: this.task,
          done: received,
          total: total ?? this.options.size ?? 0,
        });
      }
    } catch (error) {
      if (error instanceof WeightsError) throw error;
      throw new TransientFailure(
        `${describeNetworkError(watch.signal.aborted ? watch.signal.reason : error)} after ${received} bytes`,
        { cause: error },
      );
    } finally {
      if (file !== undefined) fs.closeSync(file);
    }
    if (total !== null && received < total) throw new TransientFailure(`only ${received} of ${total} bytes arrived`);
  }

  private open(start: number, validator: string | null): number {
    return this.writing(this.partial, () => {
      // Ended at any point in between, old bytes are not taken for the beginning of another file.
      if (start === 0) fs.rmSync(this.stateFile, { force: true });
      const file = fs.openSync(this.partial, start > 0 ? 'r+' : 'w');
      fs.writeFileSync(this.stateFile, JSON.stringify({ url: this.url, validator } satisfies PartialState));
      return file;
    });
  }

  private write(file: number, piece: Buffer, position: number, total: number | null): void {
    try {
      for (let at = 0; at < piece.byteLength;)
        at += fs.writeSync(file, piece, at, piece.byteLength - at, position + at);
    } catch (error) {
      if (isFull(error)) throw this.diskFull((total ?? 0) - position, 0, error);
      throw this.unwritable(this.partial, error);
    }
  }

  private writing<T>(file: string, write: () => T): T {
    try {
      return write();
    } catch (error) {
      throw isFull(error) ? this.diskFull(0, 0, error) : this.unwritable(file, error);
    }
  }

  private unwritable(file: string, cause: unknown): WeightsError {
    const { code } = cause as NodeJS.ErrnoException;
    return new WeightsError(
      'download/write',
      `${file} cannot be written (${code ?? String(cause)}). Check the folder's permissions, or choose another cache folder with CRANE_CACHE.`,
      { file, code },
      { cause },
    );
  }

  /** @throws WeightsError where too little has arrived for a while */
  private checkPace(): void {
    const slow = this.pace.tooSlow();
    if (slow === undefined) return;
    throw new WeightsError(
      'download/slow',
      `${this.url} arrives too slowly: ${slow.bytes} bytes in ${Math.round(slow.seconds)} s, expected ${slow.expected} or more. Call again, or fetch the file elsewhere and put it at ${this.file}; the ${this.partialLength()} bytes received are kept.`,
      { url: this.url, file: this.file, received: this.partialLength(), ...slow },
    );
  }

  private refuse({ status, statusText }: WebAnswer): never {
    const told = `${status} ${statusText}`.trim();
    if (status >= 500 || status === 429 || status === 408) throw new TransientFailure(`the server answered ${told}`);
    throw new WeightsError(
      'download/refused',
      `${this.url} was refused: the server answered ${told}, expected a file. The address may have moved; fetch the file elsewhere and put it at ${this.file}.`,
      { url: this.url, file: this.file, status },
    );
  }

  private tooMuch(most: number): WeightsError {
    this.discard();
    return new WeightsError(
      'download/length',
      `${this.url}: more than the expected ${most} bytes were sent. Nothing was kept; fetch the file elsewhere and put it at ${this.file}.`,
      { url: this.url, expected: most },
    );
  }

  private checkLength(bytes: number, verb: string): void {
    const size = this.options.size;
    if (size == null || bytes === size) return;
    this.discard();
    throw new WeightsError(
      'download/length',
      `${this.url}: a file of ${bytes} bytes ${verb}, expected ${size}. Nothing was kept; the address may serve another file now.`,
      { url: this.url, found: bytes, expected: size },
    );
  }

  private checkSpace(needed: number): void {
    const { bavail, bsize } = fs.statfsSync(path.dirname(this.file));
    if (bavail * bsize < needed) throw this.diskFull(needed, bavail * bsize);
  }

  private diskFull(needed: number, free: number, cause?: unknown): WeightsError {
    return new WeightsError(
      'download/disk-full',
      `no room for ${path.basename(this.file)} in ${path.dirname(this.file)}: ${needed} bytes are still needed, ${free} are free. Make room or choose another cache folder with CRANE_CACHE, then call again.`,
      { file: this.file, needed, free },
      { cause },
    );
  }

  private announce(total: number): void {
    if (!this.announced) this.options.onProgress?.({ kind: 'start', task: this.task, total, unit: 'bytes' });
    this.announced = true;
  }

  private aborted(): WeightsError {
    return new WeightsError(
      'download/aborted',
      `the download of ${this.url} was stopped; the ${this.partialLength()} bytes received are kept.`,
      { url: this.url },
    );
  }

  private partialLength(): number {
    return fs.statSync(this.partial, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** A partial file may be resumed when it belongs to this address, and a mixture of two files would be noticed. */
  private readState(): PartialState | null {
    try {
      const state = JSON.parse(fs.readFileSync(this.stateFile, 'utf8')) as PartialState;
      const noticed = state.validator !== null || this.options.sha256 != null;
      return state.url === this.url && noticed && this.partialLength() > 0 ? state : null;
    } catch {
      return null;
    }
  }

  private beginAnew(): void {
    if (this.partialLength() > 0) this.restarts++;
    this.discard();
  }

  private discard(): void {
    fs.rmSync(this.partial, { force: true });
    fs.rmSync(this.stateFile, { force: true });
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(finish, milliseconds);
      this.options.signal?.addEventListener('abort', finish, { once: true });
      const signal = this.options.signal;
      function finish(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      }
    });
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** If-Range allows strong validators only. */
function validatorOf({ headers }: WebAnswer): string | null {
  const { etag } = headers;
  if (etag !== undefined && !etag.startsWith('W/')) return etag;
  return headers['last-modified'] ?? null;
}

/** Whole length out of `Content-Range: bytes 5-9/10`; null where the server does not say. */
function totalOf({ headers }: WebAnswer): number | null {
  const match = /\/(\d+)\s*$/.exec(headers['content-range'] ?? '');
  return match === null ? null : Number(match[1]);
}

function rangeStart({ headers }: WebAnswer): number {
  return Number(/bytes\s+(\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? NaN);
}

function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Of several addresses that were tried, each has an error of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  const { code } = first as NodeJS.ErrnoException;
  return code === undefined || first.message.includes(code) ? first.message : `${first.message} (${code})`;
}

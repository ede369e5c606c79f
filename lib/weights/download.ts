import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../errors';
import type { OnProgress } from '../progress';

export interface DownloadOptions {
  /** Lower-case hex that the whole file must have; null or absent: only the length is verified. */
  readonly sha256?: string | null;
  /** Exact length in bytes that the file must have. */
  readonly size?: number | null;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Refuse instead of asking the network. Default: whether `CRANE_OFFLINE` is set to something other than 0. */
  readonly offline?: boolean;
  /** How often in a row an attempt may fail without gaining a byte. Default 4. */
  readonly retries?: number;
  /** Wait before the first retry in milliseconds; doubles each time, 8 s at most. Default 500. */
  readonly backoff?: number;
  /** Milliseconds without an answer or a byte after which an attempt counts as failed. Default 10 000. */
  readonly idleTimeout?: number;
  readonly fetch?: typeof fetch;
}

export interface Downloaded {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A failure that another attempt may cure. */
class TransientFailure extends Error {}

/** What is known of the file that a partial download belongs to, kept beside it. */
interface PartialState {
  readonly url: string;
  /** Strong ETag or Last-Modified, for If-Range. */
  readonly validator: string | null;
}

/** Whether the network must not be asked, by the environment. */
export function isOffline(): boolean {
  const value = process.env['CRANE_OFFLINE'];
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

/**
 * Downloads one file. Broken downloads are kept as `FILE.partial` and go on where they stopped, in this call or a later
 * one, provided that the server still has the same file. The name `file` appears only when length and sha256 are right.
 *
 * @throws WeightsError `weights/offline`, `download/refused` (4xx, with the status), `download/length`,
 *   `download/sha256` (the bytes are removed), `download/disk-full`, `download/failed` (after the last retry),
 *   `download/aborted`
 */
export async function download(url: string, file: string, options: DownloadOptions = {}): Promise<Downloaded> {
  if (options.offline ?? isOffline()) {
    throw new WeightsError(
      'weights/offline',
      `${path.basename(file)} is not at hand and downloads are switched off. Fetch ${url} elsewhere and put it at ${file}, or allow downloads (CRANE_OFFLINE, --offline).`,
      { url, file },
    );
  }
  const transfer = new Transfer(url, file, options);
  await fs.promises.mkdir(path.dirname(file), { recursive: true });
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
  private announced = false;

  constructor(
    private readonly url: string,
    private readonly file: string,
    private readonly options: DownloadOptions,
  ) {
    this.partial = `${file}.partial`;
    this.stateFile = `${file}.partial.json`;
    this.task = `download ${path.basename(file)}`;
  }

  /** Attempts until the partial file is complete. */
  async run(): Promise<void> {
    const retries = this.options.retries ?? 4;
    let failures = 0;
    for (;;) {
      const before = this.partialLength();
      try {
        await this.attempt();
        return;
      } catch (error) {
        if (this.options.signal?.aborted) throw this.aborted();
        if (!(error instanceof TransientFailure)) throw error;
        failures = this.partialLength() > before ? 0 : failures + 1;
        if (failures > retries) {
          throw new WeightsError(
            'download/failed',
            `${this.url} could not be downloaded: ${error.message} (${failures} attempts without a new byte). Check the network and call again; the ${this.partialLength()} bytes that came are kept.`,
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
    await fs.promises.rename(this.partial, this.file);
    fs.rmSync(this.stateFile, { force: true });
    this.options.onProgress?.({ kind: 'done', task: this.task });
    return { file: this.file, bytes, sha256 };
  }

  /** One request, from the end of what is there. */
  private async attempt(): Promise<void> {
    const state = this.readState();
    const offset = state === null ? 0 : this.partialLength();
    const watch = new IdleWatch(this.options.idleTimeout ?? 10_000, this.options.signal);
    try {
      const response = await this.request(offset, state?.validator ?? null, watch.signal);
      if (response.status === 416) {
        await response.body?.cancel();
        if (offset > 0 && totalOf(response) === offset) return;
        this.discard();
        throw new TransientFailure('the server has no such range');
      }
      if (!response.ok) await this.refuse(response);
      const start = response.status === 206 ? rangeStart(response) : 0;
      if (start !== 0 && start !== offset) {
        await response.body?.cancel();
        this.discard();
        throw new TransientFailure(`the server answered from byte ${start}, asked for ${offset}`);
      }
      const length = Number(response.headers.get('content-length') ?? NaN);
      const total = totalOf(response) ?? (Number.isFinite(length) ? start + length : null);
      if (total !== null) this.checkLength(total, 'is offered', response);
      this.checkSpace((total ?? 0) - start);
      this.announce(total ?? this.options.size ?? 0);
      this.writeState({ url: this.url, validator: validatorOf(response) });
      await this.receive(response, start, total, watch);
    } finally {
      watch.stop();
    }
  }

  private async request(offset: number, validator: string | null, signal: AbortSignal): Promise<Response> {
    // A compressed answer would have another length, and ranges of it would mean other bytes.
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (offset > 0) headers['range'] = `bytes=${offset}-`;
    if (offset > 0 && validator !== null) headers['if-range'] = validator;
    try {
      return await (this.options.fetch ?? fetch)(this.url, { headers, signal });
    } catch (error) {
      throw new TransientFailure(describeNetworkError(error), { cause: error });
    }
  }

  private async receive(response: Response, start: number, total: number | null, watch: IdleWatch): Promise<void> {
    let received = start;
    let handle: fs.promises.FileHandle | undefined;
    try {
      handle = await fs.promises.open(this.partial, start > 0 ? 'r+' : 'w');
      if (response.body !== null) {
        for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
          watch.touch();
          await this.write(handle, piece, received, total);
          received += piece.byteLength;
          this.options.onProgress?.({ kind: 'advance', task: this.task, done: received, total: total ?? this.options.size ?? 0 });
        }
      }
    } catch (error) {
      if (error instanceof WeightsError) throw error;
      throw new TransientFailure(`${describeNetworkError(error)} after ${received} bytes`, { cause: error });
    } finally {
      await handle?.close();
    }
    if (total !== null && received < total) throw new TransientFailure(`only ${received} of ${total} bytes came`);
  }

  private async write(handle: fs.promises.FileHandle, piece: Uint8Array, position: number, total: number | null): Promise<void> {
    try {
      await handle.write(piece, 0, piece.byteLength, position);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw this.diskFull((total ?? 0) - position, 0, error);
      throw new WeightsError('download/write', `${this.partial} cannot be written: ${String(error)}. Choose another cache folder with CRANE_CACHE.`, { file: this.partial }, { cause: error });
    }
  }

  private async refuse(response: Response): Promise<never> {
    await response.body?.cancel();
    const told = `${response.status} ${response.statusText}`.trim();
    if (response.status >= 500 || response.status === 429 || response.status === 408) throw new TransientFailure(`the server answered ${told}`);
    throw new WeightsError(
      'download/refused',
      `${this.url} was refused: the server answered ${told}, expected a file. The address may have moved; fetch the file elsewhere and put it at ${this.file}.`,
      { url: this.url, file: this.file, status: response.status },
    );
  }

  private checkLength(bytes: number, verb: string, response?: Response): void {
    const size = this.options.size;
    if (size == null || bytes === size) return;
    void response?.body?.cancel();
    this.discard();
    throw new WeightsError(
      'download/length',
      `${this.url}: a file of ${bytes} bytes ${verb}, expected ${size}. Nothing of it was kept; the address may give another file now.`,
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
    return new WeightsError('download/aborted', `the download of ${this.url} was stopped; the ${this.partialLength()} bytes that came are kept.`, { url: this.url });
  }

  private partialLength(): number {
    return fs.statSync(this.partial, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** A partial file may be continued when it belongs to this address, and a mixture of two files would be noticed. */
  private readState(): PartialState | null {
    try {
      const state = JSON.parse(fs.readFileSync(this.stateFile, 'utf8')) as PartialState;
      const noticed = state.validator !== null || this.options.sha256 != null;
      return state.url === this.url && noticed && this.partialLength() > 0 ? state : null;
    } catch {
      return null;
    }
  }

  private writeState(state: PartialState): void {
    fs.writeFileSync(this.stateFile, JSON.stringify(state));
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

/** Aborts when nothing was heard for a while, or when the caller aborts. */
class IdleWatch {
  private readonly controller = new AbortController();
  private readonly forward = (): void => this.controller.abort(this.outer?.reason);
  private timer: NodeJS.Timeout;

  constructor(
    private readonly milliseconds: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    this.timer = this.arm();
    outer?.addEventListener('abort', this.forward, { once: true });
    if (outer?.aborted) this.forward();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  touch(): void {
    clearTimeout(this.timer);
    this.timer = this.arm();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.forward);
  }

  private arm(): NodeJS.Timeout {
    return setTimeout(() => this.controller.abort(new Error(`nothing was heard for ${this.milliseconds / 1000} s`)), this.milliseconds);
  }
}

/** If-Range allows strong validators only. */
function validatorOf(response: Response): string | null {
  const etag = response.headers.get('etag');
  if (etag !== null && !etag.startsWith('W/')) return etag;
  return response.headers.get('last-modified');
}

/** Whole length out of `Content-Range: bytes 5-9/10`; null where the server does not say. */
function totalOf(response: Response): number | null {
  const match = /\/(\d+)\s*$/.exec(response.headers.get('content-range') ?? '');
  return match === null ? null : Number(match[1]);
}

function rangeStart(response: Response): number {
  return Number(/bytes\s+(\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? NaN);
}

function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : undefined;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return cause === undefined ? error.message : `${error.message}: ${code ?? cause.message}`;
}

import * as fs from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Sharp } from 'sharp';
import { ImageError } from '../errors';
import { withTimeout } from '../cancellation';
import type { MemoryClaim } from '../memory-budget';
import { FileRefusal, readRegularFile } from '../files/regular-file';
import { RefusedUrl, requestWeb } from '../web/request';

/** Pixels that a program already has: uint8 [height, width, channels], rows from the top, 1 (grey) to 4 (RGBA) channels. */
export interface RawPixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
}

/**
 * Every form in which an image may be given: a path; a URL (`file:`, `http:`, `https:`), also as a string; the bytes of an image
 * file; a sharp instance, whose own operations are applied and which stays usable; raw pixels.
 */
export type ImageInput = string | URL | Uint8Array | Sharp | RawPixels;

/** Limits on what is read. */
export interface ReadLimits {
  /** Largest file or download in bytes. Default 1 GiB for files, 64 MiB for downloads. */
  readonly maxBytes?: number;
  /** How long a download may take in all, in milliseconds. Default 30 000. */
  readonly timeout?: number;
  /** Refuse downloads. Default false. */
  readonly offline?: boolean;
  /** Asked for the memory of a file before it is read, and of its pixels before they are decoded. */
  readonly memory?: MemoryClaim;
  /** Download from hosts of private networks too. Default: see `WebRequest`. */
  readonly allowPrivateUrls?: boolean;
  /** Ends a download, with its reason. */
  readonly signal?: AbortSignal;
}

const FILE_LIMIT = 2 ** 30;
const DOWNLOAD_LIMIT = 64 * 2 ** 20;
const DOWNLOAD_TIMEOUT = 30_000;

export function isSharp(input: unknown): input is Sharp {
  const candidate = input as Partial<Record<'clone' | 'raw' | 'toBuffer' | 'metadata', unknown>> | null;
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    (['clone', 'raw', 'toBuffer', 'metadata'] as const).every((method) => typeof candidate[method] === 'function')
  );
}

/** True of bytes in whichever realm they were made: under jest a Buffer is no `instanceof Uint8Array`. */
export function isBytes(input: unknown): input is Uint8Array {
  return ArrayBuffer.isView(input) && Object.prototype.toString.call(input) === '[object Uint8Array]';
}

export function isRawPixels(input: unknown): input is RawPixels {
  return (
    typeof input === 'object' &&
    input !== null &&
    !isBytes(input) &&
    'data' in input &&
    'width' in input &&
    'height' in input &&
    'channels' in input
  );
}

/** How a message names an input. */
export function describeInput(input: unknown): string {
  if (typeof input === 'string') return input.startsWith('data:') ? `${input.slice(0, 32)}…` : input;
  if (input instanceof URL) return input.href;
  if (isBytes(input)) return `a buffer of ${input.byteLength} bytes`;
  if (isSharp(input)) return 'a sharp instance';
  if (isRawPixels(input)) return 'raw pixels';
  return input === null ? 'null' : typeof input;
}

/**
 * The bytes of an image file.
 *
 * @throws ImageError `image/not-found`, `image/unreadable`, `image/empty`, `image/too-large`, `image/download`, `image/offline`,
 *   `image/url` for an address that is not contacted
 */
export async function readBytes(input: string | URL | Uint8Array, limits: ReadLimits = {}): Promise<Uint8Array> {
  const bytes = isBytes(input) ? input : await readFrom(input, limits);
  if (bytes.byteLength === 0) {
    const source = describeInput(input);
    throw new ImageError(
      'image/empty',
      `${source}: empty, 0 bytes. An image was expected; copy or download it again.`,
      { source },
    );
  }
  return bytes;
}

async function readFrom(input: string | URL, limits: ReadLimits): Promise<Uint8Array> {
  const url = asUrl(input);
  if (url === undefined) return readFile(input as string, limits);
  switch (url.protocol) {
    case 'file:':
      return readFile(fileURLToPath(url), limits);
    case 'http:':
    case 'https:':
      return download(url, limits);
    default:
      throw new ImageError(
        'image/url',
        `${describeInput(input)}: URLs of the kind "${url.protocol}" are not read. Give a file:, http: or https: URL, or a path.`,
        { source: describeInput(input), protocol: url.protocol },
      );
  }
}

/** A string counts as a URL when it has a scheme of two letters or more; "C:\part.png" is a path. */
function asUrl(input: string | URL): URL | undefined {
  if (input instanceof URL) return input;
  return /^(file|https?|data|ftp):/i.test(input) && URL.canParse(input) ? new URL(input) : undefined;
}

async function readFile(path: string, { maxBytes = FILE_LIMIT, memory }: ReadLimits): Promise<Uint8Array> {
  // Its size decides what to wait for; what it is, and whether it exists, is reported below.
  await memory?.grow((await fs.stat(path).catch(() => undefined))?.size ?? 0);
  try {
    return await readRegularFile(path, maxBytes);
  } catch (error) {
    if (!(error instanceof FileRefusal)) throw error;
    const { reason, found } = error;
    if (reason === 'size') throw tooLarge(path, error.bytes, maxBytes);
    if (reason === 'kind') {
      const advice =
        found === 'a folder' ? 'Name the files in it one by one.' : 'It is not opened, since it may never end.';
      throw new ImageError('image/unreadable', `${path}: this is ${found}; an image file was expected. ${advice}`, {
        source: path,
      });
    }
    if (reason === 'ENOENT' || reason === 'ENOTDIR') {
      throw new ImageError(
        'image/not-found',
        `${path}: ${found}. Check the path; it is taken relative to ${process.cwd()}.`,
        { source: path },
        { cause: error.cause },
      );
    }
    throw new ImageError(
      'image/unreadable',
      `${path}: ${found}. Check the file and its permissions.`,
      { source: path, code: reason },
      { cause: error.cause },
    );
  }
}

async function download(url: URL, limits: ReadLimits): Promise<Uint8Array> {
  const maxBytes = limits.maxBytes ?? DOWNLOAD_LIMIT;
  const timeout = limits.timeout ?? DOWNLOAD_TIMEOUT;
  const source = url.href;
  if (limits.offline) {
    throw new ImageError(
      'image/offline',
      `${source}: not downloaded, because downloads are disabled. Give a file, or leave out \`offline\`.`,
      { source },
    );
  }
  try {
    return await withTimeout(timeout, limits.signal, (signal) => downloadOnce(url, { ...limits, maxBytes, signal }));
  } catch (error) {
    if (error instanceof ImageError) throw error;
    limits.signal?.throwIfAborted();
    if (error instanceof RefusedUrl) {
      throw new ImageError(
        'image/url',
        `${source}: not downloaded: ${error.message}; or give a file.`,
        { source, reason: error.reason },
        { cause: error },
      );
    }
    throw new ImageError(
      'image/download',
      `${source}: cannot be downloaded (${(error as Error).name === 'TimeoutError' ? `no complete answer within ${timeout / 1000} s` : reasonOf(error)}). Check the address and the network, or give a file.`,
      { source },
      { cause: error },
    );
  }
}

async function downloadOnce(
  url: URL,
  { maxBytes, allowPrivateUrls, signal }: ReadLimits & { maxBytes: number; signal: AbortSignal },
): Promise<Buffer> {
  const source = url.href;
  const { status, statusText, headers, body } = await requestWeb(url, {
    // A compressed answer could expand to any length.
    headers: { 'accept-encoding': 'identity' },
    signal,
    ...(allowPrivateUrls === undefined ? {} : { allowPrivateUrls }),
  });
  try {
    if (status < 200 || status > 299)
      throw new ImageError(
        'image/download',
        `${source}: the server answered ${`${status} ${statusText}`.trim()}. Check the address.`,
        { source, status },
      );
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity')
      throw new ImageError(
        'image/download',
        `${source}: the server compressed the image (${encoding}), although it was asked not to. Download it by other means and give the file.`,
        { source, encoding },
      );
    const announced = Number(headers['content-length'] ?? 0);
    if (announced > maxBytes) throw tooLarge(source, announced, maxBytes);
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.byteLength;
      // Counted while it arrives, since the announced length may be missing or wrong.
      if (size > maxBytes) throw tooLarge(source, size, maxBytes);
      parts.push(part);
    }
    return Buffer.concat(parts);
  } finally {
    body.destroy();
  }
}

/** Of several addresses that were tried, each has an error of its own. */
function reasonOf(error: unknown): string {
  return String(((error instanceof AggregateError ? error.errors[0] : error) as Error).message);
}

function tooLarge(source: string, found: number, maxBytes: number): ImageError {
  return new ImageError(
    'image/too-large',
    `${source}: ${found} bytes or more, the limit is ${maxBytes}. Give a smaller image or raise maxBytes.`,
    { source, found, maxBytes },
  );
}

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeFolderSync } from '../lib/files/make-folder';
import { formatBytes } from '../lib/bytes';
import { CraneError, DatasetError, UsageError } from '../lib/errors';
import { withFileLock, type LockOptions } from '../lib/files/file-lock';
import { requestWeb } from '../lib/web/request';
import { download, isOffline, sha256OfFile, type DownloadOptions } from '../lib/weights/download';
import { unpack } from './archives/unpack';
import { dataFolder, findDatasetFolder } from './data-folder';
import type { Archive, RegisteredDataset } from './registry';

export interface FetchOptions extends Omit<DownloadOptions, 'sha256' | 'size'>, Pick<LockOptions, 'onWait'> {
  /** Default: `dataFolder()`. */
  readonly dataFolder?: string;
  /** Whether the person has read the licence and accepts it. */
  readonly acceptLicense?: boolean;
  /** Keep the archives after unpacking, in `.downloads` of the data folder. Default false. */
  readonly keepArchives?: boolean;
}

export interface Fetched {
  /** The set's folder. */
  readonly folder: string;
  /** False where it was there already. */
  readonly fetched: boolean;
}

/** Archive and unpacked files together, as a multiple of the archive: images hardly compress. */
const ROOM = 2.2;

/**
 * Downloads a set from its official address and unpacks it into the data folder. An interrupted download resumes where it
 * stopped; the set's folder appears when it is complete.
 *
 * @throws UsageError `dataset/license` where the licence was not accepted, `dataset/not-fetchable` where a person has to
 *   go to the address; DatasetError `dataset/disk-full`, those of `unpack`; WeightsError of `download`; the signal's reason
 */
export async function fetchDataset(entry: RegisteredDataset, options: FetchOptions = {}): Promise<Fetched> {
  const data = options.dataFolder ?? dataFolder();
  const present = findDatasetFolder(entry, data);
  if (present !== undefined) return { folder: present, fetched: false };
  const place = path.join(data, entry.folders[0] ?? entry.name);
  if (entry.archives.length === 0) throw notFetchable(entry, place);
  if (options.acceptLicense !== true) throw licenceNotAccepted(entry);
  const downloads = path.join(data, '.downloads', entry.name);
  makeFolderSync(downloads);
  const lock = path.join(data, `.${entry.name}.lock`);
  return withFileLock(lock, () => fetchUnlocked(entry, { data, place, downloads }, options), {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onWait ? { onWait: options.onWait } : {}),
  });
}

interface Places {
  readonly data: string;
  readonly place: string;
  readonly downloads: string;
}

async function fetchUnlocked(
  entry: RegisteredDataset,
  { data, place, downloads }: Places,
  options: FetchOptions,
): Promise<Fetched> {
  if (fs.existsSync(place)) return { folder: place, fetched: false };
  removeDrafts(data, entry.name);
  const files = entry.archives.map((archive) => path.join(downloads, fileNameOf(archive)));
  await checkRoom(entry, files, data, options);
  for (const [index, archive] of entry.archives.entries()) await fetchArchive(archive, files[index] as string, options);
  const draft = path.join(data, `${draftPrefix(entry.name)}${randomUUID().slice(0, 8)}`);
  try {
    for (const file of files) await unpack(file, draft, options);
    fs.renameSync(draft, place);
  } catch (error) {
    fs.rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  if (options.keepArchives !== true) fs.rmSync(downloads, { recursive: true, force: true });
  return { folder: place, fetched: true };
}

/** An archive that a person put there, or that an earlier call kept, is used when it is the right one. */
async function fetchArchive({ url, sha256 }: Archive, file: string, options: FetchOptions): Promise<void> {
  if (fs.existsSync(file)) {
    const found = sha256 === null ? null : await sha256OfFile(file);
    if (found === sha256) return;
    throw new DatasetError(
      'dataset/archive',
      `${file} is not the archive of ${url}: it has sha256 ${found}, expected ${sha256}. Delete it and call again.`,
      { path: file, found, expected: sha256 },
    );
  }
  try {
    await download(url, file, { ...options, sha256 });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof CraneError) || error.code !== 'download/disk-full') throw error;
    throw noRoom(path.dirname(file), Number(error.data['needed']), Number(error.data['free']), error);
  }
}

/** Asks for the size of the archives before the first byte; a server that does not say is assumed to fit. */
async function checkRoom(
  entry: RegisteredDataset,
  files: readonly string[],
  data: string,
  options: FetchOptions,
): Promise<void> {
  if (options.offline ?? isOffline()) return;
  let needed = 0;
  for (const [index, { url }] of entry.archives.entries()) {
    const size = await contentLength(url, options);
    const have = [files[index] as string, `${files[index]}.partial`].map(
      (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    );
    needed += Math.max(0, ROOM * size - Math.max(...have));
  }
  const { bavail, bsize } = fs.statfsSync(data);
  if (bavail * bsize < needed) throw noRoom(data, Math.ceil(needed), bavail * bsize);
}

async function contentLength(
  url: string,
  { idleTimeout = 10_000, signal, allowPrivateUrls }: FetchOptions,
): Promise<number> {
  try {
    const timeout = AbortSignal.timeout(idleTimeout);
    const { status, headers, body } = await requestWeb(url, {
      method: 'HEAD',
      headers: { 'accept-encoding': 'identity' },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(allowPrivateUrls === undefined ? {} : { allowPrivateUrls }),
    });
    body.destroy();
    const length = Number(headers['content-length'] ?? NaN);
    return status >= 200 && status < 300 && Number.isFinite(length) ? length : 0;
  } catch {
    signal?.throwIfAborted();
    // The download itself reports what is wrong, and tries again.
    return 0;
  }
}

function fileNameOf({ url }: Archive): string {
  return path.posix.basename(new URL(url).pathname).replace(/[^\w.-]+/g, '_');
}

const draftPrefix = (name: string): string => `.${name}.unpacking-`;

/** Remains of a process that was ended while it unpacked. */
function removeDrafts(data: string, name: string): void {
  for (const left of fs.readdirSync(data).filter((child) => child.startsWith(draftPrefix(name))))
    fs.rmSync(path.join(data, left), { recursive: true, force: true });
}

function noRoom(folder: string, needed: number, free: number, cause?: unknown): DatasetError {
  return new DatasetError(
    'dataset/disk-full',
    `no room in ${folder}: about ${formatBytes(needed)} are needed for the archive and its content, ${formatBytes(free)} are free. Make room, or choose another folder with CRANE_DATA.`,
    { folder, needed, free },
    { cause },
  );
}

function licenceNotAccepted({ name, title, source, licence }: RegisteredDataset): UsageError {
  return new UsageError(
    'dataset/license',
    `${title} is not ours to distribute: it comes from ${source}\n  Licence: ${licence}\n  Read its terms there. To accept them and fetch it: crane datasets fetch ${name} --accept-license`,
    { name, licence, source },
  );
}

function notFetchable({ name, title, source, licence, kind }: RegisteredDataset, place: string): UsageError {
  const message =
    kind === 'drawn'
      ? `${title} is synthetic, not downloaded: crane datasets synthesize`
      : `${title} has no address that serves it without a form, an account or a browser.\n  Get it from: ${source}\n  Licence: ${licence}\n  Unpack to: ${place}, as it is; then: crane datasets check ${name}`;
  return new UsageError('dataset/not-fetchable', message, { name, source, licence, place });
}

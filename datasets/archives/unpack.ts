import * as fs from 'node:fs';
import * as path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { makeFolderSync } from '../../lib/files/make-folder';
import { CraneError, DatasetError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { RandomAccessFile, readBytes } from '../../lib/files/byte-section';
import { ZipArchive } from '../../lib/files/zip';
import { tarEntries } from './tar';

export interface UnpackOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** One entry of an archive, of whichever format. */
interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly size: number;
  /** The content in pieces. */
  pieces(): Iterable<Uint8Array>;
}

const PIECE = 4 << 20;
/** No image of any set is that large. */
const LARGEST_FILE = 1 << 30;

/**
 * Unpacks a zip or tar archive into a folder. Names that would lead out of it, links and devices are refused before
 * anything is written; only plain files and folders are ever created, so no entry can be written through another.
 * Free space is checked first.
 *
 * @returns how many files it had
 * @throws DatasetError `dataset/archive` (damaged, or not an archive), `dataset/archive-unsafe`, `dataset/disk-full`,
 *   `dataset/unpack`; the signal's reason
 */
export async function unpack(archive: string, folder: string, options: UnpackOptions = {}): Promise<number> {
  const { onProgress, signal } = options;
  const file = new RandomAccessFile(archive);
  try {
    const entries = entriesOf(file);
    const places = entries.map((entry) => placeOf(entry, archive, folder));
    checkRoom(
      entries.reduce((sum, { size }) => sum + size, 0),
      archive,
      folder,
    );
    const task = `unpack ${path.basename(archive)}`;
    onProgress?.({ kind: 'start', task, total: entries.length, unit: 'steps' });
    let files = 0;
    for (const [index, entry] of entries.entries()) {
      await setImmediate();
      signal?.throwIfAborted();
      const place = places[index];
      if (place !== undefined) {
        if (entry.kind === 'file') files++;
        write(entry, place);
      }
      onProgress?.({ kind: 'advance', task, done: index + 1, total: entries.length });
    }
    onProgress?.({ kind: 'done', task });
    return files;
  } catch (error) {
    throw explained(error, archive, folder);
  } finally {
    file.close();
  }
}

function entriesOf(file: RandomAccessFile): Entry[] {
  const beginning = Buffer.from(readBytes(file, 0, Math.min(file.size, 265)).buffer);
  if (beginning.toString('latin1', 0, 2) === 'PK') return zipEntries(new ZipArchive(file));
  if (beginning.toString('latin1', 257, 262) === 'ustar') {
    return [...tarEntries(file)].map((entry) => ({ ...entry, pieces: () => piecesOf(file, entry.start, entry.size) }));
  }
  throw new DatasetError(
    'dataset/archive',
    `${file.path} is neither a zip nor a tar archive: it begins with ${JSON.stringify(beginning.toString('latin1', 0, 16))}. The address may serve a page instead of the file; open it in a browser.`,
    { path: file.path },
  );
}

function zipEntries(archive: ZipArchive): Entry[] {
  return [...archive.entries.values()].map((entry) => ({
    name: entry.name,
    size: entry.size,
    kind: entry.link ? 'link' : entry.name.endsWith('/') ? 'folder' : 'file',
    pieces: () => [archive.contents(entry, LARGEST_FILE)],
  }));
}

function* piecesOf(file: RandomAccessFile, start: number, size: number): Generator<Uint8Array> {
  for (let at = 0; at < size; at += PIECE) yield readBytes(file, start + at, Math.min(PIECE, size - at));
}

/** Where an entry goes; undefined for what macOS adds, which no set needs. */
function placeOf({ name, kind }: Entry, archive: string, folder: string): string | undefined {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (/[\\\0]|^[/]|^[A-Za-z]:/.test(name) || parts.includes('..'))
    throw unsafe(archive, `its entry ${JSON.stringify(name)} points outside of the archive`);
  if (kind === 'link' || kind === 'other')
    throw unsafe(
      archive,
      `its entry ${JSON.stringify(name)} is ${kind === 'link' ? 'a link' : 'neither a file nor a folder'}`,
    );
  if (parts[0] === '__MACOSX' || parts.at(-1)?.startsWith('._') || parts.length === 0) return undefined;
  return path.join(folder, ...parts);
}

function write({ kind, pieces }: Entry, place: string): void {
  if (kind === 'folder') {
    makeFolderSync(place);
    return;
  }
  makeFolderSync(path.dirname(place));
  const descriptor = fs.openSync(place, 'wx');
  try {
    for (const piece of pieces()) {
      for (let at = 0; at < piece.byteLength;) at += fs.writeSync(descriptor, piece, at);
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

function checkRoom(needed: number, archive: string, folder: string): void {
  makeFolderSync(folder);
  const { bavail, bsize } = fs.statfsSync(folder);
  if (bavail * bsize >= needed) return;
  throw new DatasetError(
    'dataset/disk-full',
    `no room to unpack ${path.basename(archive)}: it takes ${needed} bytes, ${bavail * bsize} are free in ${folder}. Make room, or choose another folder with CRANE_DATA.`,
    { folder, needed, free: bavail * bsize },
  );
}

function unsafe(archive: string, reason: string): DatasetError {
  return new DatasetError(
    'dataset/archive-unsafe',
    `${archive} is not unpacked: ${reason}. No set needs that; get the file from the official address.`,
    { path: archive },
  );
}

/** Failures of the archive and of the disk, as errors about the set. */
function explained(error: unknown, archive: string, folder: string): unknown {
  if (error instanceof DatasetError) return error;
  if (error instanceof CraneError) {
    const code = error.code === 'weights/unsafe' ? 'dataset/archive-unsafe' : 'dataset/archive';
    return new DatasetError(
      code,
      `${error.message}. Delete it and fetch it again.`,
      { path: archive, reason: error.code },
      { cause: error },
    );
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  return new DatasetError(
    'dataset/unpack',
    `${archive} cannot be unpacked to ${folder} (${code}). Check the free space and the permissions of the folder.`,
    { path: archive, folder, code },
    { cause: error },
  );
}

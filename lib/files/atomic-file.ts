import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { isAlive } from './living-process';
import { makeFolderSync } from './make-folder';

/** Bytes of a name that leave room for the suffix of a temporary file, where names have at most 255 bytes. */
const LONGEST_BEGINNING = 220;

/** Appends bytes to the file that is being written. */
export type Append = (bytes: Uint8Array) => void;

/**
 * Writes a file completely or not at all, piece by piece: beside its place, flushed to the disk, then moved there, so that no
 * reader and no crash ever leaves half a file under its name. Missing folders are created; on failure nothing remains.
 *
 * @param body appends the content; what it throws passes through
 * @throws the system's error where the file cannot be written, for the caller to name
 */
export function writeFileAtomicallySync(file: string, body: (append: Append) => void): void {
  const temporary = temporaryFor(file);
  makeFolderSync(path.dirname(temporary));
  try {
    const descriptor = fs.openSync(temporary, 'wx');
    try {
      body((bytes) => {
        for (let at = 0; at < bytes.byteLength;) at += fs.writeSync(descriptor, bytes, at);
      });
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(temporary, file);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

/** As {@link writeFileAtomicallySync}, of content that is in memory, without blocking. */
export async function writeFileAtomically(file: string, content: Uint8Array | string): Promise<void> {
  const temporary = temporaryFor(file);
  makeFolderSync(path.dirname(temporary));
  try {
    await fs.promises.writeFile(temporary, content, { flag: 'wx', flush: true });
    await fs.promises.rename(temporary, file);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

const TEMPORARY = /\.(\d+)\.([0-9a-f]{3})[0-9a-f]{5}\.partial$/;

/**
 * Removes the temporary files that writers on this machine have left behind because they were killed. Files of processes
 * that are alive, and of other machines that share the folder, stay.
 * @param name only temporary files of this name, directly in the folder; default: all, in the folders below it too
 */
export function removeLeftovers(folder: string, name?: string): void {
  for (const entry of entriesOf(folder)) {
    if (name === undefined && entry.isDirectory()) removeLeftovers(path.join(folder, entry.name));
    const [ending, pid, machine] = TEMPORARY.exec(entry.name) ?? [];
    if (ending === undefined || !entry.isFile() || machine !== machineTag() || isAlive(Number(pid))) continue;
    if (name === undefined || entry.name === `${beginningOf(name)}${ending}`)
      removeQuietly(path.join(folder, entry.name));
  }
}

/** None in a folder that is missing or unreadable: no writing depends on it. */
function entriesOf(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Beside the file, since a move between disks is not a single step; different in every call, and no longer than a disk allows. */
function temporaryFor(file: string): string {
  return path.resolve(
    path.dirname(file),
    `${beginningOf(path.basename(file))}.${process.pid}.${machineTag()}${randomUUID().slice(0, 5)}.partial`,
  );
}

function beginningOf(name: string): string {
  return Buffer.from(name).subarray(0, LONGEST_BEGINNING).toString('utf8');
}

function machineTag(): string {
  return createHash('sha256').update(os.hostname()).digest('hex').slice(0, 3);
}

function removeQuietly(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    // The error that led here matters more, and where nothing could be written, nothing is left.
  }
}

import * as fs from 'node:fs';
import { DatasetError } from '../lib/errors';
import { statOf } from './inventory';

/** Longer texts would not fit a string. */
const LONGEST = 256 * 1024 * 1024;

/**
 * The text of a list of a set, in UTF-8, or in UTF-16 where it begins with that mark, as spreadsheets write it.
 * @param most only so many bytes from its beginning
 * @throws DatasetError `dataset/list` for anything but a file, such as a pipe, for one that cannot be read, or is beyond 256 MB
 */
export function readListFile(file: string, most = Infinity): string {
  const stat = statOf(file);
  if (stat?.isFile() !== true) throw unreadable(file, 'it is not a file');
  if (stat.size > LONGEST && most === Infinity)
    throw unreadable(file, `it has ${stat.size} bytes, more than the ${LONGEST} that a list may have`);
  try {
    const bytes = most === Infinity ? fs.readFileSync(file) : beginning(file, most);
    return bytes[0] === 0xff && bytes[1] === 0xfe ? bytes.toString('utf16le', 2) : bytes.toString('utf8');
  } catch (error) {
    throw unreadable(file, error instanceof Error ? error.message : String(error), error);
  }
}

/** A list as JSON. @throws DatasetError `dataset/list` */
export function readJsonFile(file: string): unknown {
  const text = readListFile(file);
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown;
  } catch (error) {
    throw unreadable(file, `it is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

function beginning(file: string, most: number): Buffer {
  const handle = fs.openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(most);
    return bytes.subarray(0, fs.readSync(handle, bytes));
  } finally {
    fs.closeSync(handle);
  }
}

function unreadable(file: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError(
    'dataset/list',
    `${file} cannot be read: ${reason}`,
    { path: file },
    cause === undefined ? undefined : { cause },
  );
}

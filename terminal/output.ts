import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeLeftovers } from '../lib/files/atomic-file';
import { makeFolderSync } from '../lib/files/make-folder';
import { CraneError, UsageError } from '../lib/errors';
import { asFlags } from './option-flags';
import { jsonText, shown } from './terminal-text';

/**
 * Makes the folder that an option names, before any work is done for it, and removes what killed writers left in it.
 * @throws UsageError where it cannot be had or not be written
 */
export function prepareFolder(option: string, folder: string): void {
  makeFolder(option, folder);
  removeLeftovers(folder);
}

function makeFolder(option: string, folder: string): void {
  try {
    makeFolderSync(folder);
    fs.accessSync(folder, fs.constants.W_OK);
  } catch (error) {
    throw unwritable(option, folder, error);
  }
}

/**
 * Checks that a file can be written where an option names it; missing folders are created.
 * @throws UsageError where it is a folder, or the folder around it cannot be had
 */
export function prepareFile(option: string, file: string): void {
  makeFolder(option, path.dirname(path.resolve(file)));
  removeLeftovers(path.dirname(path.resolve(file)), path.basename(file));
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError('usage/output', `${option} ${file}: is a folder; the name of a file was expected.`, {
      option,
      path: file,
    });
  }
}

/** Where lines for programs go: a file, or standard output for "-". */
export interface LineWriter {
  write(value: unknown): void;
  close(): void;
}

/**
 * Opens a place for one JSON object per line; each is written when it is known, so that an end half-way loses none.
 * @throws UsageError where the file cannot be opened; `write` throws a CraneError where the disk is full
 */
export function openJsonLines(option: string, target: string): LineWriter {
  if (target === '-') return { write: (value) => printJson(value), close: () => undefined };
  prepareFile(option, target);
  let file: number;
  try {
    file = fs.openSync(target, 'w');
  } catch (error) {
    throw unwritable(option, target, error);
  }
  return {
    write: (value) => {
      try {
        fs.writeSync(file, `${JSON.stringify(value)}\n`);
      } catch (error) {
        throw new CraneError(
          'usage/output',
          `${option} ${target}: cannot be written (${codeOf(error)}). Check the space left.`,
          { path: target },
          { cause: error },
        );
      }
    },
    close: () => fs.closeSync(file),
  };
}

/** Writes results for people to standard output, and a line end. */
export function print(text: string): void {
  process.stdout.write(`${shown(asFlags(text))}\n`);
}

/** Writes a value for programs to standard output, and a line end. */
export function printJson(value: unknown, indent?: number): void {
  process.stdout.write(`${jsonText(value, indent)}\n`);
}

/** Writes a line for people to the error stream; on a terminal, in the place of a progress bar. */
export function say(message: string, end = '\n'): void {
  process.stderr.write(`${process.stderr.isTTY ? '\r\u001b[K' : ''}${shown(asFlags(message))}${end}`);
}

function unwritable(option: string, place: string, error: unknown): UsageError {
  const code = codeOf(error);
  const what = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in its place' : `cannot be written (${code})`;
  return new UsageError(
    'usage/output',
    `${option} ${place}: ${what}. Name another place.`,
    { option, path: place, code },
    { cause: error },
  );
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

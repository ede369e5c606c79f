import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeLeftovers } from '../lib/files/atomic-file';
import { makeFolderSync } from '../lib/files/make-folder';
import { CraneError, UsageError } from '../lib/errors';
import { asFlags } from './option-flags';
import { jsonText, shown } from './terminal-text';

/**
 * Creates the folder that an option names, before any work is done, and removes files left by killed writers.
 * @throws UsageError where it cannot be created or written
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
 * @throws UsageError where it is a folder, or its folder cannot be created
 */
export function prepareFile(option: string, file: string): void {
  makeFolder(option, path.dirname(path.resolve(file)));
  removeLeftovers(path.dirname(path.resolve(file)), path.basename(file));
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError('usage/output', `${option} ${file}: is a folder; expected the name of a file.`, {
      option,
      path: file,
    });
  }
}

/** Destination of lines for programs: a file, or standard output for "-". */
export interface LineWriter {
  write(value: unknown): void;
  close(): void;
}

/**
 * Opens an output for one JSON object per line. Each is written at once, so that an interruption loses none.
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
          `${option} ${target}: cannot be written (${codeOf(error)}). Check the free space.`,
          { path: target },
          { cause: error },
        );
      }
    },
    close: () => fs.closeSync(file),
  };
}

/** Writes human-readable results and a line end to standard output. */
export function print(text: string): void {
  process.stdout.write(`${shown(asFlags(text))}\n`);
}

/** Writes a value as JSON and a line end to standard output. */
export function printJson(value: unknown, indent?: number): void {
  process.stdout.write(`${jsonText(value, indent)}\n`);
}

/** Writes a human-readable line to the error stream; on a terminal, it replaces a progress bar. */
export function say(message: string, end = '\n'): void {
  process.stderr.write(`${process.stderr.isTTY ? '\r\u001b[K' : ''}${shown(asFlags(message))}${end}`);
}

function unwritable(option: string, place: string, error: unknown): UsageError {
  const code = codeOf(error);
  const what = code === 'EEXIST' || code === 'ENOTDIR' ? 'there is a file of that name' : `cannot be written (${code})`;
  return new UsageError(
    'usage/output',
    `${option} ${place}: ${what}. Choose another path.`,
    { option, path: place, code },
    { cause: error },
  );
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

import * as fs from 'node:fs';
import { TrainingError } from '../lib/errors';
import type { StepLosses } from './trainer';

/** A line of `losses.jsonl`. */
export interface StepLine extends StepLosses {
  /** Counted from 1. */
  readonly step: number;
  readonly epoch: number;
  /** Images in the batch. */
  readonly images: number;
  /** Time that the step took, in seconds. */
  readonly seconds: number;
}

/**
 * The losses of every step, one line of JSON each. A saved state records how many bytes belong to it, so that a resumed run
 * can cut off later lines, and no step appears twice or is missing.
 */
export class StepLog {
  private readonly descriptor: number;

  /**
   * @param bytes how much of the file to keep; the rest is cut off
   * @throws TrainingError `training/log` if the file is shorter; the system's error if it cannot be written
   */
  constructor(
    readonly file: string,
    private length: number,
  ) {
    this.descriptor = fs.openSync(file, length === 0 ? 'w' : 'r+');
    const found = fs.fstatSync(this.descriptor).size;
    if (found < length) {
      fs.closeSync(this.descriptor);
      throw new TrainingError(
        'training/log',
        `${file} has ${found} bytes, but ${length} belong to the steps already done; restore the whole file, or start a new run in another folder`,
        { file, found, expected: length },
      );
    }
    fs.ftruncateSync(this.descriptor, length);
  }

  /** Bytes of the lines so far. */
  get bytes(): number {
    return this.length;
  }

  append(line: StepLine): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    for (let at = 0; at < bytes.length;)
      at += fs.writeSync(this.descriptor, bytes, at, bytes.length - at, this.length + at);
    this.length += bytes.length;
  }

  /** Syncs the lines to the disk, before a saved state relies on them. */
  sync(): void {
    fs.fsyncSync(this.descriptor);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

/** The lines of a log. */
export function readStepLog(file: string): StepLine[] {
  if (!fs.existsSync(file)) return [];
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as StepLine);
}

import * as fs from 'node:fs';
import * as path from 'node:path';

/** The file that marks a set as a drawn stand-in. */
export const fakeRecordFile = 'fake.json';

/** What it says. */
export interface FakeRecord {
  /** Registered name of the real set. */
  readonly fakeOf: string;
  readonly generator: number;
  readonly seed: number;
  readonly imagesPerCategory: number;
  readonly imageSize: number;
  readonly form: string;
  /** Images of the test split. */
  readonly normal: number;
  readonly anomalous: number;
}

/** The record of a drawn stand-in; undefined for every other folder. */
export function fakeRecordOf(root: string): FakeRecord | undefined {
  const file = path.join(root, fakeRecordFile);
  try {
    // A pipe of that name would never be read to its end.
    return fs.statSync(file).isFile() ? (JSON.parse(fs.readFileSync(file, 'utf8')) as FakeRecord) : undefined;
  } catch {
    return undefined;
  }
}

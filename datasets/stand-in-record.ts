import * as fs from 'node:fs';
import * as path from 'node:path';
import { z } from 'zod';

/** The file that marks a set as a synthetic stand-in. */
export const standInRecordFile = 'fake.json';

const fakeRecord = z.object({
  /** Registered name of the real set. */
  fakeOf: z.string(),
  generator: z.number(),
  seed: z.number(),
  imagesPerCategory: z.number(),
  imageSize: z.number(),
  form: z.string(),
  /** Images of the test split. */
  normal: z.number(),
  anomalous: z.number(),
});

/** What it says. */
export type StandInRecord = Readonly<z.infer<typeof fakeRecord>>;

/** The record of a synthetic stand-in; undefined for every other folder. */
export function standInRecordOf(root: string): StandInRecord | undefined {
  const file = path.join(root, standInRecordFile);
  try {
    // A pipe of that name could never be read to its end.
    return fs.statSync(file).isFile() ? fakeRecord.parse(JSON.parse(fs.readFileSync(file, 'utf8'))) : undefined;
  } catch {
    return undefined;
  }
}

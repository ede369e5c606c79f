import * as fs from 'node:fs';
import { z } from 'zod';
import { TrainingError } from '../lib/errors';
import type { WorkingCommit } from './working-commit';
import type { BestEpoch, EpochRecord } from './epoch-record';
import type { RunRecord } from './run-record';
import type { TrainOptions } from './run-options';

/** Incremented whenever readers of `run.json` would have to change. */
export const RUN_SCHEMA_VERSION = 2;

/** The options of a run, without those tied to one process: enough to start it again. Paths are absolute. */
export type RunRequest = Omit<
  TrainOptions,
  | 'resume'
  | 'out'
  | 'overwrite'
  | 'commandLine'
  | 'offline'
  | 'allowPrivateUrls'
  | 'onProgress'
  | 'onStart'
  | 'onStep'
  | 'onEpoch'
  | 'onNotice'
  | 'signal'
>;

/** An image that could not be read and was skipped. */
export interface SkippedImage {
  readonly path: string;
  readonly message: string;
}

/** The content of `run.json`: what a run is, and its progress. */
export interface RunFile extends RunRecord {
  readonly schemaVersion: number;
  readonly status: 'running' | 'finished';
  readonly request: RunRequest;
  /** Commit of the folder in which the run was started; null if it is not in a repository. */
  readonly commit: WorkingCommit | null;
  readonly started: string;
  readonly skipped: readonly SkippedImage[];
  readonly epochs: readonly EpochRecord[];
  readonly best: BestEpoch | null;
  readonly seconds: { readonly encode: number; readonly train: number };
}

const shape = z.looseObject({
  schemaVersion: z.literal(RUN_SCHEMA_VERSION),
  status: z.enum(['running', 'finished']),
  request: z.looseObject({}),
  auxiliary: z.looseObject({ files: z.string() }),
  training: z.looseObject({}),
  options: z.looseObject({}),
  epochs: z.array(z.looseObject({})),
});

/**
 * Reads a run's `run.json`; undefined if there is none.
 * @throws TrainingError `training/run-file` for a file of another kind or version
 */
export function readRunFile(file: string): RunFile | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw new TrainingError(
      'training/run-file',
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      { file },
      { cause: error },
    );
  }
  const parsed = shape.safeParse(parseJson(text));
  // The schema recognises such files; the rest was written by this program, atomically.
  if (parsed.success) return parsed.data as unknown as RunFile;
  throw new TrainingError(
    'training/run-file',
    `${file} is not a record of a run that this version can resume; start a new run in another folder with \`out\``,
    { file },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { writeFileAtomicallySync } from '../lib/files/atomic-file';
import type { ModelDescription } from '../lib/crane';
import { CraneError } from '../lib/errors';
import { packageVersion } from '../lib/files/version';
import type { Evaluation } from './evaluation';
import type { MetricValues } from './metrics/metric-ids';

/** Raised whenever a reader of `results.json` would have to change. */
export const RESULTS_SCHEMA_VERSION = 1;

export interface CategoryResult {
  readonly name: string;
  readonly images: number;
  readonly anomalous: number;
  /** Fractions, not per cent; null where a metric is not defined. */
  readonly metrics: MetricValues;
}

export interface DatasetResult {
  readonly name: string;
  readonly categories: readonly CategoryResult[];
  readonly mean: MetricValues;
  /** Whether the means count undefined metrics as 0. */
  readonly referenceMeans?: boolean;
  /** The same over groups of defects, such as kinds seen and not seen in training. */
  readonly groups?: readonly {
    readonly name: string;
    readonly categories: readonly CategoryResult[];
    readonly mean: MetricValues;
  }[];
  readonly failures?: readonly { readonly path: string; readonly message: string }[];
}

/** What `eval` writes for programs to read. */
export interface Results {
  readonly schemaVersion: number;
  readonly datasets: readonly DatasetResult[];
  readonly model: ModelDescription;
  readonly run: RunManifest;
}

export interface RunManifest {
  readonly version: string;
  readonly node: string;
  readonly command: string;
  readonly date: string;
  readonly seconds: number;
}

/** Gathers evaluations made with one model. */
export function resultsOf(evaluations: readonly Evaluation[], model: ModelDescription, command: string): Results {
  return {
    schemaVersion: RESULTS_SCHEMA_VERSION,
    datasets: evaluations.map(({ dataset, categories, mean, groups, referenceMeans, failures }) => ({
      name: dataset,
      categories: categories.map(({ name, images, anomalous, metrics }) => ({ name, images, anomalous, metrics })),
      mean,
      ...(referenceMeans ? { referenceMeans } : {}),
      ...(groups.length > 0 ? { groups } : {}),
      ...(failures.length > 0 ? { failures } : {}),
    })),
    model,
    run: {
      version: packageVersion(),
      node: process.versions.node,
      command,
      date: new Date().toISOString(),
      seconds: evaluations.reduce((sum, { seconds }) => sum + seconds, 0),
    },
  };
}

/**
 * Writes results as JSON, whole or not at all; missing folders are created.
 * @throws CraneError `results/unwritable`
 */
export function writeResults(file: string, results: object, indent = 2): void {
  try {
    writeFileAtomicallySync(file, (append) => append(Buffer.from(`${JSON.stringify(results, null, indent)}\n`)));
  } catch (error) {
    throw unwritable('results', file, error);
  }
}

/** What could not be written, such as `report`. */
export function unwritable(what: string, file: string, cause: unknown): CraneError {
  const code = (cause as NodeJS.ErrnoException).code;
  const message = `${file}: the ${what} cannot be written (${code}). Check the folder, its permissions and the free space.`;
  return new CraneError('results/unwritable', message, { file, code }, { cause });
}

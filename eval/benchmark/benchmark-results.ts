import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ModelDescription } from '../../lib/crane';
import type { Evaluation } from '../evaluation';
import type { MetricValues } from '../metrics/metric-ids';
import type { PaperDomain, PublishedMethod, PublishedRow } from '../published';
import type { RecipeName } from '../recipes';
import type { Thumbnails } from '../gallery/pictures';
import { writeResults, type DatasetResult, type Results, type RunManifest } from '../results';
import type { Corruption } from './corruptions';
import type { ModelFiles } from './model-files';
import { reviveThresholds } from './result-store';
import type { RowCost } from './row-runner';

/** A set scored by a recipe. */
export interface BenchmarkRow extends DatasetResult {
  readonly recipe: RecipeName;
  /** The set's title, such as `MVTec-AD`. */
  readonly title: string;
  /** Domain of one of the paper's sets; null for other sets. */
  readonly domain: PaperDomain | null;
  readonly images: number;
  readonly anomalous: number;
  readonly model: ModelDescription;
  readonly files: ModelFiles;
  /** The paper's figures for this method on this set, in per cent; null where the paper prints none. */
  readonly published: PublishedRow | null;
  /** Problems of the set, one sentence each: missing categories, say, or that the set is synthetic. */
  readonly problems?: readonly string[];
  /**
   * Whether the figures should be the published ones: the paper's network, prompts and options on a whole set of the
   * paper.
   */
  readonly comparable: boolean;
  readonly cost: RowCost;
  /** Scoring and metrics together. */
  readonly seconds: number;
  /** Path of its `RowDetails`, beside `results.json`. */
  readonly details: string;
}

/** What only the row's own section of a report needs. Stored in one file per row, read by {@link readRowDetails}. */
export interface RowDetails {
  readonly schemaVersion: number;
  readonly recipe: RecipeName;
  readonly title: string;
  /** With the scores of single images, and curves. */
  readonly evaluation: Evaluation;
  /** Thumbnails of the images that `selectImages(evaluation)` selects, by path; null where none were made. */
  readonly thumbnails: Readonly<Record<string, Thumbnails>> | null;
}

/** A set for which a recipe has no figures. */
export interface LeftOut {
  readonly recipe: RecipeName;
  readonly name: string;
  /** Not on disk, the prompts were trained on it, or an error occurred. */
  readonly reason: 'absent' | 'auxiliary' | 'failed';
  /** What was found, and what to do. */
  readonly message: string;
  /** How to get a registered set that is missing. */
  readonly get?: { readonly source: string; readonly licence: string; readonly place: string };
}

/** Mean over the sets of a domain, each with equal weight, as the paper averages. */
export interface DomainAverage {
  readonly recipe: RecipeName;
  readonly domain: PaperDomain;
  readonly sets: readonly string[];
  readonly mean: MetricValues;
  /** As printed, in per cent; null unless all sets of the domain were scored. */
  readonly published: PublishedRow | null;
}

/** A set scored on degraded images. */
export interface CorruptionRow extends Corruption {
  readonly recipe: RecipeName;
  readonly name: string;
  /** In the unit of the kind, see `CORRUPTIONS`. */
  readonly level: number;
  readonly mean: MetricValues;
  /** `mean` minus the figures on the original images; null where either is not defined. Negative is worse. */
  readonly change: MetricValues;
}

/** One pair of the generalisation study: prompts trained on one set and used on another. */
export interface MatrixCell {
  readonly recipe: RecipeName;
  readonly auxiliary: string;
  readonly target: string;
  readonly mean: MetricValues;
}

export interface MatrixStudy {
  readonly auxiliaries: readonly string[];
  readonly targets: readonly string[];
  /** There is no cell where the target is the auxiliary set itself. */
  readonly cells: readonly MatrixCell[];
  /** Sets that cannot be trained on, and pairs that failed. */
  readonly leftOut: readonly {
    readonly recipe: RecipeName;
    readonly auxiliary: string;
    readonly target: string | null;
    readonly message: string;
  }[];
  readonly epochs: number;
  readonly seed: number;
}

export interface BenchmarkManifest extends RunManifest {
  readonly machine: Readonly<Record<string, unknown>>;
  readonly seed: number;
  /** False while rows are still to come. */
  readonly complete: boolean;
}

/** What `benchmark` writes: the results of `eval` for several sets and recipes, with averages and studies. */
export interface BenchmarkResults extends Omit<Results, 'model'> {
  /** One row per recipe and set, ordered by recipe, then by set. */
  readonly datasets: readonly BenchmarkRow[];
  /** The first row's model; each row has its own. Null until there is a row. */
  readonly model: ModelDescription | null;
  readonly run: BenchmarkManifest;
  readonly recipes: readonly {
    readonly name: RecipeName;
    readonly method: PublishedMethod;
    readonly about: string;
    readonly variantOf: RecipeName | null;
  }[];
  readonly averages: readonly DomainAverage[];
  readonly leftOut: readonly LeftOut[];
  readonly corruptions: readonly CorruptionRow[] | null;
  readonly matrix: MatrixStudy | null;
}

/** @throws CraneError `results/unwritable` */
export function writeRowDetails(file: string, details: RowDetails): void {
  writeResults(file, details, 0);
}

/**
 * The details of a row, as `writeRowDetails` wrote them.
 * @param folder the one that holds `results.json`
 */
export function readRowDetails(folder: string, { details }: Pick<BenchmarkRow, 'details'>): RowDetails {
  return JSON.parse(fs.readFileSync(path.join(folder, details), 'utf8'), reviveThresholds) as RowDetails;
}

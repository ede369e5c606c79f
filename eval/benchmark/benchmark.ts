import * as fs from 'node:fs';
import * as path from 'node:path';
import { describeReading, openDataset, type Dataset } from '../../datasets/dataset';
import { ensureSynthetic } from '../../datasets/ensure-synthetic';
import { findRegisteredDataset } from '../../datasets/registry';
import type { BackendInfo } from '../../lib/backend';
import type { CraneOptions } from '../../lib/crane';
import { CraneError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { packageVersion } from '../../lib/files/version';
import { isAuxiliarySet } from '../auxiliary-set';
import { METRIC_IDS, meanOverCategories, type MetricValues } from '../metrics/metric-ids';
import { paperDomain, PAPER_SETS, PUBLISHED_AVERAGES, publishedRow, type PaperDomain } from '../published';
import { byRecipe } from '../recipe-options';
import { isPaperRecipe, RECIPE_BACKBONE, recipeNamed, recipeRow, type Recipe } from '../recipes';
import { RESULTS_SCHEMA_VERSION, writeResults } from '../results';
import {
  writeRowDetails,
  type BenchmarkResults,
  type BenchmarkRow,
  type CorruptionRow,
  type DomainAverage,
  type LeftOut,
  type MatrixStudy,
} from './benchmark-results';
import { levelOf, type Corruption } from './corruptions';
import { studyMatrix, type TrainPrompts } from './matrix';
import { ModelInspector, networkOf, type BackboneFile } from './model-files';
import { ResultStore } from './result-store';
import { RowRunner, type RowOutcome } from './row-runner';

export interface BenchmarkOptions {
  /** Registered names or folders, in the order of the table. */
  readonly datasets: readonly string[];
  readonly recipes: readonly Recipe[];
  /** Options given explicitly; they override the recipes. */
  readonly model: CraneOptions;
  /** Folder for `results.json`, `rows/`, results kept between runs (`kept/`) and trained prompts (`prompts/`). */
  readonly out: string;
  readonly backend: BackendInfo;
  readonly command: string;
  readonly machine: Readonly<Record<string, unknown>>;
  /** Seed of the noise and of training. Default 111. */
  readonly seed?: number;
  /** Make thumbnails for the report. Default true. */
  readonly pictures?: boolean;
  /** Measure everything again. Default false. */
  readonly fresh?: boolean;
  readonly allowIncomplete?: boolean;
  /** Name of the layout to read all sets by. Default: for each set, the layout that explains most files. */
  readonly layout?: string;
  /** Treat images without a mask as normal in sets where only masks mark anomalous images. Default false. */
  readonly normalWithoutMask?: boolean;
  /** Score degraded images as well. */
  readonly corruptions?: readonly Corruption[];
  /** Train prompts on each set and use them on every other. */
  readonly matrix?: { readonly epochs: number; readonly train: TrainPrompts };
  readonly onProgress?: OnProgress;
  /** Called whenever a row begins or ends. */
  readonly onRows?: (rows: readonly RowState[]) => void;
  /** Called with one line for each set, describing what was read. */
  readonly onNotice?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** The state of a row. */
export interface RowState {
  readonly recipe: string;
  readonly name: string;
  readonly status: 'waiting' | 'running' | 'done' | LeftOut['reason'];
  /** Categories whose results were already kept. */
  readonly resumed: number;
  readonly row: BenchmarkRow | null;
  readonly message: string | null;
}

/**
 * Scores sets by recipes. Finished results are kept, category by category, and a later call with the same folder
 * does not compute them again; `results.json` is written atomically after each row.
 * @throws what opening the backbone throws, since no row can be scored without it; the signal's reason. Errors that
 *   concern a single row are listed in `leftOut` instead
 */
export async function runBenchmark(options: BenchmarkOptions): Promise<BenchmarkResults> {
  const { model, out, backend, seed = 111, fresh = false, onProgress, signal } = options;
  removeUnfinished(out);
  const inspector = new ModelInspector({
    ...model,
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
  const backbone = await inspector.backbone(model.backbone ?? RECIPE_BACKBONE, networkOf(model));
  const store = new ResultStore(path.join(out, 'kept'), fresh);
  const runner = new RowRunner({
    store,
    inspector,
    backend,
    seed,
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
  try {
    return await new Benchmark(options, runner, inspector, backbone).run();
  } finally {
    runner.dispose();
  }
}

/** Half-written files left by a killed run. The command's lock ensures that nobody else writes here. */
function removeUnfinished(out: string): void {
  if (!fs.existsSync(out)) return;
  for (const entry of fs.readdirSync(out, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && /\.json\.\d+\.[0-9a-f]+\.partial$/.test(entry.name))
      fs.rmSync(path.join(entry.parentPath, entry.name), { force: true });
  }
}

class Benchmark {
  private readonly rows: BenchmarkRow[] = [];
  private readonly leftOut: LeftOut[] = [];
  private readonly states: RowState[];
  private corruptions: CorruptionRow[] | null = null;
  private matrix: MatrixStudy | null = null;
  private readonly opened = new Map<string, Dataset | CraneError>();

  constructor(
    private readonly options: BenchmarkOptions,
    private readonly runner: RowRunner,
    private readonly inspector: ModelInspector,
    private readonly backbone: BackboneFile,
  ) {
    const { recipes, datasets } = options;
    this.states = recipes.flatMap(({ name: recipe }) =>
      datasets.map((name): RowState => ({ recipe, name, status: 'waiting', resumed: 0, row: null, message: null })),
    );
  }

  async run(): Promise<BenchmarkResults> {
    const { recipes, datasets, corruptions, matrix } = this.options;
    let place = 0;
    for (const recipe of recipes) {
      for (const name of datasets) await this.runRow(recipe, name, place++);
    }
    if (corruptions) await this.runCorruptions(corruptions);
    if (matrix) {
      const { out, seed = 111, onProgress, signal } = this.options;
      const sets = [...this.opened.values()].filter((set): set is Dataset => !(set instanceof Error));
      this.matrix = await studyMatrix(
        { runner: this.runner, inspector: this.inspector, backbone: this.backbone },
        {
          recipes,
          sets,
          model: this.options.model,
          out,
          seed,
          epochs: matrix.epochs,
          train: matrix.train,
          normalWithoutMask: this.options.normalWithoutMask,
          onCell: (study) => {
            this.matrix = study;
            this.save(false);
          },
          ...(onProgress ? { onProgress } : {}),
          ...(signal ? { signal } : {}),
        },
      );
    }
    return this.save(true);
  }

  private async runRow(recipe: Recipe, name: string, place: number): Promise<void> {
    const show = (state: Partial<RowState>): void => {
      this.states[place] = { ...(this.states[place] as RowState), ...state };
      this.options.onRows?.([...this.states]);
    };
    const leave = (reason: LeftOut['reason'], message: string, get?: LeftOut['get']): void => {
      this.leftOut.push({ recipe: recipe.name, name, reason, message, ...(get ? { get } : {}) });
      show({ status: reason, message });
    };
    const dataset = await this.open(name);
    if (dataset instanceof CraneError) return leave(...whyNotOpened(dataset));
    show({ status: 'running' });
    try {
      const given = this.optionsFor(recipe, dataset);
      const { prompts } = await this.inspector.filesOf(given);
      if (prompts && isAuxiliarySet(prompts.auxiliary, dataset.name)) {
        return leave(
          'auxiliary',
          `the prompts ${prompts.name} were trained on ${prompts.auxiliary} itself, so its figures would not be zero-shot`,
        );
      }
      const title = `${recipe.name} ${dataset.name}`;
      const outcome = await this.runner.run({
        title,
        dataset,
        options: given,
        pictures: this.options.pictures ?? true,
      });
      const row = this.rowOf(recipe, dataset, outcome);
      this.rows.push(row);
      this.saveDetails(row, outcome);
      this.save(false);
      show({ status: 'done', row, resumed: outcome.resumed });
    } catch (error) {
      if (this.options.signal?.aborted || !isOfTheRow(error)) throw error;
      leave('failed', error.message);
    }
  }

  /** Options to load a row's model with: the recipe's, overridden by those given explicitly. */
  private optionsFor(recipe: Recipe, dataset: Dataset): CraneOptions {
    const { model } = this.options;
    const { onProgress, signal, ...given } = model;
    return { ...byRecipe(recipe, dataset.name, this.backbone, given), backbone: model.backbone ?? RECIPE_BACKBONE };
  }

  private async open(name: string): Promise<Dataset | CraneError> {
    const known = this.opened.get(name);
    if (known) return known;
    const { onProgress, onNotice, signal, allowIncomplete = false, layout, normalWithoutMask } = this.options;
    let found: Dataset | CraneError;
    try {
      await ensureSynthetic(name, { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
      found = await openDataset(name, { allowIncomplete, layout, normalWithoutMask, onProgress });
      onNotice?.(`${found.name}: ${describeReading(found)}`);
    } catch (error) {
      if (!(error instanceof CraneError) || signal?.aborted) throw error;
      found = error;
    }
    this.opened.set(name, found);
    return found;
  }

  private rowOf(recipe: Recipe, dataset: Dataset, { evaluation, model, files, cost }: RowOutcome): BenchmarkRow {
    const { categories, mean, failures, seconds } = evaluation;
    const total = (of: 'images' | 'anomalous'): number => categories.reduce((sum, category) => sum + category[of], 0);
    const published = publishedRow(dataset.name, recipe.method) ?? null;
    return {
      name: dataset.name,
      recipe: recipe.name,
      title: findRegisteredDataset(dataset.name)?.title ?? dataset.name,
      domain: paperDomain(dataset.name),
      images: total('images'),
      anomalous: total('anomalous'),
      categories: categories.map(({ name, images, anomalous, metrics }) => ({ name, images, anomalous, metrics })),
      mean,
      ...(failures.length > 0 ? { failures } : {}),
      ...(dataset.problems.length > 0 ? { problems: dataset.problems.map(({ message }) => message) } : {}),
      published,
      comparable:
        published !== null &&
        dataset.problems.every(({ kind }) => kind === 'left-out') &&
        isComparable(recipe, dataset.name, { backbone: this.backbone, given: this.options.model, used: model }),
      model,
      files,
      cost,
      seconds,
      details: `rows/${recipe.name}/${dataset.name.replace(/[^\w.-]+/g, '_')}.json`,
    };
  }

  private saveDetails({ details, recipe, title }: BenchmarkRow, { evaluation, thumbnails }: RowOutcome): void {
    writeRowDetails(path.join(this.options.out, details), {
      schemaVersion: RESULTS_SCHEMA_VERSION,
      recipe,
      title,
      evaluation,
      thumbnails,
    });
  }

  private async runCorruptions(corruptions: readonly Corruption[]): Promise<void> {
    this.corruptions = [];
    for (const { recipe: recipeName, name, mean: clean } of this.rows) {
      const recipe = this.options.recipes.find(({ name: own }) => own === recipeName) as Recipe;
      const dataset = [...this.opened.values()].find(
        (set): set is Dataset => !(set instanceof Error) && set.name === name,
      ) as Dataset;
      for (const corruption of corruptions) {
        const title = `${recipeName} ${name} ${corruption.kind} ${corruption.strength}`;
        try {
          const { evaluation } = await this.runner.run({
            title,
            dataset,
            options: this.optionsFor(recipe, dataset),
            corruption,
            pictures: false,
          });
          const { mean } = evaluation;
          this.corruptions.push({
            recipe: recipeName,
            name,
            ...corruption,
            level: levelOf(corruption),
            mean,
            change: difference(mean, clean),
          });
          this.save(false);
        } catch (error) {
          if (this.options.signal?.aborted || !isOfTheRow(error)) throw error;
          this.leftOut.push({ recipe: recipeName, name, reason: 'failed', message: `${title}: ${error.message}` });
        }
      }
    }
  }

  private save(complete: boolean): BenchmarkResults {
    const { out, recipes, command, machine, seed = 111 } = this.options;
    const results: BenchmarkResults = {
      schemaVersion: RESULTS_SCHEMA_VERSION,
      datasets: this.rows,
      model: this.rows[0]?.model ?? null,
      run: {
        version: packageVersion(),
        node: process.versions.node,
        command,
        date: new Date().toISOString(),
        seconds: this.rows.reduce((sum, { seconds }) => sum + seconds, 0),
        machine,
        seed,
        complete,
      },
      recipes: recipes.map(({ name, method, about, variantOf }) => ({ name, method, about, variantOf })),
      averages: averagesOf(this.rows),
      leftOut: this.leftOut,
      corruptions: this.corruptions,
      matrix: this.matrix,
    };
    writeResults(path.join(out, 'results.json'), results);
    return results;
  }
}

/** For a missing set, also says where to get it. */
function whyNotOpened({ code, message, data }: CraneError): [LeftOut['reason'], string, LeftOut['get']?] {
  if (code !== 'dataset/absent') return ['failed', message];
  const { source, licence, place } = data as Readonly<Record<string, string>>;
  return ['absent', message, { source: source ?? '', licence: licence ?? '', place: place ?? '' }];
}

/** Whether a row was made as the paper's was: same network and second model, only paths and backends given. */
export function isComparable(
  recipe: Recipe,
  set: string,
  model: {
    readonly backbone: Pick<BackboneFile, 'takesPublishedPrompts'>;
    readonly given: CraneOptions;
    readonly used: { readonly options: object };
  },
): boolean {
  const {
    backbone,
    spatial,
    backend,
    batchSize,
    method,
    offline,
    allowPrivateUrls,
    referenceImages,
    onProgress,
    signal,
    dattnMean,
    ...byHand
  } = model.given;
  const untouched = Object.values(byHand).every((value) => value === undefined);
  return (
    untouched &&
    model.backbone.takesPublishedPrompts &&
    isPaperRecipe(recipe) &&
    'spatial' in model.used.options &&
    model.used.options.spatial === recipeRow(recipe, set).spatial
  );
}

/** Errors that concern one row only. Any other error, such as a bug in this program, ends the benchmark. */
function isOfTheRow(error: unknown): error is CraneError {
  return error instanceof CraneError && error.code !== 'results/unwritable';
}

function difference(of: MetricValues, from: MetricValues): MetricValues {
  const less = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b);
  return Object.fromEntries(METRIC_IDS.map((id) => [id, less(of[id], from[id])])) as MetricValues;
}

/** Means over the paper's sets that were scored, by recipe and domain; complete domains get the printed ones too. */
function averagesOf(rows: readonly BenchmarkRow[]): DomainAverage[] {
  const recipes = [...new Set(rows.map(({ recipe }) => recipe))];
  return recipes.flatMap((recipe) =>
    (['industrial', 'medical'] as const satisfies readonly PaperDomain[]).flatMap((domain) => {
      const of = rows.filter((row) => row.recipe === recipe && row.domain === domain);
      if (of.length === 0) return [];
      const complete = of.length === PAPER_SETS.filter((name) => paperDomain(name) === domain).length;
      const printed = complete && of.every(({ comparable }) => comparable);
      return [
        {
          recipe,
          domain,
          sets: of.map(({ name }) => name),
          mean: meanOverCategories(of.map(({ mean }) => mean)),
          published: printed ? PUBLISHED_AVERAGES[domain][recipeNamed(recipe).method] : null,
        },
      ];
    }),
  );
}

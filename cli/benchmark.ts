import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { withExamples } from '../terminal/examples';
import { describeMachine } from './bench/machine';
import { INTERRUPTED, interruptible } from '../terminal/interrupt';
import { craneOptionsFrom, modelOptions, type ModelArguments } from '../terminal/model-options';
import { prepareFile, prepareFolder, print, printJson, say } from '../terminal/output';
import { setOptions, setOptionsFrom, showedLayouts, type SetArguments } from '../terminal/set-options';
import { findRegisteredDataset, registeredDatasets } from '../datasets/registry';
import { prepareBackend } from '../lib/backend';
import { requestOf } from '../lib/crane';
import { CraneError, UsageError } from '../lib/errors';
import { withFileLock } from '../lib/files/file-lock';
import { DEFAULT_METHOD } from '../lib/methods/registry';
import { nearestName } from '../lib/nearest-name';
import { weightAccess } from '../lib/weights/weight-cache';
import { runTraining } from '../train/run';
import { readRunFile } from '../train/run-file';
import { RunFolder } from '../train/run-folder';
import { metricsLegend } from '../eval/metrics-table';
import { PAPER_SETS, PUBLISHED_METRIC_IDS } from '../eval/published';
import { methodRecipe, recipeNamed, RECIPES, type Recipe } from '../eval/recipes';
import { problemNotes } from '../eval/report/notes';
import { REPORT_FILES, writeBenchmarkReport } from '../eval/report/write-benchmark-report';
import { writeResults } from '../eval/results';
import { runBenchmark, type BenchmarkOptions } from '../eval/benchmark/benchmark';
import type { BenchmarkResults, LeftOut } from '../eval/benchmark/benchmark-results';
import { CORRUPTION_KINDS, STRENGTHS, type Corruption, type Strength } from '../eval/benchmark/corruptions';
import { LiveTable } from '../eval/benchmark/live-table';
import type { TrainPrompts } from '../eval/benchmark/matrix';
import { accuracyTables, corruptionLegend, corruptionTable, costTable, matrixTables } from '../eval/benchmark/tables';

interface BenchmarkArguments extends ModelArguments, SetArguments {
  datasets: string[];
  recipes?: string[] | undefined;
  out: string;
  json?: string | undefined;
  matrix: boolean;
  epochs: number;
  corruptions: boolean;
  strengths: string;
  pictures: boolean;
  fresh: boolean;
  allowIncomplete: boolean;
}

const group = 'Benchmark:';

/** `crane benchmark` */
export const benchmarkCommand: CommandModule<object, BenchmarkArguments> = {
  command: 'benchmark',
  describe: "Score many sets by the paper's recipes, with time and memory",
  builder: (argv) =>
    withExamples(
      modelOptions(
        setOptions(
          argv.option('datasets', {
            type: 'string',
            array: true,
            default: ['all'],
            describe: 'registered names or folders, separated by commas; all means the fourteen of the paper',
            group,
          }),
          group,
        )
          .option('recipes', {
            type: 'string',
            array: true,
            defaultDescription: 'crane, crane-plus; of other methods their defaults',
            describe: 'crane, crane-plus, crane-plus-reproduce',
            group,
          })
          .option('out', {
            type: 'string',
            default: path.join('results', 'benchmark'),
            describe: 'folder for results.json and the reports; a run that was stopped resumes there',
            group,
          })
          .option('json', { type: 'string', describe: 'copy results.json to a file, - for standard output', group })
          .option('matrix', {
            type: 'boolean',
            default: false,
            describe: 'also train prompts on each set, and score every other set with them',
            group,
          })
          .option('epochs', {
            type: 'number',
            default: 5,
            describe: 'with --matrix: passes over the training set',
            group,
          })
          .option('corruptions', {
            type: 'boolean',
            default: false,
            describe: `also score images degraded by ${CORRUPTION_KINDS.join(', ')}`,
            group,
          })
          .option('strengths', {
            type: 'string',
            default: '1,3,5',
            describe: 'with --corruptions: how strongly, from 1 to 5',
            group,
          })
          .option('pictures', {
            type: 'boolean',
            default: true,
            describe: 'make the small images that a report shows',
            group,
          })
          .option('fresh', {
            type: 'boolean',
            default: false,
            describe: 'compute everything again, ignoring what was kept',
            group,
          })
          .option('allow-incomplete', {
            type: 'boolean',
            default: false,
            describe: 'score sets even if masks or images are missing',
            group,
          }),
      ),
      [
        ["the paper's table, for the sets that are present", 'crane benchmark'],
        ['one recipe on two sets', 'crane benchmark --datasets mvtec,visa --recipes crane'],
        ['offline, with the embedded model', 'crane benchmark --datasets synthetic-target --backbone nano'],
        [
          'how metrics fall on noisy, blurred, bright and compressed images',
          'crane benchmark --datasets btad --corruptions',
        ],
        [
          'how results depend on the training set',
          'crane benchmark --datasets mvtec,visa,btad --recipes crane --matrix',
        ],
      ],
    ) as never,
  handler: async (args) => {
    if (showedLayouts(args)) return;
    process.exitCode = await interruptible((signal) => benchmark(args, signal));
  },
};

async function benchmark(args: ArgumentsCamelCase<BenchmarkArguments>, signal: AbortSignal): Promise<number> {
  const { out, json } = args;
  const given = { ...craneOptionsFrom(args), signal };
  const datasets = datasetsFrom(args.datasets);
  const recipes = recipesFrom(args);
  const studies = studiesFrom(args);
  prepareFolder('--out', out);
  if (json !== undefined && json !== '-') prepareFile('--json', json);
  const backend = await prepareBackend(args.backend);
  if (backend.warning !== null) say(backend.warning);
  const live = new LiveTable(process.stderr);
  const options: BenchmarkOptions = {
    datasets: datasets.names,
    recipes,
    model: given,
    out,
    backend,
    command: ['crane', ...process.argv.slice(2)].join(' '),
    machine: { ...describeMachine(backend) },
    seed: args.seed,
    pictures: args.pictures,
    fresh: args.fresh,
    allowIncomplete: args.allowIncomplete,
    ...setOptionsFrom(args),
    ...studies,
    onProgress: live.onProgress,
    onRows: live.onRows,
    onNotice: live.onNotice,
    signal,
  };
  const onWait = (): void => say(`Another benchmark is running in ${out}; waiting for it.`);
  let results: BenchmarkResults;
  try {
    const run = async (): Promise<BenchmarkResults> => {
      const finished = await runBenchmark(options);
      await writeBenchmarkReport(out, finished);
      return finished;
    };
    results = await withFileLock(path.join(out, '.lock'), run, { signal, onWait });
  } catch (error) {
    live.close();
    if (error instanceof CraneError && error.code === INTERRUPTED)
      say(`Finished results are kept in ${out}; the same command resumes from there.`);
    throw error;
  }
  live.close();
  problemNotes(results).forEach((problem) => say(problem));
  if (json === '-') printJson(results);
  else {
    if (json !== undefined) writeResults(json, results);
    print(`${summary(results)}\n\nWritten: ${path.join(out, 'results.json')}, ${REPORT_FILES.join(', ')}`);
  }
  return exitCode(results, datasets.all);
}

/**
 * Names the sets in the table's order. @throws UsageError for a set that is named twice, or neither registered nor a
 * folder
 */
function datasetsFrom(given: readonly string[]): { readonly names: readonly string[]; readonly all: boolean } {
  const names = split(given);
  if (names.length === 1 && names[0]?.toLowerCase() === 'all') return { names: PAPER_SETS, all: true };
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (names.length === 0 || twice !== undefined || names.some((name) => name.toLowerCase() === 'all')) {
    const found = names.length === 0 ? 'no set' : twice === undefined ? '"all" among other names' : `${twice} twice`;
    throw new UsageError(
      'usage/datasets',
      `--datasets: found ${found}; expected "all", or registered names and folders, each once, separated by commas`,
      { found: given },
    );
  }
  for (const name of names) {
    if (findRegisteredDataset(name) !== undefined || fs.existsSync(name)) continue;
    const known = registeredDatasets.map((entry) => entry.name);
    const near = nearestName(name.toLowerCase(), known);
    const hint = near === undefined ? '' : ` Did you mean ${near}?`;
    throw new UsageError(
      'usage/datasets',
      `--datasets: "${name}" is neither a registered set nor a folder.${hint} Known: ${known.join(', ')}.`,
      { found: name, expected: known },
    );
  }
  return { names, all: false };
}

/** @throws UsageError for recipes that are not known, and for those of Crane with another method */
function recipesFrom({ recipes: given, method = DEFAULT_METHOD }: BenchmarkArguments): Recipe[] {
  if (method !== DEFAULT_METHOD) {
    if (given === undefined) return [methodRecipe(method)];
    throw new UsageError(
      'usage/recipe',
      `--recipes ${given.join(',')} are of the method ${DEFAULT_METHOD}; leave them out with --method ${method}`,
      { method, recipes: given },
    );
  }
  if (given === undefined) return [RECIPES.crane, RECIPES['crane-plus']];
  return [...new Set(split(given).map(recipeNamed))];
}

function split(given: readonly string[]): string[] {
  return given
    .flatMap((names) => names.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** @throws UsageError */
function studiesFrom({
  matrix,
  epochs,
  corruptions,
  strengths,
  prompts,
  checkpoint,
}: BenchmarkArguments): Pick<BenchmarkOptions, 'matrix' | 'corruptions'> {
  if (matrix && (prompts ?? checkpoint) !== undefined) {
    throw new UsageError(
      'usage/matrix',
      `--matrix trains prompts itself, so it takes no --${prompts === undefined ? 'checkpoint' : 'prompts'}; leave one of the two out`,
      { prompts, checkpoint },
    );
  }
  const levels = split([strengths]).map((text) => STRENGTHS.find((strength) => String(strength) === text));
  if (levels.length === 0 || levels.includes(undefined)) {
    throw new UsageError(
      'usage/strengths',
      `--strengths ${strengths}: expected numbers from ${STRENGTHS[0]} to ${STRENGTHS.length}, such as 1,3,5`,
      { found: strengths },
    );
  }
  const graded = [...new Set(levels as Strength[])].sort((a, b) => a - b);
  return {
    ...(matrix ? { matrix: { epochs, train: trainPrompts } } : {}),
    ...(corruptions
      ? { corruptions: CORRUPTION_KINDS.flatMap((kind) => graded.map((strength): Corruption => ({ kind, strength }))) }
      : {}),
  };
}

/** Trains the prompts of a matrix, or finds those of a finished run. */
export const trainPrompts: TrainPrompts = async ({
  auxiliary,
  layout,
  normalWithoutMask,
  model: given,
  epochs,
  seed,
  folder,
  features,
  onProgress,
  signal,
}) => {
  const { backend } = given;
  const { prompts: _, checkpoint: __, ...choice } = requestOf(given).choice;
  const run = new RunFolder(folder);
  if (readRunFile(run.record)?.status === 'finished') return run.prompts;
  const { prompts } = await runTraining({
    auxiliary,
    layout,
    model: requestOf(given).options,
    ...(normalWithoutMask === undefined ? {} : { normalWithoutMask }),
    training: { seed, epochs },
    resume: folder,
    cache: { folder: features },
    ...choice,
    ...(backend === undefined ? {} : { backend }),
    ...weightAccess({ ...given, onProgress, signal }),
  });
  return prompts;
};

/** What a terminal shows at the end. */
export function summary(results: BenchmarkResults): string {
  const { datasets, leftOut, corruptions, matrix } = results;
  const parts: string[] = [];
  if (datasets.length > 0) {
    const compared = datasets.some(({ comparable }) => comparable)
      ? ' After each figure: its difference from the paper.'
      : '';
    parts.push(
      accuracyTables(results),
      `${metricsLegend(PUBLISHED_METRIC_IDS)}${compared}`,
      `Cost\n\n${costTable(datasets)}`,
    );
  }
  if (corruptions && corruptions.length > 0)
    parts.push(`Degraded images\n\n${corruptionTable(corruptions)}\n\n${corruptionLegend()}`);
  if (matrix && matrix.cells.length > 0) parts.push(matrixTables(matrix));
  parts.push(...notes(results));
  if (datasets.length === 0 && leftOut.every(({ reason }) => reason === 'absent'))
    parts.push('No set was found, so nothing was scored.');
  return `\n${parts.join('\n\n')}`;
}

/** Sets without figures, and why, each once. */
function notes({ datasets, leftOut, matrix }: BenchmarkResults): string[] {
  const absent = new Map(leftOut.flatMap(({ name, get }) => (get ? [[name, get] as const] : [])));
  const others = new Map<string, string[]>();
  for (const { recipe, name, message, get } of leftOut) {
    if (!get) others.set(`${name}: ${message}`, [...(others.get(`${name}: ${message}`) ?? []), recipe]);
  }
  const trained = (matrix?.leftOut ?? []).map(
    ({ recipe, auxiliary, target, message }) =>
      `${recipe}, trained on ${auxiliary}${target === null ? '' : `, scored on ${target}`}: ${message}`,
  );
  const unread = datasets.flatMap(({ recipe, name, failures = [] }) =>
    failures.length === 0
      ? []
      : [`${recipe} ${name}: ${failures.length} images could not be read; the first: ${failures[0]?.message}`],
  );
  const lines = [...[...others].map(([text, recipes]) => `${recipes.join(', ')} on ${text}`), ...trained, ...unread];
  return [
    ...(absent.size === 0 ? [] : [absentSets(absent)]),
    ...(lines.length === 0 ? [] : [`Left out\n\n${lines.join('\n')}`]),
  ];
}

/** Where to get the missing sets; "crane datasets list" has the details. */
function absentSets(sets: ReadonlyMap<string, NonNullable<LeftOut['get']>>): string {
  const folder = path.dirname([...sets.values()][0]?.place ?? '');
  const lines = [...sets].map(
    ([name, { source, licence, place }]) => `  ${name} as ${path.basename(place)}/ (${licence})\n      ${source}`,
  );
  return `Missing: ${sets.size} ${sets.size === 1 ? 'set' : 'sets'}. Unpack into ${folder}, or into the folder that CRANE_DATA names:\n\n${lines.join('\n')}`;
}

/** 1 where something failed, a named set is missing, or nothing was scored. */
function exitCode({ datasets, leftOut, matrix }: BenchmarkResults, all: boolean): number {
  const wrong = leftOut.some(({ reason }) => reason === 'failed' || (reason === 'absent' && !all));
  const unread = datasets.some(({ failures = [] }) => failures.length > 0);
  const untrained = matrix !== null && matrix.leftOut.some(({ target }) => target !== null);
  return datasets.length === 0 || wrong || unread || untrained ? 1 : 0;
}

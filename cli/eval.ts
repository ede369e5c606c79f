import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { mapFilesOf, writeScores } from './scored-files';
import { withExamples } from '../terminal/examples';
import { imageSizeCost } from './image-size-cost';
import { interruptible } from '../terminal/interrupt';
import { craneOptionsFrom, modelOptions, type ModelArguments } from '../terminal/model-options';
import { prepareFile, prepareFolder, print, printJson, say } from '../terminal/output';
import { setOptions, setOptionsFrom, showedLayouts, type SetArguments } from '../terminal/set-options';
import { createProgressReporter } from '../terminal/progress-bar';
import { shownInLine } from '../terminal/terminal-text';
import { describeReading, openDataset, type Dataset, type Sample } from '../datasets/dataset';
import { ensureSynthetic } from '../datasets/ensure-synthetic';
import { isUnseen } from '../datasets/synthetic/defects';
import { removeLeftovers } from '../lib/files/atomic-file';
import { Crane } from '../lib/crane';
import { UsageError } from '../lib/errors';
import type { OnProgress } from '../lib/progress';
import { isAuxiliarySet } from '../eval/auxiliary-set';
import type { Evaluation } from '../eval/evaluation';
import { evaluate } from '../eval/evaluator';
import { metricsLegend, metricsTable } from '../eval/metrics-table';
import { completeByRecipe } from '../eval/recipe-options';
import { RECIPE_NAMES, RECIPES } from '../eval/recipes';
import { writeReport } from '../eval/report/write-report';
import { resultsOf, writeResults, type DatasetResult } from '../eval/results';

interface EvalArguments extends ModelArguments, SetArguments {
  dataset?: string | undefined;
  categories?: string[] | undefined;
  recipe?: keyof typeof RECIPES | undefined;
  out?: string | undefined;
  json?: string | undefined;
  scores?: string | undefined;
  maps?: string | undefined;
  report: boolean;
  referenceMeans: boolean;
  allowAuxiliary: boolean;
  allowIncomplete: boolean;
}

/** `crane eval --dataset NAME|FOLDER` */
export const evalCommand: CommandModule<object, EvalArguments> = {
  command: 'eval',
  describe: 'Score a set zero-shot and compute its metrics',
  builder: (argv) =>
    withExamples(
      modelOptions(
        setOptions(
          argv.option('dataset', {
            type: 'string',
            describe: 'a registered name or a folder (required)',
            group: 'Evaluation:',
          }),
          'Evaluation:',
        )
          .option('categories', {
            type: 'string',
            array: true,
            describe: 'only these categories',
            group: 'Evaluation:',
          })
          .option('recipe', {
            choices: RECIPE_NAMES,
            describe: "use the paper's options and prompts for the set; explicit options override them",
            group: 'Evaluation:',
          })
          .option('out', {
            type: 'string',
            defaultDescription: 'results/SET',
            describe: 'folder for results.json and report.html',
            group: 'Evaluation:',
          })
          .option('json', {
            type: 'string',
            describe: 'copy results.json to a file, - for standard output',
            group: 'Evaluation:',
          })
          .option('scores', {
            type: 'string',
            describe: 'CSV file of path,category,defect,anomalous,score',
            group: 'Evaluation:',
          })
          .option('maps', {
            type: 'string',
            describe: 'folder for CATEGORY/DEFECT/IMAGE.npy, smoothed maps of the network input',
            group: 'Evaluation:',
          })
          .option('report', {
            type: 'boolean',
            default: true,
            describe: 'write report.html with images',
            group: 'Evaluation:',
          })
          .option('reference-means', {
            type: 'boolean',
            default: false,
            describe: 'count undefined metrics as 0 in the mean, as the reference does',
            group: 'Evaluation:',
          })
          .option('allow-auxiliary', {
            type: 'boolean',
            default: false,
            describe: 'allow the set that the prompts were trained on: not zero-shot',
            group: 'Evaluation:',
          })
          .option('allow-incomplete', {
            type: 'boolean',
            default: false,
            describe: 'continue even if masks or images are missing',
            group: 'Evaluation:',
          }),
      ),
      [
        ['the embedded model on a synthetic set', 'crane eval --dataset synthetic-target'],
        ["the paper's MVTec-AD row", 'crane eval --dataset mvtec --recipe crane'],
        ['a set of your own', 'crane eval --dataset sets/castings --prompts castings/prompts.safetensors'],
      ],
    ) as never,
  handler: async (args) => {
    if (showedLayouts(args)) return;
    process.exitCode = await interruptible((signal) => runEvaluation(args, signal));
  },
};

async function runEvaluation(args: ArgumentsCamelCase<EvalArguments>, signal: AbortSignal): Promise<number> {
  const onProgress = createProgressReporter(process.stderr);
  if (args.dataset === undefined)
    throw new UsageError(
      'usage/arguments',
      'Missing required argument: dataset. Name the set to score: --dataset with a registered name or a folder. See `crane eval --help`.',
    );
  const options = craneOptionsFrom(args);
  if (args.out !== undefined) prepareFolder('--out', args.out);
  if (args.json !== undefined && args.json !== '-') prepareFile('--json', args.json);
  if (args.scores !== undefined) prepareFile('--scores', args.scores);
  if (args.maps !== undefined) prepareFolder('--maps', args.maps);
  await ensureSynthetic(args.dataset, { onProgress, signal });
  const dataset = await openDataset(args.dataset, {
    allowIncomplete: args.allowIncomplete,
    // So that a plain folder of images is distinguished from a missing set.
    allowUnlabelled: true,
    onProgress,
    ...setOptionsFrom(args),
    ...(args.categories === undefined ? {} : { categories: args.categories.flatMap((names) => names.split(',')) }),
  });
  say(shownInLine(describeReading(dataset)));
  dataset.problems.forEach(({ message }) => say(shownInLine(message)));
  const mapFiles = args.maps === undefined ? undefined : mapFilesOf(args.maps, dataset);
  const classNames = options.className === undefined ? dataset.categories.map(({ name }) => name) : [];
  const given = { ...options, classNames, onProgress, signal };
  const crane = await Crane.load(
    args.recipe === undefined ? given : await completeByRecipe(RECIPES[args.recipe], dataset.name, given),
  );
  try {
    crane.description.warnings.forEach((warning) => say(warning));
    const cost = await imageSizeCost(crane.description);
    if (cost !== undefined) say(cost);
    if (!args.allowAuxiliary) refuseAuxiliarySet(crane, dataset);
    const command = ['crane', ...process.argv.slice(2)].join(' ');
    const out = args.out ?? path.join('results', dataset.name);
    const evaluation = await evaluateToFolder(crane, dataset, {
      out,
      command,
      report: args.report,
      referenceMeans: args.referenceMeans,
      ...(mapFiles ? { mapFiles } : {}),
      onProgress,
      signal,
    });
    if (args.scores !== undefined) writeScores(args.scores, evaluation);
    const results = resultsOf([evaluation], crane.description, command);
    if (args.json === '-') {
      printJson(results);
    } else {
      if (args.json !== undefined) writeResults(args.json, results);
      print(tableText(results.datasets[0] as DatasetResult));
      print(
        `\nWritten: ${path.join(out, 'results.json')}${args.report ? ` and ${path.join(out, 'report.html')}` : ''}`,
      );
    }
    for (const { message } of evaluation.failures) say(shownInLine(message));
    return evaluation.failures.length > 0 ? 1 : 0;
  } finally {
    crane.dispose();
  }
}

/**
 * Refuses to score the set that the prompts were trained on, since they have seen its labels.
 * @throws UsageError where the set is the one that the prompts were trained on
 */
export function refuseAuxiliarySet(crane: Crane, dataset: Dataset): void {
  const { auxiliary, prompts } = crane.description;
  if (!isAuxiliarySet(auxiliary, dataset.name)) return;
  throw new UsageError(
    'eval/auxiliary',
    `the prompts ${prompts} were trained on ${auxiliary} itself, so its figures would not be zero-shot. ` +
      'Use prompts that were trained on another set, or pass --allow-auxiliary.',
    { auxiliary, dataset: dataset.name },
  );
}

export interface EvaluateToFolderOptions {
  readonly out: string;
  readonly command: string;
  readonly report: boolean;
  readonly referenceMeans?: boolean;
  /** Where the map of each image is written, at the size of the network input. */
  readonly mapFiles?: ReadonlyMap<Sample, string>;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Evaluates a set, and writes `results.json` and, unless turned off, `report.html`. */
export async function evaluateToFolder(
  crane: Crane,
  dataset: Dataset,
  options: EvaluateToFolderOptions,
): Promise<Evaluation> {
  const { out, command, report, referenceMeans = false, mapFiles, onProgress, signal } = options;
  removeLeftovers(out);
  const evaluation = await evaluate(crane, dataset, {
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    referenceMeans,
    ...(mapFiles ? { onDetection: (sample, { map }) => map.saveNative(mapFiles.get(sample) as string) } : {}),
    // Only for synthetic sets is it known which kinds of defects training has seen.
    ...(dataset.name === 'synthetic-target'
      ? { groupOf: (defect: string) => (isUnseen(defect) ? 'kinds never seen' : 'kinds seen') }
      : {}),
  });
  const results = resultsOf([evaluation], crane.description, command);
  writeResults(path.join(out, 'results.json'), results);
  if (report)
    await writeReport(path.join(out, 'report.html'), {
      evaluation,
      results,
      crane,
      ...(onProgress ? { onProgress } : {}),
    });
  return evaluation;
}

/** A set's results, for the terminal. */
export function tableText(result: DatasetResult): string {
  return `\n${result.name}\n\n${metricsTable(result)}\n\n${metricsLegend()}`;
}

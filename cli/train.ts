import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { withExamples } from '../terminal/examples';
import { INTERRUPTED, interruptible } from '../terminal/interrupt';
import { methodOptionsFrom } from '../terminal/method-flags';
import { headsFrom, modelOptions, spatialFrom, type ModelArguments } from '../terminal/model-options';
import { asFlags } from '../terminal/option-flags';
import { print, printJson, say } from '../terminal/output';
import { createProgressReporter } from '../terminal/progress-bar';
import { setOptions, setOptionsFrom, showedLayouts, type SetArguments } from '../terminal/set-options';
import { formatTable } from '../terminal/table';
import { jsonText, shownInLine } from '../terminal/terminal-text';
import type { BackendChoice } from '../lib/backend';
import { parseBytes } from '../lib/bytes';
import { definedOptions } from '../lib/defined-options';
import { CraneError, UsageError } from '../lib/errors';
import { spatialSourceOf, type SpatialChoice } from '../lib/methods/spatial';
import { configOf } from '../train/config';
import { runTraining, type TrainingResult } from '../train/run';
import type { TrainOptions } from '../train/run-options';
import { shellWord } from '../terminal/shell-word';

interface TrainArguments
  extends Omit<ModelArguments, 'backend' | 'seed' | 'offline' | 'referenceImages'>, SetArguments {
  context?: boolean | undefined;
  aux?: string | undefined;
  categories?: string[] | undefined;
  epochs?: number | undefined;
  learningRate?: number | undefined;
  betas?: string | undefined;
  contextProbability?: number | undefined;
  pixelWeight?: number | undefined;
  imageWeight?: number | undefined;
  imageTemperature?: number | undefined;
  pixelTemperature?: number | undefined;
  interpolation?: 'nearest' | 'bilinear' | undefined;
  contextTokens?: number | undefined;
  deepTokens?: number | undefined;
  depth?: number | undefined;
  portion?: number | undefined;
  kShot?: number | undefined;
  mosaicRate?: number | undefined;
  roundGradients?: boolean | undefined;
  validate?: number | undefined;
  out?: string | undefined;
  resume?: string | undefined;
  overwrite: boolean;
  saveEvery?: number | undefined;
  saveFrequency?: number | undefined;
  cache?: boolean | undefined;
  cacheSize?: string | undefined;
  precision?: 'float16' | 'float32' | undefined;
  printConfig: boolean;
  backend?: BackendChoice | undefined;
  seed?: number | undefined;
  offline?: boolean | undefined;
  referenceImages?: boolean | undefined;
  json: boolean;
}

const TRAINING = 'Training:';
const IMAGES = 'Images:';
const KEEPING = 'Keeping:';

/** `crane train --aux NAME|FOLDER[,…]` */
export const trainCommand: CommandModule<object, TrainArguments> = {
  command: 'train',
  describe: 'Learn prompts from an auxiliary set, for use on any other set',
  builder: (argv) =>
    withExamples(
      modelOptions(
        setOptions(
          argv.option('aux', {
            type: 'string',
            describe: 'auxiliary set: a registered name or a folder; several with commas',
            group: IMAGES,
          }),
          IMAGES,
        )
          .option('categories', {
            type: 'string',
            array: true,
            describe: 'only these categories of the set',
            group: IMAGES,
          })
          .option('portion', {
            type: 'number',
            defaultDescription: '1',
            describe: 'share of each category to use, of normal and anomalous images alike',
            group: IMAGES,
          })
          .option('k-shot', {
            type: 'number',
            defaultDescription: '0, all',
            describe: 'images per category, half of them anomalous',
            group: IMAGES,
          })
          .option('mosaic-rate', {
            type: 'number',
            defaultDescription: '0',
            describe: 'probability of replacing an image by four of its category in a grid',
            group: IMAGES,
          })
          .option('validate', {
            type: 'number',
            defaultDescription: '0',
            describe: 'share held out to choose the best epoch',
            group: IMAGES,
          })
          .option('epochs', {
            type: 'number',
            defaultDescription: '5',
            describe: 'passes over the set',
            group: TRAINING,
          })
          .option('learning-rate', {
            type: 'number',
            defaultDescription: '0.001',
            describe: "Adam's learning rate",
            group: TRAINING,
          })
          .option('betas', {
            type: 'string',
            defaultDescription: '0.6,0.999',
            describe: "Adam's decay rates",
            group: TRAINING,
          })
          .option('context-probability', {
            type: 'number',
            defaultDescription: '1',
            describe: 'share of batches whose prompts are conditioned on the images',
            group: TRAINING,
          })
          .option('context-tokens', {
            type: 'number',
            defaultDescription: '12',
            describe: 'learned tokens before the words',
            group: TRAINING,
          })
          .option('deep-tokens', {
            type: 'number',
            defaultDescription: '4',
            describe: 'learned tokens in each deeper text block',
            group: TRAINING,
          })
          .option('depth', {
            type: 'number',
            defaultDescription: '9',
            describe: 'text blocks with learned tokens',
            group: TRAINING,
          })
          .option('round-gradients', {
            type: 'boolean',
            defaultDescription: 'true',
            describe:
              'round gradients of deep tokens to 16 bits, as the reference does; --no-round-gradients takes half the time',
            group: TRAINING,
          })
          .option('pixel-weight', {
            type: 'number',
            defaultDescription: '1',
            describe: 'weight of the pixel losses, which count once per layer',
            group: TRAINING,
          })
          .option('image-weight', {
            type: 'number',
            defaultDescription: '0.2',
            describe: 'weight of the image loss',
            group: TRAINING,
          })
          .option('image-temperature', {
            type: 'number',
            defaultDescription: '0.01',
            describe: 'temperature of the image similarity',
            group: TRAINING,
          })
          .option('pixel-temperature', {
            type: 'number',
            defaultDescription: '0.07',
            describe: 'temperature of the patch similarity',
            group: TRAINING,
          })
          .option('interpolation', {
            choices: ['nearest', 'bilinear'] as const,
            defaultDescription: 'nearest',
            describe: 'how patches become pixels',
            group: TRAINING,
          })
          .option('out', {
            type: 'string',
            defaultDescription: 'checkpoints/runs/SET-SEED-HASH',
            describe: 'folder of the run',
            group: KEEPING,
          })
          .option('resume', { type: 'string', describe: 'folder of a run to resume', group: KEEPING })
          .option('overwrite', {
            type: 'boolean',
            default: false,
            describe: 'discard the run in the folder',
            group: KEEPING,
          })
          .option('save-every', {
            type: 'number',
            defaultDescription: '20',
            describe: 'steps between saved states',
            group: KEEPING,
          })
          .option('save-frequency', {
            type: 'number',
            defaultDescription: '1',
            describe: 'epochs between kept prompts',
            group: KEEPING,
          })
          .option('cache', {
            type: 'boolean',
            defaultDescription: 'true',
            describe: 'keep features on disk for the next run',
            group: KEEPING,
          })
          .option('cache-size', {
            type: 'string',
            defaultDescription: '20GB',
            describe: 'limit for all kept features together',
            group: KEEPING,
          })
          .option('precision', {
            choices: ['float16', 'float32'] as const,
            defaultDescription: 'float16',
            describe: 'how features are kept; float32 in memory only',
            group: KEEPING,
          })
          .option('print-config', {
            type: 'boolean',
            default: false,
            describe: 'print all options as YAML for --config, and exit',
            group: 'Run:',
          })
          .option('json', {
            type: 'boolean',
            default: false,
            describe: 'progress and result as JSON lines',
            group: 'Run:',
          }),
      )
        // A resumed run already has these.
        .option('seed', { default: undefined, defaultDescription: '111' })
        .option('backend', { default: undefined, defaultDescription: 'auto' })
        .option('batch-size', { defaultDescription: '8' })
        .option('reference-images', { default: undefined })
        .option('prompts', { describe: 'prompts to continue from, instead of fresh ones' })
        .option('context', { describe: 'condition prompts on the images in training: probability 1 or 0' }),
      [
        ['a synthetic set, written where it is missing', 'crane train --aux synthetic-auxiliary'],
        ["the paper's own training", 'crane train --aux visa --backbone ViT-L/14@336px'],
        [
          'an industrial and a medical set, holding out a tenth to choose the best epoch',
          'crane train --aux visa,cvc-colondb --validate 0.1 --out both',
        ],
        ['resume after Ctrl-C, a crash or a full disk', 'crane train --resume both'],
        ['every option with its value, for editing', 'crane train --aux visa --print-config > visa.yaml'],
      ],
    ) as never,
  handler: async (args) => {
    if (showedLayouts(args)) return;
    if (args.printConfig) process.stdout.write(await configOf(trainOptionsFrom(args)));
    else await interruptible((signal) => runCommand(args, signal));
  },
};

async function runCommand(args: ArgumentsCamelCase<TrainArguments>, signal: AbortSignal): Promise<void> {
  let at: { folder: string; step: number; steps?: number } | undefined;
  try {
    const result = await runTraining({
      ...trainOptionsFrom(args),
      onProgress: createProgressReporter(process.stderr, { json: args.json }),
      onStart: ({ folder, step }) => {
        at = { folder, step };
        if (step > 0 && !args.json) say(`Resuming after step ${step}.`);
      },
      onStep: ({ step, steps }) => {
        if (at) at = { ...at, step, steps };
      },
      onNotice: (message) => {
        if (args.json) process.stderr.write(`${jsonText({ kind: 'notice', message: asFlags(message) })}\n`);
        else say(shownInLine(message));
      },
      signal,
    });
    if (args.json) printJson(result);
    else print(summaryOf(result).trimEnd());
  } catch (error) {
    throw error instanceof CraneError && error.code === INTERRUPTED && at ? stopped(at, error) : error;
  }
}

function stopped(
  { folder, step, steps }: { folder: string; step: number; steps?: number },
  cause: CraneError,
): CraneError {
  const done =
    step === 0
      ? 'before the first step'
      : `after step ${step}${steps === undefined ? '' : ` of ${steps}`}; everything is saved`;
  return new CraneError(
    INTERRUPTED,
    `Stopped ${done}. Resume with:  crane train --resume ${shellWord(shown(folder))}`,
    { folder, step },
    { cause },
  );
}

/** The options given; the others come from the resumed run, or from the defaults. @throws UsageError */
function trainOptionsFrom(args: ArgumentsCamelCase<TrainArguments>): TrainOptions {
  if (args.aux === undefined && args.resume === undefined) {
    throw new UsageError(
      'training/no-auxiliary',
      'Say what to train on: --aux with a registered name or a folder, or --resume with the folder of a run. See `crane train --help`.',
    );
  }
  // How images are scored is up to the commands that score.
  const { context, temperature, ...model } = methodOptionsFrom(args);
  if (temperature !== undefined) {
    throw new UsageError(
      'usage/temperature',
      `--temperature ${temperature} is for scoring; training has --image-temperature and --pixel-temperature.`,
      { found: temperature },
    );
  }
  const { className } = args as { readonly className?: string };
  if (className !== undefined) {
    throw new UsageError(
      'usage/options',
      `--class-name ${className} is for scoring; training takes the names of the categories from the set. Leave it out.`,
      { found: className },
    );
  }
  const {
    method,
    backbone,
    prompts,
    checkpoint,
    activation,
    out,
    resume,
    overwrite,
    saveEvery,
    saveFrequency,
    backend,
    offline,
    referenceImages,
    precision,
  } = args;
  return defined<TrainOptions>({
    auxiliary: args.aux?.split(',').map((name) => name.trim()),
    categories: args.categories?.flatMap((names) => names.split(',')),
    layout: setOptionsFrom(args).layout,
    normalWithoutMask: args.normalWithoutMask,
    method,
    backbone,
    prompts,
    checkpoint,
    activation,
    heads: headsFrom(args as ArgumentsCamelCase<TrainArguments> & ModelArguments),
    spatial: spatialFrom(args as ArgumentsCamelCase<TrainArguments> & ModelArguments),
    model,
    training: trainingOptionsFrom(args),
    out,
    resume,
    overwrite,
    saveEvery,
    saveFrequency,
    cache: cacheFrom(args),
    precision,
    backend,
    offline,
    referenceImages,
  });
}

function cacheFrom({ cache, cacheSize }: TrainArguments): TrainOptions['cache'] {
  if (cache === false) return false;
  return cacheSize === undefined ? undefined : { size: parseBytes(cacheSize, '--cache-size') };
}

function trainingOptionsFrom(args: TrainArguments): NonNullable<TrainOptions['training']> {
  return defined({
    ...(Object.fromEntries(TRAINING_OPTIONS.map((name) => [name, args[name]])) as Pick<
      TrainArguments,
      (typeof TRAINING_OPTIONS)[number]
    >),
    betas: betasFrom(args.betas),
    contextProbability: args.contextProbability ?? (args.context === false ? 0 : undefined),
  });
}

/** Arguments that are training options unchanged. */
const TRAINING_OPTIONS = [
  'epochs',
  'batchSize',
  'learningRate',
  'seed',
  'pixelWeight',
  'imageWeight',
  'imageTemperature',
  'pixelTemperature',
  'interpolation',
  'contextTokens',
  'deepTokens',
  'depth',
  'portion',
  'kShot',
  'mosaicRate',
  'roundGradients',
  'validate',
] as const satisfies readonly (keyof TrainArguments)[];

function betasFrom(text: string | undefined): [number, number] | undefined {
  if (text === undefined) return undefined;
  const [first, second, ...more] = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (more.length > 0 || ![first, second].every((value) => value !== undefined && value >= 0 && value < 1)) {
    throw new UsageError('usage/betas', `--betas ${text}: expected two numbers from 0 to below 1, such as 0.6,0.999`, {
      found: text,
    });
  }
  return [first as number, second as number];
}

/** Without undefined entries. */
function defined<T extends object>(options: { readonly [K in keyof T]: T[K] | undefined }): T {
  return definedOptions(options) as T;
}

function summaryOf({ folder, epochs, best, prompts, record, request, seconds, skipped }: TrainingResult): string {
  const { auxiliary, backbone } = record;
  const number = { align: 'right' as const };
  const percent = (value: number | null | undefined): string =>
    typeof value === 'number' ? (100 * value).toFixed(1) : 'n/a';
  const validated = auxiliary.validation > 0;
  const table = formatTable(
    [
      { title: 'epoch', ...number },
      { title: 'loss', ...number },
      { title: 'focal', ...number },
      { title: 'dice', ...number },
      { title: 'image', ...number },
      ...(validated
        ? [
            { title: 'image AUROC', ...number },
            { title: 'pixel AUROC', ...number },
          ]
        : []),
    ],
    epochs.map(({ epoch, total, focal, dice, image, validation }) => [
      String(epoch),
      ...[total, focal, dice, image].map((value) => value.toFixed(4)),
      ...(validated ? [percent(validation?.['image/auroc']), percent(validation?.['pixel/auroc'])] : []),
    ]),
  );
  const model =
    (request.backbone === undefined ? '' : ` --backbone ${shellWord(shown(request.backbone))}`) +
    spatialWords(request.spatial);
  const evaluated = auxiliary.name === 'synthetic-auxiliary' ? 'synthetic-target' : 'SET';
  const file = shellWord(shown(prompts));
  return [
    `Trained on ${auxiliary.name}: ${auxiliary.images} images, ${auxiliary.anomalous} of them anomalous; backbone ${backbone.name}`,
    ...(skipped.length === 0 ? [] : [`${skipped.length} images cannot be read and were left out; run.json lists them`]),
    `Encoding took ${seconds.encode.toFixed(1)} s, training ${seconds.train.toFixed(1)} s`,
    '',
    table,
    '',
    `Best:      epoch ${best.epoch}, ${best.by === 'validation' ? `by ${auxiliary.validation} images held out` : 'by its loss; --validate 0.1 holds out images to choose it by'}`,
    `Prompts:   ${shown(prompts)}`,
    `Curves:    ${shown(path.join(folder, 'curves.html'))}`,
    `Evaluate:  crane eval --dataset ${evaluated}${model} --prompts ${file}`,
    `Detect:    crane detect IMAGES --out results${model} --prompts ${file}`,
    '',
  ].join('\n');
}

/** The second vision model, which prompts name but do not contain. */
function spatialWords(choice: SpatialChoice | undefined): string {
  const source = spatialSourceOf(choice);
  if (source === undefined) return '';
  const { model, weights, heads } = source;
  return [
    ...(model === undefined ? [] : ['--spatial', model]),
    ...(weights === undefined ? [] : ['--spatial-weights', shellWord(shown(weights))]),
    ...(heads === undefined ? [] : ['--spatial-heads', String(heads)]),
  ]
    .map((word) => ` ${word}`)
    .join('');
}

/** A path as people type it: relative to the working folder, if it is inside. */
function shown(file: string): string {
  if (!path.isAbsolute(file)) return file;
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : relative;
}

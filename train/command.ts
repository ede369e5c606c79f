import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { batchSizeFrom, modelOptions, modelOptionsFrom, type ModelArguments } from '../cli/model-options';
import { createProgressReporter } from '../cli/progress-bar';
import { formatTable } from '../cli/table';
import { TrainingError } from '../lib/errors';
import type { TrainingOptionsInput } from './options';
import { train, type TrainingResult } from './run';

interface TrainArguments extends ModelArguments {
  aux: string;
  categories?: string[] | undefined;
  epochs?: number | undefined;
  learningRate?: number | undefined;
  contextProbability?: number | undefined;
  pixelWeight?: number | undefined;
  imageWeight?: number | undefined;
  interpolation?: 'nearest' | 'bilinear' | undefined;
  out?: string | undefined;
  json: boolean;
}

/** `crane train --aux NAME|FOLDER` */
export const trainCommand: CommandModule<object, TrainArguments> = {
  command: 'train',
  describe: 'Learn prompts from an auxiliary set, for use on any other set',
  builder: (argv) =>
    modelOptions(
      argv
        .option('aux', { type: 'string', demandOption: true, describe: 'auxiliary set: a registered name or a folder', group: 'Training:' })
        .option('categories', { type: 'string', array: true, describe: 'only these categories of it', group: 'Training:' })
        .option('epochs', { type: 'number', defaultDescription: '5', describe: 'passes over the set', group: 'Training:' })
        .option('learning-rate', { type: 'number', defaultDescription: '0.001', describe: "Adam's learning rate", group: 'Training:' })
        .option('context-probability', { type: 'number', defaultDescription: '1', describe: 'share of batches whose prompts see their images', group: 'Training:' })
        .option('pixel-weight', { type: 'number', defaultDescription: '1', describe: 'weight of the pixel losses, which count once per layer', group: 'Training:' })
        .option('image-weight', { type: 'number', defaultDescription: '0.2', describe: 'weight of the image loss', group: 'Training:' })
        .option('interpolation', { choices: ['nearest', 'bilinear'] as const, defaultDescription: 'nearest', describe: 'how patches become pixels', group: 'Training:' })
        .option('out', { type: 'string', defaultDescription: 'checkpoints/runs/SET-SEED-HASH', describe: 'folder for the prompts', group: 'Training:' })
        .option('json', { type: 'boolean', default: false, describe: 'progress and result as JSON lines', group: 'Run:' }),
    )
      .option('prompts', { describe: 'prompts to go on from, instead of fresh ones' })
      .option('context', { describe: 'let prompts see their images while training: probability 1 or 0' })
      .example('crane train --aux synthetic-auxiliary', 'a set that is drawn where it is not there')
      .example('crane train --aux visa --backbone ViT-L/14@336px', "the paper's own training")
      .example('crane train --aux sets/castings --out castings', 'a set of your own') as never,
  handler: (args) => runTraining(args),
};

async function runTraining(args: ArgumentsCamelCase<TrainArguments>): Promise<void> {
  // Whether prompts see the image when scoring is for the commands that score to say.
  const { context, ...model } = modelOptionsFrom(args);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new TrainingError('training/stopped', 'Stopped. The prompts of finished epochs are kept.'));
  process.once('SIGINT', interrupt);
  try {
    const result = await train({
      auxiliary: args.aux,
      ...(args.categories === undefined ? {} : { categories: args.categories.flatMap((names) => names.split(',')) }),
      ...(args.backbone === undefined ? {} : { backbone: args.backbone }),
      ...(args.prompts === undefined ? {} : { prompts: args.prompts }),
      ...(args.out === undefined ? {} : { out: args.out }),
      model,
      training: trainingOptionsFrom(args),
      backend: args.backend,
      offline: args.offline,
      referenceImages: args.referenceImages,
      commandLine: ['crane', ...process.argv.slice(2)].map(quoted).join(' '),
      onProgress: createProgressReporter(process.stderr, { json: args.json }),
      signal: interrupted.signal,
    });
    process.stdout.write(args.json ? `${JSON.stringify(result)}\n` : summaryOf(result, args));
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

function trainingOptionsFrom(args: TrainArguments): TrainingOptionsInput {
  const { epochs, learningRate, seed, pixelWeight, imageWeight, interpolation, context, contextProbability } = args;
  const given = {
    epochs,
    learningRate,
    seed,
    pixelWeight,
    imageWeight,
    interpolation,
    batchSize: batchSizeFrom(args),
    contextProbability: contextProbability ?? (context === false ? 0 : undefined),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as TrainingOptionsInput;
}

function summaryOf({ epochs, prompts, record, seconds }: TrainingResult, args: TrainArguments): string {
  const { auxiliary, backbone } = record;
  const number = { align: 'right' as const };
  const table = formatTable(
    [{ title: 'epoch', ...number }, { title: 'loss', ...number }, { title: 'focal', ...number }, { title: 'dice', ...number }, { title: 'image', ...number }],
    epochs.map(({ epoch, total, focal, dice, image }) => [String(epoch), ...[total, focal, dice, image].map((value) => value.toFixed(4))]),
  );
  const file = path.relative(process.cwd(), prompts);
  const shown = file.startsWith('..') ? prompts : file;
  const withBackbone = args.backbone === undefined ? '' : ` --backbone ${quoted(args.backbone)}`;
  const evaluated = auxiliary.name === 'synthetic-auxiliary' ? 'synthetic-target' : 'SET';
  return [
    `Trained on ${auxiliary.name}: ${auxiliary.images} images, ${auxiliary.anomalous} of them anomalous; backbone ${backbone.name}`,
    `Encoding took ${seconds.encode.toFixed(1)} s, training ${seconds.train.toFixed(1)} s`,
    '',
    table,
    '',
    `Prompts:   ${shown}`,
    `Evaluate:  crane eval --dataset ${evaluated}${withBackbone} --prompts ${quoted(shown)}`,
    `Detect:    crane detect IMAGES --out results${withBackbone} --prompts ${quoted(shown)}`,
    '',
  ].join('\n');
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /[^\w./@:,=+-]/.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : text;
}

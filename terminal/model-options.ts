import { parse } from 'yaml';
import type { Argv } from 'yargs';
import { BACKEND_CHOICES, type BackendChoice } from '../lib/backend';
import { ACTIVATIONS, type Activation } from '../lib/layers/mlp';
import { SPATIAL_FAMILIES, type SpatialFamily } from '../lib/encoders/spatial-encoder';
import type { HeadsChoice } from '../lib/encoders/clip-sizes';
import type { CraneOptions } from '../lib/crane';
import { DEFAULT_METHOD, METHOD_NAMES, type MethodName } from '../lib/methods/registry';
import type { SpatialChoice } from '../lib/methods/spatial';
import { UsageError } from '../lib/errors';
import { isListOption, methodFlags, methodOptionsFrom } from './method-flags';
import { FileRefusal, readRegularFileSync } from '../lib/files/regular-file';

/** What `modelOptions` adds to a command's arguments. */
export interface ModelArguments {
  method?: MethodName | undefined;
  backbone?: string | undefined;
  prompts?: string | undefined;
  checkpoint?: string | undefined;
  className?: string | undefined;
  activation?: Activation | undefined;
  heads?: string | number | undefined;
  spatial?: 'none' | SpatialFamily | undefined;
  spatialWeights?: string | undefined;
  spatialHeads?: number | undefined;
  backend: BackendChoice;
  batchSize?: number | undefined;
  seed: number;
  offline: boolean;
  referenceImages?: boolean | undefined;
}

/** Options that define the model: the same for every command that loads one. */
export function modelOptions<T>(argv: Argv<T>): Argv<T & ModelArguments> {
  const named = argv
    .option('method', {
      choices: METHOD_NAMES,
      defaultDescription: DEFAULT_METHOD,
      describe: 'how anomalies are found',
      group: 'Model:',
    })
    .option('backbone', {
      type: 'string',
      describe: 'nano (embedded), a registered name, or a file or folder',
      group: 'Model:',
    })
    .option('checkpoint', {
      type: 'string',
      describe: 'what the method has learned: a registered name such as crane-visa, or a file',
      group: 'Model:',
    })
    .option('prompts', { type: 'string', describe: 'the same, of methods that learn prompts', group: 'Model:' })
    .option('class-name', {
      type: 'string',
      describe: 'what the images show, for methods whose sentences name it',
      group: 'Model:',
    })
    .option('activation', {
      choices: ACTIVATIONS,
      describe: "the backbone's activation, overriding its file",
      group: 'Model:',
    })
    .option('heads', {
      type: 'string',
      describe:
        "the backbone's attention heads, where its file does not say: for the vision tower, or for both as in 16,12",
      group: 'Model:',
    });
  return methodFlags(named)
    .option('spatial', {
      choices: ['none', ...SPATIAL_FAMILIES] as const,
      describe: 'vision model that guides D-Attn (Crane+)',
      group: 'Model:',
    })
    .option('spatial-weights', {
      type: 'string',
      describe: 'its weights: a registered name, or a file or folder',
      group: 'Model:',
    })
    .option('spatial-heads', {
      type: 'number',
      describe: 'its attention heads, where they are not 64 channels wide',
      group: 'Model:',
    })
    .option('backend', {
      choices: BACKEND_CHOICES,
      default: 'auto' as BackendChoice,
      describe: 'backend to compute with',
      group: 'Run:',
    })
    .option('batch-size', { type: 'number', describe: 'images per batch', group: 'Run:' })
    .option('seed', { type: 'number', default: 111, describe: 'seed of all random numbers', group: 'Run:' })
    .option('reference-images', {
      type: 'boolean',
      defaultDescription: 'as in training of the prompts, otherwise false',
      describe: 'read images as the reference does: EXIF ignored, 16 bits clipped',
      group: 'Run:',
    })
    .config('config', 'YAML or JSON file with any of these options', readConfig)
    .group('config', 'Run:') as unknown as Argv<T & ModelArguments>;
}

/** Largest options file, in bytes. */
const LARGEST_CONFIG = 2 ** 20;

/** Reads an options file. Keys are option names, with or without dashes. */
function readConfig(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readRegularFileSync(file, LARGEST_CONFIG).toString('utf8');
  } catch (error) {
    if (!(error instanceof FileRefusal)) throw error;
    const { reason: why, found } = error;
    const reason =
      why === 'kind'
        ? `is ${found}; expected a YAML or JSON file`
        : why === 'size'
          ? `has ${found}; at most ${LARGEST_CONFIG} are allowed`
          : found;
    throw new UsageError('usage/config', `--config ${file}: ${reason}`, { file });
  }
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new UsageError('usage/config', `--config ${file}: ${(error as Error).message}`, { file });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError('usage/config', `--config ${file}: expected options as "name: value" lines`, { file });
  }
  return Object.fromEntries(
    Object.entries(content).map(([key, value]): [string, unknown] => [
      key,
      Array.isArray(value) ? value.join(',') : isListOfOne(key, value) ? String(value) : value,
    ]),
  );
}

/** Options that take several numbers; a file may give a single one without quotes. */
const isListOfOne = (key: string, value: unknown): boolean =>
  typeof value === 'number' && (key === 'heads' || isListOption(key));

/**
 * The second vision model among a command's arguments; undefined where the prompts determine it.
 * @throws UsageError for weights without a model
 */
export function spatialFrom({ spatial, spatialWeights, spatialHeads }: ModelArguments): SpatialChoice | undefined {
  if (spatial === 'none' && (spatialWeights !== undefined || spatialHeads !== undefined)) {
    throw new UsageError(
      'usage/spatial',
      '--spatial none cannot be combined with --spatial-weights or --spatial-heads; leave one of them out',
      { spatialWeights, spatialHeads },
    );
  }
  if (spatial === 'none') return 'none';
  if (spatial === undefined && spatialWeights === undefined) {
    if (spatialHeads === undefined) return undefined;
    throw new UsageError(
      'usage/spatial',
      '--spatial-heads describes the model that --spatial or --spatial-weights names; give one of them',
      { spatialHeads },
    );
  }
  return { model: spatial, weights: spatialWeights, heads: spatialHeads };
}

/**
 * Attention heads among a command's arguments: `16`, `16,12` for both towers, or `,12` for the text tower's alone.
 * @throws UsageError for anything else
 */
export function headsFrom({ heads }: Pick<ModelArguments, 'heads'>): HeadsChoice | undefined {
  if (heads === undefined) return undefined;
  const parts = String(heads)
    .split(',')
    .map((part) => part.trim());
  if (parts.length > 2 || parts.every((part) => part === '') || !parts.every((part) => /^([1-9]\d*)?$/.test(part))) {
    throw new UsageError(
      'usage/heads',
      `--heads ${heads}: expected attention heads for the vision tower, such as 16, or for both towers, such as 16,12`,
      { found: heads },
    );
  }
  const [vision, text] = parts.map((part) => (part === '' ? undefined : Number(part)));
  return parts.length === 1 ? vision : { vision, text };
}

/** What `Crane.load` takes, from a command's arguments. @throws UsageError */
export function craneOptionsFrom(args: ModelArguments): CraneOptions {
  const { method, backbone, prompts, checkpoint, className, activation, backend, batchSize, offline, referenceImages } =
    args;
  const heads = headsFrom(args);
  const spatial = spatialFrom(args);
  return {
    ...methodOptionsFrom(args),
    ...(method === undefined ? {} : { method }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(className === undefined ? {} : { className }),
    ...(spatial === undefined ? {} : { spatial }),
    ...(backbone === undefined ? {} : { backbone }),
    ...(prompts === undefined ? {} : { prompts }),
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
    backend,
    offline,
    ...(referenceImages === undefined ? {} : { referenceImages }),
  };
}

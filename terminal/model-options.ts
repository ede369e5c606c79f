import { parse } from 'yaml';
import type { Argv } from 'yargs';
import { BACKEND_CHOICES, type BackendChoice } from '../lib/backend';
import { ACTIVATIONS, type Activation } from '../lib/layers/mlp';
import { ATTENTION_TYPES, type AttentionType } from '../lib/layers/e-attn';
import { CONTEXT_POSITIONS, type ContextPosition } from '../lib/prompts/learnable-prompts';
import { DATTN_MEANS, type DAttnMean } from '../lib/layers/d-attn';
import { FUSIONS, type Fusion } from '../lib/scoring/fusion';
import { SPATIAL_FAMILIES, type SpatialFamily } from '../lib/encoders/spatial-encoder';
import type { HeadsChoice } from '../lib/encoders/clip-sizes';
import type { ModelOptionsInput } from '../lib/methods/crane/options';
import type { CraneOptions } from '../lib/crane';
import type { SpatialChoice } from '../lib/methods/crane/spatial';
import { UsageError } from '../lib/errors';
import { FileRefusal, readRegularFileSync } from '../lib/files/regular-file';

/** What `modelOptions` adds to a command's arguments. */
export interface ModelArguments {
  backbone?: string | undefined;
  prompts?: string | undefined;
  activation?: Activation | undefined;
  heads?: string | number | undefined;
  imageSize?: number | undefined;
  layers?: string | undefined;
  eattnBlocks?: number | undefined;
  attention?: AttentionType | undefined;
  fusion?: Fusion | undefined;
  pooling?: boolean | undefined;
  context?: boolean | undefined;
  contextPosition?: ContextPosition | undefined;
  sigma?: number | undefined;
  spatial?: 'none' | SpatialFamily | undefined;
  spatialWeights?: string | undefined;
  spatialHeads?: number | undefined;
  spatialOnly?: boolean | undefined;
  dattnBeta?: number | undefined;
  dattnGamma?: number | undefined;
  dattnMean?: DAttnMean | undefined;
  backend: BackendChoice;
  batchSize?: number | undefined;
  seed: number;
  offline: boolean;
  referenceImages?: boolean | undefined;
}

/** Options that define the model: the same for every command that loads one. */
export function modelOptions<T>(argv: Argv<T>): Argv<T & ModelArguments> {
  return argv
    .option('backbone', {
      type: 'string',
      describe: 'nano (embedded), a registered name, or a file or folder',
      group: 'Model:',
    })
    .option('prompts', { type: 'string', describe: 'a registered name such as crane-visa, or a file', group: 'Model:' })
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
    })
    .option('image-size', { type: 'number', describe: 'side of the network input in pixels', group: 'Model:' })
    .option('layers', {
      type: 'string',
      describe: 'blocks to take anomaly maps from, such as 6,12,18,24',
      group: 'Model:',
    })
    .option('eattn-blocks', {
      type: 'number',
      describe: 'how many of the last blocks use the refined path',
      group: 'Model:',
    })
    .option('attention', { choices: ATTENTION_TYPES, describe: 'what E-Attn correlates', group: 'Model:' })
    .option('fusion', { choices: FUSIONS, describe: 'average probabilities (soft) or logits', group: 'Model:' })
    .option('pooling', { type: 'boolean', describe: 'score-based pooling of patch tokens', group: 'Model:' })
    .option('context', { type: 'boolean', describe: 'condition prompts on the image when scoring', group: 'Model:' })
    .option('context-position', {
      choices: CONTEXT_POSITIONS,
      describe: 'where the image enters the prompts',
      group: 'Model:',
    })
    .option('sigma', {
      type: 'number',
      describe: 'width of the Gaussian over the map, in pixels of the network input',
      group: 'Model:',
    })
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
    .option('spatial-only', { type: 'boolean', describe: "leave out E-Attn's features", group: 'Model:' })
    .option('dattn-beta', {
      type: 'number',
      describe: 'D-Attn cuts below this multiple of the mean similarity',
      group: 'Model:',
    })
    .option('dattn-gamma', { type: 'number', describe: 'how sharply D-Attn prefers similar patches', group: 'Model:' })
    .option('dattn-mean', {
      choices: DATTN_MEANS,
      describe: 'mean over each image, or over the batch, as in the reference',
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
  typeof value === 'number' && ['layers', 'heads'].includes(key);

/**
 * The model options among a command's arguments, without those that were not given.
 * @throws UsageError for layers that are not numbers; what depends on the backbone is checked when it is loaded
 */
export function modelOptionsFrom(args: ModelArguments): Omit<ModelOptionsInput, 'spatial'> {
  const given = [
    ...MODEL_OPTIONS.map((name) => [name, args[name]] as const),
    ['layers', layersFrom(args.layers)] as const,
  ];
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as ModelOptionsInput;
}

/** Arguments that are model options unchanged. */
const MODEL_OPTIONS = [
  'imageSize',
  'eattnBlocks',
  'attention',
  'fusion',
  'pooling',
  'context',
  'contextPosition',
  'sigma',
  'spatialOnly',
  'dattnBeta',
  'dattnGamma',
  'dattnMean',
] as const satisfies readonly (keyof ModelArguments & keyof ModelOptionsInput)[];

function layersFrom(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => part.trim());
  if (!parts.every((part) => /^[1-9]\d*$/.test(part))) {
    throw new UsageError('usage/layers', `--layers ${text}: expected block numbers from 1, such as 6,12,18,24`, {
      found: text,
    });
  }
  return parts.map(Number);
}

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
  const { backbone, prompts, activation, backend, batchSize, offline, referenceImages } = args;
  const heads = headsFrom(args);
  const spatial = spatialFrom(args);
  return {
    ...modelOptionsFrom(args),
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

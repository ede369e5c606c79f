import * as tf from '@tensorflow/tfjs';
import { completeModelOptions, type ModelOptions, type ModelOptionsInput } from './options';
import { ClipTextEncoder } from '../../encoders/clip-text';
import { ClipVisionEncoder, type ClipVisionConfig } from '../../encoders/clip-vision';
import type { SpatialEncoder } from '../../encoders/spatial-encoder';
import { UsageError, WeightsError } from '../../errors';
import type { ParameterSource } from '../../layers/crane-layer';
import { LearnablePrompts } from '../../prompts/learnable-prompts';
import type { PromptCheckpoint } from '../../weights/prompt-checkpoint';
import type { RunStage } from '../../stage';
import { seededNormal } from '../../weights/seeded';
import type { Backbone } from '../backbone';
import { refuseBeyondMemory } from '../memory-need';
import { CraneModel } from './model';
import { PROMPT_SIZES } from './trainable';
import type { SpatialWeights } from '../spatial';

/** The words after the learned context (docs/method.md#prompts). */
export const NORMAL_WORDS = 'object.';
export const ANOMALOUS_WORDS = 'damaged object.';

/** Standard deviation of fresh prompts (docs/method.md#prompts). */
const FRESH_SPREAD = 0.02;

export interface NewPrompts {
  /** Seed for fresh prompts, to be trained. */
  readonly seed: number;
  readonly contextTokens?: number;
  readonly deepTokens?: number;
  readonly depth?: number;
}

export interface BuildOptions {
  readonly prompts: PromptCheckpoint | NewPrompts;
  /** The open weights of a second vision model: Crane+. They may be closed afterwards, like the backbone. */
  readonly spatial?: SpatialWeights | undefined;
  readonly options?: ModelOptionsInput;
  readonly trainablePrompts?: boolean;
  /** See `LearnablePromptsConfig`; on by default, as in the reference. */
  readonly roundGradients?: boolean;
  /** Runs each stage that an image passes through, to time it. */
  readonly runStage?: RunStage | undefined;
}

/**
 * Wires a Crane model from an open backbone and prompts; with a second vision model, Crane+. The backbone may be closed
 * afterwards.
 * @throws WeightsError if the prompts do not fit the backbone, or the backbone's file is incomplete; UsageError for
 *   an image size that cannot fit into memory
 */
export function buildCraneModel(
  backbone: Backbone,
  { prompts, spatial, options: input = {}, trainablePrompts = false, roundGradients = true, runStage }: BuildOptions,
): CraneModel {
  const { sizes, activation, tokenizer, tokenIds, parameters } = backbone;
  const options = completeModelOptions({ ...input, spatial: spatial?.family ?? 'none' }, sizes);
  refuseBeyondMemory(sizes, options);
  const fresh = 'seed' in prompts;
  if (!fresh && prompts.width !== sizes.text.width) {
    throw new WeightsError(
      'weights/prompts-width',
      `the prompts are ${prompts.width} wide, but the text encoder of ${backbone.name} is ${sizes.text.width} wide; ` +
        'use prompts that were trained with this backbone, or train some with "crane train"',
      { found: prompts.width, expected: sizes.text.width },
    );
  }
  if (options.context && sizes.embedDimension !== sizes.text.width) {
    throw new WeightsError(
      'weights/context-width',
      `image context needs a text encoder as wide as the shared space, but the widths in ${backbone.name} are ${sizes.text.width} and ${sizes.embedDimension}`,
      { textWidth: sizes.text.width, embedDimension: sizes.embedDimension },
    );
  }
  const { contextTokens, deepTokens, depth } = { ...PROMPT_SIZES, ...prompts };
  if (!fresh && depth > sizes.text.layers) {
    throw new WeightsError(
      'weights/prompts-depth',
      `the prompts reach ${depth} text blocks deep, but the text encoder of ${backbone.name} has ${sizes.text.layers}; ` +
        'use prompts that were trained with this backbone',
      { found: depth, expected: sizes.text.layers },
    );
  }
  if (fresh) refuseLongPrompts({ contextTokens, deepTokens }, backbone);
  const made: tf.LayerVariable[] = [];
  const onParameter = (parameter: tf.LayerVariable): void => void made.push(parameter);
  try {
    const common = { embedDimension: sizes.embedDimension, activation, parameters, onParameter };
    const observed = runStage === undefined ? {} : { runStage };
    const vision = new ClipVisionEncoder({
      ...common,
      ...observed,
      sizes: sizes.vision,
      eattnBlocks: options.eattnBlocks,
      attention: options.attention,
      ...(spatial ? { dAttn: dAttnOf(options) } : {}),
    });
    const text = new ClipTextEncoder({ ...common, sizes: sizes.text, ...(tokenIds === undefined ? {} : { tokenIds }) });
    backbone.finish();
    const guide = spatial?.build(onParameter);
    // Throws now, not at the first image, if the input cannot be cut into this model's patches.
    guide?.computeOutputShape([1, ...inputOf(guide, options.imageSize)]);
    const learnable = new LearnablePrompts({
      width: sizes.text.width,
      contextTokens,
      deepTokens,
      depth: Math.min(depth, sizes.text.layers),
      contextPosition: options.contextPosition,
      startToken: tokenizer.startToken,
      endToken: tokenizer.endToken,
      normalWords: tokenizer.encode(NORMAL_WORDS),
      anomalousWords: tokenizer.encode(ANOMALOUS_WORDS),
      trainable: trainablePrompts,
      roundGradients,
      parameters: fresh ? freshPrompts(prompts.seed) : promptValues(prompts),
      onParameter,
    });
    return new CraneModel({
      vision,
      text,
      prompts: learnable,
      options,
      spatial: guide,
      preprocessing: backbone.preprocessing,
      ...observed,
    });
  } catch (error) {
    made.forEach((parameter) => parameter.dispose());
    throw error;
  }
}

function inputOf(guide: SpatialEncoder, imageSize: number): [number, number, number] {
  const side = guide.inputSide(imageSize);
  return [side, side, 3];
}

/** The model options that belong to D-Attn, for the vision encoder. */
export function dAttnOf({
  dattnBeta,
  dattnGamma,
  dattnMean,
  layers,
}: ModelOptions): NonNullable<ClipVisionConfig['dAttn']> {
  return { beta: dattnBeta, gamma: dattnGamma, mean: dattnMean, layers };
}

function freshPrompts(seed: number): ParameterSource {
  return (path, shape) => {
    const next = seededNormal(`${seed}/${path}`);
    const count = shape.reduce((product, size) => product * size, 1);
    return tf.tensor(
      Float32Array.from({ length: count }, () => FRESH_SPREAD * next()),
      shape,
    );
  };
}

function promptValues(prompts: PromptCheckpoint): ParameterSource {
  return (path, shape) => {
    if (path === 'ctx_pos') return tf.tensor(prompts.contextNormal, shape);
    if (path === 'ctx_neg') return tf.tensor(prompts.contextAnomalous, shape);
    return tf.tensor(prompts.deep[Number(path.split('.').pop())] as Float32Array, shape);
  };
}

/**
 * Refuses fresh prompts that are longer than any text can be, before they are made.
 * @throws UsageError naming the option
 */
function refuseLongPrompts(
  tokens: Readonly<Record<'contextTokens' | 'deepTokens', number>>,
  { name, sizes }: Backbone,
): void {
  for (const [option, found] of Object.entries(tokens)) {
    if (found < sizes.text.contextLength) continue;
    throw new UsageError(
      'usage/prompts',
      `\`${option}\` ${found}: the text encoder of ${name} takes at most ${sizes.text.contextLength} tokens, including words; expected fewer`,
      { option, found, limit: sizes.text.contextLength },
    );
  }
}

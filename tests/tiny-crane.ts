import * as tf from '@tensorflow/tfjs';
import { completeModelOptions, type ModelOptionsInput } from '../lib/methods/crane/options';
import type { Crane } from '../lib/crane';
import type { ClipSizes } from '../lib/encoders/clip-sizes';
import { ClipTextEncoder } from '../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../lib/encoders/clip-vision';
import type { SpatialEncoder } from '../lib/encoders/spatial-encoder';
import { dAttnOf } from '../lib/methods/crane/build';
import { CraneModel } from '../lib/methods/crane/model';
import { LearnablePrompts } from '../lib/prompts/learnable-prompts';
import { golden, goldenTokenIds } from './goldens';
import { goldenParameters } from './tensors';

/** The goldens' network: everything that its weights decide. */
export const tinySizes: ClipSizes = {
  embedDimension: 64,
  vision: { width: 128, layers: 6, heads: 2, patchSize: 14, gridSize: 4 },
  text: { width: 64, layers: 4, heads: 1, contextLength: 77, vocabularySize: 49408 },
};

export interface TinyCraneOptions extends Omit<ModelOptionsInput, 'spatial'> {
  /** Guides D-Attn; the model disposes it. */
  spatial?: SpatialEncoder;
  roundDeepTokens?: boolean;
  /** Tensor names of the prompts' values in a golden file; by default the learner's own. */
  promptsFrom?: (path: string) => string;
  trainablePrompts?: boolean;
}

/** The model inside, for a look at its steps. */
export const craneModelOf = ({ model }: Pick<Crane, 'model'>): CraneModel => model as CraneModel;

/** The goldens' Crane, or Crane+, with its learned prompts. */
export function tinyCrane({
  roundDeepTokens = true,
  promptsFrom,
  trainablePrompts = false,
  spatial,
  ...input
}: TinyCraneOptions = {}): CraneModel {
  const options = completeModelOptions(
    { imageSize: 70, layers: [2, 4, 6], eattnBlocks: 5, ...input, spatial: spatial?.family ?? 'none' },
    tinySizes,
  );
  const parameters = goldenParameters('clip_tiny.safetensors');
  const tokenIds = goldenTokenIds('clip_tiny.safetensors');
  const common = { embedDimension: 64, activation: 'quick-gelu', parameters } as const;
  return new CraneModel({
    options,
    vision: new ClipVisionEncoder({
      ...common,
      sizes: tinySizes.vision,
      eattnBlocks: options.eattnBlocks,
      attention: options.attention,
      ...(spatial ? { dAttn: dAttnOf(options) } : {}),
    }),
    spatial,
    text: new ClipTextEncoder({ ...common, sizes: tinySizes.text, ...(tokenIds ? { tokenIds } : {}) }),
    prompts: new LearnablePrompts({
      width: 64,
      contextTokens: 12,
      deepTokens: 4,
      depth: 3,
      contextPosition: options.contextPosition,
      startToken: 49406,
      endToken: 49407,
      normalWords: [14115, 269],
      anomalousWords: [13568, 14115, 269],
      roundDeepTokens,
      trainable: trainablePrompts,
      parameters: (path, shape) =>
        tf.tensor(golden(promptsFrom?.(path) ?? `prompts.safetensors#learner.${path}`).data, shape),
    }),
  });
}

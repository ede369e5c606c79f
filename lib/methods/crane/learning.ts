import { UsageError } from '../../errors';
import type { PromptCheckpoint } from '../../weights/prompt-checkpoint';
import type { Backbone } from '../backbone';
import type { Learning } from '../method';
import { buildCraneModel } from './build';
import type { ModelOptions } from './options';
import { craneTrainingSchema, type CraneTraining } from './trainable';

/** Model options for scoring only, and those of D-Attn, which have no effect without a second vision model. */
const SCORING: readonly (keyof ModelOptions)[] = ['spatial', 'context', 'temperature'];
const DATTN: readonly (keyof ModelOptions)[] = ['spatialOnly', 'dattnBeta', 'dattnGamma', 'dattnMean'];

/** How Crane's prompts are trained (paper section 3.3; docs/method.md#training). */
export const craneLearning = {
  options: craneTrainingSchema,
  defaults: ({ pooling }, start) => ({ pooling, ...(start ? sizesOf(start) : {}) }),
  check: ({ backbone, options, learned }, training) => {
    const given = training as CraneTraining;
    if (learned) refuseOtherSizes(learned, given);
    refuseNarrowContext(backbone, options, given);
  },
  said: (options) =>
    Object.fromEntries(
      Object.entries(options).filter(([name]) => {
        const key = name as keyof ModelOptions;
        return !SCORING.includes(key) && (options.spatial !== 'none' || !DATTN.includes(key));
      }),
    ),
  build: ({ backbone, options, learned, spatial }, training) => {
    const { seed, contextTokens, deepTokens, depth, roundGradients } = training as CraneTraining;
    return buildCraneModel(backbone, {
      prompts: learned ?? { seed, contextTokens, deepTokens, depth },
      spatial,
      options,
      trainablePrompts: true,
      roundGradients,
    });
  },
} as const satisfies Learning<ModelOptions, PromptCheckpoint>;

/** With a depth of one there are no deep tokens, so their number has no meaning. */
function sizesOf({ contextTokens, deepTokens, depth }: PromptCheckpoint): Partial<CraneTraining> {
  return { contextTokens, depth, ...(deepTokens > 0 ? { deepTokens } : {}) };
}

function refuseOtherSizes(start: PromptCheckpoint, training: CraneTraining): void {
  for (const [name, size] of Object.entries(sizesOf(start))) {
    const asked = training[name as keyof CraneTraining];
    if (asked === size) continue;
    throw new UsageError(
      'training/prompt-sizes',
      `the prompts to start from have ${name} ${String(size)}, but ${String(asked)} was requested; leave the option out, or start from fresh prompts`,
      { option: name, found: asked, expected: size },
    );
  }
}

function refuseNarrowContext({ name, sizes }: Backbone, model: ModelOptions, training: CraneTraining): void {
  const withContext = training.contextProbability > 0 && model.contextPosition !== 'none';
  if (!withContext || sizes.embedDimension === sizes.text.width) return;
  throw new UsageError(
    'training/context-width',
    `image context needs a text encoder as wide as the shared space, but the widths in ${name} are ${sizes.text.width} and ${sizes.embedDimension}; train with \`contextProbability: 0\``,
    { textWidth: sizes.text.width, embedDimension: sizes.embedDimension },
  );
}

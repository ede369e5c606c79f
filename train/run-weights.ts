import type { PromptCheckpoint } from '../lib/weights/prompt-checkpoint';
import { UsageError } from '../lib/errors';
import { buildCraneModel } from '../lib/methods/crane/build';
import type { CraneModel } from '../lib/methods/crane/model';
import type { ModelOptions } from '../lib/methods/crane/options';
import type { Backbone } from '../lib/methods/backbone';
import { openWeights } from '../lib/methods/open-model';
import type { SpatialWeights } from '../lib/methods/spatial';
import { completeTrainingOptions, type TrainingOptions } from './options';
import type { TrainOptions } from './run-options';

/** The weights that a run starts from, open, and the options that they complete. */
export interface RunWeights {
  readonly backbone: Backbone;
  readonly spatial: SpatialWeights | undefined;
  /** Prompts to go on from; undefined where fresh ones are drawn. */
  readonly start: PromptCheckpoint | undefined;
  readonly model: ModelOptions;
  readonly training: TrainingOptions;
  /** What a person should know of them, a sentence each. */
  readonly notices: readonly string[];
  close(): void;
}

/**
 * Opens what a run starts from. Options that are not given come from the prompts to go on from, else from the paper.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function openRunWeights(options: TrainOptions): Promise<RunWeights> {
  const weights = await openWeights({ ...options, choice: options, options: options.model ?? {}, fresh: true });
  try {
    const { backbone, spatial, checkpoint, warnings, close } = weights;
    const start = checkpoint?.learned as PromptCheckpoint | undefined;
    const model = weights.options as ModelOptions;
    const training = completeTrainingOptions({ ...(start ? sizesOf(start) : {}), ...options.training }, model);
    if (start) refuseOtherSizes(start, training);
    refuseNarrowContext(backbone, model, training);
    return { backbone, spatial, start, model, training, notices: warnings, close };
  } catch (error) {
    weights.close();
    throw error;
  }
}

/** The one place where training builds its model: fresh prompts of the sizes asked for, or those to go on from. */
export function buildModel({ backbone, spatial, start, model, training }: RunWeights): CraneModel {
  const { seed, contextTokens, deepTokens, depth, roundGradients } = training;
  return buildCraneModel(backbone, {
    prompts: start ?? { seed, contextTokens, deepTokens, depth },
    spatial,
    options: model,
    trainablePrompts: true,
    roundGradients,
  });
}

/** A depth of one has no deep tokens, whose number then says nothing. */
function sizesOf({ contextTokens, deepTokens, depth }: PromptCheckpoint): Partial<TrainingOptions> {
  return { contextTokens, depth, ...(deepTokens > 0 ? { deepTokens } : {}) };
}

function refuseOtherSizes(start: PromptCheckpoint, training: TrainingOptions): void {
  for (const [name, size] of Object.entries(sizesOf(start))) {
    const asked = training[name as keyof TrainingOptions];
    if (asked === size) continue;
    throw new UsageError(
      'training/prompt-sizes',
      `the prompts to continue from have ${name} ${String(size)}, but ${String(asked)} was asked for; leave the option out, or start from fresh prompts`,
      { option: name, found: asked, expected: size },
    );
  }
}

function refuseNarrowContext({ name, sizes }: Backbone, model: ModelOptions, training: TrainingOptions): void {
  const withContext = training.contextProbability > 0 && model.contextPosition !== 'none';
  if (!withContext || sizes.embedDimension === sizes.text.width) return;
  throw new UsageError(
    'training/context-width',
    `image context needs a text encoder as wide as the shared space, but ${name} has ${sizes.text.width} and ${sizes.embedDimension}; train with \`contextProbability: 0\``,
    { textWidth: sizes.text.width, embedDimension: sizes.embedDimension },
  );
}

import { completeModelOptions, type ModelOptions } from '../lib/methods/crane/options';
import { UsageError } from '../lib/errors';
import { EMBEDDED_BACKBONE, openBackbone, type Backbone } from '../lib/methods/crane/backbone';
import { ANOMALOUS_WORDS, buildCraneModel, NORMAL_WORDS } from '../lib/methods/crane/build';
import type { CraneModel } from '../lib/methods/crane/model';
import { openPrompts, optionsOfPrompts, spatialOfPrompts } from '../lib/methods/crane/prompts';
import { asPromptsWereTrained } from '../lib/methods/crane/trained-network';
import { openSpatial, spatialSourceOf, type SpatialWeights } from '../lib/methods/crane/spatial';
import type { PromptCheckpoint } from '../lib/weights/prompt-checkpoint';
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
  const { offline, allowPrivateUrls, onProgress, signal } = options;
  const access = {
    ...(offline === undefined ? {} : { offline }),
    ...(allowPrivateUrls === undefined ? {} : { allowPrivateUrls }),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
  const { activation, heads } = options;
  const opened = await openBackbone(options.backbone ?? EMBEDDED_BACKBONE, {
    ...access,
    words: [NORMAL_WORDS, ANOMALOUS_WORDS],
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
  });
  let spatial: SpatialWeights | undefined;
  const close = (): void => {
    spatial?.close();
    opened.close();
  };
  try {
    const start = options.prompts === undefined ? undefined : await openPrompts(options.prompts, access);
    const { backbone, warnings } =
      start === undefined
        ? { backbone: opened, warnings: opened.guesses }
        : await asPromptsWereTrained(opened, start, { activation, referenceImages: options.referenceImages });
    const trained = start && spatialOfPrompts(start);
    const source = spatialSourceOf(options.spatial ?? trained?.weights ?? trained?.family);
    spatial = source && (await openSpatial(source, access));
    const family = spatial?.family ?? 'none';
    const inherited = start === undefined ? {} : optionsOfPrompts(start, backbone.sizes, family);
    const model = completeModelOptions({ ...inherited, ...options.model, spatial: family }, backbone.sizes);
    const training = completeTrainingOptions({ ...(start ? sizesOf(start) : {}), ...options.training }, model);
    if (start) refuseOtherSizes(start, training);
    refuseNarrowContext(backbone, model, training);
    return { backbone, spatial, start, model, training, notices: warnings, close };
  } catch (error) {
    close();
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

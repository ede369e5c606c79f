import type { PromptCheckpoint } from '../../weights/prompt-checkpoint';
import type { Method } from '../method';
import { ANOMALOUS_WORDS, buildCraneModel, NORMAL_WORDS } from './build';
import { promptFormat } from './checkpoint';
import { craneLearning } from './learning';
import { flopPerImage } from './flop';
import { completeModelOptions, modelOptionsSchema, optionsOfTraining, type ModelOptions } from './options';

/** Crane and, with a second vision model, Crane+ (docs/method.md). */
export const craneMethod = {
  name: 'crane',
  title: 'Crane',
  options: modelOptionsSchema,
  complete: completeModelOptions,
  words: () => [NORMAL_WORDS, ANOMALOUS_WORDS],
  checkpoint: promptFormat,
  training: craneLearning,
  inherited: optionsOfTraining,
  flop: (options, sizes) => flopPerImage({ sizes, options }),
  build: ({ backbone, options, learned, spatial, runStage }) => {
    const model = buildCraneModel(backbone, { prompts: learned as PromptCheckpoint, spatial, options, runStage });
    try {
      if (!options.context) model.fixPrompts();
      return model;
    } catch (error) {
      model.dispose();
      throw error;
    }
  },
} as const satisfies Method<ModelOptions, PromptCheckpoint>;

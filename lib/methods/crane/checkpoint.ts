import { TrainingError } from '../../errors';
import { readPromptCheckpoint, writePromptCheckpoint, type PromptCheckpoint } from '../../weights/prompt-checkpoint';
import type { WeightAccess } from '../../weights/weight-cache';
import { openCheckpoint, type CheckpointFormat, type LearnedValues } from '../checkpoint';

/** The prompts that come with the package, for the embedded backbone. */
const EMBEDDED_PROMPTS = 'nano-prompts';

/** Learned prompts: our safetensors, and the reference's `.pth` (docs/method.md#checkpoints). */
export const promptFormat: CheckpointFormat<PromptCheckpoint> = {
  called: 'prompts',
  embedded: { name: EMBEDDED_PROMPTS, file: 'nano-prompts.safetensors' },
  published: 'crane-visa',
  read: readPromptCheckpoint,
  values: ({ contextNormal, contextAnomalous, deep }) => [contextNormal, contextAnomalous, ...deep],
  write: (file, values, metadata) => writePromptCheckpoint(file, promptCheckpoint(values), metadata),
};

/**
 * Opens learned prompts: `nano-prompts`, a registered name such as `crane-visa`, or a file.
 * @throws UsageError for an unknown name; WeightsError for a file without prompts
 */
export function openPrompts(nameOrPath: string, access: WeightAccess = {}): Promise<PromptCheckpoint> {
  return openCheckpoint(nameOrPath, promptFormat, access);
}

/** Trained values, by canonical name, as a checkpoint. */
function promptCheckpoint(values: LearnedValues): PromptCheckpoint {
  const { ctx_pos: normal, ctx_neg: anomalous, ...rest } = values;
  if (normal === undefined || anomalous === undefined)
    throw new TrainingError('training/prompts', 'the prompts have no context vectors');
  const deep = Object.keys(rest).map((_, index) => rest[`compound_prompts_text.${index}`] as LearnedValues[string]);
  const [contextTokens = 0, width = 0] = normal.shape;
  return {
    contextNormal: normal.data,
    contextAnomalous: anomalous.data,
    deep: deep.map(({ data }) => data),
    width,
    contextTokens,
    deepTokens: deep[0]?.shape[0] ?? 0,
    depth: deep.length + 1,
    metadata: {},
  };
}

import { z } from 'zod';
import type { ModelOptions } from '../lib/methods/crane/options';
import { PROMPT_SIZES } from '../lib/methods/crane/build';
import { optionsError } from '../lib/option-errors';
import { MOST_EPOCHS } from './most-epochs';

/** How prompts are trained. Defaults are those of the reference's training program (docs/method.md#training). */
export const trainingOptionsSchema = z.object({
  /** Adam's learning rate, the same at every step. Default 0.001. */
  learningRate: z.number().positive().default(1e-3),
  /** Adam's decay rates of the first and second moment. */
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.6, 0.999]),
  /** Images of a step. Default 8. */
  batchSize: z.int().positive().default(8),
  /** Passes over the set. Default 5. */
  epochs: z.int().positive().max(MOST_EPOCHS).default(5),
  /** Decides the starting prompts, the order of images, and which batches see image context. */
  seed: z.int().nonnegative().default(111),
  /** Temperature of the image similarity; sharper than when scoring. */
  imageTemperature: z.number().positive().default(0.01),
  /** Temperature of the patch similarities. Default 0.07. */
  pixelTemperature: z.number().positive().default(0.07),
  /** How patch probabilities are enlarged to pixels; `nearest` needs no enlarged map at all. */
  interpolation: z.enum(['nearest', 'bilinear']).default('nearest'),
  /** Score-based pooling in the image loss; by default as in scoring. */
  pooling: z.boolean(),
  /** Share of batches whose prompts are conditioned on their images (paper section 3.3). */
  contextProbability: z.number().min(0).max(1).default(1),
  /**
   * Weight of the pixel losses, on top of how often each feature set counts: the reference sums over its layers, most of
   * which give one and the same tensor (docs/method.md#four-copies).
   */
  pixelWeight: z.number().nonnegative().default(1),
  /** Weight of the image loss. Default 0.2. */
  imageWeight: z.number().nonnegative().default(0.2),
  /** Learned tokens in front of the words, of fresh prompts (docs/method.md#prompts). */
  contextTokens: z.int().positive().default(PROMPT_SIZES.contextTokens),
  /** Learned tokens in each deeper text block, of fresh prompts. */
  deepTokens: z.int().positive().default(PROMPT_SIZES.deepTokens),
  /** Text blocks that see learned tokens, the first one included, of fresh prompts; limited by the text encoder's. */
  depth: z.int().positive().default(PROMPT_SIZES.depth),
  /**
   * Round the gradients of deep tokens to 16 bits, prompt by prompt, as the reference happens to do. Without it they are
   * exact, and what the prompts of a batch have in common is computed once: steps take about half of the time.
   */
  roundGradients: z.boolean().default(true),
  /** Share of every category's normal and anomalous images that is trained on. */
  portion: z.number().positive().max(1).default(1),
  /** Images of every category, half of them anomalous; 0 takes all. Goes before `portion`. */
  kShot: z
    .int()
    .nonnegative()
    .refine((count) => count !== 1, 'one image cannot be half anomalous; 2 or more, or 0 for all')
    .default(0),
  /**
   * Chance that an image is replaced by four images of its category, two by two (docs/method.md#mosaics); drawn anew in
   * every epoch.
   */
  mosaicRate: z.number().min(0).max(1).default(0),
  /** Share of the images held back from training to choose the best prompts by; 0 trains on all, as the reference does. */
  validate: z.number().min(0).max(0.5).default(0),
});

/**
 * How prompts are trained, complete.
 * @interface
 */
export type TrainingOptions = z.output<typeof trainingOptionsSchema>;
/**
 * How prompts are trained; what is left out has its default.
 * @interface
 */
export type TrainingOptionsInput = Partial<z.input<typeof trainingOptionsSchema>>;

/**
 * Checks training options as far as no model is needed for it, before anything is loaded.
 * @throws UsageError naming the option, what was found and what is legal
 */
export function checkTrainingOptions(input: TrainingOptionsInput): void {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const parsed = trainingOptionsSchema.partial().safeParse(given);
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
}

/**
 * Completes training options for a model.
 * @throws UsageError naming the option, what was found and what is legal
 */
export function completeTrainingOptions(input: TrainingOptionsInput, model: ModelOptions): TrainingOptions {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const parsed = trainingOptionsSchema.safeParse({ pooling: model.pooling, ...given });
  if (!parsed.success) {
    throw optionsError(parsed.error.issues, given);
  }
  return parsed.data;
}

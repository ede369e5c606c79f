import { z } from 'zod';
import { UsageError } from '../lib/errors';
import type { CommonOptions, Learning, Method } from '../lib/methods/method';
import { definedOptions } from '../lib/defined-options';
import { methodNamed, methods, type LearningOptions, type LearningOptionsInput } from '../lib/methods/registry';
import { optionsError } from '../lib/option-errors';
import { MOST_EPOCHS } from './most-epochs';

/** Options of every training; the rest belong to the method (`Learning.options`). Written files use this order. */
const optimiser = z.object({
  /** Adam's learning rate, the same at every step. Default 0.001. */
  learningRate: z.number().positive().default(1e-3),
  /** Adam's decay rates of the first and second moment. */
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.6, 0.999]),
  /** Images per step. Default 8. */
  batchSize: z.int().positive().default(8),
  /** Passes over the set. Default 5. */
  epochs: z.int().positive().max(MOST_EPOCHS).default(5),
  /** Determines the initial values, the order of images and everything else random. */
  seed: z.int().nonnegative().default(111),
});
const images = z.object({
  /** Share of each category's normal and anomalous images used for training. */
  portion: z.number().positive().max(1).default(1),
  /** Images per category, half of them anomalous; 0 means all. Takes precedence over `portion`. */
  kShot: z
    .int()
    .nonnegative()
    .refine((count) => count !== 1, 'one image cannot be half anomalous; expected 2 or more, or 0 for all')
    .default(0),
  /**
   * Probability that an image is replaced by four images of its category, two by two (docs/method.md#mosaics); decided
   * anew in every epoch.
   */
  mosaicRate: z.number().min(0).max(1).default(0),
  /** Share of the images held out from training to choose the best prompts; 0 trains on all, as the reference does. */
  validate: z.number().min(0).max(0.5).default(0),
});

type OwnOptions = z.output<typeof optimiser> & z.output<typeof images>;
/**
 * How a method is trained, complete.
 * @interface
 */
export type TrainingOptions = OwnOptions & LearningOptions;
/**
 * How a method is trained; what is left out has its default.
 * @interface
 */
export type TrainingOptionsInput = Partial<z.input<typeof optimiser> & z.input<typeof images>> & LearningOptionsInput;

/** @throws UsageError for a method that learns nothing */
function schemaOf(method: Method): z.ZodObject {
  return z.object({ ...optimiser.shape, ...learningOf(method).options.shape, ...images.shape });
}

/** How a method is trained. @throws UsageError for one that learns nothing */
export function learningOf(method: Method): Learning {
  if (method.training === undefined) throw learnsNothing(method);
  return method.training;
}

/** The error for a method that cannot be trained. */
export function learnsNothing({ name }: Method): UsageError {
  const trained = methods.flatMap((method) => (method.training ? [method.name] : []));
  return new UsageError(
    'training/method',
    `the method ${name} learns nothing, so there is nothing to train; methods that learn: ${trained.join(', ')}`,
    { method: name, expected: trained },
  );
}

/**
 * Checks training options as far as possible without a model, before anything is loaded.
 * @throws UsageError naming the option, what was found and what is allowed
 */
export function checkTrainingOptions(input: TrainingOptionsInput, method: Method): void {
  const given = definedOptions(input);
  const parsed = schemaOf(method).partial().safeParse(given);
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
}

/**
 * Completes training options for a model.
 * @param model the options of the model
 * @param start what training starts from, if not from fresh values
 * @throws UsageError naming the option, what was found and what is allowed
 */
export function completeTrainingOptions(
  input: TrainingOptionsInput,
  model: CommonOptions,
  method: Method = methodNamed(),
  start?: Parameters<Learning['defaults']>[1],
): TrainingOptions {
  const given = definedOptions(input);
  const parsed = schemaOf(method).safeParse({ ...learningOf(method).defaults(model, start), ...given });
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
  return parsed.data as TrainingOptions;
}

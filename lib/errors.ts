/**
 * Every error that the library throws on purpose. A `code` is stable and meant for programs; `data` carries what was
 * found and what was expected; the message says both to a person, and what to do.
 */
export class CraneError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly data: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Wrong use: an option, an argument or a combination of them. The commands exit with 2. */
export class UsageError extends CraneError {}

/** A weights file, a checkpoint or a download that cannot be used. */
export class WeightsError extends CraneError {}

/** A picture or a mask that cannot be read. */
export class ImageError extends CraneError {}

/** A data set that is missing, incomplete or laid out in a way that is not known. */
export class DatasetError extends CraneError {}

/** No TensorFlow.js backend of the wanted kind. */
export class BackendError extends CraneError {}

/** A training run that cannot start or go on. */
export class TrainingError extends CraneError {}

/** Scores and labels from which a metric cannot be computed. */
export class MetricError extends CraneError {}

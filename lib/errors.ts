import type { CraneErrorCode } from './error-codes';

/** What an error was about, for programs. Which fields there are depends on the code. */
export interface CraneErrorData {
  /** The image, as messages name it: its path or URL, or what it was. */
  readonly source?: string;
  /** The file or folder of weights or of a data set. */
  readonly path?: string;
  /** What was found. */
  readonly found?: unknown;
  /** What would have been right. */
  readonly expected?: unknown;
  readonly [field: string]: unknown;
}

/**
 * Every error that the library throws on purpose. A `code` is stable and meant for programs; `data` carries what was
 * found and what was expected; the message says both to a person, and what to do.
 *
 * A code is `area/kind`, in lower case with hyphens. The area says what the error is about, its class who can fix it:
 *
 * | area | about |
 * | --- | --- |
 * | `usage` | wrong use of a call or a command: options, names, places |
 * | `image`, `npy`, `map` | images and masks; NPY files; anomaly maps and how they are shown and saved |
 * | `weights`, `download`, `lock` | files of weights and prompts; fetching them; waiting for another process |
 * | `text`, `vocabulary` | texts and tokens; the tokenizer's vocabulary |
 * | `backend` | TensorFlow.js backends |
 * | `dataset`, `synthetic` | sets that are read; synthetic sets |
 * | `training` | training and pretraining |
 * | `metric`, `eval`, `results` | metrics; which sets may be evaluated; what evaluation writes |
 * | `cli` | the program `crane` |
 */
export class CraneError extends Error {
  constructor(
    /** Stable, for programs: `area/kind`. */
    readonly code: CraneErrorCode,
    message: string,
    /** What was found, and what was expected. */
    readonly data: CraneErrorData = {},
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

/** An image or a mask that cannot be read. */
export class ImageError extends CraneError {}

/** A data set that is missing, incomplete or laid out in an unknown way. */
export class DatasetError extends CraneError {}

/** No TensorFlow.js backend of the wanted kind. */
export class BackendError extends CraneError {}

/** A training run that cannot start or continue. */
export class TrainingError extends CraneError {}

/** Scores and labels from which a metric cannot be computed. */
export class MetricError extends CraneError {}

import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../lib/errors';
import type { LearnedValues } from '../lib/methods/checkpoint';
import type { AnomalyModel, Method, Trainable, TrainingBatch } from '../lib/methods/method';
import { methodNamed } from '../lib/methods/registry';
import { Adam, type AdamState } from './adam';
import { completeTrainingOptions, learnsNothing, type TrainingOptions, type TrainingOptionsInput } from './options';

/** Terms of the loss before the step: `total = focal + dice + imageWeight * image`. */
export interface StepLosses {
  /** Doubled, weighted and summed over feature sets, like `dice`. */
  readonly focal: number;
  readonly dice: number;
  /** Cross-entropy of the image, unweighted. */
  readonly image: number;
  readonly total: number;
}

export interface Gradients {
  readonly losses: StepLosses;
  /** By canonical name, such as `ctx_pos`; the caller must dispose them. */
  readonly gradients: Readonly<Record<string, tf.Tensor>>;
}

/** Everything that the next step depends on, except the prompts. */
export interface TrainerState {
  readonly adam: AdamState;
  readonly steps: number;
}

/** Trains the learned part of a method with Adam, on batches from the caller. */
export class Trainer {
  readonly options: TrainingOptions;
  private readonly trainable: Trainable;
  private readonly names: readonly string[];
  private readonly variables: readonly tf.Variable[];
  private readonly adam: Adam;
  private steps = 0;

  /**
   * @throws TrainingError `training/frozen` if the model was built for scoring; UsageError for a method that learns
   *   nothing
   */
  constructor(model: AnomalyModel, options: TrainingOptionsInput = {}, method: Method = methodNamed()) {
    this.options = completeTrainingOptions(options, model.options, method);
    if (model.trainable === undefined) throw learnsNothing(method);
    this.trainable = model.trainable(this.options);
    this.names = [...this.trainable.variables.keys()];
    this.variables = [...this.trainable.variables.values()];
    const [beta1, beta2] = this.options.betas;
    this.adam = new Adam(this.variables, { beta1, beta2 });
  }

  /**
   * One optimiser step.
   * @throws TrainingError `training/diverged` if the loss is NaN or infinite; the prompts are then unchanged
   */
  async step(batch: TrainingBatch): Promise<StepLosses> {
    const { losses, gradients } = await this.gradients(batch);
    try {
      if (!Number.isFinite(losses.total)) {
        throw new TrainingError(
          'training/diverged',
          `the loss of step ${this.steps + 1} is NaN or infinite (focal ${losses.focal}, dice ${losses.dice}, ` +
            `image ${losses.image}); use a lower learning rate, and check the images and features`,
          { step: this.steps + 1, ...losses },
        );
      }
      this.adam.apply(
        this.names.map((name) => gradients[name] as tf.Tensor),
        this.options.learningRate,
      );
      this.steps += 1;
      return losses;
    } finally {
      tf.dispose(Object.values(gradients));
    }
  }

  /** The losses of a batch and their gradients, without taking a step. */
  async gradients(batch: TrainingBatch): Promise<Gradients> {
    let terms: tf.Tensor | undefined; // [3]
    const { value, grads } = tf.variableGrads(() => {
      const { focal, dice, image, total } = this.trainable.loss(batch, this.steps);
      terms = tf.keep(tf.stack([focal, dice, image]));
      return total;
    }, [...this.variables]);
    const total = await value.data();
    const [focal, dice, image] = await (terms as tf.Tensor).data();
    tf.dispose([value, terms as tf.Tensor]);
    const gradients = this.variables.map((variable, index): [string, tf.Tensor] => {
      // A parameter that the loss does not reach, such as a context vector replaced by the image, has no gradient.
      return [this.names[index] as string, grads[variable.name] ?? tf.zerosLike(variable)];
    });
    return {
      losses: { focal: focal as number, dice: dice as number, image: image as number, total: total[0] as number },
      gradients: Object.fromEntries(gradients),
    };
  }

  /** The current values of the prompts, by canonical name. */
  async values(): Promise<LearnedValues> {
    const entries = this.variables.map(async (variable, index) => {
      const data = (await variable.data()) as Float32Array;
      return [this.names[index] as string, { shape: variable.shape, data: Float32Array.from(data) }] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  async state(): Promise<TrainerState> {
    const { steps } = this;
    return { adam: await this.adam.state(), steps };
  }

  /**
   * Resumes from a saved state.
   * @param prompts their saved values; if left out, the model's are kept
   * @throws TrainingError `training/state` if the state belongs to prompts of other names or sizes
   */
  restore({ adam, steps }: TrainerState, prompts?: LearnedValues): void {
    const values =
      prompts &&
      this.variables.map((variable, index) => {
        const name = this.names[index] as string;
        const saved = prompts[name];
        if (saved?.data.length !== variable.size) {
          throw new TrainingError(
            'training/state',
            `the state holds ${saved?.data.length ?? 'no'} values of ${name}, but these prompts have ${variable.size}`,
            { name },
          );
        }
        return saved.data;
      });
    this.adam.restore(adam);
    this.steps = steps;
    values?.forEach((data, index) => {
      const variable = this.variables[index] as tf.Variable;
      const value = tf.tensor(data, variable.shape);
      variable.assign(value);
      value.dispose();
    });
  }

  /** Releases the optimiser's tensors; the model is kept. */
  dispose(): void {
    this.adam.dispose();
  }
}

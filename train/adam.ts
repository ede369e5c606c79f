import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../lib/errors';

export interface AdamOptions {
  /** Decay of the running mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the running mean of squared gradients; 0.999 by default. */
  readonly beta2?: number;
  /** Added to the root of the second moment; 1e-8 by default. */
  readonly epsilon?: number;
  /** Decoupled weight decay, as in AdamW; 0 by default. */
  readonly weightDecay?: number;
  /** Which variables decay; all by default. */
  readonly decays?: (variable: tf.Variable, index: number) => boolean;
}

/** The optimizer's state besides the parameters: enough to resume as if never stopped. */
export interface AdamState {
  readonly step: number;
  /** First and second moment of all variables, concatenated in the order given to the constructor. */
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/**
 * Adam and AdamW by PyTorch's formula: the moments' bias is corrected before epsilon is added,
 *
 *     p ← p·(1 − lr·decay) − lr/(1 − β1^t) · m / (√v / √(1 − β2^t) + ε)
 *
 * whereas `tf.train.adam` adds epsilon to the uncorrected root. All variables are updated as one long vector: a network
 * of a hundred small parameters costs a dozen operations instead of a thousand.
 */
export class Adam {
  private readonly sizes: readonly number[];
  private readonly beta1: number;
  private readonly beta2: number;
  private readonly epsilon: number;
  private readonly weightDecay: number;
  private readonly decayed: tf.Tensor1D | null; // [P], 1 where weight decay applies
  private first: tf.Tensor1D; // [P]
  private second: tf.Tensor1D; // [P]
  private steps = 0;

  constructor(
    private readonly variables: readonly tf.Variable[],
    options: AdamOptions = {},
  ) {
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.epsilon = options.epsilon ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
    this.sizes = variables.map(({ size }) => size);
    const { decays } = options;
    this.decayed =
      this.weightDecay === 0
        ? null
        : tf.tidy(() =>
            tf.concat1d(
              variables.map(
                (variable, index) =>
                  tf.fill([variable.size], (decays?.(variable, index) ?? true) ? 1 : 0) as tf.Tensor1D,
              ),
            ),
          );
    if (this.decayed) tf.keep(this.decayed);
    this.first = tf.keep(tf.zeros([this.count]));
    this.second = tf.keep(tf.zeros([this.count]));
  }

  /** Number of values under optimization. */
  get count(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Steps taken so far. */
  get step(): number {
    return this.steps;
  }

  /**
   * Moves every variable one step. The caller keeps ownership of the gradients.
   * @param gradients one per variable, in the constructor's order and of the variables' shapes
   * @param clipNorm scales all gradients down together if their joint L2 norm is larger; no clipping if left out
   * @returns the joint norm before clipping; null without clipping, since computing it costs a read
   * @throws TrainingError `training/gradients` for a wrong number of gradients, `training/diverged` if they are NaN or
   *   infinite
   */
  apply(gradients: readonly tf.Tensor[], learningRate: number, clipNorm?: number): number | null {
    if (gradients.length !== this.variables.length) {
      throw new TrainingError(
        'training/gradients',
        `${gradients.length} gradients for ${this.variables.length} variables`,
        { found: gradients.length, expected: this.variables.length },
      );
    }
    let norm: number | null = null;
    const [first, second] = tf.tidy(() => {
      let gradient = joined(gradients);
      if (clipNorm !== undefined) {
        norm = Math.sqrt(tf.sum(tf.square(gradient)).dataSync()[0] as number);
        if (!Number.isFinite(norm)) {
          throw new TrainingError(
            'training/diverged',
            `the gradient of step ${this.steps + 1} is NaN or infinite (norm ${norm}); use a lower learning rate`,
            { step: this.steps + 1 },
          );
        }
        if (norm > clipNorm) gradient = tf.mul(gradient, clipNorm / norm);
      }
      this.steps += 1;
      const first = tf.add(tf.mul(this.first, this.beta1), tf.mul(gradient, 1 - this.beta1)) as tf.Tensor1D;
      const second = tf.add(
        tf.mul(this.second, this.beta2),
        tf.mul(tf.square(gradient), 1 - this.beta2),
      ) as tf.Tensor1D;
      const correction1 = 1 - this.beta1 ** this.steps;
      const correction2 = 1 - this.beta2 ** this.steps;
      const denominator = tf.add(tf.div(tf.sqrt(second), Math.sqrt(correction2)), this.epsilon);
      const change = tf.mul(tf.div(first, denominator), learningRate / correction1);
      let values = joined(this.variables);
      if (this.decayed) values = tf.mul(values, tf.sub(1, tf.mul(this.decayed, learningRate * this.weightDecay)));
      const parts = tf.split(tf.sub(values, change) as tf.Tensor1D, [...this.sizes]);
      this.variables.forEach((variable, index) =>
        variable.assign(tf.reshape(parts[index] as tf.Tensor1D, variable.shape)),
      );
      // Kept, because the caller may itself be inside a tidy.
      return [tf.keep(first), tf.keep(second)];
    }) as [tf.Tensor1D, tf.Tensor1D];
    tf.dispose([this.first, this.second]);
    [this.first, this.second] = [first, second];
    return norm;
  }

  /** The current state, with everything needed to resume. */
  async state(): Promise<AdamState> {
    const step = this.steps;
    const [first, second] = await Promise.all([this.first.data(), this.second.data()]);
    return { step, first: Float32Array.from(first), second: Float32Array.from(second) };
  }

  /** Resumes from a saved state. @throws TrainingError if it has a different number of values */
  restore({ step, first, second }: AdamState): void {
    if (first.length !== this.count || second.length !== this.count) {
      throw new TrainingError(
        'training/state',
        `the optimizer state holds ${first.length} values, but this network has ${this.count}`,
        { found: first.length, expected: this.count },
      );
    }
    tf.dispose([this.first, this.second]);
    this.steps = step;
    this.first = tf.keep(tf.tensor1d(first));
    this.second = tf.keep(tf.tensor1d(second));
  }

  dispose(): void {
    tf.dispose([this.first, this.second, ...(this.decayed ? [this.decayed] : [])]);
  }
}

function joined(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.concat1d(tensors.map((tensor) => tf.reshape(tensor, [tensor.size]) as tf.Tensor1D));
}

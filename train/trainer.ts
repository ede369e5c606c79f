import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../lib/errors';
import type { CraneModel, ImageFeatures } from '../lib/methods/crane/model';
import { mean, upsampleGrid } from '../lib/scoring/fusion';
import { ScorePooling } from '../lib/scoring/score-pooling';
import { Similarity, logitDifference } from '../lib/scoring/similarity';
import { seededUniform } from '../lib/weights/seeded';
import { Adam, type AdamState } from './adam';
import { diceLoss, focalLoss, imageCrossEntropy } from './losses';
import { completeTrainingOptions, type TrainingOptions, type TrainingOptionsInput } from './options';

/** What one step learns from: features of the frozen encoder, and the truth. */
export interface TrainingBatch extends ImageFeatures {
  /**
   * Share of anomalous pixels by cell, 0 to 1. Cells are the pixels of the network input, `[B, S, S]`, or, where the
   * loss is per patch, patches just as well, `[B, R, C]`: the same loss without the large tensors.
   */
  readonly masks: tf.Tensor3D;
  /** 1 where the image is anomalous, else 0, `[B]`. */
  readonly labels: tf.Tensor1D;
}

/** Terms of the loss before the step: `total = focal + dice + imageWeight * image`. */
export interface StepLosses {
  /** Doubled, weighted and summed over feature sets, as is `dice`. */
  readonly focal: number;
  readonly dice: number;
  /** Cross-entropy of the image, not weighted. */
  readonly image: number;
  readonly total: number;
}

export interface PromptGradients {
  readonly losses: StepLosses;
  /** By canonical name, such as `ctx_pos`; the caller disposes them. */
  readonly gradients: Readonly<Record<string, tf.Tensor>>;
}

/** The prompts' values by canonical name, such as `ctx_pos`. */
export type PromptValues = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;

/** Everything but the prompts that the next step depends on. */
export interface TrainerState {
  readonly adam: AdamState;
  readonly steps: number;
}

/**
 * Trains a model's prompts on features of the frozen encoder (paper section 3.3; docs/method.md#training):
 *
 *     L = Σ_f (2 focal + 2 dice) + 0.2 cross-entropy,   f over feature sets, equal ones as often as they are listed
 *
 * Gradients flow through the text encoder into context vectors and deep tokens, and nowhere else.
 */
export class PromptTrainer {
  readonly options: TrainingOptions;
  private readonly names: readonly string[];
  private readonly variables: readonly tf.Variable[];
  private readonly adam: Adam;
  private readonly pixelSimilarity: Similarity;
  private readonly imageSimilarity: Similarity;
  private readonly pooling = new ScorePooling({});
  private steps = 0;

  /** @throws TrainingError where the model's prompts are not trainable */
  constructor(
    private readonly model: CraneModel,
    options: TrainingOptionsInput = {},
  ) {
    this.options = completeTrainingOptions(options, model.options);
    const weights = model.prompts.trainableWeights;
    if (weights.length === 0) {
      throw new TrainingError('training/frozen', 'these prompts are frozen; build the model with trainable prompts');
    }
    this.names = weights.map(({ originalName }) => originalName);
    this.variables = weights.map((weight) => weight.read() as tf.Variable);
    const [beta1, beta2] = this.options.betas;
    this.adam = new Adam(this.variables, { beta1, beta2 });
    this.pixelSimilarity = new Similarity({ temperature: this.options.pixelTemperature });
    this.imageSimilarity = new Similarity({ temperature: this.options.imageTemperature });
  }

  /**
   * One optimiser step.
   * @throws TrainingError `training/diverged` where the loss is not finite; the prompts stay as they were
   */
  async step(batch: TrainingBatch): Promise<StepLosses> {
    const { losses, gradients } = await this.gradients(batch);
    try {
      if (!Number.isFinite(losses.total)) {
        throw new TrainingError(
          'training/diverged',
          `the loss of step ${this.steps + 1} is not a finite number (focal ${losses.focal}, dice ${losses.dice}, ` +
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

  /** The losses of a batch and their gradients, without a step. */
  async gradients(batch: TrainingBatch): Promise<PromptGradients> {
    const withContext = this.drawContext();
    let terms: tf.Tensor | undefined; // [3]
    const { value, grads } = tf.variableGrads(() => {
      const { focal, dice, image } = this.terms(batch, withContext);
      terms = tf.keep(tf.stack([focal, dice, image]));
      return tf.addN([focal, dice, tf.mul(image, this.options.imageWeight) as tf.Scalar]);
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

  /** Drawn by step number, so that a run that was resumed draws the same. */
  private drawContext(): boolean {
    if (this.model.options.contextPosition === 'none') return false;
    return seededUniform(`${this.options.seed}/context/${this.steps}`)() < this.options.contextProbability;
  }

  private terms(batch: TrainingBatch, withContext: boolean): { focal: tf.Scalar; dice: tf.Scalar; image: tf.Scalar } {
    const { global, patches, labels } = batch;
    const text = this.model.encodePrompts(withContext ? global : undefined); // [B or 1, 2, E]
    const logits = patches.map((set) => this.pixelSimilarity.apply([set, text]) as tf.Tensor3D); // [B, N, 2] each
    const copies = this.copiesOf(patches);
    const { focal, dice } = this.pixelTerms(logits, copies, batch.masks);
    const feature = this.options.pooling
      ? (this.pooling.apply([global, mean(patches, copies), mean(logits, copies)]) as tf.Tensor2D)
      : global; // [B, E]
    const imageLogits = tf.squeeze(this.imageSimilarity.apply([tf.expandDims(feature, 1), text]) as tf.Tensor3D, [1]);
    return { focal, dice, image: imageCrossEntropy(imageLogits as tf.Tensor2D, labels) };
  }

  /** How often each feature set counts. Sets that do not come from the model's own encoder count once. */
  private copiesOf(patches: readonly tf.Tensor3D[]): readonly number[] {
    const { copies } = this.model;
    return copies.length === patches.length ? copies : patches.map(() => 1);
  }

  private pixelTerms(
    logits: readonly tf.Tensor3D[],
    copies: readonly number[],
    masks: tf.Tensor3D,
  ): { focal: tf.Scalar; dice: tf.Scalar } {
    const { pixelWeight, interpolation } = this.options;
    const size = this.model.options.imageSize;
    const [rows, columns] = this.model.grid;
    const perPatch = lossPerPatch(this.model, interpolation);
    const shares = perPatch ? patchShares(masks, this.model.grid) : masks; // [B, R, C] or [B, S, S]
    if (!perPatch && (masks.shape[1] !== size || masks.shape[2] !== size)) {
      throw new TrainingError(
        'training/mask-size',
        `interpolation to pixels needs masks of ${size} x ${size} pixels; found ${masks.shape[1]} x ${masks.shape[2]}`,
        { found: masks.shape, expected: [size, size] },
      );
    }
    const enlarge = (probabilities: tf.Tensor): tf.Tensor =>
      perPatch
        ? tf.reshape(probabilities, [-1, rows, columns])
        : upsampleGrid(probabilities, [rows, columns], [size, size], interpolation);
    const pixelsPerCell = perPatch ? (size / rows) * (size / columns) : 1;

    const sets = logits.map((set) => {
      const difference = logitDifference(set); // [B, N]
      const anomalous = enlarge(tf.sigmoid(difference));
      const normal = enlarge(tf.sigmoid(tf.neg(difference)));
      return {
        focal: focalLoss(tf.stack([normal, anomalous], 3), shares),
        dice: diceLoss(anomalous, shares, pixelsPerCell),
      };
    });
    const weighted = (losses: tf.Scalar[]): tf.Scalar =>
      tf.mul(tf.addN(losses.map((loss, set) => tf.mul(loss, copies[set] as number) as tf.Scalar)), 2 * pixelWeight);
    return { focal: weighted(sets.map(({ focal }) => focal)), dice: weighted(sets.map(({ dice }) => dice)) };
  }

  /** The prompts' values as they are now, by canonical name. */
  async prompts(): Promise<PromptValues> {
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
   * Goes on from a saved state.
   * @param prompts their values then; those of the model stay where none are given
   * @throws TrainingError `training/state` where the state belongs to prompts of other names or sizes
   */
  restore({ adam, steps }: TrainerState, prompts?: PromptValues): void {
    const values =
      prompts &&
      this.variables.map((variable, index) => {
        const name = this.names[index] as string;
        const saved = prompts[name];
        if (saved?.data.length !== variable.size) {
          throw new TrainingError(
            'training/state',
            `the state holds ${saved?.data.length ?? 'no'} values of ${name}, these prompts have ${variable.size}`,
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

  /** Releases what training needed; the model stays. */
  dispose(): void {
    this.adam.dispose();
    [this.pixelSimilarity, this.imageSimilarity, this.pooling].forEach((layer) => layer.dispose());
  }
}

/**
 * Whether the pixel losses need only each patch's share of anomalous pixels: with nearest interpolation, where all patches
 * cover equally many. The 64 x 64 features that SAM and DINO give beside 518 pixels do not.
 */
export function lossPerPatch(
  { grid, options }: Pick<CraneModel, 'grid' | 'options'>,
  interpolation: 'nearest' | 'bilinear',
): boolean {
  return interpolation === 'nearest' && grid.every((patches) => options.imageSize % patches === 0);
}

/** Masks of pixels as the share of anomalous ones in each patch, `[B, S, S]` to `[B, R, C]`; those of patches as they are. */
function patchShares(masks: tf.Tensor3D, [rows, columns]: readonly [number, number]): tf.Tensor3D {
  const [, height, width] = masks.shape;
  if (height === rows && width === columns) return masks;
  if (height % rows !== 0 || width % columns !== 0) {
    throw new TrainingError(
      'training/mask-size',
      `masks of ${height} x ${width} do not divide into ${rows} x ${columns} patches`,
      { found: [height, width], expected: [rows, columns] },
    );
  }
  return tf.tidy(() => {
    const patch: [number, number] = [height / rows, width / columns];
    return tf.squeeze(tf.avgPool(tf.expandDims(masks, 3) as tf.Tensor4D, patch, patch, 'valid'), [3]) as tf.Tensor3D;
  });
}

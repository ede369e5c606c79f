import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { TrainingError } from '../../errors';
import type { LearnablePrompts } from '../../prompts/learnable-prompts';
import { upsampleGrid } from '../../scoring/fusion';
import { diceLoss, focalLoss, imageCrossEntropy, lossPerPatch, patchShares } from '../../scoring/losses';
import { logitDifference } from '../../scoring/similarity';
import { seededUniform } from '../../weights/seeded';
import type { LossTerms, Trainable, TrainingBatch } from '../method';
import { craneLogits } from './head';
import type { ModelOptions } from './options';

/** Sizes of fresh prompts, as in the paper (docs/method.md#prompts); the depth is limited by the text encoder's blocks. */
export const PROMPT_SIZES = { contextTokens: 12, deepTokens: 4, depth: 9 } as const;

/**
 * How Crane's prompts are trained. Defaults are those of the reference's training program (docs/method.md#training,
 * docs/method.md#temperatures).
 */
export const craneTrainingSchema = z.object({
  /** Temperature of the image similarity; sharper than when scoring. */
  imageTemperature: z.number().positive().default(0.01),
  pixelTemperature: z.number().positive().default(0.07),
  /** How patch probabilities are enlarged to pixels; `nearest` needs no enlarged map. */
  interpolation: z.enum(['nearest', 'bilinear']).default('nearest'),
  /** Score-based pooling in the image loss; by default as in scoring. */
  pooling: z.boolean(),
  /** Share of batches whose prompts are conditioned on their images (paper section 3.3). */
  contextProbability: z.number().min(0).max(1).default(1),
  /**
   * Weight of the pixel losses, on top of how often each feature set counts: the reference sums over its layers, most of
   * which give the same tensor (docs/method.md#four-copies).
   */
  pixelWeight: z.number().nonnegative().default(1),
  imageWeight: z.number().nonnegative().default(0.2),
  /** Learned tokens before the words, for fresh prompts (docs/method.md#prompts). */
  contextTokens: z.int().positive().default(PROMPT_SIZES.contextTokens),
  /** Learned tokens in each deeper text block, for fresh prompts. */
  deepTokens: z.int().positive().default(PROMPT_SIZES.deepTokens),
  /** Text blocks with learned tokens, including the first, for fresh prompts; limited by the number of text blocks. */
  depth: z.int().positive().default(PROMPT_SIZES.depth),
  /**
   * Round the gradients of deep tokens to 16 bits, prompt by prompt, as happens in the reference as a side effect. Without
   * it they are exact, and what the prompts of a batch have in common is computed once: steps take about half the time.
   */
  roundGradients: z.boolean().default(true),
});

/** The complete options of a training of Crane, and its seed. */
export type CraneTraining = z.output<typeof craneTrainingSchema> & { readonly seed: number };

/** What the loss needs from a model. */
export interface TrainedCrane {
  readonly options: ModelOptions;
  readonly grid: readonly [number, number];
  readonly copies: readonly number[];
  readonly prompts: LearnablePrompts;
  encodePrompts(global?: tf.Tensor2D): tf.Tensor3D;
}

/**
 * A model's prompts and their loss on features of the frozen encoder (paper section 3.3; docs/method.md#training):
 *
 *     L = Σ_f (2 focal + 2 dice) + 0.2 cross-entropy,   f over feature sets, equal ones as often as they are listed
 *
 * Gradients flow through the text encoder into context vectors and deep tokens, and nowhere else.
 */
export class CraneTrainable implements Trainable {
  readonly variables: ReadonlyMap<string, tf.Variable>;

  /** @throws TrainingError if the model's prompts are not trainable */
  constructor(
    private readonly model: TrainedCrane,
    private readonly options: CraneTraining,
  ) {
    const weights = model.prompts.trainableWeights;
    if (weights.length === 0) {
      throw new TrainingError('training/frozen', 'these prompts are frozen; build the model with trainable prompts');
    }
    this.variables = new Map(weights.map((weight) => [weight.originalName, weight.read() as tf.Variable]));
  }

  loss(batch: TrainingBatch, step: number): LossTerms {
    const { global, patches, labels, masks } = batch;
    const { pixelTemperature, imageTemperature, pooling, imageWeight } = this.options;
    const text = this.model.encodePrompts(this.drawContext(step) ? global : undefined); // [B or 1, 2, E]
    const copies = this.copiesOf(patches);
    const logits = craneLogits({ global, patches }, text, { pixelTemperature, imageTemperature, pooling, copies });
    const { focal, dice } = this.pixelTerms(logits.patches, copies, masks);
    const image = imageCrossEntropy(logits.image, labels);
    return { focal, dice, image, total: tf.addN([focal, dice, tf.mul(image, imageWeight) as tf.Scalar]) };
  }

  /** Random by step number, so that a resumed run makes the same choice. */
  private drawContext(step: number): boolean {
    if (this.model.options.contextPosition === 'none') return false;
    return seededUniform(`${this.options.seed}/context/${step}`)() < this.options.contextProbability;
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
    const perPatch = lossPerPatch(this.model.grid, size, interpolation);
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
}

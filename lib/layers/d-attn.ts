import * as tf from '@tensorflow/tfjs';

import { CraneLayer, type CraneLayerConfig } from './crane-layer';
import { sizeFrom, type Axes } from './input-shapes';
import { resizeGrid } from './interpolation';

/**
 * The scope of D-Attn's mean similarity: each image alone, or all images of a batch, as in the reference, whose
 * scores then depend on which images are scored together (docs/method.md#batch-mean; docs/deviations.md).
 */
export const DATTN_MEANS = ['image', 'batch'] as const;
/** One of {@link DATTN_MEANS}. */
export type DAttnMean = (typeof DATTN_MEANS)[number];

export interface DAttnConfig extends CraneLayerConfig {
  /** Similarities below this multiple of their mean are cut: 1.2, or 1.08 where SAM guides. */
  beta: number;
  /** Sharpness: the softmax is taken of `gamma · (S − beta · mean S)`. */
  gamma: number;
  mean: DAttnMean;
}

/** Large enough to vanish in any softmax, and finite on every backend. */
const CUT = -1e9;
/** Similarities are computed for a few images at a time: one matrix of SAM's 4096 patches takes 67 MB. */
const SIMILARITIES_AT_ONCE = 2 ** 22;
/** Patches count as equally similar within this share of a row that is all below the cut. */
const TIE = 1e-4;

/**
 * D-Attn, attention guided by a second vision model (paper section 3.2; docs/method.md#d-attn): each patch gathers
 * the values of the
 * patches that the second model finds similar to it,
 *
 *     S  = cosine similarity of its patch features
 *     S' = gamma · (S − beta · mean S),  below zero cut off
 *     W  = softmax(S')   per row,       output = W v      (the same W for all heads)
 *
 * Rows that would be cut entirely, where the reference gives NaN, keep the most similar patches: for a constant image
 * all, otherwise the patch itself. The formula tends to the same limit as the cut approaches a patch's similarity to
 * itself.
 *
 * Input: values `[B, r, c, D]`, and features `[B, R, C, F]` of any norm. Where the grids differ, values are resized
 * bilinearly to the features'. Output `[B, R·C, D]`, finite for finite input.
 */
export class DAttn extends CraneLayer {
  static readonly className = 'DAttn';

  constructor(private readonly config: DAttnConfig) {
    super(config);
  }

  /** The layer's output. */
  gather(values: tf.Tensor4D, features: tf.Tensor4D): tf.Tensor3D {
    return this.apply([values, features]) as tf.Tensor3D;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [given, features] = inputs as [tf.Tensor4D, tf.Tensor4D];
      const [batch, rows, columns, channels] = features.shape;
      const resized = resizeGrid(given, [rows, columns]); // [B, R, C, D]
      const values = tf.reshape(resized, [batch, rows * columns, resized.shape[3]]) as tf.Tensor3D; // [B, M, D]
      const patches = unitLength(tf.reshape(features, [batch, rows * columns, channels])); // [B, M, F]
      const cuts = this.cutsOf(patches); // [B, 1, 1]
      const step = Math.max(1, Math.floor(SIMILARITIES_AT_ONCE / (rows * columns) ** 2));
      const gathered: tf.Tensor3D[] = [];
      for (let first = 0; first < batch; first += step) {
        const some = <T extends tf.Tensor3D>(all: T): T =>
          tf.slice(all, [first, 0, 0], [Math.min(step, batch - first), -1, -1]) as T;
        gathered.push(tf.tidy(() => tf.matMul(this.weightsOf(some(patches), some(cuts)), some(values))));
      }
      return gathered.length === 1 ? (gathered[0] as tf.Tensor3D) : tf.concat(gathered, 0);
    });
  }

  /**
   * The similarity below which values are cut, `[B, 1, 1]`. The mean over all pairs of unit vectors is the squared
   * length of their mean, so no matrix is needed for it.
   */
  private cutsOf(patches: tf.Tensor3D): tf.Tensor3D {
    const perImage = tf.sum(tf.square(tf.mean(patches, 1, true)), 2, true); // [B, 1, 1]
    const mean = this.config.mean === 'image' ? perImage : tf.mul(tf.onesLike(perImage), tf.mean(perImage));
    return tf.mul(mean, this.config.beta);
  }

  /** Row weights for unit patches `[b, M, F]`, `[b, M, M]`, each row summing to one. */
  private weightsOf(patches: tf.Tensor3D, cuts: tf.Tensor3D): tf.Tensor3D {
    const above = tf.mul(tf.sub(tf.matMul(patches, patches, false, true), cuts), this.config.gamma); // [b, M, M]
    // Zero, or, for a row entirely below zero, just under its maximum.
    const floor = tf.mul(tf.minimum(tf.max(above, 2, true), 0), 1 + TIE); // [b, M, 1]
    return tf.softmax(tf.where(tf.less(above, floor), tf.fill(above.shape, CUT), above)) as tf.Tensor3D;
  }

  protected override takes(): readonly Axes[] {
    return [
      ['B', 'r', 'c', 'D'],
      ['B', 'R', 'C', 'F'],
    ];
  }

  protected override gives([values = [], features = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, rows, columns] = features;
    return [[batch, sizeFrom([rows, columns], (r, c) => r * c), values[3] ?? null]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { beta, gamma, mean } = this.config;
    return { ...super.getConfig(), beta, gamma, mean };
  }
}
tf.serialization.registerClass(DAttn, 'crane');

/** Vectors scaled to unit length; a zero vector stays zero. */
function unitLength(vectors: tf.Tensor): tf.Tensor3D {
  return tf.div(vectors, tf.maximum(tf.norm(vectors, 2, -1, true), 1e-12));
}

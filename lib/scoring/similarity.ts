import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';
import { CraneLayer, type CraneLayerConfig } from '../layers/crane-layer';
import type { Axes } from '../layers/input-shapes';

/** Scales each vector of the last axis to length one. */
export function normalise<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => tf.div(x, tf.sqrt(tf.sum(tf.square(x), -1, true))) as T);
}

export interface SimilarityConfig extends CraneLayerConfig {
  /** What cosine similarities are divided by, such as 0.07. */
  temperature: number;
}

/**
 * Similarity of image features to the two text features, `z · [t_normal, t_anomalous] / temperature` (docs/method.md#similarity).
 * Input: features `[B, N, E]` and text features `[B, 2, E]` or `[1, 2, E]`, all of length one. Output logits `[B, N, 2]`.
 * A temperature that is not positive is refused with `usage/temperature`.
 */
export class Similarity extends CraneLayer {
  static readonly className = 'Similarity';
  private readonly temperature: number;

  constructor(config: SimilarityConfig) {
    const { temperature } = config;
    if (!Number.isFinite(temperature) || temperature <= 0) {
      throw new UsageError('usage/temperature', `\`temperature\` is ${temperature}; it must be a positive number`, {
        found: temperature,
      });
    }
    super(config);
    this.temperature = temperature;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [features, text] = inputs as [tf.Tensor3D, tf.Tensor3D];
    return similarity(features, text, this.temperature);
  }

  protected override takes(): readonly Axes[] {
    return [
      ['B', 'N', 'E'],
      ['B|1', 2, 'E'],
    ];
  }

  protected override gives([features = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    return [[...features.slice(0, 2), 2]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), temperature: this.temperature };
  }
}
tf.serialization.registerClass(Similarity, 'crane');

/** What `Similarity` computes: features `[B, N, E]`, text `[B or 1, 2, E]`, to logits `[B, N, 2]`. */
export function similarity(features: tf.Tensor3D, text: tf.Tensor3D, temperature: number): tf.Tensor3D {
  return tf.tidy(() => {
    const [batch, count, width] = features.shape;
    const scaled = tf.div(text, temperature);
    if (text.shape[0] !== 1) return tf.matMul(features, scaled, false, true) as tf.Tensor3D; // [B, N, 2]
    // One pair of texts for all images: a plain product, whose gradient every backend has.
    const rows = tf.reshape(features, [batch * count, width]) as tf.Tensor2D;
    const product = tf.matMul(rows, tf.reshape(scaled, [2, width]) as tf.Tensor2D, false, true);
    return tf.reshape(product, [batch, count, 2]) as tf.Tensor3D;
  });
}

/** Probability of "anomalous" from logits `[…, 2]`: the softmax's second channel, `[…]`. */
export function anomalousProbability(logits: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.sigmoid(logitDifference(logits)));
}

/** Anomalous minus normal logit, `[…, 2]` to `[…]`. */
export function logitDifference(logits: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const last = logits.rank - 1;
    const [normal, anomalous] = tf.split(logits, 2, last) as [tf.Tensor, tf.Tensor];
    return tf.squeeze(tf.sub(anomalous, normal), [last]);
  });
}

import * as tf from '@tensorflow/tfjs';
import { CraneLayer } from '../layers/crane-layer';
import type { Axes } from '../layers/input-shapes';
import { anomalousProbability, normalise } from './similarity';

/**
 * Score-based pooling (paper section 3.4; docs/method.md#pooling): patch tokens that look anomalous weigh more in the
 * image's feature,
 *
 *     c = normalise(Σ_i w_i z_i),   w_i the anomalous probability of patch i (not renormalised)
 *     g⁺ = normalise(0.5 c + 0.5 g)
 *
 * Input: global features g `[B, E]`, patch features z `[B, N, E]` averaged over the feature sets, their logits
 * `[B, N, 2]` averaged likewise. Output g⁺ `[B, E]`.
 */
export class ScorePooling extends CraneLayer {
  static readonly className = 'ScorePooling';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [global, patches, logits] = inputs as [tf.Tensor2D, tf.Tensor3D, tf.Tensor3D];
    return pooledFeature(global, patches, logits);
  }

  protected override takes(): readonly Axes[] {
    return [
      ['B', 'E'],
      ['B', 'N', 'E'],
      ['B', 'N', 2],
    ];
  }
}
tf.serialization.registerClass(ScorePooling, 'crane');

/** What `ScorePooling` computes, `[B, E]`. */
export function pooledFeature(global: tf.Tensor2D, patches: tf.Tensor3D, logits: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() =>
    normalise(tf.add(tf.mul(poolByScore(patches, logits), 0.5), tf.mul(global, 0.5)) as tf.Tensor2D),
  );
}

/** The pooled feature c alone, `[B, E]`, of length one. */
export function poolByScore(patches: tf.Tensor3D, logits: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => {
    const weights = tf.expandDims(anomalousProbability(logits), 1) as tf.Tensor3D; // [B, 1, N]
    return normalise(tf.squeeze(tf.matMul(weights, patches), [1]) as tf.Tensor2D); // [B, E]
  });
}

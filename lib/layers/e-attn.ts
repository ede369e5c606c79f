import * as tf from '@tensorflow/tfjs';

import { CraneLayer, type CraneLayerConfig } from './crane-layer';
import { CORRELATIONS, fusedAttention, type JoinedHeads } from './fused-attention';
import type { Axes } from './input-shapes';
import { inGroupsOfHeads, type Heads } from './multi-head-attention';

/** How E-Attn correlates tokens with each other (paper section 3.2; docs/method.md#e-attn). */
export const ATTENTION_TYPES = ['qq+kk+vv', 'qq+kk', 'qq', 'kk', 'vv', '(q+k+v)^2'] as const;
/** One of {@link ATTENTION_TYPES}. */
export type AttentionType = (typeof ATTENTION_TYPES)[number];

export interface EAttnConfig extends CraneLayerConfig {
  attention: AttentionType;
}

/**
 * E-Attn, Crane's self-correlation attention (paper section 3.2; docs/method.md#e-attn): instead of comparing queries
 * with keys, each
 * token gathers the values of the tokens that resemble it,
 *
 *     (softmax(q qᵀ/√d) + softmax(k kᵀ/√d) + softmax(v vᵀ/√d)) v        per head.
 *
 * The matrices are added, not averaged, and multiplied by the values once. `(q+k+v)^2` is the only type with a single
 * softmax: the three are concatenated, `softmax([q;k;v][q;k;v]ᵀ/√(3d))`.
 *
 * Input: queries, keys and values scaled by d^(-1/4), then the unscaled values, each `[B·H, N, d]`. Output
 * `[B·H, N, d]`.
 */
export class EAttn extends CraneLayer {
  static readonly className = 'EAttn';
  private readonly attention: AttentionType;

  constructor(config: EAttnConfig) {
    super(config);
    this.attention = config.attention;
  }

  /**
   * The layer's output directly from the joined projections, heads joined, `[B, N, D]`, where the backend has an
   * operation for it; otherwise undefined, and `correlate` must be called.
   */
  correlateJoined(joined: JoinedHeads): tf.Tensor3D | undefined {
    const correlations = FUSED[this.attention];
    return correlations === undefined ? undefined : fusedAttention(joined, correlations);
  }

  /** The layer's output for projected heads. */
  correlate({ queries, keys, scaledValues, values }: Heads): tf.Tensor3D {
    return this.apply([queries, keys, scaledValues, values]) as tf.Tensor3D;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return inGroupsOfHeads(inputs as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D], (q, k, scaledV, v) =>
      tf.matMul(this.weightsOf(q, k, scaledV), v),
    );
  }

  private weightsOf(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D): tf.Tensor3D {
    switch (this.attention) {
      case 'qq+kk+vv':
        return tf.add(tf.add(selfCorrelation(q), selfCorrelation(k)), selfCorrelation(v));
      case 'qq+kk':
        return tf.add(selfCorrelation(q), selfCorrelation(k));
      case 'qq':
        return selfCorrelation(q);
      case 'kk':
        return selfCorrelation(k);
      case 'vv':
        return selfCorrelation(v);
      case '(q+k+v)^2':
        return selfCorrelation(tf.mul(tf.concat([q, k, v], 2), 3 ** -0.25));
    }
  }

  protected override takes(): readonly Axes[] {
    return Array.from({ length: 4 }, () => ['B·H', 'N', 'd']);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), attention: this.attention };
  }
}
tf.serialization.registerClass(EAttn, 'crane');

/** The sums of softmaxes that the fused operation supports. */
const FUSED: Readonly<Partial<Record<AttentionType, number>>> = {
  'qq+kk+vv': CORRELATIONS.queriesQueries + CORRELATIONS.keysKeys + CORRELATIONS.valuesValues,
  'qq+kk': CORRELATIONS.queriesQueries + CORRELATIONS.keysKeys,
  qq: CORRELATIONS.queriesQueries,
  kk: CORRELATIONS.keysKeys,
  vv: CORRELATIONS.valuesValues,
};

/** `softmax(x xᵀ)`; x is already scaled. */
function selfCorrelation(x: tf.Tensor3D): tf.Tensor3D {
  return tf.tidy(() => tf.softmax(tf.matMul<tf.Tensor3D>(x, x, false, true))); // [h, N, N]
}

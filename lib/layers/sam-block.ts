import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single } from './crane-layer';
import { inParts } from './in-parts';
import type { Axes } from './input-shapes';
import { LayerNorm } from './layer-norm';
import { Mlp } from './mlp';
import { SamAttention, type SamAttentionConfig } from './sam-attention';

/** How many tokens go through the MLP at once: 4096 of width 768 would need 350 MB of intermediate results. */
const TOKENS_AT_ONCE = 1024;

/** Epsilon of all layer norms in SAM's image encoder, unless a configuration says otherwise. */
export const SAM_EPSILON = 1e-6;

export interface SamBlockConfig extends SamAttentionConfig {
  /** Epsilon of the layer norms; 1e-6 by default. */
  epsilon?: number;
}

/**
 * A pre-norm transformer block of SAM's image encoder, over tokens that stay on their grid:
 * `x + attention(norm1(x))`, then `x + mlp(norm2(x))`. `[B, R, C, D]` in and out.
 */
export class SamBlock extends CraneLayer {
  static readonly className = 'SamBlock';
  private readonly sizes: Pick<SamAttentionConfig, 'width' | 'heads' | 'windowSize' | 'trainedSide'>;
  private readonly epsilon: number;
  private readonly firstNorm: LayerNorm;
  private readonly attention: SamAttention;
  private readonly secondNorm: LayerNorm;
  private readonly mlp: Mlp;

  constructor(config: SamBlockConfig) {
    super(config);
    const { width, heads, windowSize, trainedSide, epsilon = SAM_EPSILON } = config;
    this.epsilon = epsilon;
    this.sizes = { width, heads, windowSize, trainedSide };
    this.firstNorm = this.own(new LayerNorm({ ...this.inside('.norm1'), width, epsilon }));
    this.attention = this.own(new SamAttention({ ...this.inside('.attn'), ...this.sizes }));
    this.secondNorm = this.own(new LayerNorm({ ...this.inside('.norm2'), width, epsilon }));
    this.mlp = this.own(new Mlp({ ...this.inside('.mlp'), width, activation: 'gelu', names: ['lin1', 'lin2'] }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = single(inputs) as tf.Tensor4D; // [B, R, C, D]
      return this.feedForward(tf.tidy(() => tf.add(x, this.attention.apply(this.firstNorm.apply(x)) as tf.Tensor4D)));
    });
  }

  /** The block's second half, a few rows of the grid at a time. */
  private feedForward(x: tf.Tensor4D): tf.Tensor4D {
    const [batch, rows, columns, width] = x.shape;
    return inParts(rows, Math.max(1, Math.floor(TOKENS_AT_ONCE / (batch * columns))), 1, (first, of) => {
      const band = tf.slice(x, [0, first, 0, 0], [batch, of, columns, width]);
      return tf.add(band, this.mlp.apply(this.secondNorm.apply(band)) as tf.Tensor4D); // [B, r, C, D]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'R', 'C', this.sizes.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes, epsilon: this.epsilon };
  }
}
tf.serialization.registerClass(SamBlock, 'crane');

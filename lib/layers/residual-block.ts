import * as tf from '@tensorflow/tfjs';
import type { Activation } from '../config';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { LayerNorm } from './layer-norm';
import { Mlp } from './mlp';
import { MultiHeadAttention } from './multi-head-attention';

export interface ResidualBlockConfig extends CraneLayerConfig {
  width: number;
  heads: number;
  activation: Activation;
  causal?: boolean;
}

/**
 * A pre-norm transformer block as in CLIP: `x + attention(ln_1(x))`, then `x + mlp(ln_2(x))`.
 * `[B, N, D]` in and out.
 */
export class ResidualBlock extends CraneLayer {
  static readonly className: string = 'ResidualBlock';
  protected readonly firstNorm: LayerNorm;
  protected readonly attention: MultiHeadAttention;
  protected readonly secondNorm: LayerNorm;
  protected readonly mlp: Mlp;

  constructor(protected readonly sizes: ResidualBlockConfig) {
    super(sizes);
    const { width, heads, activation, causal } = sizes;
    this.firstNorm = this.own(new LayerNorm({ ...this.inside('.ln_1'), width }));
    this.attention = this.own(new MultiHeadAttention({ ...this.inside('.attn'), width, heads, causal: causal ?? false }));
    this.secondNorm = this.own(new LayerNorm({ ...this.inside('.ln_2'), width }));
    this.mlp = this.own(new Mlp({ ...this.inside('.mlp'), width, activation }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    return tf.tidy(() => {
      const x = single(inputs); // [B, N, D]
      return this.feedForward(this.attention.addTo(x, this.firstNorm.apply(x) as tf.Tensor3D));
    });
  }

  /** The block's second half, `x + mlp(ln_2(x))`. */
  protected feedForward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.mlp.addTo(x, this.secondNorm.apply(x) as tf.Tensor)); // [B, N, D]
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { width, heads, activation, causal } = this.sizes;
    return { ...super.getConfig(), width, heads, activation, causal: causal ?? false };
  }
}
tf.serialization.registerClass(ResidualBlock, 'crane');

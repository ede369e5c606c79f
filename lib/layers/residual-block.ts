import * as tf from '@tensorflow/tfjs';
import type { Activation } from './mlp';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import type { Axes } from './input-shapes';
import { LayerNorm } from './layer-norm';
import { Mlp } from './mlp';
import { MultiHeadAttention } from './multi-head-attention';

export interface ResidualBlockConfig extends CraneLayerConfig {
  width: number;
  heads: number;
  activation: Activation;
  causal?: boolean;
  /** Width between the two feed-forward layers; four times `width` by default. */
  hidden?: number | undefined;
  /** Epsilon of the layer norms; 1e-5 by default. */
  epsilon?: number | undefined;
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
    const { width, heads, activation, causal, hidden } = sizes;
    const norm = { width, ...(sizes.epsilon === undefined ? {} : { epsilon: sizes.epsilon }) };
    this.firstNorm = this.own(new LayerNorm({ ...this.inside('.ln_1'), ...norm }));
    this.attention = this.own(
      new MultiHeadAttention({ ...this.inside('.attn'), width, heads, causal: causal ?? false }),
    );
    this.secondNorm = this.own(new LayerNorm({ ...this.inside('.ln_2'), ...norm }));
    this.mlp = this.own(
      new Mlp({ ...this.inside('.mlp'), width, activation, ...(hidden === undefined ? {} : { hidden }) }),
    );
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    return tf.tidy(() => {
      const x = single(inputs); // [B, N, D]
      return this.feedForward(this.attention.addTo(x, this.firstNorm.apply(x) as tf.Tensor3D));
    });
  }

  /** The block's second half, `x + mlp(ln_2(x))`. */
  protected feedForward(x: tf.Tensor): tf.Tensor {
    const run = (): tf.Tensor => tf.tidy(() => this.mlp.addTo(x, this.secondNorm.apply(x) as tf.Tensor)); // [B, N, D]
    return this.runStage('mlp', run);
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'N', this.sizes.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { width, heads, activation, causal, hidden, epsilon } = this.sizes;
    return {
      ...super.getConfig(),
      width,
      heads,
      activation,
      causal: causal ?? false,
      ...(hidden === undefined ? {} : { hidden }),
      ...(epsilon === undefined ? {} : { epsilon }),
    };
  }
}
tf.serialization.registerClass(ResidualBlock, 'crane');

import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import type { Axes } from './input-shapes';
import { LayerNorm } from './layer-norm';
import { LayerScale } from './layer-scale';
import { Mlp } from './mlp';
import { MultiHeadAttention } from './multi-head-attention';
import { SwiGlu } from './swiglu';

/** The feed-forward half of a block: two layers with the exact GELU between them, or gated. */
export type FeedForward = 'mlp' | 'swiglu';

/** Epsilon of the norms of DINO and DINOv2. HuggingFace's port of DINO has 1e-12. */
export const VISION_EPSILON = 1e-6;

export interface VisionBlockConfig extends CraneLayerConfig {
  width: number;
  heads: number;
  feedForward: FeedForward;
  /** Width between the two feed-forward layers. */
  hidden: number;
  /** Whether the output of each half is scaled per channel. */
  layerScale: boolean;
  /** Epsilon of the layer norms; 1e-6 by default. */
  epsilon?: number;
}

/**
 * A pre-norm transformer block as in DINO and DINOv2: `x + ls1(attention(norm1(x)))`, then `x + ls2(mlp(norm2(x)))`.
 * `[B, N, D]` in and out. Parameters have the names of the official state dicts.
 */
export class VisionBlock extends CraneLayer {
  static readonly className = 'VisionBlock';
  private readonly firstNorm: LayerNorm;
  private readonly attention: MultiHeadAttention;
  private readonly firstScale: LayerScale | undefined;
  private readonly secondNorm: LayerNorm;
  private readonly feedForward: Mlp | SwiGlu;
  private readonly secondScale: LayerScale | undefined;

  constructor(private readonly sizes: VisionBlockConfig) {
    super(sizes);
    const { width, heads, hidden, epsilon = VISION_EPSILON } = sizes;
    const norm = (name: string): LayerNorm => this.own(new LayerNorm({ ...this.inside(name), width, epsilon }));
    const scale = (name: string): LayerScale | undefined =>
      sizes.layerScale ? this.own(new LayerScale({ ...this.inside(name), width })) : undefined;
    this.firstNorm = norm('.norm1');
    this.attention = this.own(new MultiHeadAttention({ ...this.inside('.attn'), width, heads, names: 'qkv' }));
    this.firstScale = scale('.ls1');
    this.secondNorm = norm('.norm2');
    this.feedForward =
      sizes.feedForward === 'swiglu'
        ? this.own(new SwiGlu({ ...this.inside('.mlp'), width, hidden }))
        : this.own(new Mlp({ ...this.inside('.mlp'), width, hidden, activation: 'gelu', names: ['fc1', 'fc2'] }));
    this.secondScale = scale('.ls2');
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = single(inputs); // [B, N, D]
      const attended = this.attention.apply(this.firstNorm.apply(x)) as tf.Tensor;
      const middle = tf.add(x, scaled(attended, this.firstScale));
      const fed = this.feedForward.apply(this.secondNorm.apply(middle)) as tf.Tensor;
      return tf.add(middle, scaled(fed, this.secondScale)); // [B, N, D]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'N', this.sizes.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { width, heads, feedForward, hidden, layerScale, epsilon = VISION_EPSILON } = this.sizes;
    return { ...super.getConfig(), width, heads, feedForward, hidden, layerScale, epsilon };
  }
}
tf.serialization.registerClass(VisionBlock, 'crane');

const scaled = (x: tf.Tensor, scale: LayerScale | undefined): tf.Tensor => (scale ? (scale.apply(x) as tf.Tensor) : x);

import * as tf from '@tensorflow/tfjs';
import type { AttentionType } from '../config';
import { EAttn } from './e-attn';
import { attend } from './multi-head-attention';
import { ResidualBlock, type ResidualBlockConfig } from './residual-block';

export interface DualPathBlockConfig extends ResidualBlockConfig {
  attention: AttentionType;
  /** Compute the original stream for the class token alone: all that the last block is asked for. */
  classTokenOnly?: boolean;
}

/**
 * A CLIP block with Crane's second path (spec 1.6, 8.1). Two streams pass through: the original one, unchanged CLIP, and
 * the spatial one, which takes the block's heads through E-Attn and skips the MLP:
 *
 *     original' = block(original)
 *     spatial'  = spatial + projection(E-Attn(ln_1(original)))
 *
 * Input `[original, spatial]`, each `[B, N, D]`; where the dual path begins both are the same tensor. The spatial stream
 * never feeds back into the original one. Output `[original', spatial']`; with `classTokenOnly` the first is `[B, 1, D]`.
 */
export class DualPathBlock extends ResidualBlock {
  static override readonly className: string = 'DualPathBlock';
  private readonly eAttn: EAttn;

  constructor(private readonly dual: DualPathBlockConfig) {
    super(dual);
    this.eAttn = this.own(new EAttn({ ...this.inside('.e_attn'), attention: dual.attention }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return tf.tidy(() => {
      const [original, spatial] = inputs as [tf.Tensor3D, tf.Tensor3D]; // [B, N, D]
      const heads = this.attention.project(this.firstNorm.apply(original) as tf.Tensor);
      const refined = tf.add(spatial, this.attention.merge(this.eAttn.correlate(heads)));

      const kept = this.dual.classTokenOnly ? firstToken(original) : original; // [B, M, D]
      const queries = this.dual.classTokenOnly ? firstToken(heads.queries) : heads.queries; // [B·H, M, d]
      const attended = this.attention.merge(attend(queries, heads.keys, heads.values));
      return [this.feedForward(tf.add(kept, attended)), refined];
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape[] {
    return inputShape as tf.Shape[];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      attention: this.dual.attention,
      classTokenOnly: this.dual.classTokenOnly ?? false,
    };
  }
}
tf.serialization.registerClass(DualPathBlock, 'crane');

function firstToken(tokens: tf.Tensor3D): tf.Tensor3D {
  return tf.slice(tokens, [0, 0, 0], [tokens.shape[0], 1, tokens.shape[2]]);
}

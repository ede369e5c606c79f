import * as tf from '@tensorflow/tfjs';
import type { AttentionType } from './e-attn';
import { EAttn } from './e-attn';
import { CORRELATIONS, fusedAttention, type JoinedHeads } from './fused-attention';
import { sizeFrom, type Axes } from './input-shapes';
import { attend } from './multi-head-attention';
import { ResidualBlock, type ResidualBlockConfig } from './residual-block';

export interface DualPathBlockConfig extends ResidualBlockConfig {
  attention: AttentionType;
  /** Compute the original stream for the class token alone, which is all that is needed from the last block. */
  classTokenOnly?: boolean;
  /** Also output the values that D-Attn weighs. `path-start` where the dual path begins with this block. */
  guided?: 'path-start' | 'within' | undefined;
}

/**
 * A CLIP block with Crane's second path (docs/method.md#dual-path). Two streams pass through: the original one,
 * unchanged CLIP, and
 * the spatial one, which takes the block's heads through E-Attn and skips the MLP:
 *
 *     original' = block(original)
 *     spatial'  = spatial + projection(E-Attn(ln_1(original)))
 *
 * Input `[original, spatial]`, each `[B, 1+N, D]`; where the dual path begins both are the same tensor. The spatial
 * stream never feeds back into the original one. Output `[original', spatial']`; with `classTokenOnly` the first is
 * `[B, 1, D]`.
 *
 * A `guided` block has a third output, the values that D-Attn weighs (docs/method.md#d-attn): those of the patch tokens
 * after the
 * block's own attention, `values(ln_1(original + attention(original)))`, `[B, N, D]`. The published prompts were
 * trained with this input, not with the block's (docs/method.md#d-attn-input). Where the dual path begins, the
 * reference's two streams share
 * memory, and `spatial'` is read instead.
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
      const [original, spatial] = inputs as [tf.Tensor3D, tf.Tensor3D]; // [B, 1+N, D]
      const { classTokenOnly, guided } = this.dual;
      const forClass = classTokenOnly === true && guided !== 'within';
      const { correlated, attended } = this.bothAttentions(
        this.attention.join(this.firstNorm.apply(original) as tf.Tensor),
        forClass,
      );
      const refined = this.attention.projectOutput(correlated, spatial) as tf.Tensor3D;
      const kept = forClass ? firstToken(original) : original; // [B, M, D]
      const advanced = this.attention.projectOutput(attended, kept) as tf.Tensor3D;
      const next = this.feedForward(classTokenOnly ? firstToken(advanced) : advanced);
      if (guided === undefined) return [next, refined];
      const read = this.firstNorm.apply(guided === 'within' ? advanced : refined) as tf.Tensor3D;
      return [next, refined, this.attention.valuesOf(withoutFirst(read))];
    });
  }

  /**
   * E-Attn for all tokens, and CLIP's own attention for all or the first, before their projection: `[B, N, D]` and `[B,
   * M, D]`.
   */
  private bothAttentions(joined: JoinedHeads, forClass: boolean): { correlated: tf.Tensor3D; attended: tf.Tensor3D } {
    const correlated = this.eAttn.correlateJoined(joined);
    const attended = correlated && fusedAttention(joined, CORRELATIONS.queriesKeys, forClass ? 1 : undefined);
    if (attended) return { correlated, attended };
    const heads = this.attention.apart(joined);
    const queries = forClass ? firstToken(heads.queries) : heads.queries; // [B·H, M, d]
    return {
      correlated: this.attention.merge(this.eAttn.correlate(heads)),
      attended: this.attention.merge(attend(queries, heads.keys, heads.values)),
    };
  }

  /** What the block's attention does with weighted values, `[B, M, D]` in and out. */
  project(weighed: tf.Tensor3D): tf.Tensor3D {
    return this.attention.projectOutput(weighed) as tf.Tensor3D;
  }

  protected override takes(): readonly Axes[] {
    return Array.from({ length: 2 }, () => ['B', 'N', this.sizes.width]);
  }

  protected override gives([original = [], spatial = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, count = null] = original;
    const { classTokenOnly, guided } = this.dual;
    const { width } = this.sizes;
    const next = [batch, classTokenOnly ? 1 : count, width];
    const values = [batch, sizeFrom([count], (tokens) => tokens - 1), width];
    return [next, spatial, ...(guided === undefined ? [] : [values])];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      attention: this.dual.attention,
      classTokenOnly: this.dual.classTokenOnly ?? false,
      ...(this.dual.guided === undefined ? {} : { guided: this.dual.guided }),
    };
  }
}
tf.serialization.registerClass(DualPathBlock, 'crane');

function firstToken(tokens: tf.Tensor3D): tf.Tensor3D {
  return tf.slice(tokens, [0, 0, 0], [tokens.shape[0], 1, tokens.shape[2]]);
}

function withoutFirst(tokens: tf.Tensor3D): tf.Tensor3D {
  return tf.slice(tokens, [0, 1, 0], [-1, tokens.shape[1] - 1, -1]);
}

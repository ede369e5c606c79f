import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { CORRELATIONS, fusedAttention, type JoinedHeads } from './fused-attention';
import type { Axes } from './input-shapes';
import { Linear } from './linear';

/** Queries, keys and values of all heads. Queries and keys (and a copy of the values) are scaled by d^(-1/4), so that a
 * product of any two is already divided by sqrt(d); `values` are not scaled. */
export interface Heads {
  readonly queries: tf.Tensor3D; // [B·H, N, d]
  readonly keys: tf.Tensor3D; // [B·H, N, d]
  readonly scaledValues: tf.Tensor3D; // [B·H, N, d]
  readonly values: tf.Tensor3D; // [B·H, N, d]
}

export interface MultiHeadAttentionConfig extends CraneLayerConfig {
  width: number;
  heads: number;
  /** Text tokens see only earlier tokens. */
  causal?: boolean;
  /**
   * Names of the projections in the file: `in_proj` and `out_proj` as in CLIP (default), or `qkv` and `proj` as in
   * DINO.
   */
  names?: 'in_proj' | 'qkv';
}

/** Appended to the layer's path: the joined input projection's matrix and bias, and the output projection. */
const NAMES = {
  in_proj: { weight: '.in_proj_weight', bias: '.in_proj_bias', output: '.out_proj' },
  qkv: { weight: '.qkv.weight', bias: '.qkv.bias', output: '.proj' },
} as const;

/**
 * Multi-head attention with a joined input projection, as in CLIP's towers. `[B, N, D]` in and out. Its parts
 * (`join`, `apart`, `attend`, `merge`) are available to the dual-path block, which also sends the heads through E-Attn.
 */
export class MultiHeadAttention extends CraneLayer {
  static readonly className = 'MultiHeadAttention';
  private readonly width: number;
  private readonly heads: number;
  private readonly causal: boolean;
  private readonly names: keyof typeof NAMES;
  private readonly inputProjection: Linear;
  private readonly outputProjection: Linear;

  constructor(config: MultiHeadAttentionConfig) {
    super(config);
    this.width = config.width;
    this.heads = config.heads;
    this.causal = config.causal ?? false;
    this.names = config.names ?? 'in_proj';
    const { weight, bias, output } = NAMES[this.names];
    this.inputProjection = this.own(
      new Linear({
        ...this.inside(''),
        inputs: config.width,
        units: 3 * config.width,
        weightName: weight,
        biasName: bias,
      }),
    );
    this.outputProjection = this.own(new Linear({ ...this.inside(output), inputs: config.width, units: config.width }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => this.outputProjection.apply(this.attended(single(inputs))) as tf.Tensor);
  }

  /** The layer's output for tokens on top of `residual`, `[B, N, D]`. */
  addTo(residual: tf.Tensor, tokens: tf.Tensor3D): tf.Tensor {
    return tf.tidy(() => this.projectOutput(this.attended(tokens), residual));
  }

  private attended(tokens: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const joined = this.join(tokens);
      const fused = this.causal ? undefined : fusedAttention(joined, CORRELATIONS.queriesKeys);
      if (fused) return fused;
      const { queries, keys, values } = this.apart(joined);
      return this.merge(attend(queries, keys, values, this.causal)); // [B, N, D]
    });
  }

  /** Projects tokens to the heads of queries, keys and values. */
  project(tokens: tf.Tensor): Heads {
    return this.apart(this.join(tokens));
  }

  /** The projections of tokens as a single product. */
  join(tokens: tf.Tensor): JoinedHeads {
    return {
      joined: this.inputProjection.product(tokens) as tf.Tensor3D,
      bias: this.inputProjection.offset,
      heads: this.heads,
    };
  }

  /** Separates joined heads, and scales them. */
  apart({ joined: product, bias }: JoinedHeads): Heads {
    const [batch, count] = product.shape;
    const depth = this.width / this.heads;
    const joined = tf.add(product, bias); // [B, N, 3D]
    const apart = tf.transpose(tf.reshape(joined, [batch, count, 3 * this.heads, depth]), [0, 2, 1, 3]); // [B, 3H, N, d]
    const [q, k, values] = tf
      .split(apart, 3, 1)
      .map((part) => tf.reshape(part, [batch * this.heads, count, depth])) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    const scale = depth ** -0.25;
    return { queries: tf.mul(q, scale), keys: tf.mul(k, scale), scaledValues: tf.mul(values, scale), values };
  }

  /** Joins heads again, `[B·H, N, d]` to `[B, N, D]`. */
  merge(heads: tf.Tensor): tf.Tensor3D {
    return tf.tidy(() => {
      const [all, count, depth] = heads.shape as [number, number, number];
      const batch = all / this.heads;
      const joined = tf.transpose(tf.reshape(heads, [batch, this.heads, count, depth]), [0, 2, 1, 3]); // [B, N, H, d]
      return tf.reshape(joined, [batch, count, this.width]); // [B, N, D]
    });
  }

  /** The values of all heads side by side, `[B, N, D]`, without queries and keys. */
  valuesOf(tokens: tf.Tensor3D): tf.Tensor3D {
    return this.inputProjection.part(tokens, 2 * this.width, this.width);
  }

  /** The output projection of joined heads, on top of `residual`. `[B, N, D]` in and out. */
  projectOutput(joined: tf.Tensor, residual?: tf.Tensor): tf.Tensor {
    return residual
      ? this.outputProjection.addTo(residual, joined)
      : (this.outputProjection.apply(joined) as tf.Tensor);
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'N', this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width, heads: this.heads, causal: this.causal, names: this.names };
  }
}
tf.serialization.registerClass(MultiHeadAttention, 'crane');

/**
 * `softmax(q kᵀ) v`, a few heads at a time so that score matrices stay small: at 1370 tokens one matrix takes 7.5 MB.
 * `queries` may hold fewer tokens than `keys`.
 */
export function attend(queries: tf.Tensor3D, keys: tf.Tensor3D, values: tf.Tensor3D, causal = false): tf.Tensor3D {
  return inGroupsOfHeads([queries, keys, values], (q, k, v) => {
    const scores = tf.matMul(q, k, false, true); // [h, M, N]
    return tf.matMul(tf.softmax(causal ? tf.add(scores, causalMask(scores.shape[2] as number)) : scores), v); // [h, M, d]
  });
}

/** Large enough to vanish in any softmax, and finite on every backend. */
const MASKED = -1e9;

/** Added to scores `[…, N, N]`, it hides later tokens from each token. */
export function causalMask(count: number): tf.Tensor2D {
  const mask = new Float32Array(count * count);
  for (let row = 0; row < count; row++) mask.fill(MASKED, row * count + row + 1, (row + 1) * count);
  return tf.tensor2d(mask, [count, count]);
}

/** Score matrices of up to this many elements are computed at once. */
const SCORES_AT_ONCE = 2 ** 21;

/** Runs `body` over groups of heads, `[h, N, d]` each, and joins its results along the heads. */
export function inGroupsOfHeads<T extends readonly tf.Tensor3D[]>(
  inputs: T,
  body: (...group: T) => tf.Tensor3D,
): tf.Tensor3D {
  const [heads, , depth] = (inputs[0] as tf.Tensor3D).shape;
  const tokens = Math.max(...inputs.map((input) => input.shape[1]));
  const size = Math.max(1, Math.floor(SCORES_AT_ONCE / (tokens * tokens)));
  if (size >= heads) return tf.tidy(() => body(...inputs));
  const groups: tf.Tensor3D[] = [];
  for (let first = 0; first < heads; first += size) {
    const count = Math.min(size, heads - first);
    groups.push(
      tf.tidy(() => {
        const slices = inputs.map((input) => tf.slice(input, [first, 0, 0], [count, input.shape[1], depth]));
        return body(...(slices as unknown as T));
      }),
    );
  }
  const joined = tf.concat(groups, 0);
  tf.dispose(groups);
  return joined;
}

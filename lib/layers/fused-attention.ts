import type * as tf from '@tensorflow/tfjs';
import { FAST_CHANNELS, runFast } from './fast-kernel';

/** Queries, keys and values of all heads from a single product, before the bias is added. */
export interface JoinedHeads {
  readonly joined: tf.Tensor3D; // [B, N, 3D]
  readonly bias: tf.Tensor1D; // [3D]
  readonly heads: number;
}

/** Which matrices' softmaxes are added before they weigh the values; the numbers are bits to combine. */
export const CORRELATIONS = { queriesKeys: 1, queriesQueries: 2, keysKeys: 4, valuesValues: 8 } as const;

/**
 * `(Σ softmax(a bᵀ/√d)) v` over the requested pairs, per head, in one backend operation that keeps each head's score
 * matrices in the processor's cache; `attend` and `EAttn` compute the same with plain operations.
 * @param rows how many tokens, from the first, to compute
 * @returns `[B, rows, D]`, heads joined; undefined where the backend or the shape has no such operation
 */
export function fusedAttention(
  { joined, bias, heads }: JoinedHeads,
  correlations: number,
  rows = joined.shape[1],
): tf.Tensor3D | undefined {
  const depth = joined.shape[2] / 3 / heads;
  if (depth % FAST_CHANNELS !== 0 || joined.shape[0] === 0) return undefined;
  return runFast<tf.Tensor3D>('CraneAttention', { joined, bias }, { heads, correlations, rows });
}

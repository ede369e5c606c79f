import * as tf from '@tensorflow/tfjs';
import type { NamedTensorMap } from '@tensorflow/tfjs-core';

/**
 * Kernels of this project that a backend may have (lib/backend/vision-kernels.ts). Each does in one pass what the
 * layer that uses it can also compute with plain operations.
 */
export type FastKernel = 'CraneAttention' | 'CraneQuickGelu' | 'CraneLayerNorm' | 'CraneAddResidual';

/**
 * Runs a fast kernel where the current backend has it and no gradient is needed, since it has none.
 * @returns undefined where the layer must use plain operations
 */
export function runFast<T extends tf.Tensor>(
  name: FastKernel,
  inputs: NamedTensorMap,
  attributes: Record<string, number> = {},
): T | undefined {
  const engine = tf.engine();
  if (engine.state.gradientDepth > 0 || tf.getKernel(name, engine.backendName) === undefined) return undefined;
  return engine.runKernel(name, inputs, attributes) as T;
}

/** Channels that fast kernels work on at once; widths must be multiples. */
export const FAST_CHANNELS = 16;

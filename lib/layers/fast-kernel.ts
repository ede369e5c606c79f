import * as tf from '@tensorflow/tfjs';
import type { NamedTensorMap } from '@tensorflow/tfjs-core';

/**
 * Kernels of this project that a backend may have (lib/backend/vision-kernels.ts), each of which does in one go what the
 * layer that asks for it also says in plain operations.
 */
export type FastKernel = 'CraneAttention' | 'CraneQuickGelu' | 'CraneLayerNorm' | 'CraneAddResidual';

/**
 * Runs a fast kernel where the current backend has it and nothing is to be differentiated, since it has no gradient.
 * @returns undefined where the layer has to compute by itself
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

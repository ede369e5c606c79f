import * as tf from '@tensorflow/tfjs';
import { golden, type GoldenTensor } from './goldens';
import type { ParameterSource } from '../lib/layers/crane-layer';
import { seededNormal } from '../lib/weights/seeded';

/** A golden tensor as a tfjs tensor. */
export function goldenTensor<R extends tf.Rank>(reference: string): tf.Tensor<R> {
  const { data, shape } = golden(reference);
  return tf.tensor(data, shape as tf.ShapeMap[R]);
}

/** Golden images `[B, 3, H, W]` as the network takes them, `[B, H, W, 3]`. */
export function goldenImages(reference: string): tf.Tensor4D {
  return tf.tidy(() => tf.transpose(goldenTensor<tf.Rank.R4>(reference), [0, 2, 3, 1]));
}

const cache = new Map<string, GoldenTensor>();

/** Parameters straight from a golden weights file, through the tests' own reader. */
export function goldenParameters(file: string): ParameterSource {
  return (path, shape) => {
    const key = `${file}#${path}`;
    const tensor = cache.get(key) ?? golden(key);
    cache.set(key, tensor);
    if (!tf.util.arraysEqual(tensor.shape, shape))
      throw new Error(`${key} is [${tensor.shape.join(', ')}], [${shape.join(', ')}] is wanted`);
    return tf.tensor(tensor.data, shape);
  };
}

/**
 * Parameters for a network without a file: normal numbers of a given spread, each parameter from a stream of its own,
 * so that values do not depend on the order in which layers are made. Gains (`ln_*.weight`, `norm*.weight`, `ls*.gamma`)
 * are one, biases zero.
 */
export function seededParameters(seed: number | string, spread = 0.02): ParameterSource {
  return (path, shape) => {
    if (/\.bias$|_bias$/.test(path)) return tf.zeros(shape);
    if (/(ln_\w+|norm\d?)\.weight$|\.gamma$/.test(path)) return tf.ones(shape);
    const next = seededNormal(`${seed}/${path}`);
    return tf.tensor(
      Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => spread * next()),
      shape,
    );
  };
}

/** Runs `body` and fails if it leaves tensors behind, also when it throws. */
export async function expectNoLeak<T>(body: () => T | Promise<T>): Promise<T> {
  const before = tf.memory().numTensors;
  try {
    return await body();
  } finally {
    expect(tf.memory().numTensors).toBe(before);
  }
}

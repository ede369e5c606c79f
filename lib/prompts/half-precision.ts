import * as tf from '@tensorflow/tfjs';

/**
 * Rounds values to 16-bit floats and, by default, gradients too on the backward pass. The reference's
 * deep tokens pass through `.half()` before the text encoder, and its published prompts were trained that way
 * (docs/method.md#half-precision). Values up to 65504; any shape.
 */
export function roundToHalf<T extends tf.Tensor>(x: T, roundGradients = true): T {
  const rounded = tf.customGrad((value) => ({
    value: nearestHalf(value as tf.Tensor),
    gradFunc: (gradient: tf.Tensor) => (roundGradients ? nearestHalf(gradient) : tf.clone(gradient)),
  }));
  return rounded(x) as T;
}

/** Keeps 11 of the 24 bits of a float32 significand (Veltkamp's splitting). */
const SPLIT = 2 ** 13 + 1;
/** Below this, halves are evenly spaced, 2^-24 apart; adding and subtracting 0.75 rounds to that spacing. */
const SMALLEST_NORMAL = 2 ** -14;
const SUBNORMAL_SHIFT = 0.75;

function nearestHalf(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const scaled = tf.mul(x, SPLIT);
    const normal = tf.sub(scaled, tf.sub(scaled, x));
    const subnormal = tf.sub(tf.add(x, SUBNORMAL_SHIFT), SUBNORMAL_SHIFT);
    return tf.where(tf.less(tf.abs(x), SMALLEST_NORMAL), subnormal, normal);
  });
}

import * as tf from '@tensorflow/tfjs';

/**
 * Interpolation as products with constant matrices. TensorFlow.js has resize ops, but not every backend has the
 * half-pixel centres and gradients needed here; a matrix product has both everywhere.
 */

export type Interpolation = 'bilinear' | 'nearest';

/**
 * Weights of one axis: row i says how output i mixes the inputs. `bilinear` has half-pixel centres and no antialias,
 * `nearest` takes `floor(i·from/to)`, both as PyTorch's `interpolate`.
 * @returns row-major `[to, from]`
 */
export function axisWeights(from: number, to: number, mode: Interpolation): Float32Array {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    if (mode === 'nearest') {
      weights[i * from + Math.min(from - 1, Math.floor((i * from) / to))] = 1;
      continue;
    }
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const low = Math.min(from - 1, Math.floor(centre));
    const high = Math.min(from - 1, low + 1);
    const share = centre - low;
    weights[i * from + low] = (weights[i * from + low] as number) + 1 - share;
    weights[i * from + high] = (weights[i * from + high] as number) + share;
  }
  return weights;
}

/** The bilinear resize of a whole grid as one matrix, `[rows·columns, fromRows·fromColumns]`. */
export function bilinearMatrix(
  [fromRows, fromColumns]: readonly [number, number],
  [rows, columns]: readonly [number, number],
): tf.Tensor2D {
  return tf.tidy(() => {
    const vertical = tf.tensor(axisWeights(fromRows, rows, 'bilinear'), [rows, 1, fromRows, 1]);
    const horizontal = tf.tensor(axisWeights(fromColumns, columns, 'bilinear'), [1, columns, 1, fromColumns]);
    return tf.reshape(tf.mul(vertical, horizontal), [rows * columns, fromRows * fromColumns]);
  });
}

/**
 * Resizes both axes of a stack of planes by given axis weights: `vertical · plane · horizontalᵀ`.
 * @param planes `[B, H, W, C]`
 * @param vertical `[H', H]`
 * @param horizontal `[W', W]`
 * @returns `[B, H', W', C]`
 */
export function applyToAxes(planes: tf.Tensor4D, vertical: tf.Tensor2D, horizontal: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = planes.shape;
    const [toHeight, toWidth] = [vertical.shape[0], horizontal.shape[0]];
    const byRow = tf.reshape(tf.transpose(planes, [1, 0, 2, 3]), [height, batch * width * channels]) as tf.Tensor2D;
    const tall = tf.reshape(tf.matMul(vertical, byRow), [toHeight, batch, width, channels]); // [H', B, W, C]
    const byColumn = tf.reshape(tf.transpose(tall, [2, 1, 0, 3]), [width, batch * toHeight * channels]) as tf.Tensor2D;
    const wide = tf.reshape(tf.matMul(horizontal, byColumn), [toWidth, batch, toHeight, channels]); // [W', B, H', C]
    return tf.transpose<tf.Tensor4D>(wide as tf.Tensor4D, [1, 2, 0, 3]);
  });
}

/**
 * Resizes a stack of planes bilinearly with half-pixel centres and no antialias, as PyTorch's `interpolate`.
 * @param planes `[B, H, W, C]`
 * @returns `[B, toHeight, toWidth, C]`; the planes themselves if the size is unchanged
 */
export function resizeGrid(planes: tf.Tensor4D, [toHeight, toWidth]: readonly [number, number]): tf.Tensor4D {
  const [, height, width] = planes.shape;
  if (height === toHeight && width === toWidth) return planes;
  return tf.tidy(() => {
    const vertical = tf.tensor2d(axisWeights(height, toHeight, 'bilinear'), [toHeight, height]);
    const horizontal = tf.tensor2d(axisWeights(width, toWidth, 'bilinear'), [toWidth, width]);
    return applyToAxes(planes, vertical, horizontal);
  });
}

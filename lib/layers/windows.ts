import * as tf from '@tensorflow/tfjs';

/**
 * Cuts a grid of tokens into square windows, after zero-padding it at the bottom and right to whole windows.
 * @param tokens `[B, R, C, D]`
 * @returns `[B·W, side, side, D]`, the windows of an image row by row
 */
export function intoWindows(tokens: tf.Tensor4D, side: number): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, rows, columns, width] = tokens.shape;
    const [down, across] = [Math.ceil(rows / side), Math.ceil(columns / side)];
    const padding: [number, number][] = [
      [0, 0],
      [0, down * side - rows],
      [0, across * side - columns],
      [0, 0],
    ];
    const bands = tf.reshape(tf.pad(tokens, padding), [batch * down, side, across, side * width]);
    const windows = tf.transpose(bands, [0, 2, 1, 3]); // [B·down, across, side, side·D]
    return tf.reshape(windows, [batch * down * across, side, side, width]);
  });
}

/**
 * Reassembles windows and removes the padding: the inverse of `intoWindows`.
 * @param windows `[B·W, side, side, D]`
 * @returns `[B, rows, columns, D]`
 */
export function fromWindows(windows: tf.Tensor4D, [rows, columns]: readonly [number, number]): tf.Tensor4D {
  return tf.tidy(() => {
    const [all, side, , width] = windows.shape;
    const [down, across] = [Math.ceil(rows / side), Math.ceil(columns / side)];
    const batch = all / (down * across);
    const bands = tf.transpose(tf.reshape(windows, [batch * down, across, side, side * width]), [0, 2, 1, 3]);
    const padded = tf.reshape(bands, [batch, down * side, across * side, width]) as tf.Tensor4D;
    return tf.slice(padded, [0, 0, 0, 0], [batch, rows, columns, width]);
  });
}

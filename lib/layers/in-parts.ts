import * as tf from '@tensorflow/tfjs';

/**
 * Computes something part by part, so that intermediate results stay small, and joins the results.
 * @param count how many items there are
 * @param size how many of them to take at once
 * @param axis the axis along which results are joined
 * @param body computes the items from `first` to `first + of`; all but its result is released
 */
export function inParts<T extends tf.Tensor>(
  count: number,
  size: number,
  axis: number,
  body: (first: number, of: number) => T,
): T {
  if (size >= count) return tf.tidy(() => body(0, count));
  return tf.tidy(() => {
    const parts: T[] = [];
    for (let first = 0; first < count; first += size)
      parts.push(tf.tidy(() => body(first, Math.min(size, count - first))));
    return tf.concat(parts, axis);
  });
}

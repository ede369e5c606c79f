import * as tf from '@tensorflow/tfjs';

/**
 * Computes something part by part so that what is needed in between stays small, and joins the results.
 * @param count how many things there are
 * @param size how many of them to take at once
 * @param axis the axis of the results along which they lie
 * @param body computes the things from `first` to `first + of`; what it makes besides its result is released
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

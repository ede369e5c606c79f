import * as tf from '@tensorflow/tfjs';

/**
 * The patches of every square window, row by row, one step apart.
 * @param grid side of the grid of patches
 * @param side of the windows, at most `grid`
 * @returns for each window its `side²` patches, numbered row by row from 0
 */
export function windowPatches(grid: number, side: number): number[][] {
  const steps = Array.from({ length: grid - side + 1 }, (_, step) => step);
  const inside = Array.from({ length: side }, (_, place) => place);
  return steps.flatMap((top) =>
    steps.map((left) => inside.flatMap((row) => inside.map((column) => (top + row) * grid + left + column))),
  );
}

/**
 * The harmonic mean, for each patch, of the scores of all windows that cover it (docs/method.md#winclip-aggregation).
 * @param scores of the windows, row by row, `[B, W]`
 * @returns `[B, grid, grid]`; 0 where a mean is NaN or infinite
 */
export function harmonicMap(scores: tf.Tensor2D, grid: number, side: number): tf.Tensor3D {
  return tf.tidy(() => {
    const steps = grid - side + 1;
    const inverse = tf.reshape(tf.reciprocal(scores), [-1, steps, steps]) as tf.Tensor3D;
    // Sums of shifted maps instead of a matrix product, which would carry an infinite term into patches it does not cover.
    const covering = (of: tf.Tensor3D): tf.Tensor3D => {
      const shifts = Array.from({ length: side * side }, (_, shift) => [Math.floor(shift / side), shift % side]);
      return tf.addN(
        shifts.map(([down, right]) =>
          tf.pad(of, [
            [0, 0],
            [down as number, side - 1 - (down as number)],
            [right as number, side - 1 - (right as number)],
          ]),
        ),
      );
    };
    return finiteOrZero(tf.div(covering(tf.ones([1, steps, steps])), covering(inverse)));
  });
}

/** The harmonic mean of maps of one shape; 0 where it is NaN or infinite. */
export function harmonicMean<T extends tf.Tensor>(maps: readonly T[]): T {
  return tf.tidy(() => finiteOrZero<T>(tf.div(maps.length, tf.addN(maps.map((map) => tf.reciprocal(map))))));
}

function finiteOrZero<T extends tf.Tensor>(means: T): T {
  return tf.where(tf.logicalOr(tf.isNaN(means), tf.isInf(means)), tf.zerosLike(means), means) as T;
}

import * as tf from '@tensorflow/tfjs';
import { axisWeights } from './interpolation';

/**
 * Attention with decomposed relative positions (Li et al., MViTv2, section 4.1, as SAM's image encoder has them): the
 * score of query q and key k gets `q·h[row(q) − row(k)] + q·w[column(q) − column(k)]`, with the query not yet scaled.
 * A learned table holds one vector for every distance from `1 − n` to `n − 1`.
 */

/**
 * Vectors for each pair of positions along an axis of n. A table for another length is first resized linearly, with
 * half-pixel centres.
 * @param table `[L, d]`, L = 2n − 1 where the table was made for this length
 * @returns `[n, n, d]`, by query, then key
 */
export function vectorsOfPairs(table: tf.Tensor2D, count: number): tf.Tensor3D {
  return tf.tidy(() => {
    const [length, depth] = table.shape;
    const distances = 2 * count - 1;
    const resized =
      length === distances
        ? table
        : tf.matMul<tf.Tensor2D>(tf.tensor2d(axisWeights(length, distances, 'bilinear'), [distances, length]), table);
    const index = Int32Array.from(
      { length: count * count },
      (_, pair) => Math.floor(pair / count) - (pair % count) + count - 1,
    );
    return tf.reshape(tf.gather(resized, tf.tensor1d(index, 'int32')), [count, count, depth]);
  });
}

/**
 * What relative positions add to the scores: for each query, one number per row of keys and one per column.
 * @param queries `[h, R·C, d]`, not scaled
 * @param ofRows `[R, R, d]` from `vectorsOfPairs`
 * @param ofColumns `[C, C, d]`
 * @returns `[h, R·C, R + C]`
 */
export function positionScores(queries: tf.Tensor3D, ofRows: tf.Tensor3D, ofColumns: tf.Tensor3D): tf.Tensor3D {
  return tf.tidy(() => {
    const [heads, , depth] = queries.shape;
    const [rows, columns] = [ofRows.shape[0], ofColumns.shape[0]];
    const grid = tf.reshape(queries, [heads, rows, columns, depth]);
    // All queries of a row, or of a column, use the same vectors: one product each.
    const byRow = tf.reshape(tf.transpose(grid, [1, 0, 2, 3]), [rows, heads * columns, depth]);
    const byColumn = tf.reshape(tf.transpose(grid, [2, 0, 1, 3]), [columns, heads * rows, depth]);
    const alongRows = tf.reshape(tf.matMul(byRow, ofRows, false, true), [rows, heads, columns, rows]);
    const alongColumns = tf.reshape(tf.matMul(byColumn, ofColumns, false, true), [columns, heads, rows, columns]);
    const joined = tf.concat([tf.transpose(alongRows, [1, 0, 2, 3]), tf.transpose(alongColumns, [1, 2, 0, 3])], 3); // [h, R, C, R+C]
    return tf.reshape(joined, [heads, rows * columns, rows + columns]);
  });
}

/**
 * The row and column of each token of a grid, as zeros and ones. Joined to the keys, it adds position scores
 * that are joined to the queries, within the single product that computes all scores.
 * @returns `[R·C, R + C]`
 */
export function placesOnGrid(rows: number, columns: number): tf.Tensor2D {
  const width = rows + columns;
  const places = new Float32Array(rows * columns * width);
  for (let token = 0; token < rows * columns; token++) {
    places[token * width + Math.floor(token / columns)] = 1;
    places[token * width + rows + (token % columns)] = 1;
  }
  return tf.tensor2d(places, [rows * columns, width]);
}

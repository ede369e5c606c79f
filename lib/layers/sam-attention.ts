import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { inParts } from './in-parts';
import type { Axes } from './input-shapes';
import { Linear } from './linear';
import { placesOnGrid, positionScores, vectorsOfPairs } from './relative-positions';
import { fromWindows, intoWindows } from './windows';

export interface SamAttentionConfig extends CraneLayerConfig {
  width: number;
  heads: number;
  /** Side of the windows within which tokens attend; 0 for attention over the whole grid. */
  windowSize: number;
  /** Side of the grid, or of the window, for which the tables of relative positions were made. */
  trainedSide: number;
}

/**
 * Attention of SAM's image encoder: within windows or over the whole grid, with decomposed relative positions. The grid
 * is padded with zeros to whole windows, and padded tokens are attended to, as in the original.
 * `[B, R, C, D]` in and out.
 */
export class SamAttention extends CraneLayer {
  static readonly className = 'SamAttention';
  private readonly sizes: Pick<SamAttentionConfig, 'width' | 'heads' | 'windowSize' | 'trainedSide'>;
  private readonly inputProjection: Linear;
  private readonly outputProjection: Linear;
  private readonly rowTable: tf.LayerVariable;
  private readonly columnTable: tf.LayerVariable;

  constructor(config: SamAttentionConfig) {
    super(config);
    const { width, heads, windowSize, trainedSide } = config;
    this.sizes = { width, heads, windowSize, trainedSide };
    this.inputProjection = this.own(new Linear({ ...this.inside('.qkv'), inputs: width, units: 3 * width }));
    this.outputProjection = this.own(new Linear({ ...this.inside('.proj'), inputs: width, units: width }));
    this.rowTable = this.parameter('.rel_pos_h', [2 * trainedSide - 1, width / heads]);
    this.columnTable = this.parameter('.rel_pos_w', [2 * trainedSide - 1, width / heads]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const tokens = single(inputs) as tf.Tensor4D; // [B, R, C, D]
      const [, rows, columns] = tokens.shape;
      const { windowSize } = this.sizes;
      const attended =
        windowSize === 0
          ? this.attend(tokens)
          : fromWindows(this.attend(intoWindows(tokens, windowSize)), [rows, columns]);
      return this.outputProjection.apply(attended) as tf.Tensor; // [B, R, C, D]
    });
  }

  /** Everything but the output projection, over each whole grid of a batch. `[B, R, C, D]` in and out. */
  private attend(tokens: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [batch, rows, columns, width] = tokens.shape;
      const { heads } = this.sizes;
      const depth = width / heads;
      const count = rows * columns;
      const ofRows = vectorsOfPairs(this.rowTable.read() as tf.Tensor2D, rows);
      const ofColumns = vectorsOfPairs(this.columnTable.read() as tf.Tensor2D, columns);
      const places = placesOnGrid(rows, columns);
      const merged = inGroups(this.project(tokens), (q, k, v) => {
        const placed = tf.concat([tf.mul(q, depth ** -0.5) as tf.Tensor3D, positionScores(q, ofRows, ofColumns)], 2); // [h, N, d+R+C]
        const repeated = tf.tile<tf.Tensor3D>(tf.expandDims(places, 0) as tf.Tensor3D, [q.shape[0], 1, 1]); // [h, N, R+C]
        return attendInBands(placed, tf.concat([k, repeated], 2), v);
      });
      const sideBySide = tf.transpose(tf.reshape(merged, [batch, heads, count, depth]), [0, 2, 1, 3]); // [B, N, H, d]
      return tf.reshape(sideBySide, [batch, rows, columns, width]);
    });
  }

  /** Queries, keys and values of all heads, `[B, R, C, D]` to `[B·H, N, d]` each. */
  private project(tokens: tf.Tensor4D): Three {
    return tf.tidy(() => {
      const [batch, rows, columns, width] = tokens.shape;
      const { heads } = this.sizes;
      const [count, depth] = [rows * columns, width / heads];
      const joined = this.inputProjection.apply(tokens) as tf.Tensor; // [B, R, C, 3D]
      const apart = tf.transpose(tf.reshape(joined, [batch, count, 3 * heads, depth]), [0, 2, 1, 3]); // [B, 3H, N, d]
      return tf.split(apart, 3, 1).map((part) => tf.reshape(part, [batch * heads, count, depth])) as Three;
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'R', 'C', this.sizes.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
tf.serialization.registerClass(SamAttention, 'crane');

type Three = [queries: tf.Tensor3D, keys: tf.Tensor3D, values: tf.Tensor3D];

/** Scores of up to this many elements are computed at once. */
const SCORES_AT_ONCE = 2 ** 21;

/** Runs `body` over a few heads at a time, `[h, N, d]` each, and joins the results. */
function inGroups(inputs: Three, body: (...group: Three) => tf.Tensor3D): tf.Tensor3D {
  const [heads, count, depth] = inputs[0].shape;
  const size = Math.max(1, Math.floor(SCORES_AT_ONCE / count ** 2));
  return inParts(heads, size, 0, (first, of) =>
    body(...(inputs.map((input) => tf.slice(input, [first, 0, 0], [of, count, depth])) as Three)),
  );
}

/**
 * `softmax(q kᵀ) v`, with so few queries at a time that scores stay small: all of SAM's 4096 tokens would make 64 MB of
 * them for one head.
 * @param queries `[h, M, e]`
 * @param keys `[h, N, e]`
 * @param values `[h, N, d]`
 * @returns `[h, M, d]`
 */
export function attendInBands(...[queries, keys, values]: Three): tf.Tensor3D {
  const [heads, count, depth] = queries.shape;
  const size = Math.max(1, Math.floor(SCORES_AT_ONCE / (heads * keys.shape[1])));
  return inParts(count, size, 1, (first, of) => {
    const band = tf.slice(queries, [0, first, 0], [heads, of, depth]);
    return tf.matMul<tf.Tensor3D>(tf.softmax(tf.matMul(band, keys, false, true)), values); // [h, m, d]
  });
}

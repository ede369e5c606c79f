import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';
import { bicubicWeights } from './bicubic';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { sizeFrom, type Axes } from './input-shapes';
import { applyToAxes } from './interpolation';
import { PatchProjection } from './patch-projection';

/**
 * How a position embedding is resized to another grid, bicubically. `offset`: as in DINO and the first DINOv2, by a
 * scale factor whose numerator is the target side plus 0.1, without antialias. `antialias`: to the target size, as in
 * DINOv2 with registers.
 */
export type PositionRule = 'offset' | 'antialias';

/**
 * Added to a grid's side so that rounding cannot lose a row (facebookresearch/dino, issue 8); it moves every position a
 * little.
 */
const OFFSET = 0.1;

export interface VisionEmbeddingConfig extends CraneLayerConfig {
  width: number;
  patchSize: number;
  /** Side of the grid that the position embedding was trained on. */
  gridSize: number;
  /** Learned tokens, without position, between the class token and the patches. */
  registers: number;
  positions: PositionRule;
  /** Whether pixels at the right and bottom that do not fill a patch are dropped, or the image is rejected. */
  partialPatches: 'drop' | 'refuse';
}

/**
 * Image to tokens as in DINO and DINOv2: patches projected, class token prepended, position embedding added, register
 * tokens between the two. `[B, H, W, 3]` in, `[B, 1 + R + N, D]` out. Images that cannot be cut into patches are
 * rejected with `usage/image-size`.
 */
export class VisionEmbedding extends CraneLayer {
  static readonly className = 'VisionEmbedding';
  private readonly classToken: tf.LayerVariable;
  private readonly positionEmbedding: tf.LayerVariable;
  private readonly registerTokens: tf.LayerVariable | undefined;
  private readonly projection: PatchProjection;

  constructor(private readonly sizes: VisionEmbeddingConfig) {
    super(sizes);
    const { width, patchSize, gridSize, registers } = sizes;
    this.classToken = this.parameter('cls_token', [1, 1, width]);
    this.positionEmbedding = this.parameter('pos_embed', [1, 1 + gridSize ** 2, width]);
    this.registerTokens = registers > 0 ? this.parameter('register_tokens', [1, registers, width]) : undefined;
    this.projection = this.own(new PatchProjection({ ...this.inside('patch_embed.proj'), width, patchSize }));
  }

  /**
   * Rows and columns of patches of an image.
   * @throws UsageError `usage/image-size` where there are none, or where part of a patch would be left over
   */
  gridOf(height: number, width: number): [rows: number, columns: number] {
    const { patchSize, partialPatches } = this.sizes;
    const [rows, columns] = [Math.floor(height / patchSize), Math.floor(width / patchSize)];
    const isLeft = rows * patchSize !== height || columns * patchSize !== width;
    if (rows === 0 || columns === 0 || (isLeft && partialPatches === 'refuse')) {
      throw new UsageError(
        'usage/image-size',
        `images of ${height} x ${width} cannot be cut into patches of ${patchSize} x ${patchSize}; height and width must be ` +
          `${partialPatches === 'refuse' ? 'multiples of' : 'at least'} ${patchSize}`,
        { found: [height, width], patchSize },
      );
    }
    return [rows, columns];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const images = single(inputs) as tf.Tensor4D; // [B, H, W, 3]
      const [batch, height, width] = images.shape;
      this.gridOf(height, width);
      const inFront = (token: tf.Tensor): tf.Tensor => tf.tile(token, [batch, 1, 1]);
      const positions = this.positionsFor(height, width); // [1, 1+N, D]
      const ofClass = tf.slice(positions, [0, 0, 0], [1, 1, this.sizes.width]);
      const ofPatches = tf.slice(positions, [0, 1, 0]); // [1, N, D]
      const first = inFront(tf.add(this.classToken.read(), ofClass)); // [B, 1, D]
      const patches = tf.add(this.projection.apply(images) as tf.Tensor, ofPatches); // [B, N, D]
      const registers = this.registerTokens ? [inFront(this.registerTokens.read())] : []; // [B, R, D]
      return tf.concat([first, ...registers, patches], 1);
    });
  }

  /** The position embedding of the class token and the patches for an image of a size in pixels, `[1, 1+N, D]`. */
  positionsFor(height: number, width: number): tf.Tensor3D {
    return tf.tidy(() => {
      const { gridSize, width: channels } = this.sizes;
      const [rows, columns] = this.gridOf(height, width);
      const trained = this.positionEmbedding.read() as tf.Tensor3D; // [1, 1+G², D]
      // The originals compare pixels: for a non-square image, the embedding is resized even if its grid is the trained
      // one.
      if (rows * columns === gridSize ** 2 && height === width) return tf.clone(trained);
      const ofClass = tf.slice(trained, [0, 0, 0], [1, 1, channels]);
      const grid = tf.reshape(tf.slice(trained, [0, 1, 0]), [1, gridSize, gridSize, channels]) as tf.Tensor4D;
      const resized = applyToAxes(grid, this.axis(rows), this.axis(columns)); // [1, R, C, D]
      return tf.concat([ofClass, tf.reshape(resized, [1, rows * columns, channels])], 1) as tf.Tensor3D;
    });
  }

  /** Weights from the trained side to another, `[to, G]`. */
  private axis(to: number): tf.Tensor2D {
    const { gridSize, positions } = this.sizes;
    const options = positions === 'antialias' ? { antialias: true } : { scale: gridSize / (to + OFFSET) };
    return tf.tensor2d(bicubicWeights(gridSize, to, options), [to, gridSize]);
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', 3]];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, height = null, width = null] = images;
    const grid = height === null || width === null ? [] : this.gridOf(height, width);
    const { registers, width: channels } = this.sizes;
    return [[batch, sizeFrom([grid[0], grid[1]], (rows, columns) => 1 + registers + rows * columns), channels]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { width, patchSize, gridSize, registers, positions, partialPatches } = this.sizes;
    return { ...super.getConfig(), width, patchSize, gridSize, registers, positions, partialPatches };
  }
}
tf.serialization.registerClass(VisionEmbedding, 'crane');

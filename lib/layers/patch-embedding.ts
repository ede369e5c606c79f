import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { sizeFrom, type Axes } from './input-shapes';
import { bilinearMatrix } from './interpolation';
import { cutPatches, kernelAsRows } from './patch-projection';

export interface PatchEmbeddingConfig extends CraneLayerConfig {
  width: number;
  patchSize: number;
  /** Side of the grid that the position embedding was trained on. */
  gridSize: number;
}

/**
 * Cuts an image into patches, projects each, prepends the class token and adds the position embedding, which is
 * resized bilinearly (half-pixel centres, no antialias; docs/method.md#position-embedding) when the image's grid is not
 * the native one. `[B, H, W, 3]` in, H and W multiples of the patch size; `[B, 1 + (H/p)·(W/p), D]` out. Other images
 * are rejected with `usage/image-size`.
 */
export class PatchEmbedding extends CraneLayer {
  static readonly className = 'PatchEmbedding';
  private readonly width: number;
  private readonly patchSize: number;
  private readonly gridSize: number;
  private readonly projection: tf.LayerVariable;
  private readonly classEmbedding: tf.LayerVariable;
  private readonly positionEmbedding: tf.LayerVariable;

  constructor(config: PatchEmbeddingConfig) {
    const { width, patchSize, gridSize, parameters } = config;
    const kernelName = 'conv1.weight';
    super({
      ...config,
      ...(parameters === undefined
        ? {}
        : {
            // The file's convolution kernel is [D, 3, p, p]; patches here are rows of p·p·3 samples.
            parameters: (path: string, shape: number[]): tf.Tensor =>
              path.endsWith(kernelName)
                ? kernelAsRows(parameters(path, [width, 3, patchSize, patchSize]))
                : parameters(path, shape),
          }),
    });
    this.width = width;
    this.patchSize = patchSize;
    this.gridSize = gridSize;
    this.projection = this.parameter(kernelName, [patchSize * patchSize * 3, width]);
    this.classEmbedding = this.parameter('class_embedding', [width]);
    this.positionEmbedding = this.parameter('positional_embedding', [1 + gridSize * gridSize, width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const images = single(inputs) as tf.Tensor4D; // [B, H, W, 3]
      const [batch] = images.shape;
      const [rows, columns] = this.gridOf(images.shape) as [number, number];
      const patches = tf.matMul(cutPatches(images, this.patchSize), this.projection.read() as tf.Tensor2D); // [B·N, D]
      const classToken = tf.tile(tf.reshape(this.classEmbedding.read(), [1, 1, this.width]), [batch, 1, 1]); // [B, 1, D]
      const tokens = tf.concat([classToken, tf.reshape(patches, [batch, rows * columns, this.width])], 1); // [B, 1+N, D]
      return tf.add(tokens, this.positionsFor(rows, columns));
    });
  }

  /**
   * Rows and columns of patches of images `[B, H, W, 3]`, null where a side is not known yet.
   * @throws UsageError `usage/image-size`
   */
  private gridOf(images: tf.Shape): [rows: number | null, columns: number | null] {
    const [, height, width, colours] = images;
    const grid = [height, width].map((side) => sizeFrom([side], (pixels) => pixels / this.patchSize));
    if (grid.some((side) => side !== null && !Number.isInteger(side)) || (colours !== null && colours !== 3)) {
      throw new UsageError(
        'usage/image-size',
        `images of [${height}, ${width}, ${colours}] cannot be cut into patches of ${this.patchSize} x ${this.patchSize}; ` +
          'height and width must be multiples of the patch size, with 3 colours',
        { found: images, patchSize: this.patchSize },
      );
    }
    return grid as [number | null, number | null];
  }

  /**
   * The position embedding for a grid of patches, always resized from the trained one (the reference overwrites its
   * embedding, and so depends on which sizes it saw before). `[1+N, D]`.
   */
  positionsFor(rows: number, columns: number): tf.Tensor2D {
    return tf.tidy(() => {
      const trained = this.positionEmbedding.read() as tf.Tensor2D; // [1+G², D]
      if (rows === this.gridSize && columns === this.gridSize) return tf.clone(trained);
      const ofClass = tf.slice(trained, [0, 0], [1, this.width]);
      const ofPatches = tf.slice(trained, [1, 0], [this.gridSize ** 2, this.width]); // [G², D]
      const matrix = bilinearMatrix([this.gridSize, this.gridSize], [rows, columns]); // [N, G²]
      return tf.concat<tf.Tensor2D>([ofClass, tf.matMul<tf.Tensor2D>(matrix, ofPatches)], 0);
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', 'colours']];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [rows, columns] = this.gridOf(images);
    return [[images[0] ?? null, sizeFrom([rows, columns], (r, c) => 1 + r * c), this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width, patchSize: this.patchSize, gridSize: this.gridSize };
  }
}
tf.serialization.registerClass(PatchEmbedding, 'crane');

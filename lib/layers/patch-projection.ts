import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { sizeFrom, type Axes } from './input-shapes';

export interface PatchProjectionConfig extends CraneLayerConfig {
  width: number;
  patchSize: number;
}

/**
 * The convolution that embeds patches, with kernel and stride equal to the patch size, as a matrix product. The kernel
 * is `[D, 3, p, p]`; patches here are rows of p·p·3 samples. Pixels at the right and bottom that do not fill a patch
 * are ignored, as in a convolution without padding. `[B, H, W, 3]` in, `[B, ⌊H/p⌋·⌊W/p⌋, D]` out.
 */
export class PatchProjection extends CraneLayer {
  static readonly className = 'PatchProjection';
  private readonly width: number;
  private readonly patchSize: number;
  private readonly kernel: tf.LayerVariable;
  private readonly bias: tf.LayerVariable;

  constructor(config: PatchProjectionConfig) {
    const { width, patchSize, parameters } = config;
    super({
      ...config,
      ...(parameters === undefined
        ? {}
        : {
            parameters: (path: string, shape: number[]): tf.Tensor =>
              path.endsWith('.weight')
                ? kernelAsRows(parameters(path, [width, 3, patchSize, patchSize]))
                : parameters(path, shape),
          }),
    });
    this.width = width;
    this.patchSize = patchSize;
    this.kernel = this.parameter('.weight', [patchSize * patchSize * 3, width]);
    this.bias = this.parameter('.bias', [width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const images = single(inputs) as tf.Tensor4D; // [B, H, W, 3]
      const patches = cutPatches(images, this.patchSize); // [B·N, p·p·3]
      const projected = tf.matMul(patches, this.kernel.read() as tf.Tensor2D); // [B·N, D]
      return tf.reshape(tf.add(projected, this.bias.read()), [images.shape[0], -1, this.width]);
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', 3]];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, height, width] = images;
    const count = sizeFrom([height, width], (h, w) => Math.floor(h / this.patchSize) * Math.floor(w / this.patchSize));
    return [[batch, count, this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width, patchSize: this.patchSize };
  }
}
tf.serialization.registerClass(PatchProjection, 'crane');

/**
 * All patches of a batch of images as rows of p·p·3 samples, without a tensor of rank six, which some backends cannot
 * transpose. `[B, H, W, 3]` to `[B·⌊H/p⌋·⌊W/p⌋, p·p·3]`.
 */
export function cutPatches(images: tf.Tensor4D, patchSize: number): tf.Tensor2D {
  return tf.tidy(() => {
    const [batch, height, width] = images.shape;
    const [rows, columns] = [Math.floor(height / patchSize), Math.floor(width / patchSize)];
    const whole = tf.slice(images, [0, 0, 0, 0], [batch, rows * patchSize, columns * patchSize, 3]);
    const bands = tf.reshape(whole, [batch * rows, patchSize, columns, patchSize * 3]); // [B·R, p, C, p·3]
    return tf.reshape(tf.transpose(bands, [0, 2, 1, 3]), [batch * rows * columns, patchSize * patchSize * 3]); // [B·N, p·p·3]
  });
}

/** A file's kernel `[D, 3, p, p]`, which is released, as the matrix `[p·p·3, D]` for multiplying rows of patches. */
export function kernelAsRows(kernel: tf.Tensor): tf.Tensor2D {
  const rows = tf.tidy(
    () => tf.reshape(tf.transpose(kernel, [2, 3, 1, 0]), [-1, kernel.shape[0] as number]) as tf.Tensor2D,
  );
  kernel.dispose();
  return rows;
}

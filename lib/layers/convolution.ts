import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { sizeFrom, type Axes } from './input-shapes';

export interface ConvolutionConfig extends CraneLayerConfig {
  inputs: number;
  channels: number;
  /** Side of the square kernel. */
  kernelSize: number;
  /** 1 by default; equal to the kernel's side it cuts an image into patches. */
  stride?: number;
  bias?: boolean;
}

/**
 * A convolution with a square kernel, zero-padded so that stride 1 keeps the size. The file's kernel is
 * `[out, in, k, k]`, as PyTorch has it. `[B, H, W, in]` in, `[B, H/s, W/s, out]` out.
 */
export class Convolution extends CraneLayer {
  static readonly className = 'Convolution';
  private readonly sizes: Required<Pick<ConvolutionConfig, 'inputs' | 'channels' | 'kernelSize' | 'stride' | 'bias'>>;
  private readonly kernel: tf.LayerVariable;
  private readonly offset: tf.LayerVariable | undefined;

  constructor(config: ConvolutionConfig) {
    const { inputs, channels, kernelSize, stride = 1, bias = true, parameters } = config;
    super({
      ...config,
      ...(parameters === undefined
        ? {}
        : {
            parameters: (path: string, shape: number[]): tf.Tensor =>
              path.endsWith('.weight')
                ? tf.tidy(() =>
                    tf.transpose(parameters(path, [channels, inputs, kernelSize, kernelSize]), [2, 3, 1, 0]),
                  )
                : parameters(path, shape),
          }),
    });
    this.sizes = { inputs, channels, kernelSize, stride, bias };
    this.kernel = this.parameter('.weight', [kernelSize, kernelSize, inputs, channels]);
    this.offset = bias ? this.parameter('.bias', [channels]) : undefined;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const convolved = tf.conv2d(
        single(inputs) as tf.Tensor4D,
        this.kernel.read() as tf.Tensor4D,
        this.sizes.stride,
        'same',
      );
      return this.offset ? tf.add(convolved, this.offset.read()) : convolved; // [B, H/s, W/s, out]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', this.sizes.inputs]];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, height, width] = images;
    const { stride, channels } = this.sizes;
    const strided = (side: number): number => Math.ceil(side / stride);
    return [[batch, sizeFrom([height], strided), sizeFrom([width], strided), channels]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.sizes };
  }
}
tf.serialization.registerClass(Convolution, 'crane');

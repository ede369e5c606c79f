import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { FAST_CHANNELS, runFast } from './fast-kernel';
import type { Axes } from './input-shapes';

export interface LinearConfig extends CraneLayerConfig {
  /** Input channels. */
  inputs: number;
  /** Output channels. */
  units: number;
  /** Appended to the path; `.weight` by default. PyTorch's attention spells it `in_proj_weight`. */
  weightName?: string;
  /** The same for the bias; `.bias` by default. */
  biasName?: string;
}

/**
 * A fully connected layer whose file stores the matrix as PyTorch does, `[out, in]`. It is transposed once when it is
 * read, so that every call multiplies by a matrix in the best memory order.
 * `[B, N, in]` in, `[B, N, out]` out.
 */
export class Linear extends CraneLayer {
  static readonly className = 'Linear';
  private readonly inputs: number;
  private readonly units: number;
  private readonly names: { readonly weightName: string; readonly biasName: string };
  private readonly matrix: tf.LayerVariable;
  private readonly bias: tf.LayerVariable;

  constructor(config: LinearConfig) {
    const { inputs, units, parameters } = config;
    const { weightName = '.weight', biasName = '.bias' } = config;
    super({
      ...config,
      ...(parameters === undefined
        ? {}
        : {
            parameters: (path: string, shape: number[]): tf.Tensor =>
              path.endsWith(weightName)
                ? (parameters.transposed?.(path, [units, inputs]) ??
                  tf.tidy(() => tf.transpose(parameters(path, [units, inputs]))))
                : parameters(path, shape),
          }),
    });
    this.inputs = inputs;
    this.units = units;
    this.names = { weightName, biasName };
    this.matrix = this.parameter(weightName, [inputs, units]);
    this.bias = this.parameter(biasName, [units]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      return tf.add(this.product(single(inputs)), this.bias.read()); // [B, N, out]
    });
  }

  /** The layer's output without its bias, for callers that add it later. `[B, N, in]` to `[B, N, out]`. */
  product(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const rows = tf.reshape(x, [-1, this.inputs]) as tf.Tensor2D; // [B·N, in]
      const product = tf.matMul(rows, this.matrix.read() as tf.Tensor2D); // [B·N, out]
      return tf.reshape(product, [...x.shape.slice(0, -1), this.units]); // [B, N, out]
    });
  }

  /** The bias, which `product` leaves out, `[out]`. */
  get offset(): tf.Tensor1D {
    return this.bias.read() as tf.Tensor1D;
  }

  /** The layer's output for x on top of `residual`, `[B, N, out]`. */
  addTo(residual: tf.Tensor, x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const product = this.product(x); // [B, N, out]
      const isFast = this.units % FAST_CHANNELS === 0 && tf.util.arraysEqual(product.shape, residual.shape);
      const sum = isFast ? runFast('CraneAddResidual', { x: product, bias: this.offset, residual }) : undefined;
      return sum ?? tf.add(residual, tf.add(product, this.offset));
    });
  }

  /** Only the outputs `first` to `first + count`, `[B, N, in]` to `[B, N, count]`. */
  part(inputs: tf.Tensor3D, first: number, count: number): tf.Tensor3D {
    return tf.tidy(() => {
      const [batch, tokens] = inputs.shape;
      const matrix = tf.slice(this.matrix.read() as tf.Tensor2D, [0, first], [this.inputs, count]);
      const product = tf.matMul(tf.reshape(inputs, [-1, this.inputs]) as tf.Tensor2D, matrix); // [B·N, count]
      return tf.reshape(tf.add(product, tf.slice(this.bias.read(), [first], [count])), [batch, tokens, count]);
    });
  }

  protected override takes(): readonly Axes[] {
    return [['…', this.inputs]];
  }

  protected override gives([x = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    return [[...x.slice(0, -1), this.units]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), inputs: this.inputs, units: this.units, ...this.names };
  }
}
tf.serialization.registerClass(Linear, 'crane');

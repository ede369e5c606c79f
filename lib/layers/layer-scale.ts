import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';

/** A learned factor per channel on what a block adds to its input (DINOv2). `[…, D]` in, `[…, D]` out. */
export class LayerScale extends CraneLayer {
  static readonly className = 'LayerScale';
  private readonly width: number;
  private readonly gamma: tf.LayerVariable;

  constructor(config: CraneLayerConfig & { width: number }) {
    super(config);
    this.width = config.width;
    this.gamma = this.parameter('.gamma', [config.width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.mul(single(inputs), this.gamma.read());
  }
}

import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import type { Axes } from './input-shapes';

export interface LayerScaleConfig extends CraneLayerConfig {
  width: number;
}

/** A learned factor per channel, applied to what a block adds to its input (DINOv2). `[…, D]` in, `[…, D]` out. */
export class LayerScale extends CraneLayer {
  static readonly className = 'LayerScale';
  private readonly width: number;
  private readonly gamma: tf.LayerVariable;

  constructor(config: LayerScaleConfig) {
    super(config);
    this.width = config.width;
    this.gamma = this.parameter('.gamma', [config.width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.mul(single(inputs), this.gamma.read());
  }

  protected override takes(): readonly Axes[] {
    return [['…', this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width };
  }
}
tf.serialization.registerClass(LayerScale, 'crane');

import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import type { Axes } from './input-shapes';
import { Linear } from './linear';

export interface SwiGluConfig extends CraneLayerConfig {
  width: number;
  /** Width of each half of the gate. */
  hidden: number;
}

/**
 * The gated feed-forward half of the largest DINOv2's blocks: `w3(silu(a) · b)`, with a and b the two halves of
 * `w12(x)`, each `hidden` wide. `[B, N, D]` in and out.
 */
export class SwiGlu extends CraneLayer {
  static readonly className = 'SwiGlu';
  private readonly width: number;
  private readonly hidden: number;
  private readonly expand: Linear;
  private readonly contract: Linear;

  constructor(config: SwiGluConfig) {
    super(config);
    this.width = config.width;
    this.hidden = config.hidden;
    this.expand = this.own(new Linear({ ...this.inside('.w12'), inputs: config.width, units: 2 * config.hidden }));
    this.contract = this.own(new Linear({ ...this.inside('.w3'), inputs: config.hidden, units: config.width }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [gate, value] = tf.split(this.expand.apply(single(inputs)) as tf.Tensor, 2, -1) as [tf.Tensor, tf.Tensor];
      return this.contract.apply(tf.mul(tf.mul(gate, tf.sigmoid(gate)), value)) as tf.Tensor; // [B, N, D]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['…', this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width, hidden: this.hidden };
  }
}
tf.serialization.registerClass(SwiGlu, 'crane');

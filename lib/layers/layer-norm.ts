import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';

/** CLIP's normalisation constant (spec 1.1). */
const EPSILON = 1e-5;

/** Layer normalisation over the last axis, with gain and offset. `[…, D]` in, `[…, D]` out. */
export class LayerNorm extends CraneLayer {
  static readonly className = 'LayerNorm';
  private readonly width: number;
  private readonly gain: tf.LayerVariable;
  private readonly offset: tf.LayerVariable;

  constructor(config: CraneLayerConfig & { width: number }) {
    super(config);
    this.width = config.width;
    this.gain = this.parameter('.weight', [config.width]);
    this.offset = this.parameter('.bias', [config.width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = single(inputs); // […, D]
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON)); // […, 1]
      return tf.add(tf.mul(tf.mul(centred, scale), this.gain.read()), this.offset.read());
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width };
  }
}
tf.serialization.registerClass(LayerNorm);

import * as tf from '@tensorflow/tfjs';
import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import { FAST_CHANNELS, runFast } from './fast-kernel';
import type { Axes } from './input-shapes';

/** CLIP's normalisation constant (docs/method.md#backbone). */
const EPSILON = 1e-5;

export interface LayerNormConfig extends CraneLayerConfig {
  width: number;
  /** Added to the variance; 1e-5 by default, as in CLIP. DINO, DINOv2 and SAM use 1e-6. */
  epsilon?: number;
}

/** Layer normalisation over the last axis, with gain and offset. `[…, D]` in, `[…, D]` out. */
export class LayerNorm extends CraneLayer {
  static readonly className = 'LayerNorm';
  private readonly width: number;
  private readonly epsilon: number;
  private readonly normalise: (x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor) => tf.Tensor;
  private readonly gain: tf.LayerVariable;
  private readonly offset: tf.LayerVariable;

  constructor(config: LayerNormConfig) {
    super(config);
    this.width = config.width;
    this.epsilon = config.epsilon ?? EPSILON;
    this.normalise = normaliser(this.epsilon);
    this.gain = this.parameter('.weight', [config.width]);
    this.offset = this.parameter('.bias', [config.width]);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const given = { x: single(inputs), gain: this.gain.read(), offset: this.offset.read() };
      const fast =
        this.width % FAST_CHANNELS === 0 ? runFast('CraneLayerNorm', given, { epsilon: this.epsilon }) : undefined;
      return fast ?? this.normalise(given.x, given.gain, given.offset); // […, D]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['…', this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), width: this.width, epsilon: this.epsilon };
  }
}
tf.serialization.registerClass(LayerNorm, 'crane');

/** With an explicit gradient: half the operations of the automatic one, and the same numbers. */
const normaliser = (epsilon: number) =>
  tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [x, gain, offset, save] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon)); // […, 1]
    const normed = tf.mul(centred, scale); // […, D]
    save([normed, scale, gain]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [normed, scale, gain] = saved as [tf.Tensor, tf.Tensor, tf.Tensor1D];
      const width = gain.size;
      const rows = [dy.size / width, width] as [number, number];
      const upstream = tf.reshape(dy, rows); // [R, D]
      const unscaled = tf.reshape(normed, rows); // [R, D]
      const products = tf.mul(upstream, unscaled) as tf.Tensor2D; // [R, D]
      const share = tf.reshape(tf.div(gain, width), [width, 1]) as tf.Tensor2D;
      const along = tf.matMul(products, share); // [R, 1], mean of dy·gain·normed
      const mean = tf.matMul(upstream, share); // [R, 1], mean of dy·gain
      const inner = tf.sub(tf.sub(tf.mul(upstream, gain), tf.mul(unscaled, along)), mean);
      const dx = tf.mul(inner, tf.reshape(scale, [rows[0], 1]));
      return [tf.reshape(dx, dy.shape), tf.sum(products, 0), tf.sum(upstream, 0)];
    };
    return { value: tf.add(tf.mul(normed, gain), offset), gradFunc: gradFunc as never };
  }) as (x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor) => tf.Tensor;

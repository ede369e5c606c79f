import * as tf from '@tensorflow/tfjs';

import { CraneLayer, single, type CraneLayerConfig } from './crane-layer';
import type { Axes } from './input-shapes';
import { FAST_CHANNELS, runFast } from './fast-kernel';
import { Linear } from './linear';

/** Activations of CLIP's feed-forward layers: x · sigmoid(1.702 x) as in OpenAI's weights, or exact GELU (docs/method.md#backbone). */
export const ACTIVATIONS = ['quick-gelu', 'gelu'] as const;
/** One of {@link ACTIVATIONS}. */
export type Activation = (typeof ACTIVATIONS)[number];

export interface MlpConfig extends CraneLayerConfig {
  width: number;
  activation: Activation;
  /** Width between the two linear layers; four times the outer width by default. */
  hidden?: number;
  /** Names of the two linear layers in the file; CLIP's `c_fc` and `c_proj` by default. */
  names?: readonly [expand: string, contract: string];
}

/** The feed-forward half of a block: to the hidden width, the activation, and back. `[B, N, D]` in and out. */
export class Mlp extends CraneLayer {
  static readonly className = 'Mlp';
  private readonly width: number;
  private readonly hidden: number;
  private readonly activation: Activation;
  private readonly names: readonly [expand: string, contract: string];
  private readonly expand: Linear;
  private readonly contract: Linear;

  constructor(config: MlpConfig) {
    super(config);
    this.width = config.width;
    this.hidden = config.hidden ?? 4 * config.width;
    this.activation = config.activation;
    this.names = config.names ?? ['c_fc', 'c_proj'];
    const [expand, contract] = this.names;
    this.expand = this.own(new Linear({ ...this.inside(`.${expand}`), inputs: config.width, units: this.hidden }));
    this.contract = this.own(new Linear({ ...this.inside(`.${contract}`), inputs: this.hidden, units: config.width }));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      return this.contract.apply(this.activated(single(inputs))) as tf.Tensor; // [B, N, D]
    });
  }

  /** The layer's output for x on top of `residual`, `[B, N, D]`. */
  addTo(residual: tf.Tensor, x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.contract.addTo(residual, this.activated(x)));
  }

  private activated(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const product = this.expand.product(x); // [B, N, hidden]
      const isFast = this.activation === 'quick-gelu' && this.hidden % FAST_CHANNELS === 0;
      const fast = isFast ? runFast('CraneQuickGelu', { x: product, bias: this.expand.offset }) : undefined;
      return fast ?? activate(tf.add(product, this.expand.offset), this.activation); // [B, N, hidden]
    });
  }

  protected override takes(): readonly Axes[] {
    return [['…', this.width]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      width: this.width,
      hidden: this.hidden,
      activation: this.activation,
      names: [...this.names],
    };
  }
}
tf.serialization.registerClass(Mlp, 'crane');

/** QuickGELU is what OpenAI's weights were trained with; the exact GELU is open_clip's (docs/method.md#activation). */
function activate(x: tf.Tensor, activation: Activation): tf.Tensor {
  return tf.tidy(() => {
    switch (activation) {
      case 'quick-gelu':
        return quickGelu(x);
      case 'gelu':
        return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
    }
  });
}

const quickGelu = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
  const [x, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
  const gate = tf.sigmoid(tf.mul(x, 1.702));
  const value = tf.mul(x, gate);
  save([gate, value]);
  // d/dx x·s(1.702 x) = s + 1.702·y·(1 − s), where y is the value.
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor => {
    const [gate, value] = saved as [tf.Tensor, tf.Tensor];
    return tf.mul(dy, tf.add(gate, tf.mul(tf.sub(value, tf.mul(value, gate)), 1.702)));
  };
  return { value, gradFunc: gradFunc as never };
}) as (x: tf.Tensor) => tf.Tensor;

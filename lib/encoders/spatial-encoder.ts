import * as tf from '@tensorflow/tfjs';
import { IMAGENET_MEAN, IMAGENET_STD, type Normalisation } from '../image/normalisation';
import { CraneLayer, type CraneLayerConfig } from '../layers/crane-layer';
import { sizeFrom, type Axes } from '../layers/input-shapes';

/**
 * Families of vision models whose patch similarities can guide D-Attn (paper section 3.2;
 * docs/method.md#second-models).
 */
export const SPATIAL_FAMILIES = ['dinov2', 'dino', 'sam'] as const;
/** One of {@link SPATIAL_FAMILIES}. */
export type SpatialFamily = (typeof SPATIAL_FAMILIES)[number];

export interface SpatialEncoderConfig extends CraneLayerConfig {
  /** Mean and deviation for its images; ImageNet's by default, as in all official models. */
  normalisation?: Normalisation;
}

/**
 * A second, self-supervised vision model: its patch similarities guide D-Attn (paper section 3.2;
 * docs/method.md#second-models). It is only
 * asked for patch features, never for a class.
 */
export abstract class SpatialEncoder extends CraneLayer {
  abstract readonly family: SpatialFamily;
  /** Side of a patch in pixels of this encoder's own input. */
  abstract readonly patchSize: number;
  /** Channels of a patch feature. */
  abstract readonly channels: number;
  /** Mean and deviation to normalise its images with. */
  readonly normalisation: Normalisation;

  constructor(config: SpatialEncoderConfig) {
    super(config);
    this.normalisation = config.normalisation ?? { mean: IMAGENET_MEAN, std: IMAGENET_STD };
  }

  /**
   * Side in pixels of the square input for this encoder, given a CLIP input of side `imageSize`: the same for
   * DINO and DINOv2, fixed for SAM.
   */
  abstract inputSide(imageSize: number): number;

  /**
   * Patch features, not normalised.
   * @param images `[B, T, T, 3]` with T from `inputSide`, normalised as `normalisation` says
   * @returns `[B, rows, columns, C]`; the caller disposes it (or a surrounding `tf.tidy`)
   */
  abstract forward(images: tf.Tensor4D): tf.Tensor4D;

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', 3]];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, height, width] = images;
    const patches = (side: number): number => Math.floor(side / this.patchSize);
    return [[batch, sizeFrom([height], patches), sizeFrom([width], patches), this.channels]];
  }

  /** The layer call: `forward`. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { mean, std } = this.normalisation;
    return { ...super.getConfig(), normalisation: { mean: [...mean], std: [...std] } };
  }
}

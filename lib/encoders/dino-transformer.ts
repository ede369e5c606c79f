import * as tf from '@tensorflow/tfjs';
import { LayerNorm } from '../layers/layer-norm';
import { VISION_EPSILON, VisionBlock, type FeedForward } from '../layers/vision-block';
import { VisionEmbedding, type PositionRule } from '../layers/vision-embedding';
import { SpatialEncoder, type SpatialEncoderConfig } from './spatial-encoder';

/** Sizes of a vision transformer like DINO or DINOv2, all read from its weights except the heads. */
export interface DinoSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Side of the grid of patches that the position embedding was trained on. */
  readonly gridSize: number;
  /** Learned tokens besides the class token; 0 in DINO and the first DINOv2, 4 in the other. */
  readonly registers: number;
  readonly feedForward: FeedForward;
  /** Width between the two feed-forward layers. */
  readonly hidden: number;
  readonly layerScale: boolean;
  /** Added to the variance in layer norms, where it is not 1e-6. */
  readonly epsilon?: number;
}

export interface DinoConfig extends SpatialEncoderConfig {
  sizes: DinoSizes;
}

/** How DINO and DINOv2 differ where the sizes are the same. */
export interface DinoHabits {
  readonly positions: PositionRule;
  readonly partialPatches: 'drop' | 'refuse';
}

/**
 * The vision transformer that DINO and DINOv2 share: class token, registers and patches through pre-norm blocks.
 * Features are the patch tokens of the last block after the final norm (docs/method.md#second-models). Parameters have
 * the names of the official state dicts; with `trainable` all have gradients. `[B, H, W, 3]` in, normalised; `[B,
 * ⌊H/p⌋, ⌊W/p⌋, D]` out, not normalised.
 */
export abstract class DinoTransformer extends SpatialEncoder {
  readonly patchSize: number;
  readonly channels: number;
  readonly sizes: DinoSizes;
  private readonly embedding: VisionEmbedding;
  private readonly blocks: readonly VisionBlock[];
  private readonly norm: LayerNorm;

  protected constructor(config: DinoConfig, habits: DinoHabits) {
    super(config);
    const {
      width,
      layers,
      heads,
      patchSize,
      gridSize,
      registers,
      feedForward,
      hidden,
      layerScale,
      epsilon = VISION_EPSILON,
    } = config.sizes;
    this.sizes = config.sizes;
    this.patchSize = patchSize;
    this.channels = width;
    this.embedding = this.own(
      new VisionEmbedding({ ...this.inside(''), width, patchSize, gridSize, registers, ...habits }),
    );
    this.blocks = Array.from({ length: layers }, (_, index) =>
      this.own(
        new VisionBlock({ ...this.inside(`blocks.${index}`), width, heads, feedForward, hidden, layerScale, epsilon }),
      ),
    );
    this.norm = this.own(new LayerNorm({ ...this.inside('norm'), width, epsilon }));
  }

  /** The same as CLIP's. */
  override inputSide(imageSize: number): number {
    return imageSize;
  }

  /** @throws UsageError `usage/image-size` for images that cannot be cut into patches */
  override forward(images: tf.Tensor4D): tf.Tensor4D {
    const [batch, height, width] = images.shape;
    const [rows, columns] = this.embedding.gridOf(height, width);
    let tokens = this.embedding.apply(images) as tf.Tensor3D; // [B, 1+R+N, D]
    for (const block of this.blocks) {
      const next = block.apply(tokens) as tf.Tensor3D;
      tokens.dispose(); // A gradient tape keeps what it needs.
      tokens = next;
    }
    return tf.tidy(() => {
      const patches = tf.slice(tokens, [0, 1 + this.sizes.registers, 0]); // [B, N, D]
      const features = tf.reshape(this.norm.apply(patches) as tf.Tensor, [batch, rows, columns, this.channels]);
      tokens.dispose();
      return features as tf.Tensor4D;
    });
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, height = null, width = null] = images;
    if (height === null || width === null) return [[batch, null, null, this.channels]];
    return [[batch, ...this.embedding.gridOf(height, width), this.channels]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), sizes: { ...this.sizes } };
  }
}

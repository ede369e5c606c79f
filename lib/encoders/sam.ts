import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';
import { Convolution } from '../layers/convolution';
import type { Axes } from '../layers/input-shapes';
import { LayerNorm } from '../layers/layer-norm';
import { SAM_EPSILON, SamBlock } from '../layers/sam-block';
import { SpatialEncoder, type SpatialEncoderConfig } from './spatial-encoder';

/** Sizes of SAM's image encoder, all of which can be read from its weights. */
export interface SamSizes {
  width: number;
  layers: number;
  heads: number;
  /** Side of a patch in pixels; 16 in the published models. */
  patchSize: number;
  /** Side of the grid of patches; 64 in the published models, whose input is 1024 pixels high and wide. */
  gridSize: number;
  /** Side, in patches, of the windows within which most blocks attend; 14 in the published models. */
  windowSize: number;
  /** Blocks that attend over the whole grid, counted from 0. */
  globalBlocks: readonly number[];
  /** Channels of the neck, whose output is the features; 256 in the published models. */
  channels: number;
  /** Added to the variance in the layer norms of the blocks, where it is not 1e-6; the neck always uses 1e-6. */
  epsilon?: number;
}

export interface SamConfig extends SpatialEncoderConfig {
  sizes: SamSizes;
}

/**
 * The image encoder of Segment Anything (Kirillov et al., 2023, appendix A; docs/method.md#second-models): a plain
 * vision transformer with
 * windowed attention and a convolutional neck, whose output is the features. Parameters are those of the official
 * state dict below `image_encoder.`. `[B, T, T, 3]` in, normalised, with T = `inputSide()`; `[B, G, G, C]` out, not
 * normalised. Images of another size are rejected with `usage/image-size`.
 */
export class SamEncoder extends SpatialEncoder {
  static readonly className = 'SamEncoder';
  readonly family = 'sam';
  readonly patchSize: number;
  readonly channels: number;
  private readonly sizes: SamSizes;
  private readonly patchEmbedding: Convolution;
  private readonly positions: tf.LayerVariable;
  private readonly blocks: readonly SamBlock[];
  private readonly neck: readonly (Convolution | LayerNorm)[];

  constructor(config: SamConfig) {
    super({ path: 'image_encoder.', ...config });
    const { width, layers, heads, patchSize, gridSize, windowSize, globalBlocks, channels, epsilon } = config.sizes;
    this.sizes = config.sizes;
    this.patchSize = patchSize;
    this.channels = channels;
    this.patchEmbedding = this.own(
      new Convolution({
        ...this.inside('patch_embed.proj'),
        inputs: 3,
        channels: width,
        kernelSize: patchSize,
        stride: patchSize,
      }),
    );
    this.positions = this.parameter('pos_embed', [1, gridSize, gridSize, width]);
    this.blocks = Array.from({ length: layers }, (_, index) => {
      const overall = globalBlocks.includes(index);
      return this.own(
        new SamBlock({
          ...this.inside(`blocks.${index}`),
          width,
          heads,
          windowSize: overall ? 0 : windowSize,
          trainedSide: overall ? gridSize : windowSize,
          ...(epsilon === undefined ? {} : { epsilon }),
        }),
      );
    });
    const norm = { width: channels, epsilon: SAM_EPSILON };
    this.neck = [
      this.own(new Convolution({ ...this.inside('neck.0'), inputs: width, channels, kernelSize: 1, bias: false })),
      this.own(new LayerNorm({ ...this.inside('neck.1'), ...norm })),
      this.own(new Convolution({ ...this.inside('neck.2'), inputs: channels, channels, kernelSize: 3, bias: false })),
      this.own(new LayerNorm({ ...this.inside('neck.3'), ...norm })),
    ];
  }

  /** SAM has a fixed input size, independent of CLIP's: 1024 in the published models. */
  override inputSide(): number {
    return this.sizes.gridSize * this.patchSize;
  }

  /**
   * Features of the neck. Images are encoded one at a time: one keeps any processor busy, and memory stays bounded.
   * @param images `[B, T, T, 3]` with T = `inputSide()`, normalised with ImageNet's mean and standard deviation
   * @returns `[B, G, G, C]`, not normalised; the caller disposes it
   * @throws UsageError where images have another size
   */
  override forward(images: tf.Tensor4D): tf.Tensor4D {
    const [batch] = images.shape;
    const side = this.inputSide();
    this.refuseOtherSize(images.shape);
    return tf.tidy(() => {
      const features = Array.from({ length: batch }, (_, index) =>
        this.encode(tf.slice(images, [index, 0, 0, 0], [1, side, side, 3])),
      );
      return batch === 1 ? (features[0] as tf.Tensor4D) : tf.concat(features, 0);
    });
  }

  private refuseOtherSize(images: tf.Shape): void {
    const expected = [this.inputSide(), this.inputSide(), 3];
    const size = images.slice(1);
    if (expected.every((side, axis) => size[axis] === null || size[axis] === side)) return;
    throw new UsageError(
      'usage/image-size',
      `images of [${size.join(', ')}] do not fit this SAM encoder, which takes [${expected.join(', ')}]; resize them bilinearly first`,
      { found: images, expected },
    );
  }

  /** `[1, T, T, 3]` to `[1, G, G, C]`. */
  private encode(image: tf.Tensor4D): tf.Tensor4D {
    let tokens = tf.tidy(() => tf.add(this.patchEmbedding.apply(image) as tf.Tensor, this.positions.read())); // [1, G, G, D]
    for (const layer of [...this.blocks, ...this.neck]) {
      const next = layer.apply(tokens) as tf.Tensor;
      tokens.dispose();
      tokens = next;
    }
    return tokens as tf.Tensor4D; // [1, G, G, C]
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W', 'colours']];
  }

  protected override gives([images = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    this.refuseOtherSize(images);
    const { gridSize, channels } = this.sizes;
    return [[images[0] ?? null, gridSize, gridSize, channels]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), sizes: { ...this.sizes, globalBlocks: [...this.sizes.globalBlocks] } };
  }
}
tf.serialization.registerClass(SamEncoder, 'crane');

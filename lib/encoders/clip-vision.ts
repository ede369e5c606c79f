import * as tf from '@tensorflow/tfjs';
import type { Activation } from '../layers/mlp';
import type { AttentionType } from '../layers/e-attn';
import type { VisionSizes } from './clip-sizes';
import { CraneLayer, single, type CraneLayerConfig } from '../layers/crane-layer';
import { DAttn, type DAttnConfig } from '../layers/d-attn';
import { DualPathBlock } from '../layers/dual-path-block';
import { sizeFrom, type Axes } from '../layers/input-shapes';
import { LayerNorm } from '../layers/layer-norm';
import { PatchEmbedding } from '../layers/patch-embedding';
import { ResidualBlock } from '../layers/residual-block';

export interface ClipVisionConfig extends CraneLayerConfig {
  sizes: VisionSizes;
  embedDimension: number;
  activation: Activation;
  /** How many of the last blocks have the refined dense path; 0 is plain CLIP. */
  eattnBlocks: number;
  attention: AttentionType;
  /**
   * `reference` gives every dual-path tap the final spatial tokens, since the reference program's taps are views of one
   * buffer (docs/method.md#four-copies) and the published prompts were trained with that; `distinct` gives each block's
   * own.
   */
  layerTaps?: 'reference' | 'distinct';
  /**
   * What the last dual-path block computes for the original stream: the class token, which is all that scoring needs,
   * or all tokens, for training on them.
   */
  lastBlock?: 'class-token' | 'all-tokens';
  /** D-Attn, and the blocks, counted from 1, that provide it (Crane+; docs/method.md#d-attn). */
  dAttn?: Pick<DAttnConfig, 'beta' | 'gamma' | 'mean'> & { readonly layers: readonly number[] };
}

/** What a pass through the image encoder gives besides its last block. */
export interface VisionForwardOptions {
  /** Blocks to tap, counted from 1. Default: the last. */
  readonly layers?: readonly number[];
  /** Features of a second vision model for the same images, for D-Attn. */
  readonly guide?: tf.Tensor4D; // [B, R, C, F]
  /** Keep what a gradient needs; otherwise each block's input is released as soon as it is used up. Default false. */
  readonly training?: boolean;
}

/** What the image encoder gives. The caller disposes its tensors. */
export interface VisionFeatures {
  /**
   * The original stream after the last block, `[B, 1+N, D]`; with a dual path only its class token, `[B, 1, D]`, unless
   * `lastBlock` is `all-tokens`.
   */
  readonly tokens: tf.Tensor3D;
  /** Spatial tokens of the requested blocks, by block number from 1, `[B, 1+N, D]` each, class token first. */
  readonly taps: ReadonlyMap<number, tf.Tensor3D>;
  /** D-Attn's tokens, by block number from 1, `[B, R·C, D]` each, where a second model guided. */
  readonly guided: ReadonlyMap<number, tf.Tensor3D>;
}

/**
 * CLIP's vision transformer with Crane's refined dense path in its last blocks (paper section 3.2;
 * docs/method.md#dense-features),
 * and, where a second vision model guides it, D-Attn on top (docs/method.md#d-attn).
 * Parameters are those of OpenAI's state dict below `visual.`.
 *
 * As a layer: images `[B, H, W, 3]`, normalised, to image features `[B, E]` and dense features `[B, N, E]` of the last
 * block; with `dAttn`, images and a second model's features `[B, R, C, F]` to those two and, for each of its blocks in
 * their order, `[B, R·C, E]`. Images that cannot be cut into patches are rejected with `usage/image-size`.
 */
export class ClipVisionEncoder extends CraneLayer {
  static readonly className = 'ClipVisionEncoder';
  private readonly embedding: PatchEmbedding;
  private readonly preNorm: LayerNorm;
  private readonly blocks: readonly (ResidualBlock | DualPathBlock)[];
  private readonly postNorm: LayerNorm;
  private readonly projection: tf.LayerVariable;
  private readonly dAttn: DAttn | undefined;

  constructor(readonly config: ClipVisionConfig) {
    super({ path: 'visual.', ...config });
    const { sizes, embedDimension, activation, attention, eattnBlocks } = config;
    const { width, heads, layers, patchSize, gridSize, hidden, epsilon } = sizes;
    const norm = { width, ...(epsilon === undefined ? {} : { epsilon }) };
    const lastForClass = config.lastBlock !== 'all-tokens';
    const firstDual = layers - eattnBlocks;
    this.embedding = this.own(new PatchEmbedding({ ...this.inside(''), width, patchSize, gridSize }));
    this.preNorm = this.own(new LayerNorm({ ...this.inside('ln_pre'), ...norm }));
    this.blocks = Array.from({ length: layers }, (_, index) => {
      const common = { ...this.inside(`transformer.resblocks.${index}`), width, heads, activation, hidden, epsilon };
      return this.own(
        index < firstDual
          ? new ResidualBlock(common)
          : new DualPathBlock({
              ...common,
              attention,
              classTokenOnly: lastForClass && index === layers - 1,
              guided: !config.dAttn?.layers.includes(index + 1)
                ? undefined
                : index === firstDual
                  ? 'path-start'
                  : 'within',
            }),
      );
    });
    this.dAttn = config.dAttn && this.own(new DAttn({ ...this.inside('d_attn'), ...config.dAttn }));
    this.postNorm = this.own(new LayerNorm({ ...this.inside('ln_post'), ...norm }));
    this.projection = this.parameter('proj', [width, embedDimension]);
  }

  /**
   * Encodes a batch of images.
   * @param images `[B, H, W, 3]`, normalised with CLIP's mean and standard deviation
   * @param options which blocks to tap, what guides D-Attn, whether it is training
   * @returns tensors that the caller disposes (or a surrounding `tf.tidy`)
   */
  forward(images: tf.Tensor4D, options: VisionForwardOptions = {}): VisionFeatures {
    const { layers = [this.blocks.length], guide, training = false } = options;
    const grid = [images.shape[1], images.shape[2]].map((side) => side / this.config.sizes.patchSize) as [
      number,
      number,
    ];
    const guided = new Map<number, tf.Tensor3D>();
    const firstDual = this.blocks.length - this.config.eattnBlocks; // index of the first dual-path block
    const held = new Map<number, tf.Tensor3D>();
    const release = (...used: tf.Tensor[]): void => {
      if (training) return;
      const kept = new Set<tf.Tensor>(held.values());
      tf.dispose(used.filter((tensor) => !kept.has(tensor)));
    };

    let original = tf.tidy(() => {
      const embedded = this.runStage('patchEmbedding', () => this.embedding.apply(images));
      return this.preNorm.apply(embedded) as tf.Tensor3D; // [B, 1+N, D]
    });
    let spatial = original;
    this.blocks.forEach((block, index) => {
      const [lastOriginal, lastSpatial] = [original, spatial];
      if (block instanceof DualPathBlock) {
        const outputs = this.runStage('attention', () => block.apply([lastOriginal, lastSpatial]));
        [original, spatial] = outputs as [tf.Tensor3D, tf.Tensor3D];
        const values = (outputs as tf.Tensor3D[])[2];
        if (values && guide) guided.set(index + 1, this.guidedTokens(block, values, grid, guide));
        if (values) release(values);
      } else {
        original = this.runStage('attention', () => block.apply(lastOriginal)) as tf.Tensor3D;
        spatial = original;
      }
      release(...new Set([lastOriginal, lastSpatial]));
      if (layers.includes(index + 1)) held.set(index + 1, spatial);
    });

    if (this.config.layerTaps !== 'distinct' && this.config.eattnBlocks > 0) {
      // The reference overwrites the block before the dual path too.
      for (const [block, tap] of held) {
        if (block < firstDual || tap === spatial) continue;
        held.set(block, spatial);
        if (!training) tap.dispose();
      }
    }
    if (spatial !== original) release(spatial);
    return { tokens: original, taps: held, guided };
  }

  private guidedTokens(
    block: DualPathBlock,
    values: tf.Tensor3D,
    grid: readonly [number, number],
    guide: tf.Tensor4D,
  ): tf.Tensor3D {
    return tf.tidy(() => {
      const [batch, , width] = values.shape;
      const planes = tf.reshape(values, [batch, ...grid, width]) as tf.Tensor4D; // [B, r, c, D]
      return block.project((this.dAttn as DAttn).gather(planes, guide)); // [B, R·C, D]
    });
  }

  /** Patches with their positions, class token first, before `ln_pre`. `[B, H, W, 3]` to `[B, 1+N, D]`. */
  embed(images: tf.Tensor4D): tf.Tensor3D {
    return this.embedding.apply(images) as tf.Tensor3D;
  }

  /**
   * Image features of any sequences of embedded tokens, such as the patches of a window behind a class token. For encoders
   * without a dual path. `[B, L, D]` to `[B, E]`, not normalised.
   */
  encodeTokens(tokens: tf.Tensor3D): tf.Tensor2D {
    return tf.tidy(() => {
      let stream = this.preNorm.apply(tokens) as tf.Tensor3D;
      for (const block of this.blocks) {
        const last = stream;
        stream = (block as ResidualBlock).apply(last) as tf.Tensor3D;
        last.dispose();
      }
      return this.project(classToken(stream)) as tf.Tensor2D;
    });
  }

  /** `ln_post` and the projection into the shared space, for any tokens of the last width. `[…, D]` to `[…, E]`. */
  project(tokens: tf.Tensor): tf.Tensor {
    const project = (): tf.Tensor => {
      const normed = this.postNorm.apply(tokens) as tf.Tensor;
      const rows = tf.reshape(normed, [-1, this.config.sizes.width]) as tf.Tensor2D;
      const product = tf.matMul(rows, this.projection.read() as tf.Tensor2D);
      return tf.reshape(product, [...tokens.shape.slice(0, -1), this.config.embedDimension]);
    };
    return this.runStage('projection', () => tf.tidy(project));
  }

  /**
   * The layer call: images `[B, H, W, 3]`, or images and a second model's features `[B, R, C, F]`, to image features
   * `[B, E]`, the last block's dense ones `[B, N, E]`, and, with a second model, D-Attn's for each of its blocks,
   * `[B, R·C, E]`, in the order of the blocks. None is normalised.
   */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return tf.tidy(() => {
      const guide = Array.isArray(inputs) ? (inputs[1] as tf.Tensor4D | undefined) : undefined;
      const { tokens, taps, guided } = this.forward(single(inputs) as tf.Tensor4D, {
        training: true,
        ...(guide ? { guide } : {}),
      });
      const dense = taps.get(this.blocks.length) as tf.Tensor3D;
      return [classToken(tokens), patchTokens(dense), ...guided.values()].map((features) => this.project(features));
    });
  }

  /** How many blocks provide D-Attn's features where a second model guides. */
  private get guidedBlocks(): number {
    const { dAttn, eattnBlocks } = this.config;
    return this.blocks.filter(
      (_, index) => index >= this.blocks.length - eattnBlocks && dAttn?.layers.includes(index + 1),
    ).length;
  }

  protected override takes(found: readonly tf.Shape[]): readonly Axes[] {
    const images = ['B', 'H', 'W', 'colours'];
    return found.length === 2 && this.guidedBlocks > 0 ? [images, ['B', 'R', 'C', 'F']] : [images];
  }

  protected override gives([images = [], guide]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, tokens] = this.embedding.computeOutputShape(images as number[]) as tf.Shape;
    const { embedDimension } = this.config;
    const guided = guide && [batch, sizeFrom([guide[1], guide[2]], (rows, columns) => rows * columns), embedDimension];
    return [
      [batch, embedDimension],
      [batch, sizeFrom([tokens], (count) => count - 1), embedDimension],
      ...(guided ? Array.from({ length: this.guidedBlocks }, () => guided) : []),
    ];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { sizes, embedDimension, activation, eattnBlocks, attention } = this.config;
    return {
      ...super.getConfig(),
      sizes: { ...sizes },
      embedDimension,
      activation,
      eattnBlocks,
      attention,
      layerTaps: this.config.layerTaps ?? 'reference',
      lastBlock: this.config.lastBlock ?? 'class-token',
      ...(this.config.dAttn ? { dAttn: { ...this.config.dAttn, layers: [...this.config.dAttn.layers] } } : {}),
    };
  }
}
tf.serialization.registerClass(ClipVisionEncoder, 'crane');

/** The first token, `[B, 1+N, D]` to `[B, D]`. */
export function classToken(tokens: tf.Tensor3D): tf.Tensor2D {
  const [batch, , width] = tokens.shape;
  return tf.tidy(() => tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]));
}

/** All tokens but the first, `[B, 1+N, D]` to `[B, N, D]`. */
export function patchTokens(tokens: tf.Tensor3D): tf.Tensor3D {
  const [batch, count, width] = tokens.shape;
  return tf.slice(tokens, [0, 1, 0], [batch, count - 1, width]);
}

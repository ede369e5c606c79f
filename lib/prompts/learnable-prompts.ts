import * as tf from '@tensorflow/tfjs';

import type { ClipTextEncoder } from '../encoders/clip-text';
import { CraneLayer, single, type CraneLayerConfig } from '../layers/crane-layer';
import type { Axes } from '../layers/input-shapes';
import { roundToHalf } from './half-precision';

/** Where the image's global feature enters the prompt (docs/method.md#image-context). */
export const CONTEXT_POSITIONS = ['pad_suffix', 'pad_prefix', 'replace_suffix', 'replace_prefix', 'none'] as const;
/** One of {@link CONTEXT_POSITIONS}. */
export type ContextPosition = (typeof CONTEXT_POSITIONS)[number];

export interface LearnablePromptsConfig extends CraneLayerConfig {
  /** Width of the text encoder, which must equal the shared dimension for the image to enter a prompt. */
  width: number;
  /** Learned context vectors per prompt, 12 in the paper. */
  contextTokens: number;
  /** Learned tokens in each deeper block, 4 in the paper. */
  deepTokens: number;
  /**
   * Text blocks that see learned tokens: the first sees the context vectors, the others deep tokens; 9 in the paper.
   */
  depth: number;
  contextPosition: ContextPosition;
  startToken: number;
  endToken: number;
  /** Token ids of the words after the learned context: `object.` and `damaged object.`. */
  normalWords: readonly number[];
  anomalousWords: readonly number[];
  /** Round deep tokens to 16 bits as the reference does; on by default. */
  roundDeepTokens?: boolean;
  /**
   * Round their gradients too, separately for each prompt before they are summed, as the reference does; on by default.
   * Without it, what the prompts of a batch share is computed once, which takes less than half the time.
   */
  roundGradients?: boolean;
}

/** Prompts as the text encoder takes them. */
export interface AssembledPrompts {
  /** `[2·B, L, D]`, all normal prompts first. */
  readonly embedded: tf.Tensor3D;
  /** Position of each prompt's end token. */
  readonly endPositions: readonly number[];
}

/**
 * Crane's learnable prompts (paper section 3.3; docs/method.md#prompts): one "normal" and one "anomalous" prompt, each
 * learned
 * context vectors before fixed words, `[start][V_1 … V_12] object. [end]`, and deep tokens shared by both. The image's
 * global feature may join them as one more token, which makes the prompts specific to the image.
 *
 * As a layer: image features `[B, D]`, normalised, to deep tokens `[B, depth - 1, T, D]` and contexts `[B, 2, C, D]`.
 */
export class LearnablePrompts extends CraneLayer {
  static readonly className: string = 'LearnablePrompts';
  private readonly normalContext: tf.LayerVariable;
  private readonly anomalousContext: tf.LayerVariable;
  private readonly deep: readonly tf.LayerVariable[];

  constructor(readonly config: LearnablePromptsConfig) {
    super(config);
    const { width, contextTokens, deepTokens, depth } = config;
    this.normalContext = this.parameter('ctx_pos', [contextTokens, width]);
    this.anomalousContext = this.parameter('ctx_neg', [contextTokens, width]);
    this.deep = Array.from({ length: depth - 1 }, (_, index) =>
      this.parameter(`compound_prompts_text.${index}`, [deepTokens, width]),
    );
  }

  /**
   * Both prompts as embedded tokens, no longer than necessary.
   * @param image normalised global features `[B, E]` with E the text width; without them B is 1 and the prompts are
   *   static
   */
  assemble(text: ClipTextEncoder, image?: tf.Tensor2D): AssembledPrompts {
    const { normalWords, anomalousWords, contextPosition } = this.config;
    const withImage = contextPosition === 'none' ? undefined : image;
    const batch = image?.shape[0] ?? 1;
    const longest = Math.max(normalWords.length, anomalousWords.length);
    const assembled = [
      this.assembleState(text, this.normalContext, normalWords, longest, batch, withImage),
      this.assembleState(text, this.anomalousContext, anomalousWords, longest, batch, withImage),
    ] as const;
    return {
      embedded: tf.concat([assembled[0].embedded, assembled[1].embedded], 0),
      endPositions: assembled.flatMap(({ end }) => Array.from({ length: batch }, () => end)),
    };
  }

  private assembleState(
    text: ClipTextEncoder,
    learned: tf.LayerVariable,
    words: readonly number[],
    longest: number,
    batch: number,
    image: tf.Tensor2D | undefined,
  ): { embedded: tf.Tensor3D; end: number } {
    const { width, contextTokens, deepTokens, startToken, endToken } = this.config;
    const repeat = (tokens: tf.Tensor3D): tf.Tensor3D => tf.tile(tokens, [batch, 1, 1]);
    // Padding makes both prompts equally long, and leaves room for the deep tokens, which overwrite positions 1, 2, …
    const length = Math.max(longest + 1, deepTokens - contextTokens);
    const ending = [...words, endToken, ...Array.from({ length: length - words.length - 1 }, () => 0)];
    const context = repeat(tf.reshape(learned.read(), [1, contextTokens, width])); // [B, 12, D]
    const embedded = tf.concat(
      [
        repeat(text.embed([[startToken]])), // [B, 1, D]
        ...(image ? this.placeImage(context, tf.reshape(image, [batch, 1, width])) : [context]),
        repeat(text.embed([ending])),
      ],
      1,
    ); // [B, L, D]
    const end = embedded.shape[1] - ending.length + words.length;
    return { embedded, end };
  }

  private placeImage(context: tf.Tensor3D, image: tf.Tensor3D): tf.Tensor3D[] {
    const [batch, count, width] = context.shape;
    switch (this.config.contextPosition) {
      case 'pad_prefix':
        return [image, context];
      case 'pad_suffix':
        return [context, image];
      case 'replace_prefix':
        return [image, tf.slice(context, [0, 1, 0], [batch, count - 1, width])];
      case 'replace_suffix':
        return [tf.slice(context, [0, 0, 0], [batch, count - 1, width]), image];
      case 'none':
        return [context];
    }
  }

  /**
   * Text features of the prompts.
   * @param image as in `assemble`
   * @returns `[B, 2, E]`, normal then anomalous, not normalised
   */
  encode(text: ClipTextEncoder, image?: tf.Tensor2D): tf.Tensor3D {
    return tf.tidy(() => {
      const { embedded, endPositions } = this.assemble(text, image);
      const shared = this.gradientsApart ? 0 : this.sharedTokens(image);
      if (shared > this.config.deepTokens) return this.encodeBranches(text, embedded, endPositions, shared);
      const rows = embedded.shape[0];
      const features = text.forward(embedded, endPositions, this.deepTokensFor(rows)); // [2·B, E]
      return tf.transpose(tf.reshape(features, [2, rows / 2, -1]) as tf.Tensor3D, [1, 0, 2]);
    });
  }

  /** Whether the gradient of each prompt is needed separately. */
  private get gradientsApart(): boolean {
    const { roundDeepTokens, roundGradients } = this.config;
    return this.trainable && roundDeepTokens !== false && roundGradients !== false;
  }

  /** How many leading tokens are the same in the prompts of all images: those before the image's position. */
  private sharedTokens(image: tf.Tensor2D | undefined): number {
    const { contextPosition, contextTokens } = this.config;
    if (image === undefined || image.shape[0] === 1) return 0;
    switch (contextPosition) {
      case 'pad_suffix':
        return 1 + contextTokens;
      case 'replace_suffix':
        return contextTokens;
      case 'pad_prefix':
      case 'replace_prefix':
        return 1;
      case 'none':
        return 0;
    }
  }

  /** `encode` of prompts whose first tokens, deep ones included, are the same for all images. */
  private encodeBranches(
    text: ClipTextEncoder,
    embedded: tf.Tensor3D,
    endPositions: readonly number[],
    shared: number,
  ): tf.Tensor3D {
    const [rows, length, width] = embedded.shape;
    const batch = rows / 2;
    const both = tf.reshape(embedded, [2, batch, length, width]);
    const stems = tf.reshape(tf.slice(both, [0, 0, 0, 0], [2, 1, shared, width]), [2, shared, width]) as tf.Tensor3D;
    const branches = tf.slice(both, [0, 0, shared, 0], [2, batch, length - shared, width]) as tf.Tensor4D;
    const ends = [0, batch].map((row) => (endPositions[row] as number) - shared);
    const features = text.forwardBranches(stems, branches, ends, this.deepTokensFor(2)); // [2·B, E]
    return tf.transpose(tf.reshape(features, [2, batch, -1]) as tf.Tensor3D, [1, 0, 2]);
  }

  /** Deep tokens by block, repeated for the given number of prompts and rounded as configured: `[rows, T, D]` each. */
  protected deepTokensFor(rows: number): tf.Tensor3D[] {
    return this.deep.map((tokens) => {
      const repeated = tf.tile(tf.expandDims(tokens.read() as tf.Tensor2D, 0), [rows, 1, 1]) as tf.Tensor3D; // [rows, T, D]
      return this.config.roundDeepTokens === false ? repeated : roundToHalf(repeated, this.gradientsApart);
    });
  }

  /**
   * The layer call: global features of images, `[B, D]`, to the learned part of each image's prompts: deep tokens by
   * block, `[B, depth - 1, T, D]`, and both contexts, normal then anomalous, with the image at its position,
   * `[B, 2, C, D]`, where C counts the image if it is padded. Text features come from `encode`.
   */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return tf.tidy(() => {
      const { contextTokens, deepTokens, width } = this.config;
      const image = single(inputs) as tf.Tensor2D; // [B, D]
      const batch = image.shape[0];
      const contexts = [this.normalContext, this.anomalousContext].map((learned) => {
        const context = tf.tile(tf.reshape(learned.read(), [1, contextTokens, width]), [batch, 1, 1]) as tf.Tensor3D;
        return tf.concat(this.placeImage(context, tf.reshape(image, [batch, 1, width])), 1); // [B, C, D]
      });
      const deep =
        this.deep.length > 0
          ? tf.tile(tf.expandDims(tf.stack(this.deep.map((tokens) => tokens.read())), 0), [batch, 1, 1, 1])
          : tf.zeros([batch, 0, deepTokens, width]);
      return [deep, tf.stack(contexts, 1)];
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', this.config.width]];
  }

  protected override gives([image = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null] = image;
    const { contextTokens, contextPosition, deepTokens, depth, width } = this.config;
    const context = contextTokens + (contextPosition.startsWith('pad') ? 1 : 0);
    return [
      [batch, depth - 1, deepTokens, width],
      [batch, 2, context, width],
    ];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { width, contextTokens, deepTokens, depth, contextPosition, startToken, endToken } = this.config;
    const { normalWords, anomalousWords, roundDeepTokens = true, roundGradients = true } = this.config;
    return {
      ...super.getConfig(),
      ...{ width, contextTokens, deepTokens, depth, contextPosition, startToken, endToken },
      normalWords: [...normalWords],
      anomalousWords: [...anomalousWords],
      roundDeepTokens,
      roundGradients,
    };
  }
}
tf.serialization.registerClass(LearnablePrompts, 'crane');

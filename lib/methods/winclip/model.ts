import * as tf from '@tensorflow/tfjs';
import type { ClipTextEncoder } from '../../encoders/clip-text';
import type { ClipVisionEncoder } from '../../encoders/clip-vision';
import type { Preprocessing } from '../../image/preprocess';
import type { ClipTokenizer } from '../../prompts/tokenizer';
import { upsampleGrid } from '../../scoring/fusion';
import { anomalousProbability, normalise, Similarity } from '../../scoring/similarity';
import type { AnomalyModel, FlopCount, ImageScores, Scorer } from '../method';
import { winclipFlop } from './flop';
import type { WinclipOptions } from './options';
import { sentencesOf } from './sentences';
import { harmonicMap, harmonicMean, windowPatches } from './windows';

/** The class name if none is given. */
export const ANY_OBJECT = 'object';
/** Upper limit for the tokens of all windows of a scale that are computed together. */
const TOKENS_AT_ONCE = 2 ** 13;

export interface WinclipParts {
  /** Plain CLIP, with positions for the grid of the options. */
  readonly vision: ClipVisionEncoder;
  readonly text: ClipTextEncoder;
  readonly tokenizer: ClipTokenizer;
  readonly options: WinclipOptions;
  readonly preprocessing: Preprocessing;
}

/**
 * WinCLIP without normal images (docs/method.md#winclip): the image, and windows of it that are encoded separately, are
 * compared
 * with sentences about a flawless and a damaged object. Follows anomalib, whose figures are closest to the paper's.
 */
export class WinclipModel implements AnomalyModel<WinclipOptions> {
  readonly options: WinclipOptions;
  readonly preprocessing: Preprocessing;
  readonly dependsOnBatch = false;
  private readonly texts = new Map<string, tf.Tensor3D>(); // [1, 2, E] by class name
  private readonly similarity: Similarity;

  constructor(private readonly parts: WinclipParts) {
    this.options = parts.options;
    this.preprocessing = parts.preprocessing;
    this.similarity = new Similarity({ temperature: this.options.temperature });
  }

  get imagesAtOnce(): number {
    const tokens = this.options.windows.map((side) => windowPatches(this.grid, side).length * (1 + side ** 2));
    return Math.max(1, Math.floor(TOKENS_AT_ONCE / Math.max(this.grid ** 2 + 1, ...tokens)));
  }

  get parameters(): number {
    return this.parts.vision.countParams() + this.parts.text.countParams();
  }

  get flop(): FlopCount {
    const { sizes, embedDimension } = this.parts.vision.config;
    return winclipFlop(this.options, { vision: sizes, embedDimension });
  }

  /** Side of the grid of patches. */
  private get grid(): number {
    return this.options.imageSize / this.parts.vision.config.sizes.patchSize;
  }

  forClass(name: string = ANY_OBJECT): Scorer {
    const text = this.textOf(name);
    return { score: (images) => this.score(images, text) };
  }

  private textOf(name: string): tf.Tensor3D {
    const known = this.texts.get(name);
    if (known) return known;
    const made = tf.keep(this.encodeClass(name));
    this.texts.set(name, made);
    return made;
  }

  /**
   * The two vectors of a class, normal then anomalous, `[1, 2, E]`, of length one: the mean of the unnormalised
   * embeddings of all sentences, normalised afterwards.
   * @throws WeightsError `weights/token-missing` for a word with a token that the backbone lacks
   */
  encodeClass(name: string): tf.Tensor3D {
    const { text, tokenizer } = this.parts;
    const { normal, anomalous } = sentencesOf(name, this.options.templates);
    return tf.tidy(() => {
      const [ofNormal, ofAnomalous] = [normal, anomalous].map((sentences) => {
        const contexts = sentences.map((words) => [
          tokenizer.startToken,
          ...tokenizer.encode(words),
          tokenizer.endToken,
        ]);
        return tf.mean(text.encode(contexts), 0); // [E]
      }) as [tf.Tensor1D, tf.Tensor1D];
      return normalise(tf.expandDims(tf.stack([ofNormal, ofAnomalous]), 0) as tf.Tensor3D);
    });
  }

  /**
   * @param images `[B, S, S, 3]`
   * @param text of `encodeClass`
   */
  score(images: tf.Tensor4D, text: tf.Tensor3D): ImageScores {
    return tf.tidy(() => {
      const { vision } = this.parts;
      const { imageSize, windows } = this.options;
      const { grid } = this;
      const tokens = vision.embed(images); // [B, 1+N, D]
      const ofImage = this.probability(tf.expandDims(vision.encodeTokens(tokens), 1) as tf.Tensor3D, text); // [B, 1]
      const ofWindows = windows.map((side) =>
        harmonicMap(this.probability(this.encodeWindows(tokens, side), text), grid, side),
      );
      const everywhere = tf.tile(tf.expandDims(ofImage, 2), [1, grid, grid]) as tf.Tensor3D; // [B, R, C]
      const maps = harmonicMean([everywhere, ...ofWindows]);
      return {
        scores: tf.squeeze(ofImage, [1]) as tf.Tensor1D,
        maps: upsampleGrid(maps, [grid, grid], [imageSize, imageSize]),
      };
    });
  }

  /**
   * Image embeddings of all windows of a side, each of its patches with the class token (docs/method.md#winclip-windows).
   * @param tokens of whole images, `[B, 1+N, D]`, before `ln_pre`
   * @returns `[B, W, E]`, not normalised
   */
  encodeWindows(tokens: tf.Tensor3D, side: number): tf.Tensor3D {
    return tf.tidy(() => {
      const [batch, , width] = tokens.shape;
      const windows = windowPatches(this.grid, side);
      const places = windows.flatMap((patches) => [0, ...patches.map((patch) => 1 + patch)]);
      const gathered = tf.gather(tokens, tf.tensor1d(places, 'int32'), 1); // [B, W·(1+k²), D]
      const sequences = tf.reshape(gathered, [batch * windows.length, 1 + side ** 2, width]) as tf.Tensor3D;
      return tf.reshape(this.parts.vision.encodeTokens(sequences), [batch, windows.length, -1]);
    });
  }

  /** The probability that embeddings `[B, W, E]` show something anomalous, `[B, W]`, 0 to 1. */
  private probability(embeddings: tf.Tensor3D, text: tf.Tensor3D): tf.Tensor2D {
    return anomalousProbability(this.similarity.apply([normalise(embeddings), text]) as tf.Tensor3D) as tf.Tensor2D;
  }

  dispose(): void {
    [this.parts.vision, this.parts.text, this.similarity].forEach((layer) => layer.dispose());
    this.texts.forEach((text) => text.dispose());
    this.texts.clear();
  }
}

import * as tf from '@tensorflow/tfjs';
import { CLIP_PREPROCESSING, type Preprocessing } from '../../image/preprocess';
import type { AnomalyModel, FeatureEncoder, FeatureScorer, ImageFeatures, ImageScores, Scorer } from '../method';
import { featuresKey } from './features-key';
import { flopPerImage, spatialNetworkOf, type CraneFlop } from './flop';
import { craneLogits } from './head';
import type { ModelOptions } from './options';
import { CraneTrainable, type CraneTraining } from './trainable';
import type { ClipTextEncoder } from '../../encoders/clip-text';
import { classToken, patchTokens, type ClipVisionEncoder } from '../../encoders/clip-vision';
import { UsageError } from '../../errors';
import type { SpatialEncoder } from '../../encoders/spatial-encoder';
import { spatialInput } from '../../encoders/spatial-input';
import { resizeGrid } from '../../layers/interpolation';
import type { LearnablePrompts } from '../../prompts/learnable-prompts';
import { MapFusion } from '../../scoring/fusion';
import { GaussianFilter } from '../../scoring/gaussian';
import { anomalousProbability, normalise } from '../../scoring/similarity';
import { runUnobserved, type RunStage } from '../../stage';

/** Upper limit for the elements of a batch's score matrices of one head. */
const SCORES_PER_BATCH = 2 ** 21;

export interface CraneParts {
  readonly vision: ClipVisionEncoder;
  readonly text: ClipTextEncoder;
  readonly prompts: LearnablePrompts;
  readonly options: ModelOptions;
  /** The second vision model, which guides D-Attn; only Crane+ has one. */
  readonly spatial?: SpatialEncoder | undefined;
  /** Default: CLIP's. */
  readonly preprocessing?: Preprocessing;
  /** Runs each stage, to time it; the vision encoder has its own function for this. */
  readonly runStage?: RunStage;
}

/**
 * Crane and Crane+, from network input to score and anomaly map (paper section 3; docs/method.md). Each step is a public
 * method, since training stops half-way: `encodeImages`, `encodePrompts`, `score`, `smooth`.
 */
export class CraneModel implements AnomalyModel<ModelOptions> {
  readonly options: ModelOptions;
  readonly vision: ClipVisionEncoder;
  readonly text: ClipTextEncoder;
  readonly prompts: LearnablePrompts;
  readonly spatial: SpatialEncoder | undefined;
  readonly preprocessing: Preprocessing;
  private readonly runStage: RunStage;
  private readonly gaussian: GaussianFilter;
  private fixedText: tf.Tensor3D | undefined; // [1, 2, E]

  constructor({
    vision,
    text,
    prompts,
    options,
    spatial,
    preprocessing = CLIP_PREPROCESSING,
    runStage = runUnobserved,
  }: CraneParts) {
    this.vision = vision;
    this.text = text;
    this.prompts = prompts;
    this.options = options;
    this.spatial = spatial;
    this.preprocessing = preprocessing;
    this.runStage = runStage;
    this.gaussian = new GaussianFilter({ sigma: options.sigma });
  }

  /** Rows and columns of the patch features: of CLIP's patches, or of the second vision model's, if there is one. */
  get grid(): readonly [number, number] {
    const { imageSize } = this.options;
    const side = this.spatial
      ? Math.floor(this.spatial.inputSide(imageSize) / this.spatial.patchSize)
      : imageSize / this.vision.config.sizes.patchSize;
    return [side, side];
  }

  /** How many images to encode together at most, 1 or more, so that score matrices `[B, 1 + N, 1 + N]` stay small. */
  get imagesAtOnce(): number {
    const side = this.options.imageSize / this.vision.config.sizes.patchSize;
    const tokens = Math.max(side ** 2 + 1, this.grid[0] * this.grid[1]);
    return Math.max(1, Math.floor(SCORES_PER_BATCH / tokens ** 2));
  }

  /** The reference's D-Attn takes its mean over the batch. */
  get dependsOnBatch(): boolean {
    return this.options.spatial !== 'none' && this.options.dattnMean === 'batch';
  }

  get parameters(): number {
    const networks = [this.vision, this.text, this.prompts, ...(this.spatial ? [this.spatial] : [])];
    return networks.reduce((sum, network) => sum + network.countParams(), 0);
  }

  get flop(): CraneFlop {
    const { config: vision } = this.vision;
    const sizes = { embedDimension: vision.embedDimension, vision: vision.sizes, text: this.text.config.sizes };
    return flopPerImage({ sizes, options: this.options, spatial: this.spatial && spatialNetworkOf(this.spatial) });
  }

  get features(): FeatureEncoder {
    return {
      width: this.vision.config.embedDimension,
      grid: this.grid,
      sets: this.copies.length,
      key: featuresKey(this.options, this.vision.config, this.spatial),
      encode: (images) => this.encodeImages(images),
      scorer: () => this.featureScorer(),
      release: () => void this.vision.dispose(),
    };
  }

  private featureScorer(): FeatureScorer {
    const text = this.options.context ? undefined : this.encodePrompts();
    return {
      score: (features) =>
        tf.tidy(() => {
          const { scores, maps } = this.score(features, text ?? this.encodePrompts(features.global));
          return { scores, maps: this.smooth(maps) };
        }),
      dispose: () => text?.dispose(),
    };
  }

  trainable(training: CraneTraining): CraneTrainable {
    return new CraneTrainable(this, training);
  }

  /** Crane's prompts name no class. */
  forClass(): Scorer {
    const text = this.fixedText;
    return { score: (images) => this.forward(images, text) };
  }

  /**
   * How many of the reference's feature sets each distinct one stands for, in the order of `ImageFeatures.patches`. In
   * E-Attn, all layers from the block before the dual path on give the final spatial tokens
   * (docs/method.md#four-copies).
   */
  get copies(): readonly number[] {
    const layers = [...new Set(this.options.layers)];
    const guided = this.spatial ? layers.map(() => 1) : [];
    return [...guided, ...(this.spatial && this.options.spatialOnly ? [] : this.copiesOfEAttn(layers))];
  }

  private copiesOfEAttn(layers: readonly number[]): readonly number[] {
    const { eattnBlocks, sizes, layerTaps } = this.vision.config;
    if (eattnBlocks === 0 || layerTaps === 'distinct') return layers.map(() => 1);
    const earlier = layers.filter((layer) => layer < sizes.layers - eattnBlocks).length;
    return [...Array.from({ length: earlier }, () => 1), ...(earlier < layers.length ? [layers.length - earlier] : [])];
  }

  /**
   * Global and dense features of network inputs.
   * @param images `[B, S, S, 3]`, preprocessed as the backbone wants
   * @returns tensors that the caller must dispose (or a surrounding `tf.tidy`)
   */
  encodeImages(images: tf.Tensor4D): ImageFeatures {
    const packed = tf.tidy(() => {
      const { layers, spatialOnly } = this.options;
      const guide = this.guideOf(images); // [B, R, C, F]
      const { tokens, taps, guided } = this.vision.forward(images, { layers, ...(guide ? { guide } : {}) });
      const refined =
        guide && spatialOnly ? [] : [...new Set(taps.values())].map((tap) => this.onGrid(patchTokens(tap)));
      const dense = [...guided.values(), ...refined]; // [B, N, D] each
      const global = normalise(this.vision.project(classToken(tokens)) as tf.Tensor2D);
      return [global, ...dense.map((set) => normalise(this.vision.project(set) as tf.Tensor3D))];
    });
    const [global, ...patches] = packed as [tf.Tensor2D, ...tf.Tensor3D[]];
    return { global, patches };
  }

  /** Patch features of the second vision model, if there is one. */
  private guideOf(images: tf.Tensor4D): tf.Tensor4D | undefined {
    if (!this.spatial) return undefined;
    const { spatial } = this;
    return spatial.apply(
      spatialInput(images, this.preprocessing, spatial.inputSide(images.shape[1]), spatial.normalisation),
    ) as tf.Tensor4D;
  }

  /** CLIP's patch tokens `[B, n, D]` on the grid of the features, `[B, N, D]`. */
  private onGrid(tokens: tf.Tensor3D): tf.Tensor3D {
    const [batch, count, width] = tokens.shape;
    const side = this.options.imageSize / this.vision.config.sizes.patchSize;
    const [rows, columns] = this.grid;
    if (count === rows * columns) return tokens;
    const planes = resizeGrid(tf.reshape(tokens, [batch, side, side, width]) as tf.Tensor4D, [rows, columns]);
    return tf.reshape(planes, [batch, rows * columns, width]);
  }

  /**
   * The two text vectors, normal then anomalous, of length one: `[1, 2, E]`, or `[B, 2, E]` if the prompts are
   * conditioned on each image's global feature.
   * @throws UsageError `usage/prompts-fixed` for image features after `fixPrompts`
   */
  encodePrompts(global?: tf.Tensor2D): tf.Tensor3D {
    if (this.fixedText && global) {
      throw new UsageError(
        'usage/prompts-fixed',
        'the text encoder was released by fixPrompts(), so prompts cannot be conditioned on images; load the model again with context: true',
        {},
      );
    }
    if (this.fixedText) return tf.clone(this.fixedText);
    return this.runStage('text', () => tf.tidy(() => normalise(this.prompts.encode(this.text, global))));
  }

  /**
   * Encodes the prompts once and for all and releases the text encoder: a third of a gigabyte in ViT-L/14. From then on,
   * `encodePrompts()` returns the stored result. For prompts without image context that are no longer trained.
   */
  fixPrompts(): void {
    if (this.fixedText) return;
    this.fixedText = tf.keep(this.encodePrompts());
    this.text.dispose();
  }

  /** Image scores and anomaly maps before smoothing, at the size of the network input (docs/method.md#scores). */
  score(features: ImageFeatures, text: tf.Tensor3D): ImageScores {
    const run = (): ImageScores => {
      const { fusion, imageSize, pooling, temperature } = this.options;
      const { copies } = this;
      const logits = craneLogits(features, text, {
        pixelTemperature: temperature,
        imageTemperature: temperature,
        pooling,
        copies,
      });
      const fuse = new MapFusion({ fusion, size: [imageSize, imageSize], grid: this.grid, copies });
      return {
        scores: anomalousProbability(logits.image) as tf.Tensor1D,
        maps: fuse.apply([...logits.patches]) as tf.Tensor3D,
      };
    };
    return this.runStage('scoring', () => tf.tidy(run));
  }

  /** The Gaussian over anomaly maps, `[B, H, W]` in and out. */
  smooth(maps: tf.Tensor3D): tf.Tensor3D {
    return this.runStage('gaussian', () => this.gaussian.apply(maps)) as tf.Tensor3D;
  }

  /**
   * Scores network inputs.
   * @param images `[B, S, S, 3]`
   * @param text static text vectors from `encodePrompts()`, so that they are not encoded again for every batch; not used if
   *   prompts are conditioned on the image
   */
  forward(images: tf.Tensor4D, text?: tf.Tensor3D): ImageScores {
    const run = (): ImageScores => {
      const features = this.encodeImages(images);
      const vectors = this.options.context ? this.encodePrompts(features.global) : (text ?? this.encodePrompts());
      const { scores, maps } = this.score(features, vectors);
      return { scores, maps: this.smooth(maps) };
    };
    return this.runStage('modelOther', () => tf.tidy(run));
  }

  dispose(): void {
    [this.vision, this.text, this.prompts, this.gaussian].forEach((layer) => layer.dispose());
    this.spatial?.dispose();
    this.fixedText?.dispose();
    this.fixedText = undefined;
  }
}

import type * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import type { ClipSizes } from '../encoders/clip-sizes';
import type { SpatialFamily } from '../encoders/spatial-encoder';
import type { Preprocessing } from '../image/preprocess';
import type { RunStage } from '../stage';
import type { Backbone } from './backbone';
import type { CheckpointFormat } from './checkpoint';
import type { LearnedPart } from './checkpoint-origin';
import type { SpatialWeights } from './spatial';

/** Options that every method has; `spatial` only for methods that a second vision model can guide. */
export interface CommonOptions {
  /** Side of the square network input in pixels. */
  readonly imageSize: number;
  readonly spatial?: SpatialFamily | 'none';
}

/** The options as given; the rest is completed. */
export type OptionsInput<Options> = { readonly [K in keyof Options]?: Options[K] | undefined };

/** A type and not an interface, since `tf.tidy` passes only those through. */
export type ImageScores = {
  readonly scores: tf.Tensor1D; // [B], 0 to 1
  readonly maps: tf.Tensor3D; // [B, S, S], 0 to 1, smoothed
};

/** Scores images of one class. */
export interface Scorer {
  /**
   * @param images `[B, S, S, 3]`, preprocessed as the model wants
   * @returns tensors that the caller must dispose (or a surrounding `tf.tidy`)
   */
  score(images: tf.Tensor4D): ImageScores;
}

/** Features of a batch of images from a frozen vision encoder; all vectors have length one. */
export interface ImageFeatures {
  readonly global: tf.Tensor2D; // [B, E]
  /** One tensor per distinct feature set, `[B, N, E]`, N patches of the encoder's grid. */
  readonly patches: readonly tf.Tensor3D[];
}

/** What one step learns from: features of the frozen encoder, and the truth. */
export interface TrainingBatch extends ImageFeatures {
  /**
   * Share of anomalous pixels by cell, 0 to 1. Cells are the pixels of the network input, `[B, S, S]`. If the loss is per
   * patch, they can also be patches, `[B, R, C]`: the same loss without the large tensors.
   */
  readonly masks: tf.Tensor3D;
  /** 1 where the image is anomalous, else 0, `[B]`. */
  readonly labels: tf.Tensor1D;
}

/** The encoder of a method that trains on features: it is frozen, so that every image is encoded once. */
export interface FeatureEncoder {
  /** E, the length of a feature vector. */
  readonly width: number;
  /** Rows and columns of the patches. */
  readonly grid: readonly [number, number];
  /** How many tensors of patches each image has. */
  readonly sets: number;
  /** What determines the features besides image, preprocessing, weights and backend. Equal JSON means equal features. */
  readonly key: Readonly<Record<string, unknown>>;
  /** @param images `[B, S, S, 3]` */
  encode(images: tf.Tensor4D): ImageFeatures;
  /** Scores features as the model scores images, with the current state of what is learned. */
  scorer(): FeatureScorer;
  /** Releases the vision encoder once all images are encoded; the rest of the model stays. */
  release(): void;
}

export interface FeatureScorer {
  score(features: ImageFeatures): ImageScores;
  dispose(): void;
}

/** Terms of a loss: `total` is what is minimised, weights included. */
export interface LossTerms {
  /** Of pixels, weighted and summed over feature sets, as is `dice`. */
  readonly focal: tf.Scalar;
  readonly dice: tf.Scalar;
  /** Of the image, not weighted. */
  readonly image: tf.Scalar;
  readonly total: tf.Scalar;
}

/** What a method learns, as an optimiser sees it. */
export interface Trainable {
  /** By canonical name, such as `ctx_pos`, in a fixed order. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
  /**
   * The loss of a batch, differentiable.
   * @param step optimiser steps done so far, from 0; seeds everything random
   */
  loss(batch: TrainingBatch, step: number): LossTerms;
}

/** Floating-point operations for one image, by part; a multiplication and an addition count as two. */
export type FlopCount = Readonly<Record<string, number>> & { readonly total: number };

/** A method that is ready to score. */
export interface AnomalyModel<Options extends CommonOptions = CommonOptions> {
  readonly options: Options;
  readonly preprocessing: Preprocessing;
  /** How many images to compute together at most, 1 or more, so that intermediate tensors stay small. */
  readonly imagesAtOnce: number;
  /** Whether an image's scores depend on the other images in its batch. */
  readonly dependsOnBatch: boolean;
  /** Numbers in all its networks, what is learned included. */
  readonly parameters: number;
  readonly flop: FlopCount;
  /** The encoder that training uses; undefined for methods that are not trained on features of a frozen encoder. */
  readonly features?: FeatureEncoder;
  /**
   * What is learned, and its loss; undefined for methods that learn nothing.
   * @param training the options of the training, complete
   * @throws TrainingError `training/frozen` if the model was built for scoring
   */
  trainable?(training: object): Trainable;
  /**
   * Returns the scorer for images of a class.
   * @param name as the set spells it, such as `metal_nut`; methods whose sentences do not name what is inspected ignore it
   * @throws WeightsError `weights/token-missing` for a name with words that the text encoder was not opened with
   */
  forClass(name?: string): Scorer;
  dispose(): void;
}

/** What a model is built from. The backbone and the second vision model may be closed afterwards. */
export interface ModelParts<Options extends CommonOptions, Learned extends LearnedPart> {
  readonly backbone: Backbone;
  readonly options: Options;
  readonly learned: Learned | undefined;
  readonly spatial: SpatialWeights | undefined;
  /** Runs each stage of the model, to time it. */
  readonly runStage?: RunStage | undefined;
}

/** How a method is trained, apart from what every training has: epochs, batches, an optimiser. */
export interface Learning<Options extends CommonOptions = CommonOptions, Learned extends LearnedPart = LearnedPart> {
  /** The method's own training options. */
  readonly options: z.ZodObject;
  /** Defaults that follow from the model's options, or from what training starts from. */
  defaults(options: Options, start?: Learned): Readonly<Record<string, unknown>>;
  /** @throws UsageError if options do not fit the backbone, or what training starts from */
  check(parts: ModelParts<Options, Learned>, training: object): void;
  /** The model options that a command to repeat a training must state; the others affect scoring only. */
  said(options: Options): Readonly<Record<string, unknown>>;
  /** Builds a model with a trainable learned part: initialised from the training's seed, or from `learned`. */
  build(parts: ModelParts<Options, Learned>, training: object): AnomalyModel<Options>;
}

/**
 * One way to find anomalies with CLIP. All that commands, evaluation and training know about a method is in this record.
 * docs/architecture.md describes how to add one.
 */
export interface Method<Options extends CommonOptions = CommonOptions, Learned extends LearnedPart = LearnedPart> {
  /** The name to request it by: `crane`. */
  readonly name: string;
  /** The name for people: `Crane`. */
  readonly title: string;
  /** The options with their defaults. The `describe` text of each is the help of its command-line flag. */
  readonly options: z.ZodObject;
  /**
   * Completes options for a backbone.
   * @throws UsageError naming the option, what was found and what is legal
   */
  complete(input: OptionsInput<Options>, sizes: ClipSizes): Options;
  /** Every text that the text encoder will encode; undefined if class names come later. */
  words(input: OptionsInput<Options>, classNames: readonly string[] | undefined): readonly string[] | undefined;
  /** What the method learns; undefined for methods that need no training. */
  readonly checkpoint?: CheckpointFormat<Learned>;
  /** Undefined for methods that learn nothing. */
  readonly training?: Learning<Options, Learned>;
  /** The options from a checkpoint's training that a model using it inherits. */
  inherited?(stored: OptionsInput<Options>, sizes: ClipSizes, spatial: SpatialFamily | 'none'): OptionsInput<Options>;
  /** Operations for one image, without a second vision model. */
  flop(options: Options, sizes: ClipSizes): FlopCount;
  /**
   * @throws WeightsError if the learned part does not fit the backbone, or the backbone's file is incomplete;
   *   UsageError for an image size that cannot fit into memory
   */
  build(parts: ModelParts<Options, Learned>): AnomalyModel<Options>;
}

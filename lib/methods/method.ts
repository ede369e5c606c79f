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

/** What every method's options have; `spatial` only where a second vision model can guide. */
export interface CommonOptions {
  /** Side of the square network input in pixels. */
  readonly imageSize: number;
  readonly spatial?: SpatialFamily | 'none';
}

/** What of the options is given; the rest is completed. */
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
   * @returns tensors that the caller disposes (or a surrounding `tf.tidy`)
   */
  score(images: tf.Tensor4D): ImageScores;
}

/** What a frozen vision encoder says about a batch of images; all vectors have length one. */
export interface ImageFeatures {
  readonly global: tf.Tensor2D; // [B, E]
  /** One tensor per distinct feature set, `[B, N, E]`, N patches of the encoder's grid. */
  readonly patches: readonly tf.Tensor3D[];
}

/** What one step learns from: features of the frozen encoder, and the truth. */
export interface TrainingBatch extends ImageFeatures {
  /**
   * Share of anomalous pixels by cell, 0 to 1. Cells are the pixels of the network input, `[B, S, S]`, or, where the
   * loss is per patch, patches just as well, `[B, R, C]`: the same loss without the large tensors.
   */
  readonly masks: tf.Tensor3D;
  /** 1 where the image is anomalous, else 0, `[B]`. */
  readonly labels: tf.Tensor1D;
}

/** The encoder of a method that trains on features: it is frozen, so that every image is encoded once. */
export interface FeatureEncoder {
  /** E, numbers in a feature. */
  readonly width: number;
  /** Rows and columns of the patches. */
  readonly grid: readonly [number, number];
  /** How many tensors of patches an image has. */
  readonly sets: number;
  /** What decides the features besides picture, preprocessing, weights and backend; equal as JSON where they are equal. */
  readonly key: Readonly<Record<string, unknown>>;
  /** @param images `[B, S, S, 3]` */
  encode(images: tf.Tensor4D): ImageFeatures;
  /** Scores features as the model scores images, with what is learned as it is now. */
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
  /** By canonical name, such as `ctx_pos`, in an order that stays. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
  /**
   * The loss of a batch, differentiable.
   * @param step optimiser steps done, from 0, by which everything random is drawn
   */
  loss(batch: TrainingBatch, step: number): LossTerms;
}

/** Floating-point operations for one image, by part: a multiplication and an addition are two. */
export type FlopCount = Readonly<Record<string, number>> & { readonly total: number };

/** A method that is ready to score. */
export interface AnomalyModel<Options extends CommonOptions = CommonOptions> {
  readonly options: Options;
  readonly preprocessing: Preprocessing;
  /** How many images to compute together at most, 1 or more: as many as keep what lies between small. */
  readonly imagesAtOnce: number;
  /** Whether scores of an image depend on what else is in its batch. */
  readonly dependsOnBatch: boolean;
  /** Numbers in all its networks, what is learned included. */
  readonly parameters: number;
  readonly flop: FlopCount;
  /** What training encodes images with; none for methods that are not trained on features of a frozen encoder. */
  readonly features?: FeatureEncoder;
  /**
   * What is learned, and its loss; none for methods that learn nothing.
   * @param training the options of the training, complete
   * @throws TrainingError `training/frozen` where the model was built to score
   */
  trainable?(training: object): Trainable;
  /**
   * What scores images of a class.
   * @param name as the set has it, such as `metal_nut`; methods whose sentences do not name what is inspected ignore it
   * @throws WeightsError `weights/token-missing` for a name of words that the text encoder was not opened with
   */
  forClass(name?: string): Scorer;
  dispose(): void;
}

/** What a model is built from. Backbone and second vision model may be closed afterwards. */
export interface ModelParts<Options extends CommonOptions, Learned extends LearnedPart> {
  readonly backbone: Backbone;
  readonly options: Options;
  readonly learned: Learned | undefined;
  readonly spatial: SpatialWeights | undefined;
  /** Runs each stage of the model, to time it. */
  readonly runStage?: RunStage | undefined;
}

/** How a method is trained, beside what every training has: epochs, batches, an optimiser. */
export interface Learning<Options extends CommonOptions = CommonOptions, Learned extends LearnedPart = LearnedPart> {
  /** Options of its own. */
  readonly options: z.ZodObject;
  /** Values of options that are not given where they follow from the model's, or from what training goes on from. */
  defaults(options: Options, start?: Learned): Readonly<Record<string, unknown>>;
  /** @throws UsageError where options do not fit the backbone, or what training goes on from */
  check(parts: ModelParts<Options, Learned>, training: object): void;
  /** The model's options that a command to repeat a training says; others only score. */
  said(options: Options): Readonly<Record<string, unknown>>;
  /** A model whose learned part is trainable: drawn from the training's seed, or `learned` to go on from. */
  build(parts: ModelParts<Options, Learned>, training: object): AnomalyModel<Options>;
}

/**
 * One way to find anomalies with CLIP. All that commands, evaluation and training know of a method is this record; how to
 * add one is said in docs/architecture.md.
 */
export interface Method<Options extends CommonOptions = CommonOptions, Learned extends LearnedPart = LearnedPart> {
  /** As it is asked for: `crane`. */
  readonly name: string;
  /** As people write it: `Crane`. */
  readonly title: string;
  /** The options with their defaults. From `describe` of each come the flags of the commands. */
  readonly options: z.ZodObject;
  /**
   * Completes options for a backbone.
   * @throws UsageError naming the option, what was found and what is legal
   */
  complete(input: OptionsInput<Options>, sizes: ClipSizes): Options;
  /** Every text that the text encoder will be asked for; undefined where class names come later. */
  words(input: OptionsInput<Options>, classNames: readonly string[] | undefined): readonly string[] | undefined;
  /** What the method learns; none for those that need no training. */
  readonly checkpoint?: CheckpointFormat<Learned>;
  /** None for methods that learn nothing. */
  readonly training?: Learning<Options, Learned>;
  /** Of the options that a checkpoint was trained with, those that a model that uses it takes over. */
  inherited?(stored: OptionsInput<Options>, sizes: ClipSizes, spatial: SpatialFamily | 'none'): OptionsInput<Options>;
  /** Operations for one image, without a second vision model. */
  flop(options: Options, sizes: ClipSizes): FlopCount;
  /**
   * @throws WeightsError where the learned part does not fit the backbone, or the backbone's file is not complete;
   *   UsageError for an image size that cannot fit into memory
   */
  build(parts: ModelParts<Options, Learned>): AnomalyModel<Options>;
}

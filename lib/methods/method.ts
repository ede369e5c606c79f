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

/**
 * The entry point `crane-tfjs`: anomaly detection with {@link Crane}, training with {@link train}. The other entry point,
 * `crane-tfjs/layers`, has the parts.
 */
export {
  Crane,
  type CraneOptions,
  type DetectOptions,
  type Failure,
  type ModelDescription,
  type StreamOptions,
} from './lib/crane';
export type { DetectInput, Detection } from './lib/detection';
export { AnomalyMap, type AnomalyMapParts, type MapForm, type SaveMapOptions } from './lib/anomaly-map';
export type { ColormapName, Scale } from './lib/image/colormap';
export type { RgbImage } from './lib/image/decoded-image';
export type { OverlayOptions } from './lib/image/heatmap';
export type { ScoreMap } from './lib/image/map-file';
export type { Mask } from './lib/image/orientation';
export type { ImageInput, RawPixels } from './lib/image/input';
export { WatchedFolder, type Fate, type WatchOptions } from './lib/image/watched-folder';

export { ACTIVATIONS, type Activation } from './lib/layers/mlp';
export { ATTENTION_TYPES, type AttentionType } from './lib/layers/e-attn';
export { CONTEXT_POSITIONS, type ContextPosition } from './lib/prompts/learnable-prompts';
export { DATTN_MEANS, type DAttnMean } from './lib/layers/d-attn';
export { FUSIONS, type Fusion } from './lib/scoring/fusion';
export { SPATIAL_FAMILIES, type SpatialFamily } from './lib/encoders/spatial-encoder';
export {
  METHOD_NAMES,
  type LearningOptions,
  type LearningOptionsInput,
  type MethodName,
  type MethodOptions,
  type MethodOptionsInput,
} from './lib/methods/registry';
export type { CommonOptions } from './lib/methods/method';
export type { DescribedModel, ModelChoice } from './lib/methods/open-model';
export type { ModelOptions, ModelOptionsInput } from './lib/methods/crane/options';
export type { NetworkRecord } from './lib/methods/trained-network';
export type { SpatialChoice, SpatialSource } from './lib/methods/spatial';
export type { ClipSizes, HeadsChoice, TextSizes, TransformerSizes, VisionSizes } from './lib/encoders/clip-sizes';
export type { Preprocessing } from './lib/image/preprocess';

export { train, type TrainingRun } from './train/training-run';
export type { TrainOptions } from './train/run-options';
export type { TrainingOptions, TrainingOptionsInput } from './train/options';
export type { FeaturePrecision } from './train/encoded-image';
export type { TrainingResult } from './train/run';
export type { RunRecord } from './train/run-record';
export type { RunRequest, SkippedImage } from './train/run-file';
export type { StepReport } from './train/training-loop';
export type { BestEpoch, EpochRecord } from './train/epoch-record';

export {
  BACKEND_CHOICES,
  prepareBackend,
  type BackendChoice,
  type BackendInfo,
  type BackendName,
  type BackendOptions,
} from './lib/backend';
export type { SelfCheck } from './lib/backend/self-check';
export type { VisionKernels } from './lib/backend/vision-kernels';
export type { OnProgress, Progress } from './lib/progress';

export {
  BackendError,
  CraneError,
  DatasetError,
  ImageError,
  MetricError,
  TrainingError,
  UsageError,
  WeightsError,
  type CraneErrorData,
} from './lib/errors';
export type {
  BackendErrorCode,
  CommandErrorCode,
  CraneErrorCode,
  DatasetErrorCode,
  ImageErrorCode,
  TrainingErrorCode,
  UsageErrorCode,
  WeightsErrorCode,
} from './lib/error-codes';

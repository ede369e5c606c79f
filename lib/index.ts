export { Crane, type CraneOptions, type DetectInput, type ModelDescription, type StreamOptions } from './crane';
export type { Detection } from './detection';
export { AnomalyMap, type MapForm, type SaveMapOptions } from './anomaly-map';
export { prepareBackend, type BackendChoice, type BackendInfo } from './backend';
export {
  ACTIVATIONS,
  ATTENTION_TYPES,
  CLIP_VARIANTS,
  CONTEXT_POSITIONS,
  DATTN_MEANS,
  FUSIONS,
  SPATIAL_FAMILIES,
  completeModelOptions,
  type Activation,
  type AttentionType,
  type ClipSizes,
  type ContextPosition,
  type DAttnMean,
  type Fusion,
  type HeadsChoice,
  type InputRule,
  type ModelOptions,
  type ModelOptionsInput,
  type SpatialFamily,
} from './config';
export {
  BackendError,
  CraneError,
  DatasetError,
  ImageError,
  MetricError,
  TrainingError,
  UsageError,
  WeightsError,
} from './errors';
export type { OnProgress, Progress } from './progress';
export type { RunStage, Stage } from './stage';
export { train, type TrainingRun } from '../train/training-run';
export type { TrainingResult, TrainOptions } from '../train/run';
export type { StepReport } from '../train/training-loop';
export type { BestEpoch, EpochRecord } from '../train/epoch-record';
export type { ImageInput, RawPixels } from './image/input';
export { WatchedFolder, type Fate, type WatchOptions } from './image/watched-folder';

export { PatchEmbedding } from './layers/patch-embedding';
export { MultiHeadAttention } from './layers/multi-head-attention';
export { EAttn } from './layers/e-attn';
export { DAttn } from './layers/d-attn';
export { ResidualBlock } from './layers/residual-block';
export { DualPathBlock } from './layers/dual-path-block';
export { ClipVisionEncoder, type VisionFeatures } from './encoders/clip-vision';
export { ClipTextEncoder } from './encoders/clip-text';
export { Dinov2Encoder } from './encoders/dinov2';
export { DinoEncoder } from './encoders/dino';
export { SamEncoder } from './encoders/sam';
export { LearnablePrompts } from './prompts/learnable-prompts';
export { ClipTokenizer } from './prompts/tokenizer';
export { Similarity } from './scoring/similarity';
export { ScorePooling } from './scoring/score-pooling';
export { MapFusion } from './scoring/fusion';
export { GaussianFilter } from './scoring/gaussian';

export { openBackbone, type Backbone } from './methods/crane/backbone';
export { openPrompts } from './methods/crane/prompts';
export { openSpatial, type SpatialChoice, type SpatialSource, type SpatialWeights } from './methods/crane/spatial';
export { buildCraneModel } from './methods/crane/build';
export { CraneModel } from './methods/crane/model';

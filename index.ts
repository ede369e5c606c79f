export { Crane, type CraneOptions, type DetectInput, type ModelDescription, type StreamOptions } from './lib/crane';
export type { Detection } from './lib/detection';
export { AnomalyMap, type MapForm, type SaveMapOptions } from './lib/anomaly-map';
export { prepareBackend, type BackendChoice, type BackendInfo } from './lib/backend';
export { ACTIVATIONS, type Activation } from './lib/layers/mlp';
export { ATTENTION_TYPES, type AttentionType } from './lib/layers/e-attn';
export { CLIP_VARIANTS, type ClipSizes, type HeadsChoice } from './lib/encoders/clip-sizes';
export { CONTEXT_POSITIONS, type ContextPosition } from './lib/prompts/learnable-prompts';
export { DATTN_MEANS, type DAttnMean } from './lib/layers/d-attn';
export { FUSIONS, type Fusion } from './lib/scoring/fusion';
export { SPATIAL_FAMILIES, type SpatialFamily } from './lib/encoders/spatial-encoder';
export { completeModelOptions, type ModelOptions, type ModelOptionsInput } from './lib/methods/crane/options';
export type { InputRule } from './lib/image/normalisation';
export {
  BackendError,
  CraneError,
  DatasetError,
  ImageError,
  MetricError,
  TrainingError,
  UsageError,
  WeightsError,
} from './lib/errors';
export type { OnProgress, Progress } from './lib/progress';
export { train, type TrainingRun } from './train/training-run';
export type { TrainingResult } from './train/run';
export type { TrainOptions } from './train/run-options';
export type { StepReport } from './train/training-loop';
export type { BestEpoch, EpochRecord } from './train/epoch-record';
export type { ImageInput, RawPixels } from './lib/image/input';
export { WatchedFolder, type Fate, type WatchOptions } from './lib/image/watched-folder';

export { PatchEmbedding } from './lib/layers/patch-embedding';
export { MultiHeadAttention } from './lib/layers/multi-head-attention';
export { EAttn } from './lib/layers/e-attn';
export { DAttn } from './lib/layers/d-attn';
export { ResidualBlock } from './lib/layers/residual-block';
export { DualPathBlock } from './lib/layers/dual-path-block';
export { ClipVisionEncoder, type VisionFeatures } from './lib/encoders/clip-vision';
export { ClipTextEncoder } from './lib/encoders/clip-text';
export { Dinov2Encoder } from './lib/encoders/dinov2';
export { DinoEncoder } from './lib/encoders/dino';
export { SamEncoder } from './lib/encoders/sam';
export { LearnablePrompts } from './lib/prompts/learnable-prompts';
export { ClipTokenizer } from './lib/prompts/tokenizer';
export { Similarity } from './lib/scoring/similarity';
export { ScorePooling } from './lib/scoring/score-pooling';
export { MapFusion } from './lib/scoring/fusion';
export { GaussianFilter } from './lib/scoring/gaussian';

export { openBackbone, type Backbone } from './lib/methods/crane/backbone';
export { openPrompts } from './lib/methods/crane/prompts';
export { openSpatial, type SpatialChoice, type SpatialSource, type SpatialWeights } from './lib/methods/crane/spatial';
export { buildCraneModel } from './lib/methods/crane/build';
export { CraneModel } from './lib/methods/crane/model';

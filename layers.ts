/**
 * The door `crane-tfjs/layers`: every layer of Crane as a layer of TensorFlow.js, to build networks of one's own with
 * (docs/layers.md), and the weights that fill them. The other door, `crane-tfjs`, has the whole method.
 */
export { openBackbone, type Backbone, type OpenBackboneOptions } from './lib/methods/backbone';
export type { WeightAccess } from './lib/weights/weight-cache';
export { openPrompts } from './lib/methods/crane/checkpoint';
export type { PromptCheckpoint } from './lib/weights/prompt-checkpoint';
export { openSpatial, type SpatialSource, type SpatialWeights } from './lib/methods/spatial';
export { ClipTokenizer, type TokenizeOptions } from './lib/prompts/tokenizer';
export type { Vocabulary } from './lib/prompts/vocabulary';

export { CraneLayer, type CraneLayerConfig, type LayerOptions, type ParameterSource } from './lib/layers/crane-layer';
export type { Axes } from './lib/layers/input-shapes';

export { BranchingBlock, type Branching } from './lib/layers/branching-block';
export { Convolution, type ConvolutionConfig } from './lib/layers/convolution';
export { DAttn, type DAttnConfig } from './lib/layers/d-attn';
export { DualPathBlock, type DualPathBlockConfig } from './lib/layers/dual-path-block';
export { EAttn, type EAttnConfig } from './lib/layers/e-attn';
export type { JoinedHeads } from './lib/layers/fused-attention';
export { LayerNorm, type LayerNormConfig } from './lib/layers/layer-norm';
export { LayerScale, type LayerScaleConfig } from './lib/layers/layer-scale';
export { Linear, type LinearConfig } from './lib/layers/linear';
export { Mlp, type MlpConfig } from './lib/layers/mlp';
export { MultiHeadAttention, type Heads, type MultiHeadAttentionConfig } from './lib/layers/multi-head-attention';
export { PatchEmbedding, type PatchEmbeddingConfig } from './lib/layers/patch-embedding';
export { PatchProjection, type PatchProjectionConfig } from './lib/layers/patch-projection';
export { ResidualBlock, type ResidualBlockConfig } from './lib/layers/residual-block';
export { SamAttention, type SamAttentionConfig } from './lib/layers/sam-attention';
export { SamBlock, type SamBlockConfig } from './lib/layers/sam-block';
export { SwiGlu, type SwiGluConfig } from './lib/layers/swiglu';
export { VisionBlock, type FeedForward, type VisionBlockConfig } from './lib/layers/vision-block';
export { VisionEmbedding, type PositionRule, type VisionEmbeddingConfig } from './lib/layers/vision-embedding';

export { ClipTextEncoder, type ClipTextConfig } from './lib/encoders/clip-text';
export {
  ClipVisionEncoder,
  type ClipVisionConfig,
  type VisionFeatures,
  type VisionForwardOptions,
} from './lib/encoders/clip-vision';
export { DinoEncoder } from './lib/encoders/dino';
export { DinoTransformer, type DinoConfig, type DinoHabits, type DinoSizes } from './lib/encoders/dino-transformer';
export { Dinov2Encoder } from './lib/encoders/dinov2';
export { SamEncoder, type SamConfig, type SamSizes } from './lib/encoders/sam';
export { SpatialEncoder, type SpatialEncoderConfig } from './lib/encoders/spatial-encoder';

export { LearnablePrompts, type AssembledPrompts, type LearnablePromptsConfig } from './lib/prompts/learnable-prompts';

export { MapFusion, type MapFusionConfig } from './lib/scoring/fusion';
export { GaussianFilter, type GaussianFilterConfig } from './lib/scoring/gaussian';
export { ScorePooling } from './lib/scoring/score-pooling';
export { Similarity, type SimilarityConfig } from './lib/scoring/similarity';

export { CraneError, UsageError, WeightsError } from './lib/errors';
export { ACTIVATIONS, type Activation } from './lib/layers/mlp';
export { ATTENTION_TYPES, type AttentionType } from './lib/layers/e-attn';
export { CONTEXT_POSITIONS, type ContextPosition } from './lib/prompts/learnable-prompts';
export { DATTN_MEANS, type DAttnMean } from './lib/layers/d-attn';
export { FUSIONS, type Fusion } from './lib/scoring/fusion';
export type { Normalisation } from './lib/image/normalisation';
export { SPATIAL_FAMILIES, type SpatialFamily } from './lib/encoders/spatial-encoder';
export type { TextSizes, TransformerSizes, VisionSizes } from './lib/encoders/clip-sizes';

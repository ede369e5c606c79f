import type { AttentionType } from '../../layers/e-attn';
import type { ClipSizes } from '../../encoders/clip-sizes';
import { attention, product, transformer } from '../flop';
import type { ModelOptions } from './options';
import { DinoTransformer, type DinoSizes } from '../../encoders/dino-transformer';
import { SamEncoder, type SamSizes } from '../../encoders/sam';
import type { SpatialEncoder } from '../../encoders/spatial-encoder';

/** The second vision model of Crane+: what its number of operations depends on. */
export type SpatialNetwork =
  | { readonly family: 'dino' | 'dinov2'; readonly sizes: DinoSizes }
  | { readonly family: 'sam'; readonly sizes: SamSizes };

/** What determines the number of operations for an image. */
export interface CountedModel {
  readonly sizes: ClipSizes;
  readonly options: Pick<ModelOptions, 'imageSize' | 'eattnBlocks' | 'attention' | 'context' | 'spatialOnly'>;
  readonly spatial?: SpatialNetwork | undefined;
  /** Tokens of a prompt, if prompts are conditioned on each image. */
  readonly promptTokens?: number;
}

/** `FlopCount` by the parts of Crane. A type, since an interface would have no index signature. */
export type CraneFlop = {
  /** CLIP's vision encoder as published: every block on every token. */
  readonly vision: number;
  /** What E-Attn's path adds to its blocks (docs/method.md#e-attn). */
  readonly eattn: number;
  /** D-Attn itself (docs/method.md#d-attn). */
  readonly dattn: number;
  /** The second vision model. */
  readonly spatial: number;
  /** The text encoder, if prompts are conditioned on the image; otherwise it runs once for all images. */
  readonly text: number;
  readonly total: number;
};

/** Correlations of a token with all others; plain attention computes one. */
export const CORRELATIONS: Readonly<Record<AttentionType, number>> = {
  'qq+kk+vv': 3,
  'qq+kk': 2,
  qq: 1,
  kk: 1,
  vv: 1,
  '(q+k+v)^2': 3,
};
/** Tokens that the text encoder must process: start, learned context, words and end of the longer prompt. */
const PROMPT_TOKENS = 18;

/**
 * Counts the matrix products in a model's definition for one image: convolutions, projections, correlations and the
 * weighted sums. Norms, softmax, upsampling and the Gaussian are left out; together they are below one per cent.
 * Shortcuts with equal results (docs/deviations.md) are not subtracted, so figures compare with other programs'.
 */
export function flopPerImage({ sizes, options, spatial, promptTokens = PROMPT_TOKENS }: CountedModel): CraneFlop {
  const { vision, text, embedDimension } = sizes;
  const patches = Math.floor(options.imageSize / vision.patchSize) ** 2;
  const tokens = patches + 1;
  const { width } = vision;
  const guidedOnly = options.spatialOnly && spatial !== undefined;
  const eattnBlocks = guidedOnly ? 0 : Math.min(options.eattnBlocks, vision.layers);
  const count = {
    vision:
      product(patches, 3 * vision.patchSize ** 2, width) +
      transformer(tokens, vision) +
      product(guidedOnly ? 1 : tokens, width, embedDimension),
    eattn:
      eattnBlocks *
      ((CORRELATIONS[options.attention] + 1) * product(tokens, width, tokens) + product(tokens, width, width)),
    dattn: spatial ? dattn(patches, sizes, spatial, options.imageSize) : 0,
    spatial: spatial ? spatialNetwork(spatial, options.imageSize) : 0,
    text: options.context ? 2 * (transformer(promptTokens, text) + product(1, text.width, embedDimension)) : 0,
  };
  return { ...count, total: Object.values(count).reduce((sum, part) => sum + part, 0) };
}

/** Similarities and weighted sums on the second model's grid, with CLIP's values before and its projections after. */
function dattn(
  patches: number,
  { vision: { width }, embedDimension }: ClipSizes,
  spatial: SpatialNetwork,
  imageSize: number,
): number {
  const guided =
    spatial.family === 'sam' ? spatial.sizes.gridSize ** 2 : Math.floor(imageSize / spatial.sizes.patchSize) ** 2;
  const channels = spatial.family === 'sam' ? spatial.sizes.channels : spatial.sizes.width;
  return (
    product(patches, width, width) +
    product(guided, channels, guided) +
    product(guided, guided, width) +
    product(guided, width, width) +
    product(guided, width, embedDimension)
  );
}

function spatialNetwork({ family, sizes }: SpatialNetwork, imageSize: number): number {
  return family === 'sam' ? sam(sizes) : dino(sizes, imageSize);
}

function dino({ width, layers, patchSize, registers, feedForward, hidden }: DinoSizes, imageSize: number): number {
  const patches = Math.floor(imageSize / patchSize) ** 2;
  const tokens = patches + 1 + registers;
  // SwiGLU has a gate beside each hidden channel.
  const forward = (feedForward === 'swiglu' ? 3 : 2) * product(tokens, width, hidden);
  return product(patches, 3 * patchSize ** 2, width) + layers * (attention(tokens, width) + forward);
}

function sam({ width, layers, patchSize, gridSize, windowSize, globalBlocks, channels }: SamSizes): number {
  const tokens = gridSize ** 2;
  // Windows at the border are padded, and the padding is computed too.
  const windows = Math.ceil(gridSize / windowSize) ** 2;
  const block = (count: number, side: number): number =>
    // Queries also meet the tables of row and column distances.
    count * (attention(side ** 2, width) + 2 * product(side ** 2, width, side)) + 2 * product(tokens, width, 4 * width);
  const whole = globalBlocks.length;
  return (
    product(tokens, 3 * patchSize ** 2, width) +
    whole * block(1, gridSize) +
    (layers - whole) * block(windows, windowSize) +
    product(tokens, width, channels) +
    product(tokens, 9 * channels, channels)
  );
}

/** The sizes of a second vision model, for counting; undefined for an unknown one. */
export function spatialNetworkOf(encoder: SpatialEncoder): SpatialNetwork | undefined {
  if (encoder instanceof SamEncoder)
    return { family: 'sam', sizes: encoder.getConfig()['sizes'] as unknown as SamSizes };
  if (encoder instanceof DinoTransformer)
    return { family: encoder.family === 'dino' ? 'dino' : 'dinov2', sizes: encoder.sizes };
  return undefined;
}

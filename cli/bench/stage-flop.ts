import { CORRELATIONS, flopPerImage } from '../../lib/methods/crane/flop';
import { product } from '../../lib/methods/flop';
import type { AttentionType } from '../../lib/layers/e-attn';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import type { ModelOptions } from '../../lib/methods/crane/options';
import type { Stage } from './stages';

/** What a model without a second vision model multiplies for an image, by stage. */
export interface StageFlop {
  /** Operations that the method needs; stages without matrix products are left out. */
  readonly perImage: Readonly<Partial<Record<Stage, number>>>;
  /** The sum of them. */
  readonly total: number;
  /** As `flopPerImage` counts, for comparison with other programs: the last block on every token as well. */
  readonly byDefinition: number;
  /** The text encoder, once for all images. */
  readonly text: number;
}

export interface CountedCrane {
  readonly sizes: ClipSizes;
  readonly options: ModelOptions;
  /** Distinct sets of patch features that are projected and scored, see `CraneModel.copies`; 1 with the paper's layers. */
  readonly featureSets?: number;
}

/** E-Attn's types that correlate queries. */
const WITH_QUERIES: readonly AttentionType[] = ['qq+kk+vv', 'qq+kk', 'qq', '(q+k+v)^2'];

/**
 * Counts the matrix products without which an image's map and score cannot be had: as `flopPerImage`, but of the last block,
 * where there is a refined path, only the class token's part of the original stream. A multiplication and an addition are two. A
 * correlation of a matrix with itself counts in whole, although one half of it mirrors the other.
 */
export function stageFlop({ sizes, options, featureSets = 1 }: CountedCrane): StageFlop {
  const { vision, embedDimension } = sizes;
  const { width, layers, patchSize } = vision;
  const patches = (options.imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const dual = Math.min(options.eattnBlocks, layers);

  const all = product(tokens, width, width);
  const each = product(tokens, width, tokens);
  const plainAttention = 4 * all + 2 * each;
  const refinement = (CORRELATIONS[options.attention] + 1) * each + all;
  // The class token asks all tokens, so that their keys and values are needed; the other queries are E-Attn's alone.
  const queries = WITH_QUERIES.includes(options.attention) ? all : product(1, width, width);
  const lastAttention =
    dual === 0 ? plainAttention : queries + 2 * all + product(1, width, width) + 2 * product(1, width, tokens);
  const mlp = (rows: number): number => 2 * product(rows, width, 4 * width);

  const perImage = {
    patchEmbedding: product(patches, 3 * patchSize ** 2, width),
    attention: (layers - 1) * plainAttention + lastAttention + dual * refinement,
    mlp: (layers - 1) * mlp(tokens) + mlp(dual === 0 ? tokens : 1),
    projection: featureSets * product(patches, width, embedDimension) + product(1, width, embedDimension),
    // Similarities of patches, what pooling gathers by them, the similarity of what it gives.
    scoring:
      featureSets * product(patches, embedDimension, 2) +
      (options.pooling ? product(1, patches, embedDimension) : 0) +
      product(1, embedDimension, 2),
  };
  return {
    perImage,
    total: Object.values(perImage).reduce((sum, part) => sum + part, 0),
    byDefinition: flopPerImage({ sizes, options: { ...options, context: false } }).total,
    text: flopPerImage({ sizes, options: { ...options, context: true } }).text,
  };
}

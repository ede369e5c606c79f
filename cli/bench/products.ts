import { CORRELATIONS, flopPerImage } from '../../lib/methods/crane/flop';
import { product } from '../../lib/methods/flop';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import type { ModelOptions } from '../../lib/methods/crane/options';
import type { Stage } from './stages';

/** Matrix products of one shape: `count` times for an image, `[rows, inner] x [inner, columns]`, for each of some heads. */
export interface ProductShape {
  readonly name: string;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Products of one kind side by side; 1 for a linear layer. */
  readonly heads: number;
  readonly count: number;
}

interface CountedCrane {
  readonly sizes: ClipSizes;
  readonly options: ModelOptions;
  /** Distinct sets of patch features that are projected and scored, see `CraneModel.copies`; 1 with the paper's layers. */
  readonly featureSets?: number;
}

/**
 * The matrix products without which an image's map and score cannot be had, by stage: of the last block, where there is a
 * refined path, only the class token's part of the original stream. Those of the class token alone and of scoring are
 * small; they have no name.
 */
function productsByStage({ sizes, options, featureSets = 1 }: CountedCrane) {
  const { vision, embedDimension } = sizes;
  const { width, layers, patchSize, heads } = vision;
  const patches = (options.imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const depth = width / heads;
  const dual = Math.min(options.eattnBlocks, layers);
  const reduced = dual > 0 ? 1 : 0;
  const original = layers - reduced;
  const joined = options.attention === '(q+k+v)^2';
  // The class token asks all tokens, so their keys and values are needed; the last block's other queries are E-Attn's alone.
  const withoutQueries = options.attention.includes('q') ? 0 : reduced;
  type Row = readonly [name: string, rows: number, inner: number, columns: number, count: number, heads?: number];
  const rows = {
    patchEmbedding: [['patch embedding', patches, 3 * patchSize ** 2, width, 1]],
    attention: [
      ['queries, keys, values', tokens, width, 3 * width, layers - withoutQueries],
      ['keys, values', tokens, width, 2 * width, withoutQueries],
      ['', 1, width, width, withoutQueries + reduced],
      ['attention output', tokens, width, width, original + dual],
      ['correlations', tokens, depth, tokens, original + (joined ? 0 : dual * CORRELATIONS[options.attention]), heads],
      ['joined correlations', tokens, 3 * depth, tokens, joined ? dual : 0, heads],
      ['weights with values', tokens, tokens, depth, original + dual, heads],
      ['', 1, width, tokens, 2 * reduced],
    ],
    mlp: [
      ['MLP, first', tokens, width, 4 * width, original],
      ['MLP, second', tokens, 4 * width, width, original],
      ['', 1, width, 4 * width, 2 * reduced],
    ],
    projection: [
      ['projection', patches, width, embedDimension, featureSets],
      ['', 1, width, embedDimension, 1],
    ],
    // Similarities of patches, what pooling gathers by them, the similarity of what it gives.
    scoring: [
      ['', patches, embedDimension, 2, featureSets],
      ['', 1, patches, embedDimension, options.pooling ? 1 : 0],
      ['', 1, embedDimension, 2, 1],
    ],
  } as const satisfies Partial<Record<Stage, readonly Row[]>>;
  return Object.entries(rows).map(([stage, ofStage]) => ({
    stage,
    products: ofStage.map(([name, rows, inner, columns, count, heads = 1]: Row) => {
      return { name, rows, inner, columns, heads, count };
    }),
  }));
}

/** The large products of one image in a model, by shape; what is done for the class token alone is left out. */
export function productShapes(model: CountedCrane): ProductShape[] {
  return productsByStage(model)
    .flatMap(({ products }) => products)
    .filter(({ name, count }) => name !== '' && count > 0);
}

/** Of all heads, once. A multiplication and an addition are two. */
export function flopOf({ rows, inner, columns, heads }: ProductShape): number {
  return heads * product(rows, inner, columns);
}

/**
 * What a model without a second vision model multiplies for an image, by stage. A correlation of a matrix with itself counts
 * in full, although one half mirrors the other.
 */
export function stageFlop(model: CountedCrane) {
  const stages = productsByStage(model).map(({ stage, products }) => {
    return [stage, products.reduce((sum, shape) => sum + shape.count * flopOf(shape), 0)] as const;
  });
  const counted = (context: boolean) => flopPerImage({ ...model, options: { ...model.options, context } });
  return {
    /** Operations that the method needs; stages without matrix products are left out. */
    perImage: Object.fromEntries(stages) as Readonly<Partial<Record<Stage, number>>>,
    /** The sum of them. */
    total: stages.reduce((sum, [, flop]) => sum + flop, 0),
    /** As `flopPerImage` counts, for comparison with other programs: the last block on every token as well. */
    byDefinition: counted(false).total,
    /** The text encoder, once for all images. */
    text: counted(true).text,
  };
}

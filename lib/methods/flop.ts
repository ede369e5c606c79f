import type { TransformerSizes } from '../encoders/clip-sizes';

/** Operations of matrix products, from which a method's count is computed; a multiplication and an addition count as two. */

/** A matrix product `[rows, inner] x [inner, columns]`. */
export function product(rows: number, inner: number, columns: number): number {
  return 2 * rows * inner * columns;
}

/** Blocks with attention over all tokens and a feed-forward part four times as wide. */
export function transformer(tokens: number, { width, layers }: Pick<TransformerSizes, 'width' | 'layers'>): number {
  return layers * (attention(tokens, width) + 2 * product(tokens, width, 4 * width));
}

/** Query, key and value; the scores of all pairs of tokens; the weighted sums; the output projection. */
export function attention(tokens: number, width: number): number {
  return 4 * product(tokens, width, width) + 2 * product(tokens, width, tokens);
}

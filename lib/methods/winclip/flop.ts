import type { ClipSizes } from '../../encoders/clip-sizes';
import { product, transformer } from '../flop';
import type { WinclipOptions } from './options';

/** `FlopCount` by the parts of WinCLIP. A type, since an interface would have no index signature. */
export type WinclipFlop = {
  /** The whole image. */
  readonly vision: number;
  /** Its windows, each with its own class token. */
  readonly windows: number;
  readonly total: number;
};

/** Counts the matrix products for one image; the sentences of a class are encoded once for all images. */
export function winclipFlop(
  { imageSize, windows }: Pick<WinclipOptions, 'imageSize' | 'windows'>,
  { vision: sizes, embedDimension }: Pick<ClipSizes, 'vision' | 'embedDimension'>,
): WinclipFlop {
  const grid = Math.floor(imageSize / sizes.patchSize);
  const encoded = (tokens: number): number => transformer(tokens, sizes) + product(1, sizes.width, embedDimension);
  const vision = product(grid ** 2, 3 * sizes.patchSize ** 2, sizes.width) + encoded(1 + grid ** 2);
  const ofWindows = windows.reduce((sum, side) => sum + (grid - side + 1) ** 2 * encoded(1 + side ** 2), 0);
  return { vision, windows: ofWindows, total: vision + ofWindows };
}

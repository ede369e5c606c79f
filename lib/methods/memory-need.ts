import * as os from 'node:os';
import * as tf from '@tensorflow/tfjs';
import { formatBytes } from '../bytes';
import type { ClipSizes } from '../encoders/clip-sizes';
import { UsageError } from '../errors';

/** Values of a token, in widths of the network, that are there at once in a block: both streams, queries, keys, values, the MLP. */
const WIDTHS_AT_ONCE = 16;
/** Values of a pixel of the input: the picture, its channels, maps before and after smoothing. */
const VALUES_PER_PIXEL = 12;
/** Score matrices of one head that are there at once where attention is computed in plain operations. */
const MATRICES_AT_ONCE = 3;

/**
 * About how many bytes the forward pass of one image takes besides the weights. An estimate from what the layers keep at
 * once, meant for telling sizes apart that work from those that cannot.
 */
export function forwardBytes({ vision }: ClipSizes, imageSize: number): number {
  const tokens = Math.floor(imageSize / vision.patchSize) ** 2 + 1;
  const matrices = tf.getKernel('CraneAttention', tf.getBackend()) === undefined ? MATRICES_AT_ONCE * tokens ** 2 : 0;
  return 4 * (WIDTHS_AT_ONCE * tokens * vision.width + matrices + VALUES_PER_PIXEL * imageSize ** 2);
}

/**
 * @param memory bytes that this machine, or the limit that this process runs under, has
 * @throws UsageError for an image size that cannot fit
 */
export function refuseBeyondMemory(
  sizes: ClipSizes,
  { imageSize }: { readonly imageSize: number },
  memory: number = availableBytes(),
): void {
  const bytes = forwardBytes(sizes, imageSize);
  if (bytes <= memory) return;
  throw new UsageError(
    'usage/image-size',
    `\`imageSize\` ${imageSize} takes about ${formatBytes(bytes)} of memory for one image, but there are ${formatBytes(memory)}; choose a smaller one.`,
    { found: imageSize, bytes, memory },
  );
}

function availableBytes(): number {
  // Nothing constrained is said as 0, or as more than there is.
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
}

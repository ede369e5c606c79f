import * as os from 'node:os';
import * as tf from '@tensorflow/tfjs';
import { formatBytes } from '../bytes';
import type { ClipSizes } from '../encoders/clip-sizes';
import { UsageError } from '../errors';

/**
 * Values per token that a block holds at once, in multiples of the network's width: both streams, queries, keys,
 * values, MLP.
 */
const WIDTHS_AT_ONCE = 16;
/** Values per input pixel: the image, its channels, maps before and after smoothing. */
const VALUES_PER_PIXEL = 12;
/** Score matrices of one head in memory at once when attention is computed in plain operations. */
const MATRICES_AT_ONCE = 3;

/**
 * About how many bytes the forward pass of one image takes besides the weights. An estimate from what the layers keep at
 * once, meant to tell sizes that work from sizes that cannot.
 */
export function forwardBytes({ vision }: ClipSizes, imageSize: number): number {
  const tokens = Math.floor(imageSize / vision.patchSize) ** 2 + 1;
  const matrices = tf.getKernel('CraneAttention', tf.getBackend()) === undefined ? MATRICES_AT_ONCE * tokens ** 2 : 0;
  return 4 * (WIDTHS_AT_ONCE * tokens * vision.width + matrices + VALUES_PER_PIXEL * imageSize ** 2);
}

/**
 * @param memory bytes available to this process: the machine's memory or a lower limit
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
    `\`imageSize\` ${imageSize} takes about ${formatBytes(bytes)} of memory for one image, but only ${formatBytes(memory)} are available; choose a smaller one.`,
    { found: imageSize, bytes, memory },
  );
}

function availableBytes(): number {
  // Without a limit, this is 0, or more than the machine has.
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
}

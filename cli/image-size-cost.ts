import * as tf from '@tensorflow/tfjs';
import { formatBytes } from '../lib/bytes';
import type { ModelDescription } from '../lib/crane';
import { forwardBytes } from '../lib/methods/memory-need';
import { methodNamed } from '../lib/methods/registry';
import { duration } from '../terminal/progress-bar';

/** Costs are reported from this multiple of the usual time. */
const WORTH_TELLING = 2;
/** Roughly what share of the speed of a single matrix product the whole network reaches. */
const SHARE_OF_PRODUCT = 0.7;
const PRODUCT_SIDE = 1024;

/**
 * The cost of a large image size, as a sentence to show before the run; undefined for usual sizes. The estimates leave
 * the second vision model out.
 */
export async function imageSizeCost({
  method: name,
  sizes,
  options,
  backend,
}: Pick<ModelDescription, 'method' | 'sizes' | 'options' | 'backend'>): Promise<string | undefined> {
  const method = methodNamed(name);
  const usual = method.complete({}, sizes).imageSize;
  const flop = (imageSize: number): number => method.flop({ ...options, imageSize }, sizes).total;
  const ratio = flop(options.imageSize) / flop(usual);
  if (ratio < WORTH_TELLING) return undefined;
  const memory = forwardBytes(sizes, options.imageSize);
  // In plain JavaScript, even the measurement would be slow.
  const seconds =
    backend.name === 'cpu'
      ? ''
      : `about ${duration((1000 * flop(options.imageSize)) / (SHARE_OF_PRODUCT * (await flopPerSecond())))} and `;
  return (
    `Image size ${options.imageSize}: ${seconds}${formatBytes(memory)} of memory per image, ${shortNumber(ratio)} times the time ` +
    `and ${shortNumber(memory / forwardBytes(sizes, usual))} times the memory of the usual ${usual}.`
  );
}

/** Measured on a matrix product with the current backend. */
async function flopPerSecond(): Promise<number> {
  const run = async (): Promise<number> => {
    const began = performance.now();
    const product = tf.tidy(() => {
      const factor = tf.ones([PRODUCT_SIDE, PRODUCT_SIDE]);
      return tf.sum(tf.matMul(factor, factor));
    });
    await product.data();
    product.dispose();
    return (2 * PRODUCT_SIDE ** 3 * 1000) / (performance.now() - began);
  };
  await run();
  return Math.max(await run(), await run());
}

function shortNumber(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

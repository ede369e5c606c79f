import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { median } from './part';
import { flopOf, type ProductShape } from './products';

export interface MeasuredProduct extends ProductShape {
  /** Of all heads, once. */
  readonly gflop: number;
  /** Median of runs one after the other, by the fastest of all ways that there are. */
  readonly seconds: number;
  readonly gflops: number;
  /** Of the fastest single run of any way, which a machine that changes its clock does not hold. */
  readonly bestGflops: number;
  /** The way that was the fastest. */
  readonly way: string;
}

/** A product is repeated so often at least, and for so long. */
const LEAST_RUNS = 7;
const LEAST_SECONDS = 0.3;

export interface MeasureProductOptions {
  /** Whether the backend answers before it has computed. Default false. */
  readonly asynchronous?: boolean;
  /** By each way. Default 0.3. */
  readonly seconds?: number;
}

/**
 * How fast this machine computes a product on the current backend, by the faster of two ways: all heads in one `matMul`, or
 * one by one, which is TensorFlow's plain `MatMul` on its native backend. Making the factors is not in it. A median, as are
 * the times it is compared with: single runs of a few milliseconds may be a quarter faster than what the same machine does
 * for seconds.
 */
export async function measureProduct(
  shape: ProductShape,
  { asynchronous = false, seconds: atLeast = LEAST_SECONDS }: MeasureProductOptions = {},
): Promise<MeasuredProduct> {
  const { name, rows, inner, columns, heads } = shape;
  // As keys lie in memory.
  const transposed = name.includes('correlations');
  const factorsOf = (...batch: number[]): Factors => [
    tf.randomUniform([...batch, rows, inner], -1, 1, 'float32', 1),
    tf.randomUniform([...batch, ...(transposed ? [columns, inner] : [inner, columns])], -1, 1, 'float32', 2),
  ];
  const ways: Record<string, readonly Factors[]> =
    heads === 1
      ? { matMul: [factorsOf()] }
      : {
          'matMul, one head at a time': Array.from({ length: heads }, () => factorsOf()),
          'matMul, all heads': [factorsOf(heads)],
        };
  try {
    const gflop = flopOf(shape) / 1e9;
    let best = { seconds: Infinity, way: '' };
    let least = Infinity;
    for (const [way, factors] of Object.entries(ways)) {
      const taken = await secondsOfRuns(factors, transposed, { asynchronous, seconds: atLeast });
      least = Math.min(least, ...taken);
      const seconds = median(taken);
      if (seconds < best.seconds) best = { seconds, way };
    }
    return { ...shape, ...best, gflop, gflops: gflop / best.seconds, bestGflops: gflop / least };
  } finally {
    tf.dispose(Object.values(ways).flat(2));
  }
}

type Factors = [left: tf.Tensor, right: tf.Tensor];

/** Of runs through all factors, of whose results the last is kept until its time has been taken. */
async function secondsOfRuns(
  factors: readonly Factors[],
  transposed: boolean,
  { asynchronous, seconds: atLeast }: Required<MeasureProductOptions>,
): Promise<number[]> {
  const taken: number[] = [];
  let spent = 0;
  // The first run is warm-up.
  for (let index = 0; index <= LEAST_RUNS || spent < atLeast; index++) {
    const began = performance.now();
    let result: tf.Tensor | undefined;
    for (const [left, right] of factors) {
      result?.dispose();
      result = tf.matMul(left, right, false, transposed);
    }
    if (asynchronous) await oneValueOf(result as tf.Tensor);
    const seconds = (performance.now() - began) / 1000;
    result?.dispose();
    if (index > 0) taken.push(seconds);
    spent += seconds;
    await setImmediate();
  }
  return taken;
}

async function oneValueOf(result: tf.Tensor): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(result, [-1]), [0], [1]));
  await one.data();
  one.dispose();
}

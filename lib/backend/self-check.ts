import * as tf from '@tensorflow/tfjs';

/** Numbers of a GPU may differ from the plain backend's by this much; the values compared are about 1 in size. */
export const SELF_CHECK_TOLERANCE = 1e-3;

/** How a GPU's numbers compare with those of the plain backend. */
export interface SelfCheck {
  readonly passed: boolean;
  /** Over all operations that gave numbers. */
  readonly largestDifference: number;
  /** What is wrong, one entry per operation; empty where all is right. */
  readonly failures: readonly string[];
}

interface Operation {
  readonly name: string;
  /** Makes its own inputs, from the same numbers on every backend. */
  readonly compute: () => tf.Tensor;
}

const BATCH = 2;
const TOKENS = 17;
const HEADS = 4;
const WIDTH = 64;

/**
 * The main path's operations in small, and a transformer block of them. Every one has an input of at least 1000 numbers, since
 * the WebGPU backend hands smaller ones to the processor. Sizes that are odd find kernels that forget the edges of their tiles.
 */
const OPERATIONS: readonly Operation[] = [
  { name: 'matrix product', compute: () => tf.matMul(waves([37, 70], 1), waves([70, 65], 2)) },
  {
    name: 'product with the first factor transposed',
    compute: () => tf.matMul(waves([37, 65], 3), waves([37, 41], 4), true),
  },
  {
    name: 'batched product',
    compute: () => tf.matMul(waves([BATCH, HEADS, TOKENS, 16], 5), waves([BATCH, HEADS, 16, TOKENS], 6)),
  },
  {
    name: 'batched product with the second factor transposed',
    compute: () => tf.matMul(waves([HEADS, TOKENS, 16], 7), waves([HEADS, TOKENS, 16], 8), false, true),
  },
  { name: 'softmax', compute: () => tf.mul(tf.softmax(tf.mul(waves([HEADS, TOKENS, TOKENS], 9), 3)), TOKENS) },
  { name: 'layer normalisation', compute: () => layerNorm(tokens(10)) },
  { name: 'GELU', compute: () => gelu(tf.mul(tokens(11), 3)) },
  { name: 'QuickGELU', compute: () => quickGelu(tf.mul(tokens(11), 3)) },
  { name: 'slice, concatenation and split', compute: () => exchangeClassToken(tokens(12)) },
  { name: 'transpose', compute: () => tf.transpose(tf.reshape(tokens(13), [BATCH, TOKENS, HEADS, 16]), [0, 2, 1, 3]) },
  {
    name: 'convolution',
    compute: () =>
      tf.mul(
        tf.conv2d(waves([BATCH, 24, 24, 3], 14) as tf.Tensor4D, waves([8, 8, 3, WIDTH], 15) as tf.Tensor4D, 8, 'valid'),
        0.1,
      ),
  },
  { name: 'patches by reshape', compute: () => patches(waves([BATCH, 24, 24, 3], 16)) },
  { name: 'gather', compute: () => tf.gather(waves([49, WIDTH], 17), tf.tensor1d([48, 0, 7, 7, 31], 'int32')) },
  { name: 'sum, mean and maximum', compute: () => reductions(tokens(18)) },
  { name: 'exponential and logarithm', compute: () => tf.log(tf.add(tf.exp(tokens(19)), 0.5)) },
  { name: 'comparison and choice', compute: () => chosen(tokens(20)) },
  { name: 'transformer block', compute: () => block(tokens(21)) },
];

/**
 * Compares a backend with the plain JavaScript one, operation by operation. Both must be registered; the plain one stays
 * the current one, so that nothing computes on a backend that has failed.
 */
export async function checkBackend(name: string): Promise<SelfCheck> {
  const failures: string[] = [];
  let largestDifference = 0;
  for (const operation of OPERATIONS) {
    const expected = await computeOn('cpu', operation);
    let found: Float32Array;
    try {
      found = await computeOn(name, operation);
    } catch (error) {
      failures.push(`${operation.name}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    const difference = largestBetween(found, expected);
    if (Number.isFinite(difference)) largestDifference = Math.max(largestDifference, difference);
    if (!(difference <= SELF_CHECK_TOLERANCE)) {
      failures.push(
        `${operation.name}: ${Number.isNaN(difference) ? 'not a number' : `off by ${difference.toPrecision(2)}`}`,
      );
    }
  }
  await tf.setBackend('cpu');
  return { passed: failures.length === 0, largestDifference, failures };
}

async function computeOn(backend: string, { compute }: Operation): Promise<Float32Array> {
  if (tf.getBackend() !== backend && !(await tf.setBackend(backend)))
    throw new Error(`the backend ${backend} does not start`);
  const result = tf.tidy(compute);
  try {
    return (await result.data()).slice() as Float32Array;
  } finally {
    result.dispose();
  }
}

/** NaN where any value is NaN; infinite where the counts differ. */
function largestBetween(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Infinity;
  let largest = 0;
  for (let index = 0; index < found.length; index++) {
    const difference = Math.abs((found[index] as number) - (expected[index] as number));
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}

/** Numbers between -1 and 1 without a pattern that a wrong stride would leave as it is. */
function waves(shape: number[], seed: number): tf.Tensor {
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  for (let index = 0; index < values.length; index++)
    values[index] = Math.sin(seed * 12.9898 + index * (1.7 + 0.1 * seed) + 1e-4 * index * index);
  return tf.tensor(values, shape);
}

function tokens(seed: number): tf.Tensor3D {
  return waves([BATCH, TOKENS, WIDTH], seed) as tf.Tensor3D;
}

function layerNorm(x: tf.Tensor): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  return tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5)));
}

function gelu(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

function quickGelu(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)));
}

function exchangeClassToken(x: tf.Tensor3D): tf.Tensor {
  const first = tf.slice(x, [0, 0, 0], [BATCH, 1, WIDTH]);
  const [left, right] = tf.split(tf.slice(x, [0, 1, 0], [BATCH, TOKENS - 1, WIDTH]), 2, 2) as [
    tf.Tensor3D,
    tf.Tensor3D,
  ];
  return tf.concat([tf.concat([right, left], 2), first], 1); // [B, T, W]
}

function patches(image: tf.Tensor): tf.Tensor {
  const grid = tf.transpose(tf.reshape(image, [BATCH, 3, 8, 3, 8, 3]), [0, 1, 3, 2, 4, 5]);
  return tf.mul(tf.matMul(tf.reshape(grid, [BATCH * 9, 192]), waves([192, WIDTH], 22)), 0.1);
}

function reductions(x: tf.Tensor): tf.Tensor {
  return tf.concat([tf.mul(tf.sum(x, 1), 0.1), tf.mean(x, 1), tf.max(x, 1)], 0);
}

function chosen(x: tf.Tensor): tf.Tensor {
  return tf.where(tf.less(x, 0.25), tf.mul(x, 2), tf.clipByValue(x, 0.3, 0.6));
}

/** Attention over heads and an MLP, with residuals, as in CLIP but with weights that are waves. */
function block(x: tf.Tensor): tf.Tensor {
  const linear = (rows: tf.Tensor, outputs: number, seed: number): tf.Tensor => {
    const inputs = rows.shape.at(-1) as number;
    const flat = tf.matMul(tf.reshape(rows, [-1, inputs]), waves([inputs, outputs], seed));
    return tf.mul(tf.reshape(flat, [BATCH, TOKENS, outputs]), 1 / Math.sqrt(inputs));
  };
  const heads = (rows: tf.Tensor): tf.Tensor =>
    tf.transpose(tf.reshape(rows, [BATCH, TOKENS, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
  const [q, k, v] = tf.split(linear(layerNorm(x), 3 * WIDTH, 23), 3, -1).map(heads) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const weights = tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(WIDTH / HEADS))); // [B, H, T, T]
  const attended = tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [BATCH, TOKENS, WIDTH]);
  const stream = tf.add(x, linear(attended, WIDTH, 24));
  return tf.add(stream, linear(quickGelu(linear(layerNorm(stream), 2 * WIDTH, 25)), WIDTH, 26)); // [B, T, W]
}

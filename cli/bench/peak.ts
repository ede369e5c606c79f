import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { CORRELATIONS, product } from '../../eval/benchmark/flop';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import type { ModelOptions } from '../../lib/methods/crane/options';
import { median } from './part';

/** Matrix products of one shape: `count` times for an image, `[rows, inner] x [inner, columns]`, for each of some heads. */
export interface ProductShape {
  readonly name: string;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Products of one kind side by side; 1 for a linear layer. */
  readonly heads: number;
  /** Whether the right factor lies in memory as `[columns, inner]`, as keys do. */
  readonly transposed: boolean;
  readonly count: number;
}

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

/** The large products of one image in a model, by shape; what is done for the class token alone is left out. */
export function productShapes(
  { vision, embedDimension }: ClipSizes,
  { imageSize, eattnBlocks, attention }: ModelOptions,
): ProductShape[] {
  const { width, layers, patchSize, heads } = vision;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const depth = width / heads;
  const dual = Math.min(eattnBlocks, layers);
  // The last block's original stream is needed for the class token only.
  const original = dual > 0 ? layers - 1 : layers;
  const joined = attention === '(q+k+v)^2';
  const linear = (name: string, rows: number, inner: number, columns: number, count: number): ProductShape => ({
    name,
    rows,
    inner,
    columns,
    count,
    heads: 1,
    transposed: false,
  });
  const perHead = (name: string, inner: number, columns: number, count: number, transposed: boolean): ProductShape => ({
    name,
    rows: tokens,
    inner,
    columns,
    count,
    heads,
    transposed,
  });
  const shapes = [
    linear('patch embedding', patches, 3 * patchSize ** 2, width, 1),
    linear('queries, keys, values', tokens, width, 3 * width, layers),
    linear('attention output', tokens, width, width, original + dual),
    linear('MLP, first', tokens, width, 4 * width, original),
    linear('MLP, second', tokens, 4 * width, width, original),
    perHead('correlations', depth, tokens, original + (joined ? 0 : dual * CORRELATIONS[attention]), true),
    perHead('joined correlations', 3 * depth, tokens, joined ? dual : 0, true),
    perHead('weights with values', tokens, depth, original + dual, false),
    linear('projection', patches, width, embedDimension, 1),
  ];
  return shapes.filter(({ count }) => count > 0);
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
 * How fast this machine computes a product on the current backend, by the best way there is: tfjs' own `matMul`, TensorFlow's
 * plain `MatMul`, all heads in one call or one by one. Making the factors is not in it. A median, as are the times it is held
 * against: single runs of a few milliseconds may be a quarter faster than what the same machine does for seconds.
 */
export async function measureProduct(
  shape: ProductShape,
  { asynchronous = false, seconds: atLeast = LEAST_SECONDS }: MeasureProductOptions = {},
): Promise<MeasuredProduct> {
  const { rows, inner, columns, heads, transposed } = shape;
  const right: [number, number] = transposed ? [columns, inner] : [inner, columns];
  const factors = Array.from({ length: heads }, (_, head): Factors => ({
    left: tf.randomUniform([rows, inner], -1, 1, 'float32', head),
    right: tf.randomUniform(right, -1, 1, 'float32', heads + head),
  }));
  const together =
    heads === 1
      ? undefined
      : { left: tf.stack(factors.map(({ left }) => left)), right: tf.stack(factors.map((factor) => factor.right)) };
  try {
    const gflop = (heads * product(rows, inner, columns)) / 1e9;
    let best = { seconds: Infinity, way: '' };
    let least = Infinity;
    for (const [way, run] of waysOf(factors, together, transposed)) {
      const taken = await secondsOf(run, asynchronous, atLeast);
      least = Math.min(least, ...taken);
      const seconds = median(taken);
      if (seconds < best.seconds) best = { seconds, way };
    }
    return { ...shape, ...best, gflop, gflops: gflop / best.seconds, bestGflops: gflop / least };
  } finally {
    [...factors, ...(together ? [together] : [])].forEach((factor) => tf.dispose([factor.left, factor.right]));
  }
}

interface Factors {
  readonly left: tf.Tensor;
  readonly right: tf.Tensor;
}

/** Computes all products of a shape and lets go of all results but the last. */
type Run = () => tf.Tensor;

function waysOf(
  factors: readonly Factors[],
  together: Factors | undefined,
  transposed: boolean,
): [way: string, run: Run][] {
  const matMul = ({ left, right }: Factors): tf.Tensor => tf.matMul(left, right, false, transposed);
  const plain = plainMatMul(transposed);
  const oneByOne = factors.length > 1 ? ', one head at a time' : '';
  return [
    [`matMul${oneByOne}`, eachOf(factors, matMul)],
    ...(together ? [['matMul, all heads', () => matMul(together)] as [string, Run]] : []),
    ...(plain ? [[`MatMul op${oneByOne}`, eachOf(factors, plain)] as [string, Run]] : []),
  ];
}

function eachOf(factors: readonly Factors[], multiply: (factors: Factors) => tf.Tensor): Run {
  return () => {
    let last: tf.Tensor | undefined;
    for (const factor of factors) {
      last?.dispose();
      last = multiply(factor);
    }
    return last as tf.Tensor;
  };
}

/** What is used of tfjs-node's backend object. */
interface NativeBackend {
  readonly binding: { readonly TF_ATTR_BOOL: number; readonly TF_ATTR_TYPE: number; readonly TF_FLOAT: number };
  executeSingleOutput(name: string, attributes: readonly object[], inputs: readonly tf.Tensor[]): tf.Tensor;
}

/** TensorFlow's product of two matrices; tfjs always calls that of batches, which is slower at some shapes. */
function plainMatMul(transposed: boolean): ((factors: Factors) => tf.Tensor) | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as NativeBackend;
  const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
  const attributes = [
    { name: 'transpose_a', type: TF_ATTR_BOOL, value: false },
    { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposed },
    { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
  ];
  return ({ left, right }) => backend.executeSingleOutput('MatMul', attributes, [left, right]);
}

async function secondsOf(run: Run, asynchronous: boolean, atLeast: number): Promise<number[]> {
  const taken: number[] = [];
  let spent = 0;
  // The first run is warm-up.
  for (let index = 0; index <= LEAST_RUNS || spent < atLeast; index++) {
    const began = performance.now();
    const result = run();
    if (asynchronous) await oneValueOf(result);
    const seconds = (performance.now() - began) / 1000;
    result.dispose();
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

import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { CORRELATIONS } from '../../lib/methods/crane/flop';
import { product } from '../../lib/methods/flop';
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
  type Row = readonly [name: string, rows: number, inner: number, columns: number, count: number];
  const shapesOf = (rows: readonly Row[], heads: number): ProductShape[] =>
    rows.map(([name, rows, inner, columns, count]) => {
      return { name, rows, inner, columns, heads, transposed: name.includes('correlations'), count };
    });
  const shapes = [
    ...shapesOf(
      [
        ['patch embedding', patches, 3 * patchSize ** 2, width, 1],
        ['queries, keys, values', tokens, width, 3 * width, layers],
        ['attention output', tokens, width, width, original + dual],
        ['MLP, first', tokens, width, 4 * width, original],
        ['MLP, second', tokens, 4 * width, width, original],
      ],
      1,
    ),
    ...shapesOf(
      [
        ['correlations', tokens, depth, tokens, original + (joined ? 0 : dual * CORRELATIONS[attention])],
        ['joined correlations', tokens, 3 * depth, tokens, joined ? dual : 0],
        ['weights with values', tokens, tokens, depth, original + dual],
      ],
      heads,
    ),
    ...shapesOf([['projection', patches, width, embedDimension, 1]], 1),
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
  const factors = Array.from({ length: heads }, (_, head): Factors => [
    tf.randomUniform([rows, inner], -1, 1, 'float32', head),
    tf.randomUniform(right, -1, 1, 'float32', heads + head),
  ]);
  const together = heads === 1 ? [] : [tf.stack(factors.map(([left]) => left)), tf.stack(factors.map((of) => of[1]))];
  const matMul: Multiply = (left, right) => tf.matMul(left, right, false, transposed);
  const plain = plainMatMul(transposed);
  const oneByOne = heads > 1 ? ', one head at a time' : '';
  const ways: [way: string, multiply: Multiply, factors: readonly Factors[]][] = [
    [`matMul${oneByOne}`, matMul, factors],
    ...(heads > 1
      ? [['matMul, all heads', matMul, [together as unknown as Factors]] as [string, Multiply, Factors[]]]
      : []),
    ...(plain ? [[`MatMul op${oneByOne}`, plain, factors] as [string, Multiply, Factors[]]] : []),
  ];
  try {
    const gflop = (heads * product(rows, inner, columns)) / 1e9;
    let best = { seconds: Infinity, way: '' };
    let least = Infinity;
    for (const [way, multiply, of] of ways) {
      const taken = await secondsOfRuns(multiply, of, asynchronous, atLeast);
      least = Math.min(least, ...taken);
      const seconds = median(taken);
      if (seconds < best.seconds) best = { seconds, way };
    }
    return { ...shape, ...best, gflop, gflops: gflop / best.seconds, bestGflops: gflop / least };
  } finally {
    tf.dispose([factors, together]);
  }
}

type Factors = [left: tf.Tensor, right: tf.Tensor];
type Multiply = (left: tf.Tensor, right: tf.Tensor) => tf.Tensor;

/** What is used of tfjs-node's backend object. */
interface NativeBackend {
  readonly binding: { readonly TF_ATTR_BOOL: number; readonly TF_ATTR_TYPE: number; readonly TF_FLOAT: number };
  executeSingleOutput(name: string, attributes: readonly object[], inputs: readonly tf.Tensor[]): tf.Tensor;
}

/** TensorFlow's product of two matrices; tfjs always calls that of batches, which is slower at some shapes. */
function plainMatMul(transposed: boolean): Multiply | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as NativeBackend;
  const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
  const attributes = [
    { name: 'transpose_a', type: TF_ATTR_BOOL, value: false },
    { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposed },
    { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
  ];
  return (left, right) => backend.executeSingleOutput('MatMul', attributes, [left, right]);
}

/** Of runs through all factors, of whose results the last is kept until its time has been taken. */
async function secondsOfRuns(
  multiply: Multiply,
  factors: readonly Factors[],
  asynchronous: boolean,
  atLeast: number,
): Promise<number[]> {
  const taken: number[] = [];
  let spent = 0;
  // The first run is warm-up.
  for (let index = 0; index <= LEAST_RUNS || spent < atLeast; index++) {
    const began = performance.now();
    let result: tf.Tensor | undefined;
    for (const [left, right] of factors) {
      result?.dispose();
      result = multiply(left, right);
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

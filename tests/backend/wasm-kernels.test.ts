import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';

/** Memory is shared with another thread, as it is outside of tests. */
const THREADS = { threads: 2 };

/** Runs the same computation on the plain backend and on WebAssembly. */
async function onBoth(compute: () => tf.Tensor[]): Promise<{ plain: number[][]; wasm: number[][] }> {
  const run = (): number[][] => {
    const results = tf.tidy(compute);
    const values = results.map((result) => Array.from(result.dataSync()));
    tf.dispose(results);
    return values;
  };
  await prepareBackend('cpu');
  const plain = run();
  await prepareBackend('wasm', THREADS);
  const before = tf.memory();
  const wasm = run();
  const after = tf.memory();
  expect(after.numTensors).toBe(before.numTensors);
  expect(after.numDataBuffers).toBe(before.numDataBuffers);
  return { plain, wasm };
}

function expectClose(found: readonly number[][], expected: readonly number[][]): void {
  expect(found.map((values) => values.length)).toEqual(expected.map((values) => values.length));
  found.forEach((values, which) => {
    values.forEach((value, index) => {
      const wanted = expected[which]?.[index] ?? NaN;
      expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(wanted)));
    });
  });
}

const values = (shape: readonly number[], seed: number): tf.Tensor =>
  tf.randomNormal([...shape], 0, 1, 'float32', seed);

describe('products', () => {
  const size = fc.integer({ min: 1, max: 7 });
  const batches = fc.constantFrom<[number[], number[]]>(
    [[], []],
    [[3], [3]],
    [[1], [4]],
    [[4], [1]],
    [
      [2, 3],
      [2, 3],
    ],
    [
      [2, 3],
      [1, 1],
    ],
    [
      [1, 1],
      [2, 3],
    ],
    // Neither factor is one for all: the package's own kernel must take it.
    [
      [2, 1],
      [2, 3],
    ],
    [
      [1, 3],
      [2, 1],
    ],
  );

  test('equal the plain backend for every batch and transpose', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        size,
        batches,
        fc.boolean(),
        fc.boolean(),
        async (m, k, n, [aBatch, bBatch], transposeA, transposeB) => {
          const aShape = [...aBatch, ...(transposeA ? [k, m] : [m, k])];
          const bShape = [...bBatch, ...(transposeB ? [n, k] : [k, n])];
          const { plain, wasm } = await onBoth(() => [
            tf.matMul(values(aShape, 1), values(bShape, 2), transposeA, transposeB),
          ]);
          expectClose(wasm, plain);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a hand-worked batch of two', async () => {
    await prepareBackend('wasm', THREADS);
    const a = tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
    const b = tf.tensor3d([1, 0, 0, 1, 0, 1, 1, 0], [2, 2, 2]);
    expect(Array.from(tf.tidy(() => tf.matMul(a, b)).dataSync())).toEqual([1, 2, 3, 4, 6, 5, 8, 7]);
    expect(Array.from(tf.tidy(() => tf.matMul(a, b, true)).dataSync())).toEqual([1, 3, 2, 4, 7, 5, 8, 6]);
    tf.dispose([a, b]);
  });

  test('gradients of attention equal the plain backend', async () => {
    const attend = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Scalar =>
      tf
        .matMul(tf.softmax(tf.matMul(q, k, false, true)), v)
        .square()
        .sum();
    const shape = [2, 3, 5, 4];
    const { plain, wasm } = await onBoth(() =>
      tf.grads(attend)([values(shape, 3), values(shape, 4), values(shape, 5)]),
    );
    expectClose(wasm, plain);
  });

  test('a right factor that is used again gives the same product, and its successor in memory another', async () => {
    await prepareBackend('wasm', THREADS);
    const x = values([5, 33], 1) as tf.Tensor2D;
    for (let seed = 2; seed < 12; seed++) {
      const weights = values([33, 40], seed) as tf.Tensor2D;
      const products = [0, 1, 2].map((use) =>
        Array.from(tf.tidy(() => tf.matMul(use === 2 ? tf.slice(x, [0, 0], [3, 33]) : x, weights).dataSync())),
      );
      const [rows, matrix] = [x.arraySync(), weights.arraySync()];
      const expected = rows.flatMap((row) =>
        Array.from({ length: 40 }, (_, column) =>
          row.reduce((sum, value, k) => sum + value * (matrix[k]?.[column] ?? NaN), 0),
        ),
      );
      expectClose(products, [expected, expected, expected.slice(0, 120)]);
      weights.dispose();
    }
    x.dispose();
  });

  test.each([false, true])('a right factor in another shape is another factor (variable: %s)', async (isVariable) => {
    const { plain, wasm } = await onBoth(() => {
      const weights = isVariable ? tf.variable(values([8, 6], 1)) : values([8, 6], 1);
      const wide = tf.reshape(weights, [6, 8]) as tf.Tensor2D;
      const [short, long] = [values([3, 6], 2) as tf.Tensor2D, values([3, 8], 3) as tf.Tensor2D];
      const products = [0, 1, 2].flatMap(() => [tf.matMul(long, weights as tf.Tensor2D), tf.matMul(short, wide)]);
      if (isVariable) weights.dispose();
      return products;
    });
    expectClose(wasm, plain);
  });

  test('memory of the WebAssembly heap is given back', async () => {
    await prepareBackend('wasm', THREADS);
    const heap = (): number => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
    const weights = (): void => {
      const factor = tf.ones([128, 256]) as tf.Tensor2D;
      for (let use = 0; use < 3; use++) tf.dispose(tf.tidy(() => tf.matMul(tf.ones([2, 128]), factor)));
      factor.dispose();
    };
    const once = (): void => {
      tf.dispose(tf.tidy(() => tf.matMul(tf.ones([8, 64, 64]), tf.ones([8, 64, 64]), true, true)));
    };
    for (let i = 0; i < 20; i++) [once, weights].forEach((use) => use());
    const before = heap();
    // 400 times four tensors of 128 kB would be 200 MB if they stayed.
    for (let i = 0; i < 400; i++) [once, weights].forEach((use) => use());
    expect(heap()).toBe(before);
  });
});

describe('kernels that the package lacks or has wrong', () => {
  test('gather has a gradient: rows asked for twice add up', async () => {
    const indices = [2, 0, 2, 1];
    const gradient = (): tf.Tensor[] => [
      tf.grad((x) =>
        tf
          .gather(x, tf.tensor1d(indices, 'int32'))
          .mul(tf.tensor2d([[1], [2], [3], [4]]))
          .sum(),
      )(values([3, 2], 1)),
    ];
    const { plain, wasm } = await onBoth(gradient);
    expect(wasm).toEqual([[2, 2, 4, 4, 4, 4]]);
    expect(plain).toEqual(wasm);
  });

  test('segment sums leave negative segments out', async () => {
    await prepareBackend('wasm', THREADS);
    const sums = tf.tidy(() =>
      tf.unsortedSegmentSum(
        tf.tensor2d([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
        tf.tensor1d([1, -1, 1], 'int32'),
        2,
      ),
    );
    expect(sums.arraySync()).toEqual([
      [0, 0],
      [6, 8],
    ]);
    sums.dispose();
  });

  test('slices and parts equal the plain backend, whatever is cut', async () => {
    const axis = fc
      .integer({ min: 1, max: 4 })
      .chain((length) =>
        fc
          .tuple(fc.constant(length), fc.nat(length - 1))
          .chain(([, begin]) =>
            fc.tuple(fc.constant(length), fc.constant(begin), fc.integer({ min: 0, max: length - begin })),
          ),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(axis, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('float32' as const, 'int32' as const, 'bool' as const),
        async (axes, dtype) => {
          const shape = axes.map(([length]) => length);
          const { plain, wasm } = await onBoth(() => {
            const x = dtype === 'bool' ? tf.greater(values(shape, 1), 0) : tf.cast(tf.mul(values(shape, 1), 3), dtype);
            const [halves, ...rest] = [shape.map(() => 2), ...shape.keys()] as [number[], ...number[]];
            const even = tf.tile(x, halves);
            return [
              tf.slice(
                x,
                axes.map(([, begin]) => begin),
                axes.map(([, , size]) => size),
              ),
              ...rest.flatMap((along) => tf.split(even, 2, along)),
            ];
          });
          expect(wasm).toEqual(plain);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a slice that would reach beyond the tensor is refused, one of names is taken', async () => {
    await prepareBackend('wasm', THREADS);
    const x = tf.tensor1d([1, 2, 3]);
    expect(() => tf.slice(x, [2], [2])).toThrow();
    const names = tf.tensor2d(
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
      [2, 2],
      'string',
    );
    const cut = tf.slice(names, [1, 0], [1, 2]);
    expect(cut.dataSync()).toEqual(['c', 'd']);
    tf.dispose([x, names, cut]);
  });

  test.each([-1, -2, 0, 1])('a running sum along axis %i', async (axis) => {
    await prepareBackend('wasm', THREADS);
    const rows = [
      [1, 2, 3],
      [10, 20, 30],
    ];
    const expected =
      axis === 1 || axis === -1
        ? [
            [1, 3, 6],
            [10, 30, 60],
          ]
        : [
            [1, 2, 3],
            [11, 22, 33],
          ];
    const sums = tf.tidy(() => tf.cumsum(tf.tensor2d(rows), axis));
    expect(sums.arraySync()).toEqual(expected);
    sums.dispose();
  });

  test('gradients of a convolution and of max pooling', async () => {
    const network = (x: tf.Tensor, filter: tf.Tensor): tf.Scalar => {
      const convolved = tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'valid');
      return tf.maxPool(convolved, 2, 2, 'valid').square().sum();
    };
    const { plain, wasm } = await onBoth(() => tf.grads(network)([values([1, 7, 7, 2], 1), values([2, 2, 2, 3], 2)]));
    expectClose(wasm, plain);
  });

  test('Einstein sums', async () => {
    const { plain, wasm } = await onBoth(() => [tf.einsum('bij,bkj->bik', values([2, 3, 4], 1), values([2, 5, 4], 2))]);
    expectClose(wasm, plain);
  });
});

import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { prepareBackend } from '../../lib/backend';
import type { NativeOperations, OperationAttribute } from '../../lib/backend/native-kernels';
import { expectNoLeak } from '../tensors';

const PROBE = `
  require('ts-node/register/transpile-only');
  require('./lib/backend').prepareBackend('tensorflow').then(() => process.exit(0), () => process.exit(4));
`;
const isNative = spawnSync(process.execPath, ['-e', PROBE]).status === 0;
if (!isNative)
  process.stderr.write(
    '\nNATIVE PRODUCTS NOT TESTED: skipping the tests of BatchMatMul on TensorFlow, because there is no native backend.\n',
  );

interface Recorded {
  readonly result: Float32Array;
  readonly shape: readonly number[];
  readonly operations: readonly string[];
}

/** A product by tfjs's call, with the operations of the library that it took. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): Recorded {
  const backend = tf.backend() as unknown as NativeOperations;
  const spy = jest.spyOn(backend, 'executeSingleOutput');
  try {
    return tf.tidy(() => {
      const found = tf.matMul(a, b, transposeA, transposeB);
      return {
        shape: found.shape,
        operations: spy.mock.calls.map(([name]) => name),
        result: found.dataSync() as Float32Array,
      };
    });
  } finally {
    spy.mockRestore();
  }
}

/** The same by the operation that tfjs has for products of any rank. */
function batched(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): Float32Array {
  return tf.tidy(() => {
    const backend = tf.backend() as unknown as NativeOperations;
    const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
    const attributes: OperationAttribute[] = [
      { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
      { name: 'adj_x', type: TF_ATTR_BOOL, value: transposeA },
      { name: 'adj_y', type: TF_ATTR_BOOL, value: transposeB },
    ];
    return (backend.executeSingleOutput('BatchMatMulV2', attributes, [a, b]) as tf.Tensor).dataSync() as Float32Array;
  });
}

function inDoubles(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  [rows, inner, columns]: readonly [number, number, number],
  transposeA: boolean,
  transposeB: boolean,
): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let index = 0; index < inner; index++) {
        const left = a[transposeA ? index * rows + row : row * inner + index] as number;
        const right = b[transposeB ? column * inner + index : index * columns + column] as number;
        out[row * columns + column] = (out[row * columns + column] as number) + left * right;
      }
    }
  }
  return out;
}

function expectNear(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(found.length).toBe(expected.length);
  let largest = 0;
  for (let index = 0; index < found.length; index++) {
    const distance = Math.abs((found[index] as number) - (expected[index] as number));
    largest = Number.isNaN(distance) ? Infinity : Math.max(largest, distance);
  }
  expect(largest).toBeLessThanOrEqual(tolerance);
}

(isNative ? describe : describe.skip)('products on native TensorFlow', () => {
  beforeAll(async () => {
    await prepareBackend('tensorflow');
  });

  test("of plain matrices are MatMul's, equal to the batched operation's and to doubles, for each transpose", async () => {
    const size = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 1000 }),
        async (rows, inner, columns, transposeA, transposeB, seed) => {
          await expectNoLeak(() => {
            const a = tf.randomNormal(transposeA ? [inner, rows] : [rows, inner], 0, 1, 'float32', seed);
            const b = tf.randomNormal(transposeB ? [columns, inner] : [inner, columns], 0, 1, 'float32', seed + 1);
            const found = product(a, b, transposeA, transposeB);
            expect(found.operations).toEqual(['MatMul']);
            expect(found.shape).toEqual([rows, columns]);
            expectNear(found.result, batched(a, b, transposeA, transposeB), 1e-4);
            expectNear(
              found.result,
              inDoubles(a.dataSync(), b.dataSync(), [rows, inner, columns], transposeA, transposeB),
              1e-4,
            );
            tf.dispose([a, b]);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    [
      [1, 3, 4],
      [1, 4, 5],
    ],
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    [
      [2, 3, 4],
      [1, 4, 5],
    ],
  ])("of batches %j and %j stay the batched operation's", (left, right) => {
    tf.tidy(() => {
      const [a, b] = [tf.randomNormal(left, 0, 1, 'float32', 1), tf.randomNormal(right, 0, 1, 'float32', 2)];
      const found = product(a, b, false, false);
      expect(found.operations).toEqual(['BatchMatMulV2']);
      expectNear(found.result, batched(a, b, false, false), 0);
    });
  });

  test.each([
    [
      [0, 3],
      [3, 4],
    ],
    [
      [2, 0],
      [0, 4],
    ],
    [
      [2, 3],
      [3, 0],
    ],
  ])('of nothing, %j and %j, are as they were', (left, right) => {
    tf.tidy(() => {
      const found = product(tf.zeros(left), tf.zeros(right), false, false);
      expect(found.operations).not.toContain('MatMul');
      expect(found.shape).toEqual([left[0], right[1]]);
      expect(Array.from(found.result)).toEqual(new Array((left[0] as number) * (right[1] as number)).fill(0));
    });
  });

  test("of whole numbers stay the batched operation's", () => {
    tf.tidy(() => {
      const found = product(
        tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'),
        tf.tensor2d([0, 1, 1, 0], [2, 2], 'int32'),
        false,
        false,
      );
      expect(found.operations).not.toContain('MatMul');
      expect(Array.from(found.result)).toEqual([2, 1, 4, 3]);
    });
  });

  test('that do not fit are refused', async () => {
    await expectNoLeak(() => {
      tf.tidy(() => {
        expect(() => tf.matMul(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow('size-incompatible');
      });
    });
  });

  test('carry what is no number to the rows and columns concerned', () => {
    tf.tidy(() => {
      const a = tf.tensor2d([1, NaN, 1, 1, 2, 3], [3, 2]);
      expect(Array.from(product(a, tf.ones([2, 2]), false, false).result)).toEqual([NaN, NaN, 2, 2, 5, 5]);
    });
  });

  test('have gradients', async () => {
    await expectNoLeak(() => {
      tf.tidy(() => {
        const [a, b] = [tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])];
        const [da, db] = tf.grads((x, y) => tf.sum(tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, true, false)))([
          a,
          b,
        ]) as [tf.Tensor, tf.Tensor];
        // Sum of aᵀb: each entry's factor is the sum of the other's row.
        expect(Array.from(da.dataSync())).toEqual([11, 11, 15, 15]);
        expect(Array.from(db.dataSync())).toEqual([3, 3, 7, 7]);
      });
    });
  });
});

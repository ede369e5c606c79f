import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import { attendInBands, SamAttention } from '../../lib/layers/sam-attention';
import { fromWindows, intoWindows } from '../../lib/layers/windows';
import { seededNormal } from '../../lib/weights/seeded';
import { expectClose } from '../goldens';
import { expectNoLeak } from '../tensors';

beforeAll(async () => {
  await prepareBackend('auto');
});

interface Case {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly width: number;
  readonly heads: number;
  /** 0 for the whole grid. */
  readonly windowSize: number;
  readonly trainedSide: number;
}

function drawn(name: string, count: number): Float32Array {
  const next = seededNormal(name);
  return Float32Array.from({ length: count }, () => 0.7 * next());
}

const at = (values: ArrayLike<number>, index: number): number => {
  const value = values[index];
  if (value === undefined) throw new Error(`index ${index} is outside`);
  return value;
};

/** A row of a table of relative positions, linearly between the rows of the stored one where lengths differ. */
function tableRow(table: Float32Array, depth: number, wanted: number, row: number): number[] {
  const stored = table.length / depth;
  const place = Math.min(Math.max(((row + 0.5) * stored) / wanted - 0.5, 0), stored - 1);
  const [low, high] = [Math.floor(place), Math.ceil(place)];
  return Array.from(
    { length: depth },
    (_, i) => (1 - (place - low)) * at(table, low * depth + i) + (place - low) * at(table, high * depth + i),
  );
}

/** One token at a time, with plain numbers and the formula as it is written down. */
function slowAttention(shape: Case, tokens: Float32Array, parameter: (name: string) => Float32Array): number[] {
  const { batch, rows, columns, width, heads, windowSize, trainedSide } = shape;
  const depth = width / heads;
  const sideDown = windowSize || rows;
  const sideAcross = windowSize || columns;
  expect(parameter('.rel_pos_h').length).toBe((2 * trainedSide - 1) * depth);
  const linear = (name: string, x: readonly number[], outputs: number): number[] =>
    Array.from({ length: outputs }, (_, out) =>
      x.reduce(
        (sum, value, i) => sum + value * at(parameter(`${name}.weight`), out * x.length + i),
        at(parameter(`${name}.bias`), out),
      ),
    );
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, i) => sum + value * at(b, i), 0);
  const rowVectors = Array.from({ length: 2 * sideDown - 1 }, (_, i) =>
    tableRow(parameter('.rel_pos_h'), depth, 2 * sideDown - 1, i),
  );
  const columnVectors = Array.from({ length: 2 * sideAcross - 1 }, (_, i) =>
    tableRow(parameter('.rel_pos_w'), depth, 2 * sideAcross - 1, i),
  );

  const result: number[] = [];
  for (let image = 0; image < batch; image++) {
    // Outside the picture tokens are zero, and so their projections are the bias.
    const projected = (row: number, column: number): number[] => {
      const inside = row < rows && column < columns;
      const start = ((image * rows + row) * columns + column) * width;
      return linear(
        '.qkv',
        Array.from({ length: width }, (_, i) => (inside ? at(tokens, start + i) : 0)),
        3 * width,
      );
    };
    const whole = (count: number, side: number): number => Math.ceil(count / side) * side;
    const grid = Array.from({ length: whole(rows, sideDown) }, (_, row) =>
      Array.from({ length: whole(columns, sideAcross) }, (_, column) => projected(row, column)),
    );
    const part = (row: number, column: number, which: number, head: number): number[] =>
      (grid[row]?.[column] as number[]).slice(which * width + head * depth, which * width + (head + 1) * depth);

    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const [top, left] = [row - (row % sideDown), column - (column % sideAcross)];
        const merged: number[] = [];
        for (let head = 0; head < heads; head++) {
          const query = part(row, column, 0, head);
          let total = 0;
          const sum = new Array<number>(depth).fill(0);
          for (let keyRow = top; keyRow < top + sideDown; keyRow++) {
            for (let keyColumn = left; keyColumn < left + sideAcross; keyColumn++) {
              const score =
                dot(query, part(keyRow, keyColumn, 1, head)) / Math.sqrt(depth) +
                dot(query, rowVectors[row - keyRow + sideDown - 1] as number[]) +
                dot(query, columnVectors[column - keyColumn + sideAcross - 1] as number[]);
              const weight = Math.exp(score);
              total += weight;
              part(keyRow, keyColumn, 2, head).forEach((value, i) => (sum[i] = at(sum, i) + weight * value));
            }
          }
          merged.push(...sum.map((value) => value / total));
        }
        result.push(...linear('.proj', merged, width));
      }
    }
  }
  return result;
}

const cases: [string, Case][] = [
  [
    'windows that need padding on both sides',
    { batch: 2, rows: 5, columns: 4, width: 6, heads: 2, windowSize: 3, trainedSide: 3 },
  ],
  ['windows that fit', { batch: 2, rows: 4, columns: 6, width: 4, heads: 1, windowSize: 2, trainedSide: 2 }],
  [
    'a window larger than the grid',
    { batch: 1, rows: 3, columns: 2, width: 6, heads: 3, windowSize: 4, trainedSide: 4 },
  ],
  ['the whole grid', { batch: 2, rows: 4, columns: 4, width: 6, heads: 2, windowSize: 0, trainedSide: 4 }],
  [
    'a grid with fewer columns than the tables were made for',
    { batch: 2, rows: 5, columns: 3, width: 4, heads: 2, windowSize: 0, trainedSide: 5 },
  ],
  [
    'a grid larger than the tables were made for',
    { batch: 1, rows: 7, columns: 6, width: 4, heads: 2, windowSize: 0, trainedSide: 3 },
  ],
  [
    'more tokens than are worked on at once',
    { batch: 1, rows: 37, columns: 40, width: 2, heads: 2, windowSize: 0, trainedSide: 40 },
  ],
  [
    'more windows than are worked on at once',
    { batch: 3, rows: 44, columns: 43, width: 2, heads: 2, windowSize: 15, trainedSide: 15 },
  ],
];

test.each(cases)('%s: equals attention with plain numbers', async (_, shape) => {
  const { batch, rows, columns, width } = shape;
  const values = new Map<string, Float32Array>();
  await expectNoLeak(() => {
    const layer = new SamAttention({
      width,
      heads: shape.heads,
      windowSize: shape.windowSize,
      trainedSide: shape.trainedSide,
      parameters: (name, size) => {
        values.set(
          name,
          drawn(
            name,
            size.reduce((product, n) => product * n, 1),
          ),
        );
        return tf.tensor(values.get(name) as Float32Array, size);
      },
    });
    const tokens = drawn('tokens', batch * rows * columns * width);
    const got = tf.tidy(() => layer.apply(tf.tensor4d(tokens, [batch, rows, columns, width])) as tf.Tensor);
    expect(got.shape).toEqual([batch, rows, columns, width]);
    expectClose(
      got.dataSync(),
      slowAttention(shape, tokens, (name) => values.get(name) as Float32Array),
      1e-5,
      1e-5,
    );
    got.dispose();
    layer.dispose();
  });
});

test('few queries at a time give what all at once give', async () => {
  await expectNoLeak(() =>
    tf.tidy(() => {
      const [queries, keys] = ['q', 'k'].map((name) => tf.tensor3d(drawn(name, 2 * 1600 * 3), [2, 1600, 3])) as [
        tf.Tensor3D,
        tf.Tensor3D,
      ];
      const values = tf.tensor3d(drawn('v', 2 * 1600 * 2), [2, 1600, 2]);
      const all = tf.matMul(tf.softmax(tf.matMul(queries, keys, false, true)), values);
      expectClose(attendInBands(queries, keys, values).dataSync(), all.dataSync(), 1e-6);
    }),
  );
});

test('windows hold the tokens of their place, and together they are the grid again', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
      (batch, rows, columns, side) => {
        const tokens = tf.add(
          tf.reshape(tf.range(0, batch * rows * columns * 2), [batch, rows, columns, 2]),
          1,
        ) as tf.Tensor4D;
        const windows = intoWindows(tokens, side);
        const found = windows.arraySync();
        const across = Math.ceil(columns / side);
        const perImage = Math.ceil(rows / side) * across;
        expect(windows.shape).toEqual([batch * perImage, side, side, 2]);
        found.forEach((window, index) =>
          window.forEach((line, i) =>
            line.forEach((token, j) => {
              const [image, place] = [Math.floor(index / perImage), index % perImage];
              const [row, column] = [Math.floor(place / across) * side + i, (place % across) * side + j];
              const first = 1 + 2 * ((image * rows + row) * columns + column);
              expect(token).toEqual(row < rows && column < columns ? [first, first + 1] : [0, 0]);
            }),
          ),
        );
        const again = fromWindows(windows, [rows, columns]);
        expect(again.arraySync()).toEqual(tokens.arraySync());
        tf.dispose([tokens, windows, again]);
      },
    ),
    { numRuns: 40 },
  );
});

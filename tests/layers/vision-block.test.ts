import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { VisionBlock, type VisionBlockConfig } from '../../lib/layers/vision-block';
import { seededNormal } from '../../lib/weights/seeded';
import { expectClose } from '../goldens';
import { expectNoLeak } from '../tensors';

type Matrix = number[][];

const [tokens, width, heads, hidden] = [5, 6, 2, 7];

const drawn = (name: string, shape: readonly number[]): number[] => {
  const next = seededNormal(name);
  return Array.from({ length: shape.reduce((product, n) => product * n, 1) }, () => next());
};

/** The block in plain numbers, with PyTorch's `[out, in]` matrices. */
function slowly(x: Matrix, { feedForward, layerScale }: Pick<VisionBlockConfig, 'feedForward' | 'layerScale'>): Matrix {
  const at = (values: readonly number[], index: number): number => values[index] as number;
  const linear = (rows: Matrix, name: string, outputs: number): Matrix =>
    rows.map((row) =>
      Array.from({ length: outputs }, (_, out) => {
        const weights = drawn(`b.${name}.weight`, [outputs, row.length]).slice(
          out * row.length,
          (out + 1) * row.length,
        );
        return row.reduce(
          (sum, value, index) => sum + value * at(weights, index),
          at(drawn(`b.${name}.bias`, [outputs]), out),
        );
      }),
    );
  const norm = (rows: Matrix, name: string): Matrix =>
    rows.map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / width;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      const [gain, offset] = [drawn(`b.${name}.weight`, [width]), drawn(`b.${name}.bias`, [width])];
      return row.map(
        (value, index) => ((value - mean) / Math.sqrt(variance + 1e-6)) * at(gain, index) + at(offset, index),
      );
    });
  const scaled = (rows: Matrix, name: string): Matrix =>
    layerScale
      ? rows.map((row) => row.map((value, index) => value * at(drawn(`b.${name}.gamma`, [width]), index)))
      : rows;
  const plus = (a: Matrix, b: Matrix): Matrix =>
    a.map((row, i) => row.map((value, j) => value + at(b[i] as number[], j)));

  const joined = linear(norm(x, 'norm1'), 'attn.qkv', 3 * width);
  const depth = width / heads;
  const attended = joined.map((row) =>
    Array.from({ length: width }, (_, channel) => {
      const head = Math.floor(channel / depth);
      const scores = joined.map((other) => {
        let sum = 0;
        for (let index = 0; index < depth; index++)
          sum += at(row, head * depth + index) * at(other, width + head * depth + index);
        return Math.exp(sum / Math.sqrt(depth));
      });
      const total = scores.reduce((sum, score) => sum + score, 0);
      return joined.reduce(
        (sum, other, index) => sum + (at(scores, index) / total) * at(other, 2 * width + channel),
        0,
      );
    }),
  );
  const middle = plus(x, scaled(linear(attended, 'attn.proj', width), 'ls1'));

  const normed = norm(middle, 'norm2');
  const fed =
    feedForward === 'mlp'
      ? linear(
          linear(normed, 'mlp.fc1', hidden).map((row) => row.map(gelu)),
          'mlp.fc2',
          width,
        )
      : linear(
          linear(normed, 'mlp.w12', 2 * hidden).map((row) =>
            row.slice(0, hidden).map((gate, index) => (gate / (1 + Math.exp(-gate))) * at(row, hidden + index)),
          ),
          'mlp.w3',
          width,
        );
  return plus(middle, scaled(fed, 'ls2'));
}

/** x·Φ(x), with the normal distribution integrated by small steps. */
function gelu(x: number): number {
  const steps = 4000;
  let area = 0;
  for (let step = 0; step < steps; step++) area += Math.exp(-((((step + 0.5) / steps) * x) ** 2) / 2) * (x / steps);
  return x * (0.5 + area / Math.sqrt(2 * Math.PI));
}

beforeAll(async () => {
  await prepareBackend('auto');
});

test.each([
  ['as in DINO', { feedForward: 'mlp', layerScale: false }],
  ['as in DINOv2', { feedForward: 'mlp', layerScale: true }],
  ['as in the largest DINOv2', { feedForward: 'swiglu', layerScale: true }],
] as const)('a block %s', async (_, kind) => {
  const block = new VisionBlock({
    ...kind,
    width,
    heads,
    hidden,
    path: 'b',
    parameters: (name, shape) => tf.tensor(drawn(name, shape), shape),
  });
  // The second image is another one, so that tokens of different images must stay apart.
  const images = ['first', 'second']
    .map((name) => drawn(name, [tokens, width]))
    .map((values) => Array.from({ length: tokens }, (__, row) => values.slice(row * width, (row + 1) * width)));
  await expectNoLeak(() => {
    const got = tf.tidy(() => (block.apply(tf.tensor3d(images)) as tf.Tensor).dataSync());
    expectClose(
      got,
      images.flatMap((image) => slowly(image, kind).flat()),
      2e-4,
      1e-4,
    );
  });
  block.dispose();
});

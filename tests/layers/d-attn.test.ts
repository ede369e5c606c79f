import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import type { DAttnMean } from '../../lib/layers/d-attn';
import { DAttn } from '../../lib/layers/d-attn';
import { MultiHeadAttention } from '../../lib/layers/multi-head-attention';
import { describeWithGoldens, expectClose, golden, goldenCases } from '../goldens';
import { expectNoLeak, goldenParameters, goldenTensor } from '../tensors';

beforeAll(async () => {
  await prepareBackend('auto');
});

interface Setting {
  beta?: number;
  gamma?: number;
  mean?: DAttnMean;
}

const dAttn = ({ beta = 1.2, gamma = 3, mean = 'image' }: Setting = {}): DAttn => new DAttn({ beta, gamma, mean });

/** D-Attn by its formula in plain loops, one image on one grid. Rows that are all cut keep what is most similar. */
function slowly(
  values: number[][],
  features: number[][],
  { beta = 1.2, gamma = 3 }: Setting,
  mean?: number,
): number[][] {
  const unit = features.map((f) => {
    const length = Math.hypot(...f);
    return f.map((x) => (length === 0 ? 0 : x / length));
  });
  const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  const similar = unit.map((a) => unit.map((b) => dot(a, b)));
  const middle = mean ?? similar.flat().reduce((sum, x) => sum + x, 0) / similar.length ** 2;
  return similar.map((row) => {
    const shifted = row.map((s) => gamma * (s - beta * middle));
    const largest = Math.max(...shifted);
    const kept = shifted.map((x) => (largest >= 0 ? x >= 0 : x >= largest * 1.0001));
    const weights = shifted.map((x, i) => (kept[i] ? Math.exp(x - largest) : 0));
    const total = weights.reduce((sum, w) => sum + w, 0);
    return (values[0] as number[]).map((_, d) =>
      weights.reduce((sum, w, i) => sum + (w / total) * ((values[i] as number[])[d] as number), 0),
    );
  });
}

const rowsOf = (tensor: tf.Tensor3D, image: number): number[][] => tensor.arraySync()[image] as number[][];

describeWithGoldens('D-Attn against the reference', () => {
  const cases = goldenCases('dattn').filter(({ id }) => id.startsWith('dattn/unit/'));

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const family = (item.config as unknown as { dino_model: string }).dino_model;
    const attention = new MultiHeadAttention({
      width: 128,
      heads: 2,
      path: 'visual.transformer.resblocks.5.attn',
      parameters: goldenParameters('clip_tiny.safetensors'),
    });
    const layer = dAttn({ beta: family === 'sam' ? 1.08 : 1.2, mean: 'batch' });
    await expectNoLeak(() =>
      tf.tidy(() => {
        const tokens = tf.transpose(goldenTensor<tf.Rank.R3>('dattn.safetensors#unit.x'), [1, 0, 2]); // [B, 1+N, D]
        const features = tf.transpose(goldenTensor<tf.Rank.R4>(item.inputs['features'] as string), [0, 2, 3, 1]); // [B, R, C, F]
        const values = tf.reshape(
          attention.valuesOf(tf.slice(tokens, [0, 1, 0], [-1, 25, -1])),
          [2, 5, 5, 128],
        ) as tf.Tensor4D;
        const got = tf.transpose(attention.projectOutput(layer.gather(values, features)), [1, 0, 2]).dataSync(); // [M, B, D]
        const want = golden(item.outputs['y'] as string).data;
        expect(got.every(Number.isFinite)).toBe(true);
        // Where the reference has no number this layer must have one, and be equal everywhere else.
        const defined = [...want.keys()].filter((index) => Number.isFinite(want[index]));
        expect(defined.length).toBe(
          item.id.endsWith('constant_features')
            ? 0
            : item.id.endsWith('zero_vectors')
              ? (want.length * 24) / 25
              : want.length,
        );
        expectClose(
          defined.map((index) => got[index] as number),
          defined.map((index) => want[index] as number),
          1e-4,
          1e-3,
        );
      }),
    );
    attention.dispose();
    layer.dispose();
  });

  test('there are cases for both kinds of grids, both cuts, and where the reference has no number', () => {
    expect(cases).toHaveLength(5);
  });
});

describe('D-Attn', () => {
  const random = (shape: number[], seed: number): tf.Tensor => tf.randomNormal(shape, 0, 1, 'float32', seed);

  test.each([
    ['each image alone', 'image'],
    ['all images together', 'batch'],
  ] as const)('equals its formula in plain loops, mean over %s', (_, mean) => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer({ min: 1, max: 1e6 }),
          rows: fc.integer({ min: 1, max: 4 }),
          columns: fc.integer({ min: 1, max: 4 }),
        }),
        fc.constantFrom(0, 0.5, 1.08, 1.2, 4),
        fc.constantFrom(1, 3),
        ({ seed, rows, columns }, beta, gamma) =>
          tf.tidy(() => {
            const values = random([2, rows, columns, 3], seed) as tf.Tensor4D;
            // Far from zero mean, so that rows are cut as a whole as well.
            const features = tf.add(random([2, rows, columns, 4], seed + 1), seed % 3) as tf.Tensor4D;
            const layer = dAttn({ beta, gamma, mean });
            const got = layer.gather(values, features);
            const flatValues = tf.reshape(values, [2, -1, 3]) as tf.Tensor3D;
            const flatFeatures = tf.reshape(features, [2, -1, 4]) as tf.Tensor3D;
            const unit = tf.div(flatFeatures, tf.norm(flatFeatures, 2, -1, true));
            const together = tf.mean(tf.matMul(unit, unit, false, true)).dataSync()[0] as number;
            for (const image of [0, 1]) {
              const want = slowly(
                rowsOf(flatValues, image),
                rowsOf(flatFeatures, image),
                { beta, gamma },
                mean === 'batch' ? together : undefined,
              );
              expectClose(rowsOf(got, image).flat(), want.flat(), 2e-4);
            }
          }),
      ),
      { numRuns: 40, seed: 5 },
    );
  });

  test("an image does not depend on its batch, unless the mean is the batch's", () => {
    tf.tidy(() => {
      const values = random([3, 4, 4, 8], 1) as tf.Tensor4D;
      const features = tf.concat([random([1, 4, 4, 6], 2), tf.add(random([2, 4, 4, 6], 3), 1)]) as tf.Tensor4D;
      const first = <T extends tf.Tensor>(all: T): T => tf.slice(all, 0, 1) as T;
      const difference = (mean: DAttnMean): number => {
        const layer = dAttn({ mean });
        return tf
          .max(tf.abs(tf.sub(first(layer.gather(values, features)), layer.gather(first(values), first(features)))))
          .dataSync()[0] as number;
      };
      expect(difference('image')).toBeLessThan(1e-6);
      expect(difference('batch')).toBeGreaterThan(1e-2);
    });
  });

  test('of constant features every patch gathers the mean of all values', () => {
    tf.tidy(() => {
      const values = random([1, 3, 3, 5], 4) as tf.Tensor4D;
      const mean = tf.tile(tf.mean(tf.reshape(values, [1, 9, 5]), 1, true), [1, 9, 1]);
      expectClose(
        dAttn()
          .gather(values, tf.fill([1, 3, 3, 7], 0.3) as tf.Tensor4D)
          .dataSync(),
        mean.dataSync(),
        1e-6,
      );
      expectClose(
        dAttn()
          .gather(values, tf.zeros([1, 3, 3, 7]))
          .dataSync(),
        mean.dataSync(),
        1e-6,
      );
    });
  });

  test('where all patches but one are alike, each kind keeps to itself', () => {
    tf.tidy(() => {
      const values = tf.reshape(tf.range(0, 9), [1, 3, 3, 1]) as tf.Tensor4D;
      // One patch points slightly elsewhere: the mean similarity times 1.2 is above one, and the reference has NaN.
      const features = tf.tensor4d([
        [
          [
            [1, 0],
            [1, 0],
            [1, 0],
          ],
          [
            [1, 0],
            [1, 0.5],
            [1, 0],
          ],
          [
            [1, 0],
            [1, 0],
            [1, 0],
          ],
        ],
      ]);
      const others = [0, 1, 2, 3, 5, 6, 7, 8].reduce((sum, x) => sum + x, 0) / 8;
      const want = Array.from({ length: 9 }, (_, place) => (place === 4 ? 4 : others));
      expectClose(dAttn().gather(values, features).dataSync(), want, 1e-5);
    });
  });

  test('values are brought to the grid of the features, finer or coarser', () => {
    tf.tidy(() => {
      const ramp = tf.reshape(tf.range(0, 2), [1, 1, 2, 1]) as tf.Tensor4D; // 0 and 1 side by side
      // Features without likeness: each patch keeps its own value.
      const apart = tf.reshape(tf.eye(4), [1, 1, 4, 4]) as tf.Tensor4D;
      expectClose(dAttn().gather(ramp, apart).dataSync(), [0, 0.25, 0.75, 1], 1e-6);
      const one = tf.ones([1, 1, 1, 3]) as tf.Tensor4D;
      expectClose(dAttn().gather(ramp, one).dataSync(), [0.5], 1e-6);
    });
  });

  test('many images are worked on in groups with the same result, and leave nothing behind', async () => {
    // 3 images of 1600 patches exceed what is held at once.
    const layer = dAttn({ mean: 'batch' });
    await expectNoLeak(() =>
      tf.tidy(() => {
        const values = random([3, 40, 40, 2], 8) as tf.Tensor4D;
        const features = random([3, 40, 40, 4], 9) as tf.Tensor4D;
        const unit = tf.div(features, tf.norm(features, 2, -1, true));
        const flat = tf.reshape(unit, [3, 1600, 4]) as tf.Tensor3D;
        const similar = tf.matMul(flat, flat, false, true);
        const shifted = tf.mul(tf.sub(similar, tf.mul(tf.mean(similar), 1.2)), 3);
        const weights = tf.softmax(tf.where(tf.less(shifted, 0), tf.fill(shifted.shape, -1e9), shifted));
        const want = tf.matMul(weights, tf.reshape(values, [3, 1600, 2]));
        expectClose(layer.gather(values, features).dataSync(), want.dataSync(), 1e-4);
      }),
    );
    layer.dispose();
  });

  test('is rebuilt from its configuration', () => {
    const layer = dAttn({ beta: 1.08, gamma: 2, mean: 'batch' });
    const { beta, gamma, mean } = JSON.parse(JSON.stringify(layer.getConfig())) as Required<Setting>;
    expect({ beta, gamma, mean }).toEqual({ beta: 1.08, gamma: 2, mean: 'batch' });
    expect(
      layer.computeOutputShape([
        [2, 5, 5, 64],
        [2, 8, 9, 24],
      ]),
    ).toEqual([2, 72, 64]);
    expect(tf.serialization.getRegisteredName(DAttn)).toBe('crane>DAttn');
  });
});

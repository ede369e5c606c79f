import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import { upsampleGrid } from '../../lib/scoring/fusion';
import { diceLoss, focalLoss, imageCrossEntropy } from '../../lib/scoring/losses';
import { describeWithGoldens, expectClose, goldenCases, type GoldenCase } from '../goldens';
import { expectNoLeak, goldenTensor } from '../tensors';

beforeAll(async () => {
  await prepareBackend();
});

type LossCase = GoldenCase & { readonly dice_per_image: number };

/** `[B, 2, H, W]` to `[B, H, W, 2]`. */
const channelsLast = (reference: string): tf.Tensor4D =>
  tf.tidy(() => tf.transpose(goldenTensor<tf.Rank.R4>(reference), [0, 2, 3, 1]));

/** The map that the dice loss is taken of, `(1 - p_normal + p_anomalous) / 2`. */
const anomalyMap = (probabilities: tf.Tensor): tf.Tensor => {
  const [normal, anomalous] = tf.split(probabilities, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.squeeze(tf.div(tf.add(tf.sub(1, normal), anomalous), 2), [-1]);
};

function expectValueAndGradient(
  item: GoldenCase,
  name: 'focal' | 'dice',
  loss: (probabilities: tf.Tensor, masks: tf.Tensor) => tf.Scalar,
): void {
  const { atol, rtol } = item.tolerance as { atol: number; rtol: number };
  tf.tidy(() => {
    const probabilities = channelsLast(item.inputs['probabilities'] as string);
    const given = goldenTensor(item.inputs['masks'] as string);
    const masks = tf.reshape(given, probabilities.shape.slice(0, 3)); // [B, H, W]
    const { value, grad } = tf.valueAndGrad((x) => loss(x, masks))(probabilities);
    expectClose(value.dataSync(), [Number(item.outputs[name])], atol, rtol);
    expectClose(grad.dataSync(), channelsLast(item.outputs[`grad_${name}`] as string).dataSync(), atol, rtol);
  });
}

describeWithGoldens('losses of the reference', () => {
  const cases = goldenCases('losses').filter(({ id }) => id !== 'losses/cross_entropy') as LossCase[];
  const ids = cases.map((item) => [item.id, item] as const);

  test.each(ids)('%s: focal loss and its gradient', (_, item) => {
    expectValueAndGradient(item, 'focal', focalLoss);
  });

  test.each(ids.filter(([id]) => id !== 'losses/single'))('%s: dice loss and its gradient', (_, item) => {
    expectValueAndGradient(item, 'dice', (x, masks) => diceLoss(anomalyMap(x), masks));
  });

  test.each(ids)('%s: dice per image', (_, item) => {
    tf.tidy(() => {
      const map = anomalyMap(channelsLast(item.inputs['probabilities'] as string));
      const masks = tf.reshape(goldenTensor(item.inputs['masks'] as string), map.shape);
      expectClose(diceLoss(map, masks).dataSync(), [item.dice_per_image], 2e-6, 1e-4);
    });
  });

  test('a single image: rows taken for images give what the reference computes', () => {
    const single = cases.find(({ id }) => id === 'losses/single') as LossCase;
    expectValueAndGradient(single, 'dice', (x, masks) =>
      diceLoss(tf.squeeze(anomalyMap(x), [0]), tf.squeeze(masks, [0])),
    );
  });

  test('cross-entropy and its gradient', () => {
    const item = goldenCases('losses').find(({ id }) => id === 'losses/cross_entropy') as GoldenCase;
    tf.tidy(() => {
      const logits = goldenTensor<tf.Rank.R2>(item.inputs['logits'] as string);
      const labels = goldenTensor<tf.Rank.R1>(item.inputs['labels'] as string);
      const { value, grad } = tf.valueAndGrad((x) => imageCrossEntropy(x as tf.Tensor2D, labels))(logits);
      expectClose(value.dataSync(), [Number(item.outputs['loss'])], 2e-6, 1e-4);
      expectClose(grad.dataSync(), goldenTensor(item.outputs['grad'] as string).dataSync(), 2e-6, 1e-4);
    });
  });
});

describe('by hand', () => {
  test('focal loss of two pixels', () => {
    tf.tidy(() => {
      const loss = focalLoss(
        tf.tensor2d([
          [0.5, 0.5],
          [0.25, 0.75],
        ]),
        tf.tensor1d([0, 1]),
      );
      const expected = (0.25 * Math.log(2) + 0.0625 * Math.log(4 / 3)) / 2;
      expect(loss.dataSync()[0]).toBeCloseTo(expected, 4);
    });
  });

  test('dice loss of two images: one half right, one empty and quiet', () => {
    tf.tidy(() => {
      const loss = diceLoss(
        tf.tensor2d([
          [1, 0, 0],
          [0, 0, 0],
        ]),
        tf.tensor2d([
          [1, 1, 0],
          [0, 0, 0],
        ]),
      );
      expect(loss.dataSync()[0]).toBeCloseTo(1 - (3 / 4 + 1) / 2, 6);
    });
  });

  test('cross-entropy stays finite for logits of a hundred', () => {
    tf.tidy(() => {
      const loss = imageCrossEntropy(
        tf.tensor2d([
          [100, -100],
          [100, -100],
        ]),
        tf.tensor1d([0, 1], 'int32'),
      );
      expect(loss.dataSync()[0]).toBeCloseTo(100, 4);
    });
  });
});

test('per patch and per pixel agree, in value and gradient, for any mask', () => {
  const shapes = fc.record({
    images: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 4 }),
    columns: fc.integer({ min: 1, max: 4 }),
    patch: fc.integer({ min: 1, max: 5 }),
    seed: fc.integer(),
  });
  fc.assert(
    fc.property(shapes, ({ images, rows, columns, patch, seed }) => {
      tf.tidy(() => {
        const size = [rows * patch, columns * patch] as const;
        const grid = [rows, columns] as const;
        const cells = tf.sigmoid(tf.randomNormal([images, rows, columns], 0, 2, 'float32', seed));
        const masks = tf.cast(tf.less(tf.randomUniform([images, ...size], 0, 1, 'float32', seed + 1), 0.3), 'float32');
        const shares = tf.squeeze(tf.avgPool(tf.expandDims(masks, 3) as tf.Tensor4D, patch, patch, 'valid'), [3]);
        const both = (p: tf.Tensor): tf.Tensor => tf.stack([tf.sub(1, p), p], -1);
        const perPixel = (p: tf.Tensor): tf.Scalar => {
          const map = upsampleGrid(tf.reshape(p, [images, rows * columns]), grid, size, 'nearest');
          return tf.add(focalLoss(both(map), masks), diceLoss(map, masks));
        };
        const perPatch = (p: tf.Tensor): tf.Scalar =>
          tf.add(focalLoss(both(p), shares), diceLoss(p, shares, patch * patch));
        const [slow, fast] = [tf.valueAndGrad(perPixel)(cells), tf.valueAndGrad(perPatch)(cells)];
        expectClose(fast.value.dataSync(), slow.value.dataSync(), 1e-6, 1e-5);
        expectClose(fast.grad.dataSync(), slow.grad.dataSync(), 1e-6, 1e-4);
      });
    }),
    { numRuns: 40 },
  );
});

test('losses leave no tensors behind', async () => {
  const inputs = [tf.fill([2, 3, 2], 0.5), tf.zeros([2, 3]), tf.zeros([2, 2]), tf.tensor1d([0, 1], 'int32')] as const;
  await expectNoLeak(() => {
    const [p, g, logits, labels] = inputs;
    tf.dispose([focalLoss(p, g), diceLoss(g, g), imageCrossEntropy(logits as tf.Tensor2D, labels)]);
  });
  tf.dispose([...inputs]);
});

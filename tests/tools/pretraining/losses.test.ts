import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../../lib/backend';
import {
  contrastiveLoss,
  crossEntropy,
  denseLoss,
  patchLogits,
  pooledFeature,
  stateLoss,
  unit,
} from '../../../tools/pretraining/losses';
import { Random } from '../../../datasets/synthetic/random';
import { expectClose } from '../../goldens';
import { expectNoLeak } from '../../tensors';

beforeAll(async () => {
  await prepareBackend('auto');
});

const random = new Random('losses');
const draw = (count: number): number[] => Array.from({ length: count }, () => random.normal());
const scalar = (x: tf.Tensor): number => x.dataSync()[0] as number;

/** Derivative of a function of a few numbers by central differences, in single precision. */
function slope(f: (x: tf.Tensor) => tf.Tensor, values: readonly number[], shape: number[]): number[] {
  const step = 3e-3;
  return values.map((_, at) => {
    const moved = (by: number): number =>
      tf.tidy(() =>
        scalar(
          f(
            tf.tensor(
              values.map((v, i) => (i === at ? v + by : v)),
              shape,
            ),
          ),
        ),
      );
    return (moved(step) - moved(-step)) / (2 * step);
  });
}

describe('the contrastive loss', () => {
  test('of two pairs, by hand', async () => {
    await expectNoLeak(() =>
      tf.tidy(() => {
        const images = tf.tensor2d([
          [1, 0],
          [0, 1],
        ]);
        const loss = contrastiveLoss(images, images, tf.zeros([2, 2]), tf.scalar(Math.log(2)));
        expect(scalar(loss)).toBeCloseTo(Math.log(1 + Math.exp(-2)), 6); // logits [[2, 0], [0, 2]]
      }),
    );
  });

  test('a caption that is true of another image as well is no negative there', () => {
    tf.tidy(() => {
      const images = tf.tensor2d([
        [1, 0],
        [1, 0],
        [0, 1],
      ]);
      const same = tf.tensor2d([
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 0],
      ]);
      const masked = scalar(contrastiveLoss(images, images, same, tf.scalar(0)));
      // Rows 1 and 2 have one negative each, row 3 two: softplus(−1) twice and log(1 + 2e⁻¹).
      expect(masked).toBeCloseTo((2 * Math.log(1 + Math.exp(-1)) + Math.log(1 + 2 * Math.exp(-1))) / 3, 6);
      expect(scalar(contrastiveLoss(images, images, tf.zeros([3, 3]), tf.scalar(0)))).toBeGreaterThan(masked + 0.1);
    });
  });

  test('its gradient is that of finite differences', () => {
    const [images, texts] = [draw(9), draw(9)];
    const masked = tf.tensor2d([
      [0, 0, 1],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    const loss = (x: tf.Tensor): tf.Tensor =>
      contrastiveLoss(unit(x as tf.Tensor2D), unit(tf.tensor2d(texts, [3, 3])), masked, tf.scalar(1));
    const got = tf.tidy(() =>
      tf
        .grad(loss)(tf.tensor2d(images, [3, 3]))
        .dataSync(),
    );
    expectClose(got, slope(loss, images, [3, 3]), 2e-3);
    masked.dispose();
  });
});

describe('the dense and the state loss', () => {
  test('cross-entropy with soft targets, by hand', () => {
    tf.tidy(() => {
      const got = crossEntropy(tf.tensor1d([0, 2, -30]), tf.tensor1d([0.3, 1, 0])).dataSync();
      expectClose(got, [Math.LN2, Math.log(1 + Math.exp(-2)), 0], 1e-6);
    });
  });

  test('a patch logit is the difference of its two similarities over the temperature', () => {
    tf.tidy(() => {
      const patches = unit(tf.tensor3d(draw(2 * 3 * 4), [2, 3, 4]));
      const [normal, damaged] = [unit(tf.tensor2d(draw(8), [2, 4])), unit(tf.tensor2d(draw(8), [2, 4]))];
      const got = patchLogits(patches, tf.sub(damaged, normal)).arraySync();
      const [p, n, d] = [patches.arraySync(), normal.arraySync(), damaged.arraySync()];
      const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
      p.forEach((image, b) =>
        image.forEach((patch, i) => expect(got[b]?.[i]).toBeCloseTo((dot(patch, d[b]!) - dot(patch, n[b]!)) / 0.07, 3)),
      );
    });
  });

  test('pooling weighs patches by how damaged they look, then halves with the class token', () => {
    tf.tidy(() => {
      const patches = tf.tensor3d([1, 0, 0, 1], [1, 2, 2]);
      const got = pooledFeature(tf.tensor2d([[0, 1]]), patches, tf.tensor2d([[Math.log(3), -Math.log(3)]])).dataSync();
      // Weights ¾ and ¼: c = (3, 1)/√10; g+ ∝ (3, 1 + √10).
      const length = Math.hypot(3, 1 + Math.sqrt(10));
      expectClose(got, [3 / length, (1 + Math.sqrt(10)) / length], 1e-6);
    });
  });

  test('gradients are those of finite differences, and patches or images of weight zero have none', () => {
    const values = draw(12);
    const direction = tf.tensor2d(
      draw(4).map((value) => value * 0.1),
      [2, 2],
    );
    const [targets, weights] = [
      tf.tensor2d([
        [1, 0, 0.4],
        [0, 0, 1],
      ]),
      tf.tensor2d([
        [0.3, 0.2, 0.2],
        [0.3, 0, 0],
      ]),
    ];
    const dense = (x: tf.Tensor): tf.Tensor => denseLoss(x as tf.Tensor3D, direction, targets, weights);
    const got = tf.tidy(() =>
      tf
        .grad(dense)(tf.tensor3d(values, [2, 3, 2]))
        .dataSync(),
    );
    expectClose(got, slope(dense, values, [2, 3, 2]), 2e-3);
    expectClose(got.slice(8), [0, 0, 0, 0], 0);

    const [labels, share] = [tf.tensor1d([1, 0]), tf.tensor1d([0, 1])];
    const state = (x: tf.Tensor): tf.Tensor => stateLoss(x as tf.Tensor2D, direction, labels, share);
    const ofImages = tf.tidy(() =>
      tf
        .grad(state)(tf.tensor2d(values.slice(0, 4), [2, 2]))
        .dataSync(),
    );
    expectClose(ofImages, slope(state, values.slice(0, 4), [2, 2]), 2e-3);
    expectClose(ofImages.slice(0, 2), [0, 0], 0);
    tf.dispose([direction, targets, weights, labels, share]);
  });
});

import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import type { ContextPosition } from '../../lib/config';
import { roundToHalf } from '../../lib/prompts/half-precision';
import { narrowToHalf, widenHalf } from '../../lib/weights/half';
import { describeWithGoldens, expectClose, golden, goldenCases } from '../goldens';
import { expectNoLeak, goldenTensor } from '../tensors';
import { tinyCrane } from '../tiny-crane';

beforeAll(async () => {
  await prepareBackend('auto');
});

describeWithGoldens('learnable prompts against the reference', () => {
  const cases = goldenCases('prompts').filter((item) => item.outputs['eot']);

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const config = item.config as unknown as { train_with_img_cls_type: ContextPosition };
    const image = item.inputs['image_embeddings'];
    for (const roundDeepTokens of [true, false]) {
      const model = tinyCrane({ contextPosition: config.train_with_img_cls_type, roundDeepTokens });
      await expectNoLeak(() =>
        tf.tidy(() => {
          const features = image ? goldenTensor<tf.Rank.R2>(image) : undefined;
          const { embedded, endPositions } = model.prompts.assemble(model.text, features);
          expect(endPositions).toEqual(Array.from(golden(item.outputs['eot'] as string).data));
          const want = item.outputs['prompts'] && golden(item.outputs['prompts']);
          if (want) {
            // The reference goes on with padding up to 77 tokens, which the causal mask makes irrelevant.
            const [rows, length, width] = embedded.shape;
            const whole = tf.tensor(want.data, [rows, 77, width]);
            expectClose(embedded.dataSync(), tf.slice(whole, [0, 0, 0], [rows, length, width]).dataSync(), 0);
          }
          const got = model.prompts.encode(model.text, features).dataSync();
          const name = roundDeepTokens ? 'text_features' : 'text_features_no_half';
          expectClose(got, golden(item.outputs[name] as string).data, item.tolerance['atol'] as number, 1e-3);
        }),
      );
      model.dispose();
    }
  });

  test('a prompt depends on its own image only', () => {
    const model = tinyCrane();
    tf.tidy(() => {
      const images = goldenTensor<tf.Rank.R2>('prompts.safetensors#image_embeddings');
      const both = model.prompts.encode(model.text, images);
      const second = model.prompts.encode(model.text, tf.slice(images, [1, 0], [1, 64]));
      expectClose(second.dataSync(), tf.slice(both, [1, 0, 0], [1, 2, 64]).dataSync(), 1e-5);
    });
    model.dispose();
  });
});

describe('rounding to half precision', () => {
  test('equals the conversion to 16 bits and back, subnormals included', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 1, maxLength: 50 }), (numbers) => {
        const want = new Float32Array(numbers.length);
        widenHalf(narrowToHalf(Float32Array.from(numbers)), want);
        const got = tf.tidy(() => roundToHalf(tf.tensor1d(numbers)).dataSync());
        expect(Array.from(got, (x) => x + 0)).toEqual(Array.from(want, (x) => x + 0));
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  test('rounds gradients on their way back', () => {
    const gradient = tf.tidy(() =>
      tf.grad((x) => tf.sum(tf.mul(roundToHalf(x), tf.scalar(1.0001))))(tf.tensor1d([0.5, 2])).dataSync(),
    );
    expect(Array.from(gradient)).toEqual([1, 1]);
  });
});

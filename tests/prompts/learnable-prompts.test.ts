import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import type { ContextPosition } from '../../lib/prompts/learnable-prompts';
import { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { roundToHalf } from '../../lib/prompts/half-precision';
import { LearnablePrompts } from '../../lib/prompts/learnable-prompts';
import { narrowToHalf, widenHalf } from '../../lib/files/half';
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

describe('what the prompts of a batch have in common is computed once', () => {
  const sizes = { width: 16, layers: 4, heads: 2, contextLength: 24, vocabularySize: 8 };
  const parameters = (path: string, shape: number[]): tf.Tensor =>
    /ln_.*weight$/.test(path) ? tf.ones(shape) : tf.randomNormal(shape, 0, 0.4, 'float32', path.length + shape.length);
  const POSITIONS = ['pad_suffix', 'replace_suffix', 'pad_prefix', 'replace_prefix'] as const;

  /** Prompts of three context vectors; the text tower sees whether its stems were shared. */
  function setUp(
    contextPosition: ContextPosition,
    shared: boolean,
    deepTokens = 2,
  ): { prompts: LearnablePrompts; text: ClipTextEncoder; branching: jest.SpyInstance } {
    const text = new ClipTextEncoder({ sizes, embedDimension: 16, activation: 'quick-gelu', parameters });
    const prompts = new LearnablePrompts({
      width: 16,
      contextTokens: 3,
      deepTokens,
      depth: 3,
      contextPosition,
      startToken: 6,
      endToken: 7,
      normalWords: [1, 2],
      anomalousWords: [3, 1, 2],
      trainable: true,
      roundGradients: !shared,
      parameters,
    });
    return { prompts, text, branching: jest.spyOn(text, 'forwardBranches') };
  }

  const images = (): tf.Tensor2D => tf.randomNormal([5, 16], 0, 1, 'float32', 3);

  function gradientsOf({ prompts, text }: ReturnType<typeof setUp>): {
    value: Float32Array;
    gradients: Float32Array[];
  } {
    return tf.tidy(() => {
      const weights = tf.randomNormal([5, 2, 16], 0, 1, 'float32', 4);
      const variables = prompts.trainableWeights.map((weight) => weight.read() as tf.Variable);
      const image = images();
      const { grads } = tf.variableGrads(
        () => tf.sum(tf.mul(prompts.encode(text, image), weights)) as tf.Scalar,
        variables,
      );
      return {
        value: prompts.encode(text, image).dataSync() as Float32Array,
        gradients: variables.map(
          (variable) => (grads[variable.name]?.dataSync() ?? new Float32Array(variable.size)) as Float32Array,
        ),
      };
    });
  }

  test.each(POSITIONS)('with equal features and gradients: %s', (position) => {
    const [whole, once] = [setUp(position, false), setUp(position, true)];
    const [want, got] = [gradientsOf(whole), gradientsOf(once)];
    expectClose(got.value, want.value, 1e-5);
    got.gradients.forEach((gradient, index) => {
      const expected = want.gradients[index] as Float32Array;
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      // Those of deep tokens are rounded on one side.
      expectClose(gradient, expected, 1e-3 * largest);
      expect(largest).toBeGreaterThan(0.01);
    });
    expect(whole.branching).not.toHaveBeenCalled();
    expect(once.branching.mock.calls.length).toBe(position.endsWith('suffix') ? 2 : 0);
    [whole, once].forEach(({ prompts, text }) => [prompts, text].forEach((layer) => layer.dispose()));
  });

  test('not where deep tokens reach beyond it, nor for a single image', () => {
    for (const [deepTokens, count, calls] of [
      [3, 5, 1],
      [4, 5, 0],
      [2, 1, 0],
    ] as const) {
      const { prompts, text, branching } = setUp('pad_suffix', true, deepTokens);
      tf.tidy(() => prompts.encode(text, tf.slice(images(), [0, 0], [count, 16])));
      expect(branching).toHaveBeenCalledTimes(calls);
      [prompts, text].forEach((layer) => layer.dispose());
    }
  });

  test('gradients reach nothing but the prompts', () => {
    const { prompts, text } = setUp('pad_suffix', true);
    expect(text.trainableWeights).toEqual([]);
    if (tf.getBackend() !== 'tensorflow') {
      // Products are counted where they pass through the native binding.
      [prompts, text].forEach((layer) => layer.dispose());
      return;
    }
    const image = images();
    const matMul = jest.spyOn(
      tf.engine().backend as unknown as { executeSingleOutput: (...args: unknown[]) => tf.Tensor },
      'executeSingleOutput',
    );
    const count = (run: () => tf.Tensor): number => {
      matMul.mockClear();
      tf.dispose(tf.tidy(() => [run()]));
      return matMul.mock.calls.filter(([name]) => /MatMul/.test(String(name))).length;
    };
    const forward = count(() => prompts.encode(text, image));
    const variables = prompts.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const both = count(() => tf.variableGrads(() => tf.sum(prompts.encode(text, image)) as tf.Scalar, variables).value);
    matMul.mockRestore();
    if (tf.getBackend() !== 'tensorflow') return expect(forward).toBe(0);
    // In each of 4 blocks 4 linear layers and 6 products of attention, then the projection. Going back, a product of two
    // activations gives two gradients and one with a weight only one; each of 9 layer norms takes two products.
    expect(forward).toBe(4 * (4 + 6) + 1);
    expect(both - forward).toBe(4 * (4 + 2 * 6) + 1 + 2 * 9);
    image.dispose();
    [prompts, text].forEach((layer) => layer.dispose());
  });
});

describe('rounding to half precision', () => {
  test('equals the conversion to 16 bits and back, subnormals included', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 1, maxLength: 50 }),
        (numbers) => {
          const want = new Float32Array(numbers.length);
          widenHalf(narrowToHalf(Float32Array.from(numbers)), want);
          const got = tf.tidy(() => roundToHalf(tf.tensor1d(numbers)).dataSync());
          expect(Array.from(got, (x) => x + 0)).toEqual(Array.from(want, (x) => x + 0));
        },
      ),
      { seed: 11, numRuns: 200 },
    );
  });

  test('rounds gradients on their way back', () => {
    const gradient = tf.tidy(() =>
      tf
        .grad((x) => tf.sum(tf.mul(roundToHalf(x), tf.scalar(1.0001))))(tf.tensor1d([0.5, 2]))
        .dataSync(),
    );
    expect(Array.from(gradient)).toEqual([1, 1]);
    const exact = tf.tidy(() =>
      tf
        .grad((x) => tf.sum(tf.mul(roundToHalf(x, false), tf.scalar(1.0001))))(tf.tensor1d([0.5, 2.0001]))
        .dataSync(),
    );
    expectClose(exact, [1.0001, 1.0001], 1e-7);
  });
});

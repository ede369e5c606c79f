import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { ClipTextEncoder, endPosition } from '../../lib/encoders/clip-text';
import { WeightsError } from '../../lib/errors';
import { describeWithGoldens, expectClose, golden, goldenTokenIds } from '../goldens';
import { goldenParameters } from '../tensors';

const sizes = { width: 64, layers: 4, heads: 1, contextLength: 77, vocabularySize: 49408 };

beforeAll(async () => {
  await prepareBackend('auto');
});

describeWithGoldens('the CLIP text encoder against the reference', () => {
  test('ordinary texts, on only as many tokens as the longest needs', () => {
    const tokenIds = goldenTokenIds('clip_tiny.safetensors');
    const model = new ClipTextEncoder({
      sizes,
      embedDimension: 64,
      activation: 'quick-gelu',
      parameters: goldenParameters('clip_tiny.safetensors'),
      ...(tokenIds ? { tokenIds } : {}),
    });
    const ids = golden('prompts.safetensors#plain.ids');
    const [count, length] = ids.shape as [number, number];
    const contexts = Array.from({ length: count }, (_, row) =>
      Array.from(ids.data.slice(row * length, (row + 1) * length)),
    );
    const before = tf.memory().numTensors;
    const features = model.encode(contexts);
    expectClose(features.dataSync(), golden('prompts.safetensors#plain.text_features').data, 1e-4, 1e-3);
    features.dispose();
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });
});

describe('a token table of part of the vocabulary', () => {
  // Rows that differ in more than mean and scale, which the layer norm takes away.
  const table = Array.from({ length: 20 }, (_, id) =>
    Array.from({ length: 64 }, (_, i) => Math.sin(1 + 97 * id + 13 * i * i + id * i)),
  ); // [20, 64]
  const model = (tokenIds?: number[]): ClipTextEncoder =>
    new ClipTextEncoder({
      sizes: { width: 64, layers: 1, heads: 1, contextLength: 8, vocabularySize: 20 },
      embedDimension: 4,
      activation: 'gelu',
      ...(tokenIds ? { tokenIds } : {}),
      parameters: (path, shape) =>
        path === 'token_embedding.weight'
          ? tf.tensor2d(
              (tokenIds ?? [...table.keys()]).map((id) => table[id] as number[]),
              shape as [number, number],
            )
          : /ln_.*weight$/.test(path)
            ? tf.ones(shape)
            : tf.randomNormal(shape, 0, 0.1, 'float32', path.length),
    });

  test('gives what the whole table gives', () => {
    const [whole, part] = [model(), model([0, 3, 17, 19])];
    for (const context of [
      [17, 3, 19, 0, 0],
      [3, 17, 19, 0, 0],
      [3, 3, 19, 0, 0],
    ]) {
      tf.tidy(() => expectClose(part.encode([context]).dataSync(), whole.encode([context]).dataSync(), 0));
    }
    tf.tidy(() => {
      const [a, b] = [
        [17, 3, 19],
        [3, 17, 19],
      ].map((context) => part.encode([context])) as [tf.Tensor, tf.Tensor];
      expect(tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]).toBeGreaterThan(1e-3);
    });
    whole.dispose();
    part.dispose();
  });

  test('names a token it does not have', () => {
    const part = model([0, 3, 17, 19]);
    const before = tf.memory().numTensors;
    expect(() => part.encode([[17, 4, 19]])).toThrow(WeightsError);
    expect(() => part.encode([[17, 4, 19]])).toThrow(/token 4 has no row/);
    expect(tf.memory().numTensors).toBe(before);
    part.dispose();
  });
});

test('the end token is the largest id', () => {
  expect(endPosition([49406, 320, 49407, 0, 0])).toBe(2);
});

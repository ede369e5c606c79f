import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { openBackbone, type Backbone } from '../../lib/methods/backbone';
import { ANOMALOUS_WORDS, buildCraneModel, NORMAL_WORDS } from '../../lib/methods/crane/build';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { clipMetadata } from '../../lib/weights/clip-weights';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { seededNormal } from '../../lib/weights/seeded';
import { expectNoLeak } from '../tensors';
import { scratchFolder, weightsError } from '../weights/archives';

const scratch = scratchFolder();
beforeAll(async () => {
  await prepareBackend('auto');
});
afterAll(() => scratch.remove());

/** A CLIP of a few channels whose token table has `rows` rows. */
function smallClip(rows: number, more: { readonly hidden?: number; readonly epsilon?: number } = {}): string {
  const sizes: ClipSizes = {
    embedDimension: 8,
    vision: { width: 8, layers: 2, heads: 2, patchSize: 2, gridSize: 2, ...more },
    text: { width: 8, layers: 2, heads: 2, contextLength: 24, vocabularySize: rows, ...more },
  };
  const next = seededNormal('backbone test');
  const tensors = [...clipParameterShapes(sizes)].map(([name, shape]): [string, TensorToWrite] => {
    const count = shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: 'float16', shape, data: Float32Array.from({ length: count }, next) }];
  });
  const file = path.join(scratch.folder, `clip-${rows}.safetensors`);
  writeSafetensors(file, Object.fromEntries(tensors), clipMetadata(sizes, 'quick-gelu', 'openai'));
  return file;
}

function textVectors(backbone: Backbone): number[] {
  const model = buildCraneModel(backbone, {
    prompts: { seed: 3, depth: 2 },
    options: { imageSize: 4, layers: [2], eattnBlocks: 1 },
  });
  try {
    return tf.tidy(() => [...model.encodePrompts().dataSync()]);
  } finally {
    model.dispose();
  }
}

describe('a backbone of which only some words are wanted', () => {
  const words = [NORMAL_WORDS, ANOMALOUS_WORDS];

  test('has their rows of the token table, and the same text vectors', async () => {
    const file = smallClip(49408);
    const [whole, part] = [await openBackbone(file), await openBackbone(file, { words })];
    await expectNoLeak(() => {
      expect(whole.tokenIds).toBeUndefined();
      // Padding, "damaged", "." and "object" as they end words, start and end of text.
      expect(part.tokenIds).toEqual([0, 269, 13568, 14115, 49406, 49407]);
      expect(textVectors(part)).toEqual(textVectors(whole));
    });
    whole.close();
    part.close();
  });

  test('refuses other words, and says so', async () => {
    const backbone = await openBackbone(smallClip(49408), { words });
    const model = buildCraneModel(backbone, {
      prompts: { seed: 3, depth: 2 },
      options: { imageSize: 4, layers: [2], eattnBlocks: 1 },
    });
    const [known = 0, other = 0] = [...backbone.tokenizer.encode('damaged'), ...backbone.tokenizer.encode('cat')];
    tf.tidy(() => expect(model.text.embed([[known]]).shape).toEqual([1, 1, 8]));
    expect((await weightsError(() => model.text.embed([[other]]))).code).toBe('weights/token-missing');
    model.dispose();
    backbone.close();
  });

  test('whose table has no rows for them is told as it is without naming any', async () => {
    const file = smallClip(1000);
    const [whole, part] = [await openBackbone(file), await openBackbone(file, { words })];
    expect(part.tokenIds).toEqual([0, 269]);
    for (const backbone of [whole, part])
      expect((await weightsError(() => textVectors(backbone))).code).toBe('weights/token-missing');
    whole.close();
    part.close();
  });

  test('is the embedded one as it is, whose table is small', async () => {
    const [whole, part] = [await openBackbone(), await openBackbone('nano', { words })];
    expect(part.tokenIds).toEqual(whole.tokenIds);
    whole.close();
    part.close();
  });
});

test('feed-forward width and epsilon of its own reach the network', async () => {
  const backbone = await openBackbone(smallClip(49408, { hidden: 20, epsilon: 0.5 }));
  const model = buildCraneModel(backbone, {
    prompts: { seed: 3, depth: 2 },
    options: { imageSize: 4, layers: [2], eattnBlocks: 1 },
  });
  backbone.close();
  expect(model.vision.weights.filter(({ name }) => /c_fc\.weight/.test(name)).map(({ shape }) => shape)).toEqual([
    [8, 20],
    [8, 20],
  ]);
  // Far below an epsilon of a half, variance hardly counts: doubled tokens come out nearly doubled, instead of the same.
  const [once, twice] = tf.tidy(() =>
    [1e-3, 2e-3].map((scale) => {
      const tokens = tf.mul(tf.tensor3d([1, -2, 3, 0, -1, 2, -3, 0], [1, 1, 8]), scale);
      return model.vision.project(tf.sub(tokens, 0)).dataSync();
    }),
  ) as [Float32Array, Float32Array];
  const offset = tf.tidy(() => model.vision.project(tf.zeros([1, 1, 8])).dataSync()) as Float32Array;
  once.forEach((value, at) =>
    expect((twice[at] as number) - (offset[at] as number)).toBeCloseTo(2 * (value - (offset[at] as number)), 4),
  );
  model.dispose();
});

test.each(['contextTokens', 'deepTokens'])(
  'fresh prompts longer than the text encoder takes are refused before they are made: %s',
  async (option) => {
    const backbone = await openBackbone(smallClip(49408));
    try {
      expect(() => buildCraneModel(backbone, { prompts: { seed: 3, [option]: 1e9 } })).toThrow(
        new RegExp(
          `^\`${option}\` 1000000000: the text encoder of clip-49408\\.safetensors takes at most 24 tokens, including words; expected fewer$`,
        ),
      );
    } finally {
      backbone.close();
    }
  },
);

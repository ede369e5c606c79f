import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import type { ContextPosition } from '../../lib/prompts/learnable-prompts';
import { upsampleGrid } from '../../lib/scoring/fusion';
import { GaussianFilter } from '../../lib/scoring/gaussian';
import { poolByScore } from '../../lib/scoring/score-pooling';
import { Similarity } from '../../lib/scoring/similarity';
import { describeWithGoldens, expectClose, golden, goldenCases } from '../goldens';
import { expectNoLeak, goldenImages, goldenTensor } from '../tensors';
import { tinyCrane } from '../tiny-crane';

beforeAll(async () => {
  await prepareBackend('auto');
});

interface ScoringConfig {
  variant: string;
  soft_mean: boolean;
  use_scorebase_pooling: boolean;
  train_with_img_cls_prob: number;
  train_with_img_cls_type: ContextPosition;
  features_list: number[];
}

describeWithGoldens('scores and maps against the reference', () => {
  const cases = goldenCases('scoring').filter(
    (item) => item.config && (item.config as unknown as ScoringConfig).variant === 'crane',
  );

  test('there are cases for both fusions, with and without pooling and context', () => {
    expect(cases.length).toBeGreaterThanOrEqual(11);
  });

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const config = item.config as unknown as ScoringConfig;
    const model = tinyCrane({
      layers: config.features_list,
      fusion: config.soft_mean ? 'soft' : 'logit',
      pooling: config.use_scorebase_pooling,
      context: config.train_with_img_cls_prob > 0,
      contextPosition: config.train_with_img_cls_type,
    });
    await expectNoLeak(() =>
      tf.tidy(() => {
        const images = goldenImages(item.inputs['images'] as string);
        const features = model.encodeImages(images);
        const text = model.encodePrompts(model.options.context ? features.global : undefined);
        const { scores, maps } = model.score(features, text);
        expectClose(scores.dataSync(), golden(item.outputs['score'] as string).data, 1e-4);
        expectClose(maps.dataSync(), golden(item.outputs['map'] as string).data, 1e-4);
        expectClose(model.smooth(maps).dataSync(), golden(item.outputs['map_sigma4'] as string).data, 1e-4);
        const whole = model.forward(images);
        expectClose(whole.scores.dataSync(), scores.dataSync(), 1e-6);
      }),
    );
    model.dispose();
  });

  test('layers before the dual path count once each, those in it as often as they were asked for', () => {
    const [mixed, first, last] = [[2, 4, 5, 6], [2], [6]].map((layers) =>
      tinyCrane({ layers, eattnBlocks: 3, pooling: false }),
    ) as [ReturnType<typeof tinyCrane>, ReturnType<typeof tinyCrane>, ReturnType<typeof tinyCrane>];
    expect(mixed.copies).toEqual([1, 3]);
    tf.tidy(() => {
      const images = goldenImages('scoring.safetensors#images');
      const [got, one, other] = [mixed, first, last].map(
        (model) => model.score(model.encodeImages(images), model.encodePrompts()).maps,
      ) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
      expect(tf.max(tf.abs(tf.sub(one, other))).dataSync()[0]).toBeGreaterThan(0.01);
      expectClose(got.dataSync(), tf.add(tf.mul(one, 0.25), tf.mul(other, 0.75)).dataSync(), 1e-5);
    });
    [mixed, first, last].forEach((model) => model.dispose());
  });

  test('deep tokens that are not rounded', () => {
    const item = goldenCases('scoring').find(({ id }) => id.endsWith('no_half')) as (typeof cases)[number];
    const model = tinyCrane({ roundDeepTokens: false });
    tf.tidy(() => {
      const features = model.encodeImages(goldenImages('scoring.safetensors#images'));
      const { scores, maps } = model.score(features, model.encodePrompts());
      expectClose(scores.dataSync(), golden(item.outputs['score'] as string).data, 1e-4);
      expectClose(maps.dataSync(), golden(item.outputs['map'] as string).data, 1e-4);
    });
    model.dispose();
  });

  test('static text vectors', () => {
    const model = tinyCrane();
    tf.tidy(() =>
      expectClose(model.encodePrompts().dataSync(), golden('scoring.safetensors#context_free_text').data, 1e-4, 1e-3),
    );
    model.dispose();
  });

  test('text vectors that are kept, without the text encoder', async () => {
    await expectNoLeak(async () => {
      const model = tinyCrane();
      const images = tf.tidy(() => goldenImages('scoring.safetensors#images'));
      const before = tf.tidy(() => [...model.encodePrompts().dataSync()]);
      const scores = tf.tidy(() => [...model.forward(images).scores.dataSync()]);
      const held = tf.memory().numTensors;
      model.fixPrompts();
      // Two vectors instead of a tower: its blocks have twelve parameters each.
      expect(tf.memory().numTensors).toBe(held + 1 - model.text.weights.length);
      model.fixPrompts();
      const again = model.encodePrompts();
      expect([...again.dataSync()]).toEqual(before);
      again.dispose();
      expect(tf.tidy(() => [...model.forward(images).scores.dataSync()])).toEqual(scores);
      const features = tf.zeros<tf.Rank.R2>([1, 64]);
      const refusal = expect.objectContaining({ code: 'usage/prompts-fixed' });
      expect(() => model.encodePrompts(features)).toThrow(refusal);
      tf.dispose([images, features]);
      model.dispose();
      model.dispose();
    });
  });

  test('a score does not depend on the batch or its order', () => {
    const model = tinyCrane({ context: true });
    tf.tidy(() => {
      const images = goldenImages('scoring.safetensors#images');
      const forwards = model.forward(images);
      const reversed = model.forward(tf.reverse(images, 0));
      const alone = model.forward(tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]));
      expectClose(tf.reverse(reversed.scores, 0).dataSync(), forwards.scores.dataSync(), 1e-5);
      expectClose(alone.scores.dataSync(), forwards.scores.dataSync().slice(1), 1e-5);
      expectClose(alone.maps.dataSync(), forwards.maps.dataSync().slice(70 * 70), 1e-5);
    });
    model.dispose();
  });
});

describeWithGoldens('parts of the scoring against the reference', () => {
  const units = goldenCases('units');
  const named = (prefix: string): (readonly [string, (typeof units)[number]])[] =>
    units.filter(({ id }) => id.startsWith(`units/${prefix}`)).map((item) => [item.id, item] as const);

  test.each(named('similarity'))('%s', (_, item) => {
    const { temperature } = item.config as unknown as { temperature: number };
    tf.tidy(() => {
      const similarity = new Similarity({ temperature });
      const text = goldenTensor<tf.Rank.R3>(item.inputs['text'] as string);
      const patches = similarity.apply([goldenTensor(item.inputs['patch'] as string), text]) as tf.Tensor;
      const image = tf.expandDims(goldenTensor(item.inputs['image'] as string), 1);
      expectClose(patches.dataSync(), golden(item.outputs['patch_logits'] as string).data, 2e-4, 1e-5);
      expectClose(
        (similarity.apply([image, text]) as tf.Tensor).dataSync(),
        golden(item.outputs['image_logits'] as string).data,
        2e-4,
        1e-5,
      );
    });
  });

  test.each(named('upsample'))('%s', (_, item) => {
    const { size, mode } = item.config as unknown as { size: number; mode: 'bilinear' | 'nearest' };
    tf.tidy(() => {
      const x = goldenTensor<tf.Rank.R3>(item.inputs['x'] as string); // [B, N, C]
      const side = Math.sqrt(x.shape[1]);
      const perChannel = tf.unstack(x, 2).map((channel) => upsampleGrid(channel, [side, side], [size, size], mode));
      expectClose(tf.stack(perChannel, 3).dataSync(), golden(item.outputs['y'] as string).data, 1e-6, 1e-5);
    });
  });

  test.each(named('gaussian'))('%s', (_, item) => {
    const { sigma } = item.config as unknown as { sigma: number };
    tf.tidy(() => {
      const x = goldenTensor<tf.Rank.R2>(item.inputs['x'] as string);
      const y = new GaussianFilter({ sigma }).apply(tf.expandDims(x, 0)) as tf.Tensor;
      expectClose(y.dataSync(), golden(item.outputs['y'] as string).data, 2e-6, 1e-5);
    });
  });

  test('units/score_pooling', () => {
    tf.tidy(() => {
      const patches = tf.mean(goldenTensor('units.safetensors#pool.patch'), 0) as tf.Tensor3D;
      const logits = tf.mean(goldenTensor('units.safetensors#pool.logits'), 0) as tf.Tensor3D;
      expectClose(poolByScore(patches, logits).dataSync(), golden('units.safetensors#pool.y').data, 1e-5, 1e-4);
    });
  });
});

describe('the Gaussian', () => {
  test('keeps a constant map and the sum of a map whose mass is far from the border', () => {
    tf.tidy(() => {
      const filter = new GaussianFilter({ sigma: 2 });
      const constant = filter.apply(tf.fill([1, 9, 5], 0.25)) as tf.Tensor;
      expectClose(constant.dataSync(), new Float32Array(45).fill(0.25), 1e-6);
      const spike = tf
        .oneHot(tf.scalar(31 * 15 + 15, 'int32'), 31 * 31)
        .reshape([1, 31, 31])
        .toFloat();
      expect(tf.sum(filter.apply(spike) as tf.Tensor).dataSync()[0] as number).toBeCloseTo(1, 5);
    });
  });

  test('sigma 0 changes nothing', () => {
    tf.tidy(() => {
      const map = tf.randomUniform([1, 4, 6], 0, 1, 'float32', 3);
      expectClose((new GaussianFilter({ sigma: 0 }).apply(map) as tf.Tensor).dataSync(), map.dataSync(), 0);
    });
  });
});

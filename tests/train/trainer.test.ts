import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import type { ContextPosition } from '../../lib/prompts/learnable-prompts';
import type { SpatialFamily } from '../../lib/encoders/spatial-encoder';
import type { CraneModel } from '../../lib/methods/crane/model';
import { normalise } from '../../lib/scoring/similarity';
import type { TrainingOptionsInput } from '../../train/options';
import type { TrainingBatch } from '../../lib/methods/method';
import { Trainer, type StepLosses } from '../../train/trainer';
import { describeWithGoldens, expectClose, golden, goldenCases, type GoldenCase } from '../goldens';
import { expectNoLeak, goldenImages, goldenTensor } from '../tensors';
import { tinyCrane } from '../tiny-crane';
import { tinySpatial } from '../tiny-spatial';

beforeAll(async () => {
  await prepareBackend();
});

interface TrainCase extends GoldenCase {
  readonly steps: readonly { focal: number; dice: number; image_ce: number; total: number }[];
}

interface TrainCaseConfig {
  readonly features_list: number[];
  readonly dino_model: 'none' | SpatialFamily;
  readonly interpolation: 'nearest' | 'bilinear';
  readonly use_scorebase_pooling: boolean;
  readonly train_with_img_cls_prob: number;
  readonly train_with_img_cls_type: ContextPosition;
  readonly half: boolean;
}

const NAMES = ['ctx_pos', 'ctx_neg', 'compound_prompts_text.0', 'compound_prompts_text.1'];

function setUp(config: TrainCaseConfig, extra: TrainingOptionsInput = {}): { model: CraneModel; trainer: Trainer } {
  const model = tinyCrane({
    layers: config.features_list,
    ...(config.dino_model === 'none' ? {} : { spatial: tinySpatial(config.dino_model), dattnMean: 'batch' }),
    contextPosition: config.train_with_img_cls_type,
    pooling: config.use_scorebase_pooling,
    roundDeepTokens: config.half,
    trainablePrompts: true,
    promptsFrom: (path) => `train.safetensors#start.${path}`,
  });
  const trainer = new Trainer(model, {
    interpolation: config.interpolation,
    contextProbability: config.train_with_img_cls_prob,
    ...extra,
  });
  return { model, trainer };
}

/** The batch of the goldens; features computed by the model's own encoders. */
function goldenBatch(model: CraneModel): TrainingBatch {
  const images = goldenImages('train.safetensors#images');
  const features = model.encodeImages(images);
  images.dispose();
  return {
    ...features,
    masks: tf.tidy(() => tf.squeeze(goldenTensor<tf.Rank.R4>('train.safetensors#masks'), [1])),
    labels: goldenTensor<tf.Rank.R1>('train.safetensors#labels'),
  };
}

/** Features of the goldens, stored before they are scaled to length one: `[F, B, N, E]`, one tensor per set. */
const givenFeatures = (reference: string): tf.Tensor3D[] =>
  tf.tidy(() => tf.unstack(normalise(goldenTensor(reference)))) as tf.Tensor3D[];

const disposeBatch = ({ global, patches, masks, labels }: TrainingBatch): void =>
  tf.dispose([global, ...patches, masks, labels]);

const maximum = (data: ArrayLike<number>): number =>
  Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function expectLosses(got: StepLosses, want: TrainCase['steps'][number], rtol: number): void {
  expectClose([got.focal, got.dice, got.image, got.total], [want.focal, want.dice, want.image_ce, want.total], 0, rtol);
}

/** Parameters agree wherever the gradient is well above rounding: there Adam's direction is certain. */
async function expectParameters(
  trainer: Trainer,
  item: TrainCase,
  step: 'step1' | 'step5',
  atol: number,
): Promise<void> {
  const prompts = await trainer.values();
  for (const name of NAMES) {
    const gradient = golden(item.outputs[`grad.${name}`] as string).data;
    const threshold = 1e-3 * maximum(gradient);
    const certain = Array.from(gradient.keys()).filter((index) => Math.abs(gradient[index] as number) > threshold);
    expect(certain.length).toBeGreaterThan(0.9 * gradient.length);
    const want = golden(item.outputs[`${step}.${name}`] as string).data;
    const got = prompts[name]?.data as Float32Array;
    expectClose(
      certain.map((index) => got[index] as number),
      certain.map((index) => want[index] as number),
      atol,
    );
  }
}

describeWithGoldens("five steps of the reference's training", () => {
  const cases = (goldenCases('train') as TrainCase[]).map((item) => [item.id, item] as const);

  test.each(cases)('%s', async (_, item) => {
    const config = item.config as unknown as TrainCaseConfig;
    const { loss_rtol, grad_rel_to_max, param_atol_step1, param_atol_step5 } = item.tolerance as Record<string, number>;
    const { model, trainer } = setUp(config);
    const batch = goldenBatch(model);

    const { losses, gradients } = await trainer.gradients(batch);
    expectLosses(losses, item.steps[0] as TrainCase['steps'][number], loss_rtol as number);
    for (const name of NAMES) {
      const want = golden(item.outputs[`grad.${name}`] as string).data;
      expectClose((gradients[name] as tf.Tensor).dataSync(), want, (grad_rel_to_max as number) * maximum(want));
    }
    tf.dispose(Object.values(gradients));

    for (const [index, want] of item.steps.entries()) {
      expectLosses(await trainer.step(batch), want, loss_rtol as number);
      if (index === 0) await expectParameters(trainer, item, 'step1', param_atol_step1 as number);
    }
    await expectParameters(trainer, item, 'step5', param_atol_step5 as number);
    disposeBatch(batch);
    trainer.dispose();
    model.dispose();
  });

  const crane = cases.find(([id]) => id === 'train/crane')?.[1] as TrainCase;
  const config = crane.config as unknown as TrainCaseConfig;

  test.each(['train/crane', 'train/cranep'])(
    '%s: the encoders give the features that the reference trained on',
    (id) => {
      const item = cases.find(([name]) => name === id)?.[1] as TrainCase;
      const { model, trainer } = setUp(item.config as unknown as TrainCaseConfig);
      const batch = goldenBatch(model);
      const want = givenFeatures(item.outputs['patch_features'] as string);
      // Crane: one set for three equal ones. Crane+: D-Attn's, then E-Attn's.
      expect([id, batch.patches.length, want.length]).toEqual(id === 'train/crane' ? [id, 1, 3] : [id, 2, 2]);
      want.forEach((set, index) =>
        expectClose(
          (batch.patches[Math.min(index, batch.patches.length - 1)] as tf.Tensor).dataSync(),
          set.dataSync(),
          1e-5,
        ),
      );
      const global = normalise(goldenTensor(item.outputs['image_features'] as string));
      expectClose(batch.global.dataSync(), global.dataSync(), 1e-5);
      tf.dispose([...want, global]);
      disposeBatch(batch);
      trainer.dispose();
      model.dispose();
    },
  );

  test.each(['dinov2', 'sam'] as const)(
    'with D-Attn guided by %s, gradients are those of finite differences',
    async (family) => {
      // SAM's 16 x 16 patches do not divide 70 pixels: losses are then taken pixel by pixel.
      const { model, trainer } = setUp({ ...config, dino_model: family, features_list: [6], half: false });
      const batch = goldenBatch(model);
      expect(batch.patches.map(({ shape }) => shape[1])).toEqual(family === 'sam' ? [256, 256] : [25, 25]);
      const { gradients } = await trainer.gradients(batch);
      // Along a random direction over all prompts; two steps, so that the loss's curvature falls out, and a mean, so that most rounding does.
      const variables = model.prompts.trainableWeights;
      const directions = variables.map((weight, index) =>
        tf.randomNormal(weight.shape as number[], 0, 1, 'float32', index + 1),
      );
      const along = variables.reduce((sum, { originalName }, index) => {
        const product = tf.tidy(() =>
          tf.sum(tf.mul(gradients[originalName] as tf.Tensor, directions[index] as tf.Tensor)).dataSync(),
        );
        return sum + (product[0] as number);
      }, 0);
      const lossAt = async (step: number): Promise<number> => {
        const before = variables.map((weight) => weight.read().clone());
        variables.forEach((weight, index) => {
          tf.tidy(
            () => void weight.write(tf.add(before[index] as tf.Tensor, tf.mul(directions[index] as tf.Tensor, step))),
          );
        });
        const { losses, gradients: unused } = await trainer.gradients(batch);
        variables.forEach((weight, index) => weight.write(before[index] as tf.Tensor));
        tf.dispose([...before, ...Object.values(unused)]);
        return losses.total;
      };
      const slopeBy = async (step: number): Promise<number> =>
        ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      let slope = 0;
      for (const step of [0.8e-3, 1e-3, 1.2e-3]) slope += (4 * (await slopeBy(step)) - (await slopeBy(2 * step))) / 9;
      expect(Math.abs(along)).toBeGreaterThan(1);
      expect(Math.abs(slope / along - 1)).toBeLessThan(1e-3);
      tf.dispose([...directions, ...Object.values(gradients)]);
      disposeBatch(batch);
      trainer.dispose();
      model.dispose();
    },
  );

  test('masks by patch give the same losses and gradients as masks by pixel', async () => {
    // Not rounded to halves, where a difference in the last bit may become one of a thousandth.
    const { model, trainer } = setUp({ ...config, half: false });
    const batch = goldenBatch(model);
    const shares = tf.tidy(() => {
      const [images] = batch.masks.shape;
      // An average pool written out: patches of 14 x 14 in a grid of 5 x 5.
      return tf.mean(tf.mean(tf.reshape(batch.masks, [images, 5, 14, 5, 14]), 4), 2) as tf.Tensor3D;
    });
    const byPixel = await trainer.gradients(batch);
    const byPatch = await trainer.gradients({ ...batch, masks: shares });
    expectClose(Object.values(byPatch.losses), Object.values(byPixel.losses), 1e-6, 1e-6);
    for (const name of NAMES) {
      const want = (byPixel.gradients[name] as tf.Tensor).dataSync();
      expectClose((byPatch.gradients[name] as tf.Tensor).dataSync(), want, 1e-5 * maximum(want));
    }
    tf.dispose([...Object.values(byPixel.gradients), ...Object.values(byPatch.gradients), shares]);
    disposeBatch(batch);
    trainer.dispose();
    model.dispose();
  });

  test('a feature set counts as often as layers give it', async () => {
    // Blocks 2 to 6 have the refined path, so all of these layers give its final tokens.
    const losses = await Promise.all(
      [[6], [5, 6], [2, 4, 6]].map(async (layers) => {
        const { model, trainer } = setUp({ ...config, features_list: layers });
        const batch = goldenBatch(model);
        expect(batch.patches).toHaveLength(1);
        const result = await trainer.gradients(batch);
        tf.dispose(Object.values(result.gradients));
        disposeBatch(batch);
        trainer.dispose();
        model.dispose();
        return result.losses;
      }),
    );
    const [once, twice, thrice] = losses as [StepLosses, StepLosses, StepLosses];
    expectClose([twice.focal, twice.dice, twice.image], [2 * once.focal, 2 * once.dice, once.image], 0, 1e-5);
    expectClose([thrice.focal, thrice.dice, thrice.image], [3 * once.focal, 3 * once.dice, once.image], 0, 1e-5);
  });

  test('a step leaves no tensors behind, and changes nothing but the prompts', async () => {
    const { model, trainer } = setUp(config);
    const batch = goldenBatch(model);
    const frozen = [...model.text.weights, ...model.vision.weights];
    const bytes = (weight: tf.LayerVariable): Buffer => Buffer.from(weight.read().dataSync().slice().buffer);
    const before = frozen.map(bytes);
    await expectNoLeak(async () => {
      await trainer.step(batch);
      await trainer.step(batch);
    });
    frozen.forEach((weight, index) => expect(bytes(weight).equals(before[index] as Buffer)).toBe(true));
    disposeBatch(batch);
    trainer.dispose();
    model.dispose();
  });

  test('a loss that is not a number stops the run by name, leaves the prompts as they were, and leaks nothing', async () => {
    const { model, trainer } = setUp(config);
    const batch = goldenBatch(model);
    const spoilt: TrainingBatch = { ...batch, global: tf.fill([4, 64], NaN) };
    const before = await trainer.values();
    await expectNoLeak(async () => {
      await expect(trainer.step(spoilt)).rejects.toMatchObject({ name: 'TrainingError', code: 'training/diverged' });
    });
    expect(await trainer.values()).toEqual(before);
    spoilt.global.dispose();
    disposeBatch(batch);
    trainer.dispose();
    model.dispose();
  });

  test('a trainer restored from its state goes on as if never stopped', async () => {
    const first = setUp(config, { contextProbability: 0.5 });
    const batch = goldenBatch(first.model);
    await first.trainer.step(batch);
    await first.trainer.step(batch);
    const state = await first.trainer.state();
    const prompts = await first.trainer.values();

    const second = setUp(config, { contextProbability: 0.5 });
    second.model.prompts.trainableWeights.forEach((weight) => {
      const saved = prompts[weight.originalName] as { shape: number[]; data: Float32Array };
      const value = tf.tensor(saved.data, saved.shape);
      weight.write(value);
      value.dispose();
    });
    second.trainer.restore(state);
    const [continued, resumed] = [await first.trainer.step(batch), await second.trainer.step(batch)];
    expect(resumed).toEqual(continued);
    expect(await second.trainer.values()).toEqual(await first.trainer.values());
    disposeBatch(batch);
    for (const { model, trainer } of [first, second]) {
      trainer.dispose();
      model.dispose();
    }
  });

  test('with a context probability of one half, some batches see their images and some do not', async () => {
    const { model, trainer } = setUp(config, { contextProbability: 0.5 });
    const batch = goldenBatch(model);
    const encode = jest.spyOn(model, 'encodePrompts');
    for (let step = 0; step < 10; step++) await trainer.step(batch);
    const withContext = encode.mock.calls.filter(([global]) => global !== undefined).length;
    expect(withContext).toBeGreaterThan(1);
    expect(withContext).toBeLessThan(9);
    disposeBatch(batch);
    trainer.dispose();
    model.dispose();
  });

  test('frozen prompts are refused', async () => {
    const model = tinyCrane();
    await expectNoLeak(() => {
      expect(() => new Trainer(model)).toThrow(expect.objectContaining({ code: 'training/frozen' }));
    });
    model.dispose();
  });
});

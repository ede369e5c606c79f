import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { Crane, UsageError, prepareBackend, type CraneOptions } from '../index';
import type { ContextPosition } from '../lib/prompts/learnable-prompts';
import type { SpatialFamily } from '../lib/encoders/spatial-encoder';
import type { SpatialChoice } from '../lib/methods/spatial';
import { readPromptCheckpoint, writePromptCheckpoint } from '../lib/weights/prompt-checkpoint';
import { describeWithGoldens, expectClose, golden, goldenCases, goldenPath, tinyBackbone } from './goldens';
import { craneModelOf } from './tiny-crane';
import { expectNoLeak, goldenImages } from './tensors';

beforeAll(async () => {
  await prepareBackend('auto');
});

/** The goldens' second models; their heads are 16 channels wide, which DINO's files cannot say. */
const spatial = (model: SpatialFamily): SpatialChoice => ({
  model,
  weights: goldenPath(`vfm_${model}.safetensors`),
  ...(model === 'sam' ? {} : { heads: 3 }),
});

const tiny = (options: CraneOptions = {}): CraneOptions => ({
  backbone: tinyBackbone(),
  prompts: goldenPath('prompts_tiny.pth'),
  imageSize: 70,
  eattnBlocks: 5,
  referenceImages: true,
  ...options,
});

interface ScoringConfig {
  variant: string;
  dino_model: SpatialFamily;
  soft_mean: boolean;
  use_scorebase_pooling: boolean;
  train_with_img_cls_prob: number;
  train_with_img_cls_type: ContextPosition;
  both_eattn_dattn: boolean;
  features_list: number[];
}

describeWithGoldens('Crane+ from files, against the reference', () => {
  const cases = goldenCases('scoring').filter(({ config }) =>
    (config as unknown as ScoringConfig | undefined)?.variant?.startsWith('cranep'),
  );

  test('there are cases for every guiding model', () => {
    expect(new Set(cases.map(({ config }) => (config as unknown as ScoringConfig).dino_model))).toEqual(
      new Set(['dinov2', 'dino', 'sam']),
    );
  });

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const config = item.config as unknown as ScoringConfig;
    const before = tf.memory().numTensors;
    const crane = await Crane.load(
      tiny({
        spatial: spatial(config.dino_model),
        layers: config.features_list,
        spatialOnly: !config.both_eattn_dattn,
        fusion: config.soft_mean ? 'soft' : 'logit',
        pooling: config.use_scorebase_pooling,
        context: config.train_with_img_cls_prob > 0,
        contextPosition: config.train_with_img_cls_type,
        dattnMean: 'batch',
      }),
    );
    await expectNoLeak(() =>
      tf.tidy(() => {
        const images = goldenImages(item.inputs['images'] as string);
        const features = craneModelOf(crane).encodeImages(images);
        const { scores, maps } = craneModelOf(crane).score(
          features,
          craneModelOf(crane).encodePrompts(craneModelOf(crane).options.context ? features.global : undefined),
        );
        expectClose(scores.dataSync(), golden(item.outputs['score'] as string).data, 1e-4);
        expectClose(maps.dataSync(), golden(item.outputs['map'] as string).data, 1e-4);
        expectClose(
          craneModelOf(crane).smooth(maps).dataSync(),
          golden(item.outputs['map_sigma4'] as string).data,
          1e-4,
        );
      }),
    );
    crane.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a whole evaluation, in the batches of the reference', async () => {
    const item = goldenCases('e2e').find(({ id }) => id === 'e2e/cranep');
    const crane = await Crane.load(
      tiny({ spatial: spatial('dinov2'), fusion: 'logit', dattnMean: 'batch', batchSize: 4 }),
    );
    const root = goldenPath('e2e/dataset');
    const meta = JSON.parse(fs.readFileSync(path.join(root, 'meta.json'), 'utf8')) as {
      test: Record<string, { img_path: string }[]>;
    };
    const files = Object.values(meta.test)
      .flat()
      .map(({ img_path: file }) => path.join(root, file));
    const detections = await crane.detect(files);
    expectClose(
      detections.map(({ score }) => score),
      golden(item?.outputs['scores'] as string).data,
      5e-4,
      1e-3,
    );
    const side = 70 * 70;
    const maps = golden(item?.outputs['maps_sigma4'] as string).data;
    for (const [index, { map }] of detections.entries()) {
      expectClose(
        (map.native as { data: Float32Array }).data,
        maps.slice(index * side, (index + 1) * side),
        5e-4,
        1e-3,
      );
    }
    crane.dispose();
  });
});

describeWithGoldens('Crane+ in use', () => {
  let folder: string;
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-plus-'));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  const pictures = (): string[] =>
    fs
      .readdirSync(goldenPath('e2e/dataset'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /test.*\.png$/.test(name) && !name.includes('mask') && !name.includes('ground_truth'))
      .map((name) => path.join(goldenPath('e2e/dataset'), name));

  test.each(['dinov2', 'dino', 'sam'] as const)(
    '%s: a score does not depend on the batch, and constant pictures have one',
    async (family) => {
      const crane = await Crane.load(tiny({ spatial: spatial(family), batchSize: 3 }));
      const grey = { data: new Uint8Array(70 * 70 * 3).fill(128), width: 70, height: 70, channels: 3 as const };
      const black = { ...grey, data: new Uint8Array(70 * 70 * 3) };
      const inputs = [...pictures().slice(0, 2), grey, black];
      const together = await crane.detect(inputs);
      for (const [index, input] of inputs.entries()) {
        const alone = await crane.detect(input);
        expect(Math.abs(alone.score - (together[index]?.score as number))).toBeLessThan(1e-5);
        expectClose(alone.map, together[index]?.map as Float32Array, 1e-5);
        expect(alone.map.every((value) => value >= 0 && value <= 1)).toBe(true);
      }
      crane.dispose();
    },
  );

  test('prompts say what they were trained with, and a difference is told', async () => {
    const stored = await readPromptCheckpoint(goldenPath('prompts_tiny.pth'));
    const write = (name: string, metadata: Record<string, string>): string => {
      const file = path.join(folder, name);
      writePromptCheckpoint(file, stored, metadata);
      return file;
    };
    const warningsOf = async (options: CraneOptions): Promise<readonly string[]> => {
      // Said, so that it need not be guessed, which would be a warning.
      const crane = await Crane.load(tiny({ activation: 'quick-gelu', ...options }));
      crane.dispose();
      return crane.description.warnings;
    };
    const plain = write('plain.safetensors', { 'crane.options': JSON.stringify({ layers: [2, 4, 6] }) });
    const plus = write('plus.safetensors', {
      'crane.options': JSON.stringify({ spatial: 'dino', layers: [5], dattnGamma: 2 }),
      'crane.spatial': goldenPath('vfm_dino.safetensors'),
      'crane.spatial.sha256': '0'.repeat(64),
    });
    expect(await warningsOf({ prompts: plain })).toEqual([]);
    expect(await warningsOf({ prompts: plain, spatial: spatial('dinov2') })).toEqual([
      expect.stringMatching(/`spatial: 'none'`.*`spatial: 'dinov2'`/),
    ]);
    expect(await warningsOf({ prompts: plus, spatial: 'none' })).toEqual([
      expect.stringMatching(/`spatial: 'dino'`,.*`spatial: 'none'`/),
    ]);
    expect(await warningsOf({ prompts: plus, spatial: spatial('dino') })).toEqual([
      expect.stringMatching(/other weights of dino .*sha256 000000000000/),
    ]);
    // Prompts of unknown making say nothing.
    expect(await warningsOf({ spatial: spatial('sam') })).toEqual([]);

    const same = await Crane.load(tiny({ prompts: plus, spatial: spatial('dino') }));
    expect(same.model.options).toMatchObject({ spatial: 'dino', layers: [5], dattnGamma: 2, dattnBeta: 1.2 });
    same.dispose();
    const other = await Crane.load(tiny({ prompts: plus, spatial: spatial('sam') }));
    expect(other.model.options).toMatchObject({ spatial: 'sam', layers: [6], dattnGamma: 3, dattnBeta: 1.08 });
    expect(other.description).toMatchObject({ spatial: 'vfm_sam.safetensors', options: { spatial: 'sam' } });
    other.dispose();
  });

  test('a second model that prompts were trained with, and which is not here, is named', async () => {
    const file = path.join(folder, 'elsewhere.safetensors');
    writePromptCheckpoint(file, await readPromptCheckpoint(goldenPath('prompts_tiny.pth')), {
      'crane.options': JSON.stringify({ spatial: 'dinov2' }),
      'crane.spatial': 'castings-dinov2.safetensors',
    });
    await expectNoLeak(() =>
      expect(Crane.load(tiny({ prompts: file }))).rejects.toThrow(
        /trained with dinov2 of castings-dinov2.safetensors.*`spatial: 'none'`/,
      ),
    );
  });

  test('weights in half precision score alike', async () => {
    if (!fs.existsSync(goldenPath('vfm_dinov2_f16.pth'))) return;
    const [whole, half] = (await Promise.all(
      ['vfm_dinov2.safetensors', 'vfm_dinov2_f16.pth'].map((file) =>
        Crane.load(tiny({ spatial: { model: 'dinov2', weights: goldenPath(file), heads: 3 } })),
      ),
    )) as [Crane, Crane];
    const [picture] = pictures() as [string];
    const [a, b] = [await whole.detect(picture), await half.detect(picture)];
    expect(Math.abs(a.score - b.score)).toBeLessThan(5e-3);
    expect(b.map.every(Number.isFinite)).toBe(true);
    whole.dispose();
    half.dispose();
  });

  test.each([
    ['a family that is not known', { spatial: { model: 'mae' as SpatialFamily } }, /mae.*dinov2, dino, sam/s],
    [
      'weights of another family',
      { spatial: { model: 'dinov2' as const, weights: 'SAM' } },
      /holds weights of sam, but dinov2/,
    ],
    [
      'weights of a near relative',
      { spatial: { model: 'dinov2' as const, weights: 'DINO', heads: 3 } },
      /holds weights of dino, but dinov2/,
    ],
    ['heads that do not divide', { spatial: { model: 'dinov2' as const, weights: 'DINOV2', heads: 5 } }, /heads/],
    [
      'an input that is not whole patches',
      { spatial: { model: 'dinov2' as const, weights: 'DINOV2', heads: 3 }, imageSize: 77, backbone: 'nano' },
      /image size|multiple/i,
    ],
    ['D-Attn alone without a second model', { spatial: 'none' as const, spatialOnly: true }, /`spatial`/],
    [
      'layers without a spatial path',
      { spatial: { model: 'sam' as const, weights: 'SAM' }, layers: [1, 6] },
      /layers 1 /,
    ],
    ['the backbone as second model', { spatial: { model: 'dinov2' as const, weights: 'CLIP' } }, /./],
  ])('refused: %s', async (_, options, message) => {
    const places: Record<string, string> = {
      SAM: goldenPath('vfm_sam.safetensors'),
      DINO: goldenPath('vfm_dino.safetensors'),
      DINOV2: goldenPath('vfm_dinov2.safetensors'),
      CLIP: goldenPath('clip_tiny.safetensors'),
    };
    const given: SpatialChoice = options.spatial;
    const chosen =
      typeof given === 'string' || given.weights === undefined ? given : { ...given, weights: places[given.weights] };
    await expectNoLeak(() => expect(Crane.load(tiny({ ...options, spatial: chosen }))).rejects.toThrow(message));
  });

  test('wrong use is a usage error', async () => {
    await expect(Crane.load(tiny({ spatial: 'no-such-model' }))).rejects.toThrow(UsageError);
  });
});

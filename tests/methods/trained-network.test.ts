import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { convertWeights } from '../../cli/convert-weights';
import { prepareBackend } from '../../lib/backend';
import { Crane, type CraneOptions } from '../../lib/crane';
import { readPromptCheckpoint, writePromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { seededUniform } from '../../lib/weights/seeded';
import { runTraining } from '../../train/run';
import { nanoFolder, nanoHuggingFace, nanoModel, writeNanoAsHuggingFace, writeNanoFile } from '../tools/nano-folders';
import { craneModelOf } from '../tiny-crane';
import { writeSmallSet } from '../train/tiny-files';
import { scratchFolder, weightsError } from '../weights/archives';

jest.setTimeout(180_000);

const SIDE = 112;
const HALF = [0.5, 0.5, 0.5];
const scratch = scratchFolder();
const ownPrompts = path.join(__dirname, '..', '..', 'checkpoints', 'nano-prompts.safetensors');
const inFolder = (name: string): string => path.join(scratch.folder, name);

let pixels: Uint8Array; // [112, 112, 3], the network's own size
let picture: string;
let plain: string;
let half: string;

beforeAll(async () => {
  await prepareBackend();
  const uniform = seededUniform('trained network');
  pixels = Uint8Array.from(
    { length: SIDE * SIDE * 3 },
    (_, at) => (at % 7 < 3 ? 40 : 160) + Math.floor(60 * uniform()),
  );
  picture = inFolder('part.png');
  await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toFile(picture);
  const weights = writeNanoFile(inFolder('weights/open_clip_model.safetensors'));
  plain = nanoFolder(inFolder('plain'), weights, { 'open_clip_config.json': { model_cfg: nanoModel } });
  half = nanoFolder(inFolder('half'), weights, {
    'open_clip_config.json': { model_cfg: nanoModel, preprocess_cfg: { mean: HALF, std: HALF } },
  });
});
afterAll(() => scratch.remove());

let counter = 0;
/** The embedded prompts with other things said of them; null takes a word away. */
async function promptsSaying(change: Readonly<Record<string, string | null>>): Promise<string> {
  const { metadata, ...prompts } = await readPromptCheckpoint(ownPrompts);
  const file = inFolder(`prompts-${counter++}.safetensors`);
  const said = Object.entries({ ...metadata, ...change }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  writePromptCheckpoint(file, { ...prompts, metadata: Object.fromEntries(said) });
  return file;
}

interface Scored {
  readonly score: number;
  readonly description: Crane['description'];
}

async function scored(options: CraneOptions): Promise<Scored> {
  const crane = await Crane.load(options);
  try {
    const { score } = await crane.detect(picture);
    return { score, description: crane.description };
  } finally {
    crane.dispose();
  }
}

/** The embedded model's score of the picture, normalised here and by hand. */
async function scoreByHand(mean: readonly number[], std: readonly number[]): Promise<number> {
  const crane = await Crane.load();
  const images = tf.tensor4d(
    Float32Array.from(pixels, (level, at) => (level / 255 - (mean[at % 3] as number)) / (std[at % 3] as number)),
    [1, SIDE, SIDE, 3],
  );
  const { scores, maps } = craneModelOf(crane).forward(images);
  const [score] = await scores.data();
  tf.dispose([images, scores, maps]);
  crane.dispose();
  return score as number;
}

describe('the configuration of a backbone decides its input', () => {
  test("open_clip's mean and deviation reach the network", async () => {
    const nano = await scored({});
    const ofPlain = await scored({ backbone: plain, prompts: ownPrompts });
    expect(ofPlain.score).toBe(nano.score);
    const ofHalf = await scored({ backbone: half, prompts: ownPrompts });
    expect(ofHalf.score).toBeCloseTo(await scoreByHand(HALF, HALF), 5);
    expect(Math.abs(ofHalf.score - ofPlain.score)).toBeGreaterThan(0.001);
    expect(ofHalf.description.preprocessing).toEqual({ resize: 'bicubic', mean: HALF, std: HALF, reference: false });
    expect(ofHalf.description.warnings).toContainEqual(
      expect.stringMatching(/mean 0\.48145466.*of half require mean 0\.5, 0\.5, 0\.5.*the latter is used/),
    );
  });

  test("HuggingFace's too, and a converted file computes the same", async () => {
    const weights = writeNanoAsHuggingFace(inFolder('weights/model.safetensors'));
    const config = {
      ...nanoHuggingFace,
      vision_config: {
        ...nanoHuggingFace.vision_config,
        num_attention_heads: 4,
        layer_norm_eps: 0.01,
        hidden_act: 'gelu',
      },
      text_config: {
        ...nanoHuggingFace.text_config,
        num_attention_heads: 1,
        layer_norm_eps: 0.001,
        hidden_act: 'gelu',
      },
    };
    const folder = nanoFolder(inFolder('theirs'), weights, {
      'config.json': config,
      'preprocessor_config.json': { image_mean: HALF, image_std: [0.25, 0.5, 1], resample: 2 },
    });
    const before = await scored({ backbone: folder, prompts: ownPrompts, imageSize: 56 });
    const converted = inFolder('converted.safetensors');
    expect(await convertWeights(folder, converted)).toMatchObject({ notes: [] });
    const after = await scored({ backbone: converted, prompts: ownPrompts, imageSize: 56 });
    expect(after.score).toBe(before.score);
    expect(after.description.preprocessing).toEqual({
      resize: 'bilinear',
      mean: HALF,
      std: [0.25, 0.5, 1],
      reference: false,
    });
    expect(after.description).toMatchObject({
      activation: 'gelu',
      sizes: { vision: { heads: 4, epsilon: 0.01 }, text: { heads: 1, epsilon: 0.001 } },
    });
    // Each of them is felt.
    const without = async (
      name: string,
      change: object,
      processor: object = { image_mean: HALF, image_std: [0.25, 0.5, 1], resample: 2 },
    ): Promise<number> => {
      const other = nanoFolder(inFolder(name), weights, {
        'config.json': { ...config, ...change },
        'preprocessor_config.json': processor,
      });
      return (await scored({ backbone: other, prompts: ownPrompts, imageSize: 56 })).score;
    };
    const { vision_config: vision, text_config: text } = config;
    const others = [
      await without('heads', { vision_config: { ...vision, num_attention_heads: 2 } }),
      await without('text heads', { text_config: { ...text, num_attention_heads: 2 } }),
      await without('epsilon', { vision_config: { ...vision, layer_norm_eps: 1e-5 } }),
      await without('text epsilon', { text_config: { ...text, layer_norm_eps: 1e-5 } }),
      await without('activation', {
        vision_config: { ...vision, hidden_act: 'quick_gelu' },
        text_config: { ...text, hidden_act: 'quick_gelu' },
      }),
      await without('filter', {}, { image_mean: HALF, image_std: [0.25, 0.5, 1], resample: 3 }),
      await without('deviation', {}, { image_mean: HALF, image_std: HALF, resample: 2 }),
    ];
    for (const other of others) expect(Math.abs(other - before.score)).toBeGreaterThan(1e-6);
  });
});

describe('prompts are used as they were trained', () => {
  test('with the mean and deviation that their file says', async () => {
    const prompts = await promptsSaying({
      'crane.preprocessing': JSON.stringify({ resize: 'bicubic', mean: [0, 0, 0], std: [1, 1, 1], reference: false }),
    });
    const { score, description } = await scored({ prompts });
    expect(score).toBeCloseTo(await scoreByHand([0, 0, 0], [1, 1, 1]), 5);
    expect(description.preprocessing.mean).toEqual([0, 0, 0]);
    expect(description.warnings).toEqual([
      expect.stringMatching(
        /prepared with mean 0, 0, 0 and deviation 1, 1, 1.*require mean 0\.48145466.*the former is used/,
      ),
    ]);
  });

  test('on other weights that ask for another input, they are refused with both shown', async () => {
    const prompts = await promptsSaying({ 'crane.preprocessing': JSON.stringify({ mean: [0, 0, 0], std: [1, 1, 1] }) });
    const error = await weightsError(() => Crane.load({ backbone: half, prompts }));
    expect(error.code).toBe('weights/prompts-preprocessing');
    expect(error.message).toMatch(/mean 0, 0, 0 and deviation 1, 1, 1.*mean 0\.5, 0\.5, 0\.5 and deviation 0\.5/);
    // Weights that say nothing take what the prompts say.
    expect((await scored({ backbone: plain, prompts })).description.preprocessing.mean).toEqual([0, 0, 0]);
  });

  test('with the reference reading, unless something else is asked for', async () => {
    const prompts = await promptsSaying({ 'crane.preprocessing': '{"reference":true}' });
    expect((await scored({ prompts })).description.preprocessing.reference).toBe(true);
    expect((await scored({ prompts, referenceImages: false })).description.preprocessing.reference).toBe(false);
    expect((await scored({ referenceImages: true })).description.preprocessing.reference).toBe(true);
    expect((await scored({})).description.preprocessing.reference).toBe(false);
  });

  test.each<[string, string, RegExp]>([
    ['crane.preprocessing', '{"mean":[]}', /crane\.preprocessing\.mean is \[\]/],
    ['crane.preprocessing', '{"std":[1,1,0]}', /crane\.preprocessing\.std is \[1,1,0\]/],
    ['crane.preprocessing', 'bicubic', /crane\.preprocessing is not a JSON object/],
    ['crane.network', '{"activation":"relu"}', /crane\.network\.activation is "relu"/],
    ['crane.network', '{"heads":[2]}', /crane\.network\.heads is \[2\]/],
    ['crane.network', '{"heads":[4,2]}', /trained with heads 4 and 2 .* has 2 and 2; set `heads`/],
    [
      'crane.network',
      '{"epsilon":[0.001,0.00001]}',
      /trained with epsilon 0\.001 and 0\.00001 .* has 0\.00001 and 0\.00001/,
    ],
  ])('%s of %s is refused', async (key, text, message) => {
    const prompts = await promptsSaying({ [key]: text });
    expect((await weightsError(() => Crane.load({ prompts }))).message).toMatch(message);
  });

  test('with the activation of the training, unless another is asked for', async () => {
    const prompts = await promptsSaying({ 'crane.network': '{"activation":"gelu"}' });
    const gelu = await scored({ prompts });
    expect(gelu.description.activation).toBe('gelu');
    expect(gelu.score).toBe((await scored({ activation: 'gelu' })).score);
    const quick = await scored({ prompts, activation: 'quick-gelu' });
    expect(quick.description.warnings).toEqual([
      expect.stringContaining('trained with the activation gelu, but are used with quick-gelu'),
    ]);
    expect(quick.score).toBe((await scored({})).score);
    expect(Math.abs(gelu.score - quick.score)).toBeGreaterThan(1e-6);
    // Of other weights nothing is known by them.
    expect((await scored({ backbone: plain, prompts })).description.activation).toBe('quick-gelu');
  });

  test('training keeps input, activation and heads with the prompts, and none of the features of others', async () => {
    const auxiliary = await writeSmallSet(inFolder('plates'), { normal: 1, anomalous: 2 });
    const train = async (backbone: string, more: object = {}): Promise<string> => {
      const training = { epochs: 1, batchSize: 3, contextProbability: 0, roundGradients: false };
      const { prompts } = await runTraining({
        auxiliary,
        backbone,
        out: inFolder(`run-${counter++}`),
        cache: { folder: inFolder('features') },
        model: { imageSize: 56 },
        training,
        ...more,
      });
      return prompts;
    };
    const contextOf = async (file: string): Promise<number[]> => [...(await readPromptCheckpoint(file)).contextNormal];
    const trained = [
      await train(plain),
      await train(half),
      await train(plain, { activation: 'gelu' }),
      await train(plain, { heads: { vision: 4, text: 2 } }),
    ] as const;
    const contexts = await Promise.all(trained.map(contextOf));
    expect(new Set(contexts.map((context) => JSON.stringify(context))).size).toBe(4);

    const [, ofHalf, ofGelu, ofHeads] = trained;
    const { metadata } = await readPromptCheckpoint(ofHeads);
    expect(JSON.parse(metadata['crane.network'] as string)).toEqual({
      activation: 'quick-gelu',
      heads: [4, 2],
      epsilon: [1e-5, 1e-5],
    });
    expect((await scored({ backbone: half, prompts: ofHalf })).description).toMatchObject({
      preprocessing: { mean: HALF, std: HALF },
      warnings: [],
    });
    expect((await scored({ backbone: plain, prompts: ofGelu })).description).toMatchObject({
      activation: 'gelu',
      warnings: [],
    });
    expect((await weightsError(() => Crane.load({ backbone: plain, prompts: ofHeads }))).message).toContain(
      'trained with heads 4 and 2',
    );
    expect(
      (await scored({ backbone: plain, prompts: ofHeads, heads: { vision: 4, text: 2 } })).description.sizes.vision
        .heads,
    ).toBe(4);
    expect(fs.readFileSync(path.join(path.dirname(ofHeads), 'config.yaml'), 'utf8')).toContain('heads: 4,2');
    // Training that continues from prompts uses what these were trained with.
    const gone = await readPromptCheckpoint(await train(plain, { prompts: ofGelu }));
    expect(JSON.parse(gone.metadata['crane.network'] as string)).toMatchObject({ activation: 'gelu' });
  });
});

test.each<[string, RegExp]>([
  ['nonsense', /metadata crane\.options is not a JSON object/],
  ['{"attention":"nope"}', /metadata crane\.options is not valid: `attention` "nope": expected one of qq\+kk\+vv/],
  ['{"imageSize":"big"}', /`imageSize` "big": expected a number/],
])('options of the training that are none are refused, not passed over: %s', async (options, message) => {
  const prompts = await promptsSaying({ 'crane.options': options });
  expect((await weightsError(() => Crane.load({ prompts }))).message).toMatch(message);
});

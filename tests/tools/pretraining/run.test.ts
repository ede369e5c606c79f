import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../../lib/backend';
import { ClipTextEncoder } from '../../../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../../../lib/encoders/clip-vision';
import { TrainingError } from '../../../lib/errors';
import { openTensorsSync } from '../../../lib/weights/open';
import { savedParameters, type NanoNetwork } from '../../../tools/pretraining/network';
import { DEFAULT_RECIPE, NANO_SIZES, type Recipe } from '../../../tools/pretraining/recipe';
import { exportNetwork, pretrain, type PretrainingOptions } from '../../../tools/pretraining/run';
import { expectClose } from '../../goldens';

/** The whole procedure on pictures of 32 pixels and batches of a few crops. */
const toy: Recipe = {
  ...DEFAULT_RECIPE,
  steps: 6,
  warmUpSteps: 2,
  stages: DEFAULT_RECIPE.stages.map((stage, index) => ({ ...stage, from: index })),
  cycles: [{ from: 0, decayFrom: 3, wholeFrom: 5 }],
  cropSize: 16,
  cropBatch: 8,
  wholeSize: 24,
  wholeBatch: 4,
  drawnSize: 32,
  firstPairs: 6,
  pairsPerBatch: 1,
  keptPairs: 8,
  captionedImages: 4,
  promptPairs: 2,
};

let folder: string;
beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pretraining-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const options = (name: string, more: Partial<PretrainingOptions> = {}): PretrainingOptions => ({
  recipe: toy,
  folder: path.join(folder, name),
  resume: true,
  saveEvery: 2,
  probeEvery: 0,
  probeSize: 1,
  ...more,
});
const parameters = (network: NanoNetwork): Float32Array =>
  Float32Array.from(network.variables.flatMap((variable) => [...variable.dataSync()]));
const losses = (name: string): number[] =>
  fs
    .readFileSync(path.join(folder, name, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { total: number }).total);

test('a run that was stopped and resumed equals one that was not', async () => {
  const before = tf.memory().numTensors;
  const whole = await pretrain(options('whole'));
  expect(whole.finished).toBe(true);

  const stop = new AbortController();
  const first = await pretrain(
    options('broken', { signal: stop.signal, onStep: ({ step }) => step === 3 && stop.abort() }),
  );
  expect(first.finished).toBe(false);
  first.network.dispose();
  const resumed: number[] = [];
  const second = await pretrain(options('broken', { onResume: (step) => resumed.push(step) }));
  expect(resumed).toEqual([3]);
  expect(second.finished).toBe(true);

  expect(losses('broken')).toHaveLength(6);
  expectClose(losses('broken'), losses('whole'), 1e-5);
  expectClose(parameters(second.network), parameters(whole.network), 2e-5);
  whole.network.dispose();
  second.network.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test('a state of another recipe is refused; more steps are not while the learning rate is level', async () => {
  (await pretrain(options('whole'))).network.dispose();
  await expect(pretrain(options('whole', { recipe: { ...toy, seed: 2 } }))).rejects.toThrow(TrainingError);
  await expect(pretrain(options('whole', { recipe: { ...toy, steps: 9 } }))).rejects.toThrow('state of another run');
  const stop = new AbortController();
  const begun = await pretrain(
    options('longer', { signal: stop.signal, onStep: ({ step }) => step === 2 && stop.abort() }),
  );
  begun.network.dispose();
  const longer = await pretrain(options('longer', { recipe: { ...toy, steps: 7 } }));
  expect(longer.finished).toBe(true);
  expect(losses('longer')).toHaveLength(7);
  longer.network.dispose();
});

test('the exported file is loaded by both encoders under the canonical names, and gives the same features', async () => {
  const { network } = await pretrain(options('whole'));
  const file = path.join(folder, 'nano.safetensors');
  exportNetwork(file, network, toy);
  const source = openTensorsSync(file);
  expect(JSON.parse(source.metadata['crane.sizes'] as string)).toEqual(NANO_SIZES);
  expect(source.entries.get('visual.conv1.weight')?.shape).toEqual([128, 3, 8, 8]);
  expect(source.entries.get('visual.transformer.resblocks.0.attn.in_proj_weight')?.shape).toEqual([384, 128]);
  expect(source.entries.get('transformer.resblocks.2.mlp.c_fc.weight')?.shape).toEqual([512, 128]);
  expect(source.entries.get('logit_scale')?.shape).toEqual([]);

  const common = { embedDimension: 128, activation: 'quick-gelu', parameters: savedParameters(source) } as const;
  const vision = new ClipVisionEncoder({ ...common, sizes: NANO_SIZES.vision, eattnBlocks: 5, attention: 'qq+kk+vv' });
  const text = new ClipTextEncoder({
    ...common,
    sizes: NANO_SIZES.text,
    tokenIds: [...source.readIntegers('token_embedding.ids')],
  });
  tf.tidy(() => {
    const images = tf.randomUniform<tf.Rank.R4>([1, 24, 24, 3], -1, 1, 'float32', 1);
    const [got] = vision.apply(images) as tf.Tensor[];
    const [want] = network.vision.apply(images) as tf.Tensor[];
    expectClose((got as tf.Tensor).dataSync(), (want as tf.Tensor).dataSync(), 0.02);
    const ids = [[49406, 13568, 14115, 269, 49407]];
    expectClose(text.encode(ids).dataSync(), network.text.encode(ids).dataSync(), 0.02);
  });
  source.close();
  [vision, text, network].forEach((part) => part.dispose());
});

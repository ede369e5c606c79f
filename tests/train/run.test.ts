import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { Crane } from '../../lib/crane';
import type { Progress } from '../../lib/progress';
import { readPromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { runTraining as train } from '../../train/run';
import type { TrainOptions } from '../../train/run-options';
import { epochBatches } from '../../train/shuffle';
import { Trainer, type StepLosses } from '../../train/trainer';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let backbone: string;
let auxiliary: string;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-train-'));
  backbone = writeSmallBackbone(folder);
  auxiliary = await writeSmallSet(path.join(folder, 'plates'));
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

const inFolder = (name: string): string => path.join(folder, name);

/** A short run on the small set: 11 images in batches of 4, 4 and 3. */
const shortRun = (out: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  auxiliary,
  backbone,
  out: inFolder(out),
  cache: false,
  ...more,
  training: { epochs: 2, batchSize: 4, ...more.training },
});

test('a run writes prompts that say how they were made and that a model loads', async () => {
  const reports: Progress[] = [];
  const result = await expectNoLeak(() =>
    train(shortRun('first', { onProgress: (report) => reports.push(report), commandLine: 'crane train' })),
  );

  expect(fs.readdirSync(result.folder).sort()).toEqual([
    'best.safetensors',
    'config.yaml',
    'curves.html',
    'epoch_1.safetensors',
    'epoch_2.safetensors',
    'losses.jsonl',
    'prompts.safetensors',
    'run.json',
    // Only the native backend writes event files.
    ...(tf.getBackend() === 'tensorflow' ? ['tensorboard'] : []),
  ]);
  const prompts = await readPromptCheckpoint(result.prompts);
  expect(prompts).toMatchObject({ width: 32, contextTokens: 12, deepTokens: 4, depth: 3 });
  expect(prompts.metadata).toMatchObject({
    'crane.auxiliary': 'plates',
    'crane.auxiliary.images': '11',
    'crane.backbone': 'small.safetensors',
    'crane.seed': '111',
    'crane.epoch': '2',
    'crane.command': 'crane train',
  });
  expect(prompts.metadata['crane.backbone.sha256']).toMatch(/^[0-9a-f]{64}$/);
  expect(prompts.metadata['crane.auxiliary.files']).toMatch(/^[0-9a-f]{64}$/);
  expect(JSON.parse(prompts.metadata['crane.options'] as string)).toMatchObject({
    imageSize: 32,
    attention: 'qq+kk+vv',
  });
  expect(JSON.parse(prompts.metadata['crane.training'] as string)).toMatchObject({
    batchSize: 4,
    betas: [0.6, 0.999],
    pixelWeight: 1,
  });
  expect(JSON.parse(fs.readFileSync(path.join(result.folder, 'run.json'), 'utf8'))).toMatchObject({
    schemaVersion: 2,
    status: 'finished',
    auxiliary: { images: 11, anomalous: 6 },
    epochs: [{ epoch: 1, file: 'epoch_1.safetensors' }, { epoch: 2 }],
  });
  expect(result.epochs[1]?.total).toBeLessThan(result.epochs[0]?.total as number);

  const steps = reports.filter((report) => report.task === 'train');
  expect(steps[0]).toEqual({ kind: 'start', task: 'train', total: 6, unit: 'steps' });
  expect(steps.slice(1, -1).map((report) => (report.kind === 'advance' ? report.done : null))).toEqual([
    1, 2, 3, 4, 5, 6,
  ]);
  expect(steps.at(-2)).toMatchObject({ values: { epoch: 2, loss: result.epochs[1]?.total } });

  const crane = await Crane.load({ backbone, prompts: result.prompts });
  expect(crane.description.auxiliary).toBe('plates');
  const { score } = await crane.detect(path.join(auxiliary, 'plate/test/spot/005.png'));
  expect(score).toBeGreaterThan(0);
  expect(score).toBeLessThan(1);
  crane.dispose();
});

test('losses of an epoch are means over images: the smaller last batch counts for less', async () => {
  const step = jest.spyOn(Trainer.prototype, 'step');
  const { epochs } = await train(shortRun('means', { training: { epochs: 1, batchSize: 4 } }));
  const [first, second, third] = (
    await Promise.all(step.mock.results.map(({ value }) => value as Promise<StepLosses>))
  ).map(({ image }) => image) as [number, number, number];
  step.mockRestore();
  expect(epochs[0]?.image).toBeCloseTo((4 * first + 4 * second + 3 * third) / 11, 10);
  expect(epochs[0]?.image).not.toBeCloseTo((first + second + third) / 3, 10);
});

test('equal runs write equal bytes; another seed does not', async () => {
  const runs = await Promise.all([
    train(shortRun('equal-a')).then(({ prompts }) => fs.readFileSync(prompts)),
    train(shortRun('equal-b')).then(({ prompts }) => fs.readFileSync(prompts)),
  ]);
  expect(runs[0].equals(runs[1] as Buffer)).toBe(true);
  const other = await train(shortRun('other-seed', { training: { seed: 7, epochs: 2, batchSize: 4 } }));
  expect((await readPromptCheckpoint(other.prompts)).contextNormal).not.toEqual(
    (await readPromptCheckpoint(inFolder('equal-a/prompts.safetensors'))).contextNormal,
  );
});

test('features kept as halves change the prompts by little', async () => {
  const [whole, half] = await Promise.all(
    (['float32', 'float16'] as const).map(async (precision) =>
      readPromptCheckpoint((await train(shortRun(precision, { precision }))).prompts),
    ),
  );
  const difference = Math.max(
    ...(whole?.contextNormal as Float32Array).map((value, index) =>
      Math.abs(value - (half?.contextNormal[index] as number)),
    ),
  );
  expect(difference).toBeGreaterThan(0);
  expect(difference).toBeLessThan(2e-3);
});

test('training on enlarged maps runs too, on masks of pixels', async () => {
  const [nearest, bilinear] = await Promise.all(
    (['nearest', 'bilinear'] as const).map((interpolation) =>
      train(shortRun(interpolation, { training: { epochs: 1, batchSize: 4, interpolation } })),
    ),
  );
  expect(bilinear?.epochs[0]?.dice).toBeCloseTo(nearest?.epochs[0]?.dice as number, 1);
  expect(bilinear?.epochs[0]?.dice).not.toBe(nearest?.epochs[0]?.dice);
});

test('prompts that were trained can be trained on', async () => {
  const first = await train(shortRun('start', { training: { epochs: 1, batchSize: 4 } }));
  const second = await train(shortRun('go-on', { prompts: first.prompts, training: { epochs: 1, batchSize: 4 } }));
  expect(second.epochs[0]?.total).toBeLessThan(first.epochs[0]?.total as number);
  expect((await readPromptCheckpoint(second.prompts)).metadata['crane.start']).toBe('prompts.safetensors');
});

test('fresh prompts have the sizes asked for; those to go on from have theirs', async () => {
  const sizes = { contextTokens: 5, deepTokens: 2, depth: 2 };
  const { prompts } = await train(shortRun('sizes', { training: { epochs: 1, ...sizes } }));
  expect(await readPromptCheckpoint(prompts)).toMatchObject(sizes);
  const { record } = await train(shortRun('sizes-on', { prompts, training: { epochs: 1 } }));
  expect(record.training).toMatchObject(sizes);
  await expect(train(shortRun('sizes-on', { prompts, training: { contextTokens: 6 } }))).rejects.toMatchObject({
    name: 'UsageError',
    code: 'training/prompt-sizes',
  });
});

describe('the order of images', () => {
  test('every image once, the last batch with what is left', () => {
    const batches = epochBatches(11, 4, 111, 1);
    expect(batches.map(({ length }) => length)).toEqual([4, 4, 3]);
    expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, place) => place));
  });

  test('is the same on every machine, and another in every epoch', () => {
    expect(epochBatches(8, 8, 111, 1)).toEqual([RECORDED]);
    expect(epochBatches(8, 8, 111, 2)).not.toEqual([RECORDED]);
    expect(epochBatches(8, 8, 112, 1)).not.toEqual([RECORDED]);
  });
  const RECORDED = [3, 4, 7, 0, 2, 1, 6, 5];
});

describe('what cannot be trained is refused by name', () => {
  test('a set without anomalous images', async () => {
    const root = await writeSmallSet(inFolder('all-good'), { anomalous: 0 });
    await expect(train({ ...shortRun('x'), auxiliary: root })).rejects.toMatchObject({
      name: 'TrainingError',
      code: 'training/no-anomalous',
    });
  });

  test('an empty set', async () => {
    fs.mkdirSync(inFolder('empty'));
    await expect(train({ ...shortRun('x'), auxiliary: inFolder('empty') })).rejects.toMatchObject({
      name: 'DatasetError',
    });
  });

  test('a registered set that is not there', async () => {
    await expect(train({ ...shortRun('x'), auxiliary: 'visa' })).rejects.toMatchObject({
      name: 'DatasetError',
      code: 'dataset/absent',
    });
  });

  test('a picture that cannot be read, and nothing stays in memory', async () => {
    const root = await writeSmallSet(inFolder('damaged'));
    fs.writeFileSync(path.join(root, 'plate/test/spot/010.png'), 'no picture');
    await expectNoLeak(async () => {
      await expect(train({ ...shortRun('x'), auxiliary: root })).rejects.toMatchObject({
        name: 'TrainingError',
        code: 'training/unreadable',
        message: expect.stringContaining('010.png') as string,
      });
    });
  });

  test('options out of range', async () => {
    await expect(train(shortRun('x', { training: { epochs: 0 } }))).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining('epochs') as string,
    });
  });

  test('a run.json that cannot be written', async () => {
    fs.mkdirSync(inFolder('taken/run.json'), { recursive: true });
    const running = train(shortRun('taken', { training: { epochs: 1 } }));
    await expect(running).rejects.toMatchObject({
      name: 'TrainingError',
      code: 'training/unwritable',
      message: expect.stringContaining('run.json') as string,
    });
    expect(fs.readdirSync(inFolder('taken'))).toEqual(['config.yaml', 'run.json']);
  });

  test('prompts that a step with a finite loss makes infinite, before they replace anything', async () => {
    await expect(
      train(shortRun('infinite', { training: { learningRate: 1e39, batchSize: 11 } })),
    ).rejects.toMatchObject({ code: 'training/diverged', message: expect.stringContaining('prompts') as string });
    expect(fs.readdirSync(inFolder('infinite')).filter((name) => name.endsWith('.safetensors'))).toEqual([]);
  });

  test('a loss that is not finite', async () => {
    await expectNoLeak(async () => {
      await expect(train(shortRun('x', { training: { learningRate: 1e39, batchSize: 4 } }))).rejects.toMatchObject({
        code: 'training/diverged',
      });
    });
  });
});

test('a run that is stopped keeps the epochs that it finished, and nothing in memory', async () => {
  const stop = new AbortController();
  const onProgress = (report: Progress): void => {
    if (report.kind === 'advance' && report.task === 'train' && report.done === 4) stop.abort(new Error('enough'));
  };
  await expectNoLeak(async () => {
    await expect(train(shortRun('stopped', { onProgress, signal: stop.signal }))).rejects.toThrow('enough');
  });
  expect(fs.readdirSync(inFolder('stopped')).sort()).toEqual([
    'best.safetensors',
    'config.yaml',
    'curves.html',
    'epoch_1.safetensors',
    'losses.jsonl',
    'prompts.safetensors',
    'run.json',
    'state.safetensors',
    ...(tf.getBackend() === 'tensorflow' ? ['tensorboard'] : []),
  ]);
});

test('several sets are trained on together', async () => {
  const lungs = await writeSmallSet(inFolder('lungs'), { normal: 3, anomalous: 2 });
  const { record, prompts } = await train(
    shortRun('several', { auxiliary: [auxiliary, lungs], training: { epochs: 1 } }),
  );
  expect(record.auxiliary).toMatchObject({
    name: 'plates,lungs',
    categories: ['plates/plate', 'lungs/plate'],
    images: 16,
    anomalous: 8,
  });
  expect((await readPromptCheckpoint(prompts)).metadata['crane.auxiliary']).toBe('plates,lungs');
});

test('an image in a hundred that cannot be read is left out, counted and listed; two are too many', async () => {
  const root = await writeSmallSet(inFolder('hundred'), { normal: 50, anomalous: 50 });
  const broken = path.join(root, 'plate/test/good/013.png');
  fs.writeFileSync(broken, 'no picture');
  // Mosaics of it fall back to the image that they stand for.
  const run = shortRun('hundred-run', { auxiliary: root, training: { epochs: 1, batchSize: 16, mosaicRate: 0.5 } });
  const steps: number[] = [];
  const { skipped } = await expectNoLeak(() => train({ ...run, onStep: ({ images }) => void steps.push(images) }));
  expect(skipped).toEqual([{ path: broken, message: expect.stringContaining('013.png') as string }]);
  expect(steps.reduce((sum, images) => sum + images, 0)).toBe(99);
  expect(JSON.parse(fs.readFileSync(inFolder('hundred-run/run.json'), 'utf8'))).toMatchObject({ skipped });

  fs.writeFileSync(path.join(root, 'plate/test/spot/077.png'), 'no picture');
  await expect(train({ ...run, out: inFolder('too-many') })).rejects.toMatchObject({
    code: 'training/unreadable',
    message: expect.stringMatching(/013\.png[^]*077\.png/) as string,
  });
});

test('the WebAssembly backend trains too, and says that it writes no event files', async () => {
  const notices: string[] = [];
  const native = await train(shortRun('native', { training: { epochs: 1, batchSize: 4 } }));
  const wasm = await train(
    shortRun('wasm', {
      backend: 'wasm',
      training: { epochs: 1, batchSize: 4 },
      onNotice: (message) => notices.push(message),
    }),
  );
  expect(notices).toEqual(['plates: mvtec layout: 11 images, 6 with masks', expect.stringContaining('TensorBoard')]);
  expect(fs.existsSync(inFolder('wasm/tensorboard'))).toBe(false);
  expect(wasm.epochs[0]?.total).toBeCloseTo(native.epochs[0]?.total as number, 2);
  await prepareBackend();
});

import fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { writePromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { runTraining, type TrainingResult } from '../../train/run';
import type { TrainOptions } from '../../train/run-options';
import { readRunState } from '../../train/run-state';
import { readStepLog } from '../../train/step-log';
import type { TrainingBatch } from '../../lib/methods/method';
import { Trainer } from '../../train/trainer';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let base: TrainOptions;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-resume-'));
  base = {
    auxiliary: await writeSmallSet(path.join(folder, 'plates')),
    backbone: writeSmallBackbone(folder),
    cache: false,
    training: { epochs: 3, batchSize: 4, contextProbability: 0.5, mosaicRate: 0.3, validate: 0.2 },
  };
  await runTraining({ ...base, out: inFolder('whole') });
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

const inFolder = (...names: string[]): string => path.join(folder, ...names);
const bytesOf = (run: string, name: string): string => fs.readFileSync(inFolder(run, name)).toString('base64');
const losses = (run: string): unknown[] =>
  readStepLog(inFolder(run, 'losses.jsonl')).map(({ seconds, ...line }) => line);

/** Runs until after a step, by a signal. 3 steps an epoch, 9 in all. */
async function stoppedAfter(step: number, run: string, more: Partial<TrainOptions> = {}): Promise<void> {
  const stop = new AbortController();
  const onStep = ({ step: done }: { step: number }): void => {
    if (done === step) stop.abort(new Error('enough'));
  };
  await expect(runTraining({ ...base, out: inFolder(run), onStep, signal: stop.signal, ...more })).rejects.toThrow(
    'enough',
  );
}

const resume = (run: string, more: Partial<TrainOptions> = {}): Promise<TrainingResult> =>
  runTraining({ resume: inFolder(run), cache: false, ...more });

describe('a run that is stopped and resumed', () => {
  test.each([1, 3, 8])('after step %d ends with the same bytes, and each step stands once in the log', async (step) => {
    const run = `stopped-${step}`;
    await stoppedAfter(step, run, { saveEvery: 100 });
    expect(readRunState(inFolder(run, 'state.safetensors'))?.step).toBe(step);
    const starts: number[] = [];
    const steps: number[] = [];
    const result = await expectNoLeak(() =>
      resume(run, { onStart: (at) => starts.push(at.step), onStep: (at) => void steps.push(at.step) }),
    );
    expect(starts).toEqual([step]);
    expect(steps).toEqual(Array.from({ length: 9 - step }, (_, index) => step + 1 + index));
    expect(losses(run)).toEqual(losses('whole'));
    expect(result.epochs).toHaveLength(3);
    for (const name of fs.readdirSync(inFolder('whole')).filter((file) => file.endsWith('.safetensors'))) {
      expect([name, bytesOf(run, name)]).toEqual([name, bytesOf('whole', name)]);
    }
    expect(fs.readdirSync(inFolder(run)).sort()).toEqual(fs.readdirSync(inFolder('whole')).sort());
  });

  test('also where steps were done after the last state, and their lines are in the log', async () => {
    await stoppedAfter(5, 'behind', { saveEvery: 100 });
    fs.copyFileSync(inFolder('behind', 'state.safetensors'), inFolder('state-5'));
    await stoppedAfter(7, 'behind', { resume: inFolder('behind') });
    fs.appendFileSync(inFolder('behind', 'losses.jsonl'), '{"step":8,"epo');
    fs.copyFileSync(inFolder('state-5'), inFolder('behind', 'state.safetensors'));
    await resume('behind');
    expect(losses('behind')).toEqual(losses('whole'));
    expect(bytesOf('behind', 'prompts.safetensors')).toBe(bytesOf('whole', 'prompts.safetensors'));
  });

  test('a state is saved every so many steps, and at the end of an epoch', async () => {
    const saved: (number | undefined)[] = [];
    const onStep = (): void => void saved.push(readRunState(inFolder('saves', 'state.safetensors'))?.step);
    await runTraining({ ...base, out: inFolder('saves'), saveEvery: 2, onStep });
    expect(saved).toEqual([undefined, 2, 3, 4, 4, 6, 6, 8, undefined].map((step, index) => (index === 8 ? 9 : step)));
    expect(fs.existsSync(inFolder('saves', 'state.safetensors'))).toBe(false);
  });

  test('a finished run has nothing to resume, and says so', async () => {
    const notices: string[] = [];
    const before = fs.statSync(inFolder('whole', 'prompts.safetensors')).mtimeMs;
    const { prompts, epochs } = await resume('whole', { onNotice: (message) => notices.push(message) });
    expect([prompts, epochs.length]).toEqual([inFolder('whole', 'prompts.safetensors'), 3]);
    expect(notices).toEqual([
      expect.stringContaining('plates: mvtec layout: 11 images'),
      expect.stringContaining('finished'),
    ]);
    expect(fs.statSync(inFolder('whole', 'prompts.safetensors')).mtimeMs).toBe(before);
  });

  test('where nothing was begun, it begins', async () => {
    await runTraining({ ...base, resume: inFolder('begun') });
    expect(bytesOf('begun', 'prompts.safetensors')).toBe(bytesOf('whole', 'prompts.safetensors'));
    await expect(resume('nothing-there')).rejects.toMatchObject({ name: 'UsageError', code: 'training/no-run' });
  });

  test('temporary files of a killed process go', async () => {
    await stoppedAfter(4, 'leftovers');
    const dead = 2 ** 22 + 1; // beyond the largest process id
    fs.writeFileSync(inFolder('leftovers', `state.safetensors.${dead}.0123abcd.partial`), 'half');
    fs.mkdirSync(inFolder('leftovers', `tensorboard.${dead}.0123abcd.partial`));
    fs.writeFileSync(
      inFolder('leftovers', 'run.lock'),
      JSON.stringify({ pid: dead, host: os.hostname(), token: 'dead' }),
    );
    fs.writeFileSync(
      inFolder('leftovers', 'run.lock.draft'),
      JSON.stringify({ pid: dead, host: os.hostname(), token: 'draft' }),
    );
    fs.writeFileSync(inFolder('leftovers', 'notes.txt'), "somebody's own");
    await resume('leftovers');
    expect(fs.readdirSync(inFolder('leftovers')).sort()).toEqual(
      [...fs.readdirSync(inFolder('whole')), 'notes.txt'].sort(),
    );
  });
});

describe('a run that would no longer be the same is not resumed', () => {
  beforeAll(async () => {
    await stoppedAfter(4, 'changing');
  });

  const refused = async (more: Partial<TrainOptions>, ...named: string[]): Promise<void> => {
    const state = bytesOf('changing', 'state.safetensors');
    await expect(resume('changing', more)).rejects.toMatchObject({
      name: 'TrainingError',
      code: 'training/changed',
      data: { changed: named.map((text) => expect.stringContaining(text) as string) },
    });
    expect(bytesOf('changing', 'state.safetensors')).toBe(state);
  };

  test('with other options', async () => {
    await refused(
      { training: { learningRate: 0.5, epochs: 9 }, model: { attention: 'vv' } },
      'attention',
      'learningRate: 0.001 then, 0.5 now',
      'epochs',
    );
  });

  test('with another picture, even of equal size', async () => {
    const file = inFolder('plates', 'plate/test/spot/007.png');
    const before = fs.readFileSync(file);
    const changed = Buffer.from(before);
    changed[changed.length - 20] = (changed[changed.length - 20] as number) ^ 1;
    fs.writeFileSync(file, changed);
    await refused({}, 'files of the auxiliary set');
    fs.writeFileSync(file, before);
  });

  test('with another backbone under the same name', async () => {
    const file = inFolder('small.safetensors');
    const before = fs.readFileSync(file);
    const changed = Buffer.from(before);
    changed.writeFloatLE(changed.readFloatLE(before.length - 4) + 1, before.length - 4);
    fs.writeFileSync(file, changed);
    await refused({}, 'weights of the backbone');
    fs.writeFileSync(file, before);
  });

  test('and after all is put back, it is', async () => {
    await expect(resume('changing')).resolves.toMatchObject({ epochs: [{}, {}, {}] });
  });
});

describe('what is in a folder already', () => {
  test('an unfinished run is not thrown away unless that is said', async () => {
    await stoppedAfter(2, 'unfinished');
    await expect(runTraining({ ...base, out: inFolder('unfinished') })).rejects.toMatchObject({
      name: 'UsageError',
      code: 'training/unfinished',
      message: expect.stringContaining('`resume: ') as string,
    });
    expect(readRunState(inFolder('unfinished', 'state.safetensors'))?.step).toBe(2);
    await runTraining({ ...base, out: inFolder('unfinished'), overwrite: true });
    expect(losses('unfinished')).toHaveLength(9);
  });

  test('nor is a finished one', async () => {
    await runTraining({ ...base, out: inFolder('finished') });
    const before = fs.readFileSync(inFolder('finished', 'prompts.safetensors'));
    await expect(
      runTraining({ ...base, training: { ...base.training, seed: 5 }, out: inFolder('finished') }),
    ).rejects.toMatchObject({
      name: 'UsageError',
      code: 'training/finished',
      message: expect.stringContaining('`overwrite: true`') as string,
    });
    expect(fs.readFileSync(inFolder('finished', 'prompts.safetensors')).equals(before)).toBe(true);
    await runTraining({ ...base, training: { ...base.training, seed: 5 }, out: inFolder('finished'), overwrite: true });
    expect(fs.readFileSync(inFolder('finished', 'prompts.safetensors')).equals(before)).toBe(false);
  });

  test('nothing of a longer run stays beside a shorter one', async () => {
    await runTraining({ ...base, out: inFolder('shorter') });
    fs.writeFileSync(inFolder('shorter', 'notes.txt'), "somebody's own");
    await runTraining({
      ...base,
      out: inFolder('shorter'),
      overwrite: true,
      training: { ...base.training, epochs: 1, validate: 0 },
    });
    expect(fs.readdirSync(inFolder('shorter')).sort()).toEqual([
      'best.safetensors',
      'config.yaml',
      'curves.html',
      'epoch_1.safetensors',
      'losses.jsonl',
      'notes.txt',
      'prompts.safetensors',
      'run.json',
      // Only the native backend writes event files.
      ...(tf.getBackend() === 'tensorflow' ? ['tensorboard'] : []),
    ]);
    expect(losses('shorter')).toHaveLength(3);
    if (tf.getBackend() === 'tensorflow') expect(fs.readdirSync(inFolder('shorter', 'tensorboard'))).toHaveLength(1);
  });

  test('two runs at once: the second is refused', async () => {
    let second: Promise<unknown> | undefined;
    const onStep = async ({ step }: { step: number }): Promise<void> => {
      if (step !== 2) return;
      second = runTraining({ ...base, out: inFolder('busy'), overwrite: true }).catch((error: unknown) => error);
      expect(await second).toMatchObject({
        name: 'TrainingError',
        code: 'training/busy',
        message: expect.stringContaining(String(process.pid)) as string,
      });
    };
    await runTraining({ ...base, out: inFolder('busy'), onStep });
    expect(second).toBeDefined();
    expect(losses('busy')).toHaveLength(9);
  });

  test('prompts are kept every so many epochs, the last ones always', async () => {
    const { epochs } = await runTraining({ ...base, out: inFolder('seldom'), saveFrequency: 2 });
    expect(epochs.map(({ file }) => file)).toEqual([null, 'epoch_2.safetensors', 'epoch_3.safetensors']);
    expect(fs.readdirSync(inFolder('seldom')).filter((name) => name.startsWith('epoch'))).toEqual([
      'epoch_2.safetensors',
      'epoch_3.safetensors',
    ]);
  });
});

describe('a disk that is full', () => {
  const full = (): NodeJS.ErrnoException =>
    Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });

  test('stops the run with the last checkpoint whole', async () => {
    const write = fs.writeSync.bind(fs) as (...args: unknown[]) => number;
    let space = true;
    jest.spyOn(fs, 'writeSync').mockImplementation((...args: unknown[]) => {
      if (space) return write(...args);
      throw full();
    });
    const onStep = ({ step }: { step: number }): void => {
      if (step === 5) space = false;
    };
    await expectNoLeak(async () => {
      await expect(runTraining({ ...base, out: inFolder('full'), saveEvery: 1, onStep })).rejects.toMatchObject({
        name: 'TrainingError',
        code: 'training/unwritable',
        message: expect.stringMatching(/disk is full.*checkpoint is complete.*`resume: /) as string,
      });
    });
    jest.restoreAllMocks();
    expect(readRunState(inFolder('full', 'state.safetensors'))?.step).toBe(5);
    expect(fs.readdirSync(inFolder('full')).filter((name) => name.endsWith('.partial'))).toEqual([]);
    await resume('full');
    expect(bytesOf('full', 'prompts.safetensors')).toBe(bytesOf('whole', 'prompts.safetensors'));
  });
});

test('a run that is stopped while it encodes says where it lies, and is resumed from there', async () => {
  const stop = new AbortController();
  const starts: { folder: string; step: number }[] = [];
  const onStart = (at: { folder: string; step: number }): void => {
    starts.push(at);
    stop.abort(new Error('enough'));
  };
  await runTraining({ ...base, out: inFolder('early'), training: { ...base.training, epochs: 1 } });
  await expect(
    runTraining({ ...base, out: inFolder('early'), overwrite: true, onStart, signal: stop.signal }),
  ).rejects.toThrow('enough');
  // Nothing of the run before is taken for one of this.
  expect(fs.readdirSync(inFolder('early')).sort()).toEqual(['config.yaml', 'run.json']);
  expect(starts).toEqual([{ folder: inFolder('early'), step: 0 }]);
  await resume('early');
  expect(bytesOf('early', 'prompts.safetensors')).toBe(bytesOf('whole', 'prompts.safetensors'));
  await expect(resume('early', { out: inFolder('elsewhere') })).rejects.toMatchObject({
    name: 'UsageError',
    code: 'training/two-folders',
  });
});

test('a state of something else is refused', async () => {
  await stoppedAfter(1, 'foreign');
  writePromptCheckpoint(inFolder('foreign', 'state.safetensors'), {
    contextNormal: new Float32Array(2),
    contextAnomalous: new Float32Array(2),
    deep: [],
    width: 2,
    contextTokens: 1,
    deepTokens: 0,
    depth: 1,
    metadata: {},
  });
  await expect(resume('foreign')).rejects.toMatchObject({ code: 'training/state' });
});

test('a log that has lost steps is refused', async () => {
  await stoppedAfter(4, 'lost');
  fs.truncateSync(inFolder('lost', 'losses.jsonl'), 50);
  await expect(resume('lost')).rejects.toMatchObject({ code: 'training/log' });
});

test('a loss that is not finite stops the run, names the images of its batch and keeps the state before', async () => {
  await stoppedAfter(4, 'diverging');
  const step = jest.spyOn(Trainer.prototype, 'gradients').mockImplementation(async function (
    this: Trainer,
    batch: TrainingBatch,
  ) {
    step.mockRestore();
    const { losses: found, gradients } = await this.gradients(batch);
    return { losses: { ...found, total: NaN }, gradients };
  });
  const failed = await expectNoLeak(() => resume('diverging').catch((error: unknown) => error));
  expect(failed).toMatchObject({
    code: 'training/diverged',
    message: expect.stringContaining('diverged.json') as string,
  });
  const {
    step: at,
    epoch,
    images,
  } = JSON.parse(fs.readFileSync(inFolder('diverging', 'diverged.json'), 'utf8')) as {
    step: number;
    epoch: number;
    images: string[];
  };
  expect([at, epoch]).toEqual([5, 2]);
  // A mosaic in the batch names its four tiles.
  expect(images.length).toBeGreaterThanOrEqual(4);
  expect(images.every((image) => fs.existsSync(image))).toBe(true);
  expect(readRunState(inFolder('diverging', 'state.safetensors'))?.step).toBe(4);
});

test('memory does not grow from step to step', async () => {
  const tensors: number[] = [];
  await runTraining({
    ...base,
    out: inFolder('memory'),
    saveEvery: 2,
    onStep: () => void tensors.push(tf.memory().numTensors),
  });
  expect(tensors).toHaveLength(9);
  expect(new Set(tensors).size).toBe(1);
});

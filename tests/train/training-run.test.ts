import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { prepareBackend } from '../../lib/backend';
import { train, type StepReport, type TrainOptions } from '../../index';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let options: TrainOptions;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-run-'));
  options = {
    auxiliary: await writeSmallSet(path.join(folder, 'plates')),
    backbone: writeSmallBackbone(folder),
    out: path.join(folder, 'run'),
    cache: false,
    overwrite: true,
    training: { epochs: 2, batchSize: 4 },
  };
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

test('steps can be iterated, and the result awaited', async () => {
  const seen: StepReport[] = [];
  const told: number[] = [];
  const run = train({ ...options, onStep: ({ step }) => void told.push(step) });
  for await (const step of run.steps()) seen.push(step);
  expect(seen.map(({ step, steps, epoch, images }) => [step, steps, epoch, images])).toEqual([
    [1, 6, 1, 4],
    [2, 6, 1, 4],
    [3, 6, 1, 3],
    [4, 6, 2, 4],
    [5, 6, 2, 4],
    [6, 6, 2, 3],
  ]);
  expect(told).toEqual([1, 2, 3, 4, 5, 6]);
  const { epochs } = await run.result;
  const meanOf = (steps: readonly StepReport[]): number =>
    steps.reduce((sum, { total, images }) => sum + total * images, 0) / 11;
  expect(epochs[0]?.total).toBeCloseTo(meanOf(seen.slice(0, 3)), 10);
  expect(epochs[1]?.total).toBeCloseTo(meanOf(seen.slice(3)), 10);
});

test('the run waits for the loop, and goes on by itself when it is left', async () => {
  let done = 0;
  const run = train({ ...options, onStep: ({ step }) => void (done = step) });
  for await (const { step } of run.steps()) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(done).toBe(step);
    if (step === 3) break;
  }
  await run.result;
  expect(done).toBe(6);
});

test('a loop that begins late, or after the end, sees what is left', async () => {
  const run = train(options);
  for await (const { step } of run.steps()) if (step === 4) break;
  const rest: number[] = [];
  for await (const { step } of run.steps()) rest.push(step);
  expect(rest.at(-1)).toBe(6);
  await run.result;
  for await (const step of run.steps()) throw new Error(`step ${step.step} after the end`);
});

test('two loops see the same', async () => {
  const run = train(options);
  const collect = async (): Promise<number[]> => {
    const steps: number[] = [];
    for await (const { step } of run.steps()) steps.push(step);
    return steps;
  };
  const [one, other] = await Promise.all([collect(), collect()]);
  expect(one).toEqual([1, 2, 3, 4, 5, 6]);
  expect(other).toEqual(one);
  await run.result;
});

test('a signal stops it: the loop and the result throw its reason, and nothing stays in memory', async () => {
  const stop = new AbortController();
  await expectNoLeak(async () => {
    const run = train({ ...options, signal: stop.signal });
    const steps: number[] = [];
    const iterate = async (): Promise<void> => {
      for await (const { step } of run.steps()) {
        steps.push(step);
        if (step === 2) stop.abort(new Error('enough'));
      }
    };
    await expect(iterate()).rejects.toThrow('enough');
    await expect(run.result).rejects.toThrow('enough');
    expect(steps).toEqual([1, 2]);
  });
});

test('wrong use throws in the loop as well', async () => {
  const run = train({ training: { epochs: 1 } });
  await expect(run.steps().next()).rejects.toMatchObject({ name: 'UsageError', code: 'training/no-auxiliary' });
  await expect(run.result).rejects.toMatchObject({ code: 'training/no-auxiliary' });
});

import yargs from 'yargs';
import { hasRange } from '../../cli/number-ranges';
import { benchCommand } from '../../cli/bench/command';
import { detectCommand } from '../../cli/detect';
import { startCommand } from '../../cli/start';
import { synthesizeCommand } from '../../cli/datasets/synthesize';
import { benchmarkCommand } from '../../cli/benchmark';
import { evalCommand } from '../../cli/eval';
import { trainCommand } from '../../cli/train';
import { pretrainCommand } from '../../tools/pretraining/command';
import { standInsCommand } from '../../tools/stand-ins/command';
import { runTraining } from '../../train/run';
import { Crane } from '../../lib/crane';
import { runCrane, runNpmTool } from './run-crane';

test.each([
  [['train', '--aux', 'nowhere', '--epochs', '0'], '--epochs 0: expected a whole number, 1 to 10000'],
  [['train', '--aux', 'nowhere', '--k-shot', '1'], '--k-shot 1: expected a whole number, 2 or more, or 0 for all'],
  [['train', '--aux', 'nowhere', '--validate', '0.6'], '--validate 0.6: expected a share from 0 to 0.5'],
  [['train', '--aux', 'nowhere', '--learning-rate', '0'], '--learning-rate 0: expected a number above 0'],
  [['start', '--epochs', '1.5'], '--epochs 1.5: expected a whole number, 1 to 10000'],
  [['train', '--aux', 'nowhere', '--epochs', '1e9'], '--epochs 1000000000: expected a whole number, 1 to 10000'],
  [['start', '--seed=-1'], '--seed -1: expected a whole number, 0 or more'],
  [['benchmark', '--matrix', '--epochs', '0'], '--epochs 0: expected a whole number, 1 to 10000'],
  [['detect', 'x.png', '--image-size', '9000'], '--image-size 9000: expected a whole number, pixels from 1 to 8192'],
  [['eval', '--dataset', 'nowhere', '--sigma=-1'], '--sigma -1: expected 0 (no smoothing) or more'],
])('crane %j is refused at once', async (argv, message) => {
  const { code, out, err } = await runCrane(...argv);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
});

test.each([
  [
    ['stand-ins', '--out', '/dev/null/x', '--images-per-category', '0'],
    '--images-per-category 0: expected a whole number, 1 or more',
  ],
  [
    ['pretrain', '--folder', '/dev/null/x', '--out', '/dev/null/x', '--steps', '0'],
    '--steps 0: expected a whole number, 1 or more',
  ],
])('npm run %j is refused at once', async (argv, message) => {
  const { code, out, err } = await runNpmTool(...argv);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
});

test('every number of every command has a range', () => {
  const commands = [
    benchCommand,
    detectCommand,
    startCommand,
    synthesizeCommand,
    benchmarkCommand,
    evalCommand,
    trainCommand,
    pretrainCommand,
    standInsCommand,
  ];
  const numbers = commands.flatMap(({ builder }) => {
    const parser = yargs([]);
    (builder as unknown as (argv: typeof parser) => unknown)(parser);
    return (parser as unknown as { getOptions(): { number: string[] } }).getOptions().number;
  });
  expect(numbers.length).toBeGreaterThan(40);
  expect([...new Set(numbers.filter((name) => !hasRange(name) && !/[A-Z]/.test(name)))]).toEqual([]);
});

test('calls of the library name their options at once, each with what was found', async () => {
  await expect(runTraining({ auxiliary: 'nowhere', training: { epochs: 0, betas: [0.5, 1] } })).rejects.toMatchObject({
    code: 'usage/options',
    message: expect.stringMatching(
      /^`betas\.1` 1: expected less than 1\n`epochs` 0: expected (more than 0|at least 1)$|^`epochs` 0: expected (more than 0|at least 1)[^]*`betas\.1` 1: expected less than 1$/,
    ),
  });
  await expect(runTraining({ auxiliary: 'nowhere', model: { layers: [] } })).rejects.toMatchObject({
    message: '`layers` []: expected at least 1 entry',
  });
  await expect(runTraining({ auxiliary: 'nowhere', model: { sigma: -1 } })).rejects.toMatchObject({
    message: '`sigma` -1: expected at least 0',
  });
  await expect(Crane.load({ backbone: 'nowhere.pt', prompts: 'nowhere.pth', imageSize: 1.5 })).rejects.toMatchObject({
    message: '`imageSize` 1.5: expected a whole number',
  });
  await expect(
    Crane.load({ backbone: 'nowhere.pt', prompts: 'nowhere.pth', fusion: 'hard' as never }),
  ).rejects.toMatchObject({ message: '`fusion` "hard": expected one of soft, logit' });
});

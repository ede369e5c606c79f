import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parse } from 'yaml';
import { writeStandIn } from '../../tools/stand-ins';
import { prepareBackend } from '../../lib/backend';
import { readPromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { configOf } from '../../train/config';
import { shellWord } from '../../terminal/shell-word';
import { writeSmallBackbone, writeSmallSet } from '../train/tiny-files';
import { jsonLines, runCrane, type Run } from './run-crane';

let folder: string;
let set: string;
let backbone: string;
const environment = { ...process.env };

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-train-command-'));
  set = await writeSmallSet(path.join(folder, 'plates'));
  backbone = writeSmallBackbone(folder);
  process.env['CRANE_CACHE'] = path.join(folder, 'cache');
  process.env['CRANE_DATA'] = path.join(folder, 'data');
});

afterAll(() => {
  process.env = environment;
  fs.rmSync(folder, { recursive: true, force: true });
});

const inFolder = (...names: string[]): string => path.join(folder, ...names);
const trainHere = (...words: string[]): Promise<Run> =>
  runCrane('train', '--aux', set, '--backbone', backbone, '--batch-size', '4', ...words);
const prompts = (run: string): string => fs.readFileSync(inFolder(run, 'prompts.safetensors')).toString('base64');

/** Every option, at a value that is not the usual one. */
const UNUSUAL = [
  '--epochs',
  '2',
  '--learning-rate',
  '0.002',
  '--betas',
  '0.5,0.99',
  '--seed',
  '7',
  '--context-probability',
  '0.5',
  '--context-tokens',
  '6',
  '--deep-tokens',
  '2',
  '--depth',
  '2',
  '--pixel-weight',
  '0.5',
  '--image-weight',
  '0.3',
  '--image-temperature',
  '0.02',
  '--pixel-temperature',
  '0.08',
  '--interpolation',
  'bilinear',
  '--portion',
  '0.9',
  '--mosaic-rate',
  '0.3',
  '--validate',
  '0.2',
  '--no-round-gradients',
  '--layers',
  '2,3',
  '--eattn-blocks',
  '1',
  '--attention',
  'qq+kk',
  '--no-pooling',
  '--context-position',
  'pad_prefix',
  '--fusion',
  'logit',
  '--sigma',
  '3',
  '--categories',
  'plate',
  '--precision',
  'float32',
  '--layout',
  'mvtec',
  '--normal-without-mask',
];

test('prints a config of all options that runs the same, and a command that does', async () => {
  expect((await trainHere(...UNUSUAL, '--out', inFolder('words'))).code).toBe(0);
  const { code, out } = await trainHere(...UNUSUAL, '--print-config');
  expect(code).toBe(0);
  expect(parse(out)).toMatchObject({
    aux: [set],
    epochs: 2,
    betas: [0.5, 0.99],
    layers: [2, 3],
    pooling: false,
    'mosaic-rate': 0.3,
    'context-position': 'pad_prefix',
    cache: true,
    layout: 'mvtec',
    'normal-without-mask': true,
  });
  fs.writeFileSync(inFolder('config.yaml'), out);
  expect((await runCrane('train', '--config', inFolder('config.yaml'), '--out', inFolder('config'))).code).toBe(0);
  expect(prompts('config')).toBe(prompts('words'));

  const { metadata } = await readPromptCheckpoint(inFolder('words', 'prompts.safetensors'));
  const command = (metadata['crane.command'] as string).split(' ');
  expect(command.slice(0, 2)).toEqual(['crane', 'train']);
  expect(command).not.toContain('--out');
  expect((await runCrane(...command.slice(1), '--out', inFolder('command'))).code).toBe(0);
  expect(prompts('command')).toBe(prompts('words'));

  // The config that the run keeps says the same, and where it lies.
  expect(parse(fs.readFileSync(inFolder('words', 'config.yaml'), 'utf8'))).toEqual({
    ...parse(out),
    out: inFolder('words'),
  });
});

test('a config without a word on an option has its default', async () => {
  const config = parse(await configOf({ auxiliary: [set], backbone })) as Record<string, unknown>;
  expect(config).toMatchObject({
    epochs: 5,
    'batch-size': 8,
    'learning-rate': 0.001,
    betas: [0.6, 0.999],
    seed: 111,
    'context-tokens': 12,
    'deep-tokens': 4,
    depth: 9,
    'context-probability': 1,
    portion: 1,
    'k-shot': 0,
    'mosaic-rate': 0,
    validate: 0,
    'save-every': 20,
    'save-frequency': 1,
    spatial: 'none',
    backend: 'auto',
    interpolation: 'nearest',
  });
});

test('a table for people, and one JSON object for programs', async () => {
  const { out } = await trainHere('--epochs', '2', '--validate', '0.2', '--out', inFolder('table'));
  expect(out).toMatch(/^Trained on plates: 9 images, 5 of them anomalous; backbone small\.safetensors/);
  expect(out).toMatch(/epoch +loss +focal +dice +image +image AUROC +pixel AUROC/);
  expect(out).toMatch(
    /^Evaluate: +crane eval --dataset SET --backbone \S+small\.safetensors --prompts \S+prompts\.safetensors$/m,
  );
  const json = await trainHere('--epochs', '1', '--json', '--out', inFolder('json'));
  expect(
    json.err
      .split('\n')
      .filter((line) => line !== '')
      .every((line) => line.startsWith('{')),
  ).toBe(true);
  expect(jsonLines(json.out)).toEqual([
    expect.objectContaining({
      folder: inFolder('json'),
      prompts: inFolder('json', 'prompts.safetensors'),
      best: expect.objectContaining({ epoch: 1 }) as object,
    }),
  ]);
});

test('Ctrl-C finishes the step, saves, and says how to go on; going on needs nothing else', async () => {
  await trainHere('--epochs', '15', '--no-cache', '--out', inFolder('unbroken'));
  const running = trainHere('--epochs', '15', '--no-cache', '--out', inFolder('broken'));
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!fs.existsSync(inFolder('broken', 'epoch_1.safetensors'))) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });
  process.emit('SIGINT');
  const { code, err } = await running;
  expect(code).toBe(130);
  expect(err).toMatch(
    /Stopped after step \d+ of 45; everything is saved\. Resume with: +crane train --resume \S+broken$/m,
  );
  const resumed = await runCrane('train', '--resume', inFolder('broken'));
  expect(resumed.code).toBe(0);
  expect(resumed.err).toMatch(/Resuming after step \d+\./);
  expect(prompts('broken')).toBe(prompts('unbroken'));
});

test('a finished run is left alone unless --overwrite is said', async () => {
  const again = (...words: string[]): Promise<Run> =>
    trainHere('--epochs', '1', '--out', inFolder('finished'), ...words);
  expect((await again()).code).toBe(0);
  const before = prompts('finished');
  const { code, out, err } = await again('--seed', '5');
  expect([code, out]).toEqual([2, '']);
  expect(err).toMatch(/finished contains the prompts of a finished run\.[^]*--overwrite/);
  expect(prompts('finished')).toBe(before);
  expect((await again('--seed', '5', '--overwrite')).code).toBe(0);
  expect(prompts('finished')).not.toBe(before);
});

describe('wrong use ends with 2 and says what to do', () => {
  test.each<[string, string[], RegExp]>([
    ['nothing to train on', [], /--aux .*--resume/],
    ['a set that is not there', ['--aux', 'visa'], /https:\/\/amazon-visual-anomaly/],
    ['a folder that is not there', ['--aux', '/nowhere'], /\/nowhere/],
    ['a run that is not there', ['--resume', '/tmp/no-such-run'], /no-such-run contains no run/],
    ['betas', ['--aux', 'x', '--betas', '0.6'], /--betas 0.6: expected two numbers/],
    ['a temperature of scoring', ['--aux', 'x', '--temperature', '0.1'], /--temperature 0.1 is for scoring/],
    ['a class name', ['--aux', 'x', '--class-name', 'nut'], /--class-name nut is for scoring.*Leave it out/],
    ['a cache size', ['--aux', 'x', '--cache-size', 'much'], /--cache-size much/],
  ])('%s', async (_, words, message) => {
    const { code, err } = await runCrane('train', ...words);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });

  test.each<[string, string[], RegExp]>([
    ['one shot', ['--k-shot', '1'], /--k-shot 1/],
    ['a portion of nothing', ['--portion', '0'], /portion/],
    ['more held back than kept', ['--validate', '0.7'], /validate/],
    ['no step between states', ['--save-every', '0'], /--save-every 0/],
  ])('%s', async (_, words, message) => {
    const { code, err } = await trainHere(...words, '--out', inFolder('wrong'));
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
    expect(fs.existsSync(inFolder('wrong', 'run.json'))).toBe(false);
  });
});

test("a set in VisA's own layout is trained on by its name, and eval reads the result", async () => {
  await writeStandIn('visa', inFolder('data'), { categories: 1, imagesPerCategory: 6, imageSize: 48 });
  const { code, err } = await runCrane(
    'train',
    '--aux',
    'visa',
    '--backbone',
    backbone,
    '--epochs',
    '1',
    '--out',
    inFolder('visa-run'),
  );
  expect([code, err]).toEqual([0, expect.stringContaining('stand-in')]);
  const model = [
    '--backbone',
    backbone,
    '--prompts',
    inFolder('visa-run', 'prompts.safetensors'),
    '--no-report',
    '--out',
    inFolder('results'),
  ];
  expect(await runCrane('eval', '--dataset', set, ...model)).toMatchObject({ code: 0 });
  expect(await runCrane('eval', '--dataset', 'visa', ...model)).toMatchObject({
    code: 2,
    err: expect.stringContaining('trained on visa') as string,
  });
});

test('words for a shell', () => {
  expect(['plain-1.0/a,b', 'with blank', "it's", ''].map(shellWord)).toEqual([
    'plain-1.0/a,b',
    "'with blank'",
    `'it'\\''s'`,
    "''",
  ]);
});

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { describeWithGoldens, goldenPath, tinyBackbone } from '../goldens';
import { jsonLines, runCrane, type Run } from './run-crane';

const tiny = (): string[] => [
  '--backbone',
  tinyBackbone(),
  '--prompts',
  goldenPath('prompts_tiny.pth'),
  '--image-size',
  '70',
  '--layers',
  '2,4,6',
  '--eattn-blocks',
  '5',
];

let folder: string;
beforeAll(() => prepareBackend('auto'));
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-watch-'));
  fs.mkdirSync(path.join(folder, 'in'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const inFolder = (...parts: string[]): string => path.join(folder, ...parts);
const bytes = (from: string): Buffer => fs.readFileSync(goldenPath(`images/${from}`));

function write(name: string, content: string | Buffer = bytes('rgb.png')): string {
  const file = inFolder('in', name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

const rowsSoFar = (): Record<string, unknown>[] => {
  const file = inFolder('rows.jsonl');
  return fs.existsSync(file) ? jsonLines(fs.readFileSync(file, 'utf8')) : [];
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Runs the command until what is done meanwhile is over, and stops it then. */
async function watching(
  options: readonly string[],
  meanwhile: () => Promise<unknown>,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Run & { rows: Record<string, unknown>[] }> {
  const running = runCrane(
    'detect',
    '--watch',
    inFolder('in'),
    ...tiny(),
    '--json',
    inFolder('rows.jsonl'),
    ...options,
  );
  // Listens from the moment on when it is about to load the model.
  await until(() => process.listenerCount(signal) > 0);
  await meanwhile();
  process.emit(signal);
  const run = await running;
  expect(process.listenerCount(signal)).toBe(0);
  return { ...run, rows: rowsSoFar() };
}

const names = (rows: readonly Record<string, unknown>[]): string[] =>
  rows.map((row) => path.relative(inFolder('in'), row['path'] as string));

describeWithGoldens('crane detect --watch', () => {
  test('scores what is there and what comes, whole or by renaming, below it too; a line each, and a summary', async () => {
    write('there.png');
    const before = tf.memory().numTensors;
    const { code, out, err, rows } = await watching([], async () => {
      await until(() => rowsSoFar().length === 1);
      write('deep/er/whole.png');
      await until(() => rowsSoFar().length === 2);
      fs.renameSync(write('.upload', bytes('gray.png')), inFolder('in', 'moved.png'));
      await until(() => rowsSoFar().length === 3);
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(code).toBe(0);
    expect(names(rows)).toEqual(['there.png', 'deep/er/whole.png', 'moved.png']);
    expect(Object.keys(rows[0] as object).sort()).toEqual([
      'files',
      'height',
      'latency',
      'path',
      'score',
      'seconds',
      'width',
    ]);
    expect(rows.map(({ latency }) => latency === null)).toEqual([true, false, false]);
    expect(rows[1]?.['score']).toBeCloseTo(rows[0]?.['score'] as number, 5);
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^\d\.\d{4}  .*there\.png  93x71, \d+ ms$/);
    expect(lines[1]).toMatch(/whole\.png  93x71, \d+ ms, \d+ ms after arrival$/);
    expect(err).toMatch(/^Watching .*; Ctrl-C ends\.$/m);
    expect(err).toMatch(/^Stopped after 3 images; from arrival to result \d+ ms \(p50\), \d+ ms \(p95\)\.$/m);
  });

  test('a picture that comes in two halves is scored once, when it is whole', async () => {
    const whole = bytes('rgb.png');
    const { code, err, rows } = await watching([], async () => {
      const file = write('halves.png', whole.subarray(0, 900));
      // Long enough to be tried.
      await new Promise((resolve) => setTimeout(resolve, 600));
      fs.appendFileSync(file, whole.subarray(900));
      await until(() => rowsSoFar().some(({ score }) => score !== null));
    });
    const scored = rows.filter(({ score }) => score !== null);
    expect(names(scored)).toEqual(['halves.png']);
    expect(scored[0]).toMatchObject({ width: 93, height: 71 });
    // A machine that takes seconds from one half to the other makes it a picture that stays broken, and then a new one.
    expect([code, /damaged/.test(err)]).toEqual(rows.length === 1 ? [0, false] : [1, true]);
  });

  test('a changed file is scored again; one that went is no failure; one that stays broken is, and the rest go on', async () => {
    write('changing.png');
    write('broken.png', bytes('rgb.png').subarray(0, 900));
    const { code, err, rows } = await watching([], async () => {
      await until(() => rowsSoFar().some(({ score }) => score !== null));
      write('changing.png', bytes('gray.png'));
      fs.rmSync(write('gone.png'));
      await until(() => rowsSoFar().length === 3);
    });
    expect(code).toBe(1);
    const scored = rows.filter(({ score }) => score !== null);
    expect(names(scored)).toEqual(['changing.png', 'changing.png']);
    expect(scored[1]?.['score']).not.toBeCloseTo(scored[0]?.['score'] as number, 3);
    expect(rows.filter(({ score }) => score === null)).toEqual([
      expect.objectContaining({
        path: inFolder('in', 'broken.png'),
        error: expect.stringMatching(/damaged or truncated/),
        latency: null,
      }),
    ]);
    expect(err).toMatch(/broken\.png: damaged or truncated/);
    expect(err).toMatch(/^Stopped after 2 images; 1 failed; from arrival/m);
  });

  test('results below the watched folder are not taken for images, lie as the images do, and twins have names of their own', async () => {
    const out = inFolder('in', 'results');
    const { rows } = await watching(
      ['--out', out, '--save', 'overlay,npy'],
      async () => {
        for (const [name, from] of [
          ['a.png', 'rgb.png'],
          ['b/a.png', 'rgb.png'],
          ['a.jpg', 'gray.png'],
        ] as const) {
          const count = rowsSoFar().length;
          write(name, bytes(from));
          await until(() => rowsSoFar().length > count);
        }
        write('a.png', bytes('gray.png'));
        await until(() => rowsSoFar().length === 4);
      },
      'SIGTERM',
    );
    expect(names(rows)).toEqual(['a.png', 'b/a.png', 'a.jpg', 'a.png']);
    expect(rows.map(({ files }) => (files as string[]).map((file) => path.relative(out, file)))).toEqual([
      ['a.png', 'a.npy'],
      ['b/a.png', 'b/a.npy'],
      ['a-2.png', 'a-2.npy'],
      ['a.png', 'a.npy'],
    ]);
    for (const file of rows.flatMap(({ files }) => files as string[])) expect(fs.existsSync(file)).toBe(true);
  });

  test('new ones only, with one JSON object per image on standard output and nothing else there', async () => {
    write('old.png');
    const running = runCrane(
      'detect',
      '--watch',
      inFolder('in'),
      '--new-only',
      ...tiny(),
      '--json',
      '-',
      '--out',
      inFolder('results'),
    );
    await until(() => process.listenerCount('SIGINT') > 0);
    // The first look at the folder follows on the loading of the model; what comes earlier counts as old.
    const trickle = setInterval(() => write(`new-${Date.now()}.png`), 300);
    await until(() => fs.readdirSync(inFolder('results')).length > 0);
    clearInterval(trickle);
    process.emit('SIGINT');
    const { code, out, err } = await running;
    expect(code).toBe(0);
    expect(names(jsonLines(out)).every((name) => name.startsWith('new-'))).toBe(true);
    expect(err).toContain('for new images');
  });

  test.each([
    [['--watch', 'nowhere'], /nowhere: a folder to watch was expected/],
    [['--watch'], /--watch needs a value/],
    [['--watch', '.', 'part.png'], /--watch \. .*leave out either part\.png or --watch/],
    [['--new-only', 'part.png'], /--new-only needs --watch/],
    [[], /No input: .*--watch DIR/],
    [['--watch', '.', '--out', '.'], /--out \.: the watched folder is the same/],
    [['--watch', '.', '--out', '..'], /--out \.\.: the watched folder is inside it/],
    [['--watch', '.', '--save', 'mask', '--out', '../other'], /needs --threshold/],
  ] as [string[], RegExp][])('detect %j is wrong use', async (options, message) => {
    const here = process.cwd();
    process.chdir(inFolder('in'));
    try {
      const { code, out, err } = await runCrane('detect', ...options, ...tiny());
      expect(err).toMatch(message);
      expect([code, out]).toEqual([2, '']);
      expect(fs.readdirSync(folder)).toEqual(['in']);
    } finally {
      process.chdir(here);
    }
  });
});

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openTensorsSync } from '../../lib/weights/open';
import { seededUniform } from '../../lib/weights/seeded';
import { FakeData } from '../eval/benchmark/fake-data';
import { writeSmallBackbone, writeSmallSet } from '../train/tiny-files';

/** More for a long look: `CRANE_KILLS=20 npx jest tests/cli/killed.test.ts`. */
const KILLS = Number(process.env['CRANE_KILLS'] ?? 2);
const CRANE = path.resolve(__dirname, '../../bin/crane.js');

let folder: string;
let backbone: string;
let set: string;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-killed-'));
  backbone = writeSmallBackbone(folder);
  set = await writeSmallSet(path.join(folder, 'plates'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly killed: boolean;
  readonly milliseconds: number;
  readonly output: string;
}

/** What decides the moment of a kill: so many milliseconds after the start, or a temporary file being written below the folder. */
type Moment = { readonly after: number } | { readonly writingBelow: string };

/** Runs a command in a process of its own. Without a moment it lives to its end. */
function run(argv: readonly string[], moment?: Moment): Promise<Ended> {
  return new Promise((resolve) => {
    const began = performance.now();
    const child = spawn(process.execPath, [CRANE, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env: process.env });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const due = (): boolean => {
      if (moment === undefined) return false;
      return 'after' in moment
        ? performance.now() - began >= moment.after
        : filesBelow(moment.writingBelow).some((file) => file.endsWith('.partial'));
    };
    const watch = setInterval(() => due() && child.kill('SIGKILL'), 1);
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      resolve({ code, killed: signal === 'SIGKILL', milliseconds: performance.now() - began, output });
    });
  });
}

function filesBelow(root: string): string[] {
  if (!fs.existsSync(root)) return [];
  const entries = fs.readdirSync(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/** Opens every file that has its final name, to its end. */
function expectWhole(root: string): void {
  for (const file of filesBelow(root)) {
    if (file.endsWith('.json')) JSON.parse(fs.readFileSync(file, 'utf8'));
    else if (file.endsWith('.html')) expect(fs.readFileSync(file, 'utf8').trimEnd().endsWith('</html>')).toBe(true);
    else if (/\.(safetensors|pth)$/.test(file)) openTensorsSync(file).close();
    else if (file.endsWith('.png')) expect(fs.readFileSync(file).subarray(-8, -4).toString('latin1')).toBe('IEND');
    else expect(file).toMatch(/\.(partial|csv|md)$|\/\.lock(\.[\w-]+)?$/);
  }
}

/** Kills a command again and again, at drawn moments and while it writes, then lets it end. @returns all that it prints */
async function survives(argv: readonly string[], out: string, whole: number): Promise<string> {
  const draw = seededUniform(`kills of ${argv.join(' ')}`);
  let kills = 0;
  for (let count = 0; count < KILLS; count++) {
    const moment = count % 2 === 0 ? { writingBelow: out } : { after: draw() * whole };
    // A file is written in less than a millisecond at times, and a drawn moment may come after the end.
    kills += Number((await run(argv, moment)).killed);
    expectWhole(out);
  }
  if (KILLS >= 10) expect(kills).toBeGreaterThan(KILLS / 4);
  const { code, output } = await run(argv);
  expect([code, output]).toEqual([0, expect.any(String)]);
  expectWhole(out);
  expect(filesBelow(out).filter((file) => /\.partial$|\/\.lock/.test(file))).toEqual([]);
  return output;
}

test('crane eval, killed while it computes and while it writes: no torn file, and the next call ends as if nothing had been', async () => {
  const evalTo = (out: string): string[] => [
    'eval',
    '--dataset',
    set,
    '--out',
    out,
    '--backbone',
    backbone,
    '--prompts',
    prompts,
  ];
  const prompts = path.join(folder, 'prompts.safetensors');
  const trained = await run([
    'train',
    '--aux',
    set,
    '--backbone',
    backbone,
    '--epochs',
    '1',
    '--out',
    path.join(folder, 'run'),
  ]);
  expect([trained.code, trained.output]).toEqual([0, expect.any(String)]);
  fs.copyFileSync(path.join(folder, 'run', 'prompts.safetensors'), prompts);
  const [unbroken, killed] = ['unbroken', 'killed'].map((name) => path.join(folder, name)) as [string, string];
  const { code, milliseconds, output } = await run([...evalTo(unbroken), '--allow-auxiliary']);
  expect([code, output]).toEqual([0, expect.any(String)]);
  await survives([...evalTo(killed), '--allow-auxiliary'], killed, milliseconds);
  expect(filesBelow(killed).map((file) => path.relative(killed, file))).toEqual(
    filesBelow(unbroken).map((file) => path.relative(unbroken, file)),
  );
  const figures = (out: string): unknown =>
    (JSON.parse(fs.readFileSync(path.join(out, 'results.json'), 'utf8')) as { datasets: unknown }).datasets;
  expect(figures(killed)).toEqual(figures(unbroken));
});

test('crane benchmark, killed likewise: what is kept is whole, and the last run ends as if nothing had been', async () => {
  const sets = new FakeData();
  await sets.write(['btad', 'dagm'], { imagesPerCategory: 2, imageSize: 32 });
  try {
    const benchmarkTo = (out: string): string[] => [
      'benchmark',
      '--datasets',
      'btad,dagm',
      '--recipes',
      'crane',
      '--backbone',
      'nano',
      '--image-size',
      '32',
      '--no-pictures',
      '--out',
      out,
    ];
    const [unbroken, killed] = ['benchmark', 'benchmark-killed'].map((name) => path.join(folder, name)) as [
      string,
      string,
    ];
    const { code, milliseconds, output } = await run(benchmarkTo(unbroken));
    expect([code, output]).toEqual([0, expect.any(String)]);
    await survives(benchmarkTo(killed), killed, milliseconds);
    const figures = (out: string): unknown =>
      (
        JSON.parse(fs.readFileSync(path.join(out, 'results.json'), 'utf8')) as {
          datasets: { name: string; categories: unknown; mean: unknown }[];
        }
      ).datasets.map(({ name, categories, mean }) => ({ name, categories, mean }));
    expect(figures(killed)).toEqual(figures(unbroken));
  } finally {
    sets.remove();
  }
});

test('crane weights convert, killed likewise: the file is there whole or not at all', async () => {
  const out = path.join(folder, 'converted');
  const convertTo = (file: string): string[] => ['weights', 'convert', backbone, file, '--force'];
  const { code, milliseconds, output } = await run(convertTo(path.join(folder, 'converted.safetensors')));
  expect([code, output]).toEqual([0, expect.any(String)]);
  await survives(convertTo(path.join(out, 'small.safetensors')), out, milliseconds);
  expect(
    fs
      .readFileSync(path.join(out, 'small.safetensors'))
      .equals(fs.readFileSync(path.join(folder, 'converted.safetensors'))),
  ).toBe(true);
});

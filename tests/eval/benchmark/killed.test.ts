import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { BenchmarkResults } from '../../../eval/benchmark/benchmark-results';
import { PAPER_SETS } from '../../../eval/published';
import { runCrane } from '../../cli/run-crane';
import { FakeData } from './fake-data';

const sets = new FakeData();
beforeAll(() => sets.write(PAPER_SETS, { imagesPerCategory: 2, imageSize: 32 }));
afterAll(() => sets.remove());

const argv = (out: string): string[] => [
  'benchmark',
  '--recipes',
  'crane',
  '--backbone',
  'nano',
  '--image-size',
  '32',
  '--no-pictures',
  '--out',
  sets.path(out),
];

/** Runs the command in a process of its own, and kills it when so many categories are kept. @returns how many were */
async function killedAfter(categories: number): Promise<number> {
  const kept = sets.path('killed', 'kept');
  const child = spawn(process.execPath, [path.resolve(__dirname, '../../../bin/crane.js'), ...argv('killed')], {
    stdio: 'ignore',
    env: process.env,
  });
  const count = (): number =>
    fs.existsSync(kept) ? fs.readdirSync(kept).filter((name) => name.endsWith('.json')).length : 0;
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  const watch = setInterval(() => count() >= categories && child.kill('SIGKILL'), 2);
  const signal = await ended;
  clearInterval(watch);
  expect(signal).toBe('SIGKILL');
  return count();
}

test('all fourteen sets: killed twice and resumed, the same table as unbroken', async () => {
  const first = await killedAfter(9);
  const second = await killedAfter(first + 20);
  expect(first).toBeGreaterThanOrEqual(9);
  expect(second).toBeGreaterThanOrEqual(first + 20);
  // What a kill in the middle of writing leaves, and a file that is none of ours.
  const halves = ['results.json.123.0a1b2c3d.partial', 'kept/feed.json.9.00000000.partial', 'kept/notes.partial'].map(
    (name) => sets.path('killed', name),
  );
  halves.forEach((file) => fs.writeFileSync(file, '{"key"'));
  const resumed = await runCrane(...argv('killed'));
  expect(halves.map((file) => fs.existsSync(file))).toEqual([false, false, true]);
  const unbroken = await runCrane(...argv('unbroken'));
  expect([resumed.code, unbroken.code]).toEqual([0, 0]);
  // The last run took what the first two had finished.
  const taken = [...resumed.err.matchAll(/, (\d+) of \d+ categories from an earlier run/g)].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );
  expect(taken).toBe(second);
  const table = ({ out }: { out: string }): string => out.slice(0, out.indexOf('\n\nCost\n'));
  expect(table(resumed)).toBe(table(unbroken));
  expect(table(resumed)).toMatch(/^mean of 7 industrial +\d/m);
  const [one, other] = ['killed', 'unbroken'].map(
    (out) => JSON.parse(fs.readFileSync(sets.path(out, 'results.json'), 'utf8')) as BenchmarkResults,
  );
  expect(one?.datasets.map(({ name }) => name)).toEqual(PAPER_SETS);
  expect(figures(one)).toEqual(figures(other));
  expect(one?.datasets.flatMap(({ categories }) => categories)).toHaveLength(66);
  // Nothing half-written is left, and the lock of the killed is gone.
  expect(fs.readdirSync(sets.path('killed')).filter((name) => /partial|lock/.test(name))).toEqual([]);
});

/** All that does not depend on time. */
function figures(results: BenchmarkResults | undefined): unknown {
  return results?.datasets.map(({ name, recipe, images, anomalous, categories, mean }) => ({
    name,
    recipe,
    images,
    anomalous,
    categories,
    mean,
  }));
}

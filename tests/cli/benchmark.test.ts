import * as fs from 'node:fs';
import type { BenchmarkResults } from '../../eval/benchmark/benchmark-results';
import * as web from '../../lib/web/request';
import { runCrane, type Run } from './run-crane';
import { FakeData } from '../eval/benchmark/fake-data';

const sets = new FakeData();
beforeAll(() => sets.write(['btad', 'headct'], { imagesPerCategory: 2, imageSize: 32 }));
afterAll(() => sets.remove());

const benchmark = (...argv: string[]): Promise<Run> =>
  runCrane(
    'benchmark',
    '--backbone',
    'nano',
    '--image-size',
    '32',
    '--recipes',
    'crane',
    '--no-pictures',
    '--out',
    sets.path('out'),
    ...argv,
  );

test('without a choice, the sets of the paper that are here; where to get the others', async () => {
  const { code, out, err } = await benchmark();
  expect(code).toBe(0);
  expect(out).toMatch(/^btad +6 +\d/m);
  expect(out).toMatch(/^crane +headct +[\d.]+ +\d+ +1\.97 +7\.89 +0\.\d+$/m);
  expect(out).toMatch(
    /Missing: 12 sets\. Unpack into .*data, or into the folder that CRANE_DATA names:\n\n {2}mvtec as mvtec\/ \(CC BY-NC-SA 4\.0\)\n {6}https/,
  );
  expect(out).toMatch(/Written: .*results\.json, report\.html, report\.md, report\.csv\n$/);
  expect(err).toMatch(/^\[4 of 14\] crane btad: I-AUROC/m);
  // Nobody is to take figures on drawn stand-ins for the paper's.
  for (const told of [
    err,
    fs.readFileSync(sets.path('out/report.md'), 'utf8').replaceAll('\\', ''),
    fs.readFileSync(sets.path('out/report.html'), 'utf8'),
  ]) {
    expect(told).toMatch(/btad is a synthetic stand-in for .*: its figures say nothing about the real set/);
  }
});

test('a set that was named and is not here counts as failed, and so does nothing at all', async () => {
  const { code, out } = await benchmark('--datasets', 'btad,tn3k', '--json', '-');
  expect(code).toBe(1);
  const results = JSON.parse(out) as BenchmarkResults;
  expect(Object.keys(results)).toEqual(expect.arrayContaining(['schemaVersion', 'datasets', 'model', 'run']));
  expect([results.datasets.map(({ name }) => name), results.leftOut.map(({ name, reason }) => [name, reason])]).toEqual(
    [['btad'], [['tn3k', 'absent']]],
  );
  expect(results.run.machine).toMatchObject({ cpu: expect.any(String), memoryBytes: expect.any(Number) });
  const nothing = await benchmark('--datasets', 'visa', '--json', sets.path('copy.json'));
  expect([nothing.code, nothing.out]).toEqual([1, expect.stringMatching(/No set was found, so nothing was scored/)]);
  expect((JSON.parse(fs.readFileSync(sets.path('copy.json'), 'utf8')) as BenchmarkResults).model).toBeNull();
});

test('degraded pictures and a matrix have tables of their own', async () => {
  const { code, out } = await benchmark(
    '--datasets',
    'btad,headct',
    '--corruptions',
    '--strengths',
    '5,1',
    '--matrix',
    '--epochs',
    '1',
  );
  // HeadCT has no masks to be trained on, which is said and is no failure.
  expect(code).toBe(0);
  expect(out).toMatch(/^crane +noise +1 +5 +2 +\S+ +\S+ +\S+$/m);
  expect(out.match(/^crane +(noise|blur|brightness|jpeg) +[15] /gm)).toHaveLength(8);
  expect(out).toMatch(/I-AUROC \(per cent\) on\n\ntrained on +btad +headct\n[─ ]+\nbtad +– +\d/);
  expect(out).toMatch(/crane, trained on headct: .*mask/);
});

test('an unknown set is refused before a backbone is downloaded', async () => {
  const requests = jest
    .spyOn(web, 'requestWeb')
    .mockRejectedValue(new web.RefusedUrl('private', 'no test leaves this machine'));
  const before = { ...process.env };
  process.env['CRANE_CACHE'] = sets.path('empty-cache');
  try {
    const with336 = (datasets: string): Promise<Run> =>
      runCrane('benchmark', '--backbone', 'ViT-L/14@336px', '--datasets', datasets, '--out', sets.path('large'));
    const { code, err } = await with336('nosuch');
    expect([code, err]).toEqual([2, expect.stringContaining('"nosuch" is neither a registered set nor a folder')]);
    expect(requests).not.toHaveBeenCalled();
    // A set that is here does lead to a request.
    await with336('btad');
    expect(requests).toHaveBeenCalledWith(expect.stringContaining('ViT-L-14-336px.pt'), expect.anything());
  } finally {
    process.env = before;
    requests.mockRestore();
  }
});

test.each([
  [['--recipes', 'crane+'], /no recipe "crane\+"\. Known: crane, crane-plus/],
  [['--datasets', 'btad,headct,btad'], /btad twice/],
  [['--datasets', 'all,btad'], /"all" among other names/],
  [['--datasets', ','], /no set/],
  [['--datasets', 'btad,mvtek'], /"mvtek" is neither a registered set nor a folder\. Did you mean mvtec\?/],
  [['--strengths', '0'], /--strengths 0: expected numbers from 1 to 5/],
  [['--strengths', ','], /expected numbers from 1 to 5/],
  [['--epochs', '1.5'], /--epochs 1\.5: expected a whole number/],
  [['--matrix', '--prompts', 'crane-visa'], /--matrix trains prompts itself/],
  [['--sigma', '-1'], /--sigma -1: expected 0/],
  [['--dataset', 'btad'], /--datasets/],
])('%j is wrong use', async (options, message) => {
  // An option that is given twice would be refused for that.
  const base = ['benchmark', '--backbone', 'nano', '--out', sets.path('out')];
  const { code, out, err } = await runCrane(...base, ...options);
  expect(err).toMatch(message);
  expect([code, out]).toEqual([2, '']);
});

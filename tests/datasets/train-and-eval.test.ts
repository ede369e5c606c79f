import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { METRIC_IDS, PIXEL_METRIC_IDS } from '../../eval/metrics/metric-ids';
import { prepareBackend } from '../../lib/backend';
import { throughOneSet } from '../tools/all-sets';

let folder: string;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-all-sets-'));
  process.env['CRANE_CACHE'] = path.join(folder, 'cache');
  await prepareBackend('auto');
});

afterAll(() => {
  delete process.env['CRANE_CACHE'];
  fs.rmSync(folder, { recursive: true, force: true });
});

/** One set of each native layout that differs from the others, one category each; tests/tools/all-sets.ts has them all. */
test.each<[name: string, layout: string, images: number, anomalous: number]>([
  ['btad', 'mvtec', 4, 2],
  ['visa', 'visa', 4, 2],
  ['sdd', 'kolektor', 5, 2],
  ['dagm', 'dagm', 4, 2],
  ['cvc-clinicdb', 'images-masks', 4, 4],
  ['headct', 'headct', 4, 2],
])('%s: checked, trained on, evaluated', async (name, layout, images, anomalous) => {
  const run = await throughOneSet(name, folder, { categories: 1, imagesPerCategory: 4, imageSize: 64 });
  expect(run).toMatchObject({ layout, evaluation: { failures: [], categories: [{ images, anomalous }] } });
  // The set is the first category only, which is said; nothing else is wrong.
  expect(run.problems.filter((message) => !message.includes('missing: '))).toEqual([]);
  expect(Object.values(run.losses).every((loss) => Number.isFinite(loss))).toBe(true);
  const oneClass = images === anomalous;
  const withoutMasks = name === 'headct';
  expect(run.losses.dice > 0).toBe(!withoutMasks);
  const undefinedMetrics = METRIC_IDS.filter((id) => run.evaluation.mean[id] === null);
  expect(undefinedMetrics).toEqual(
    METRIC_IDS.filter((id) => (PIXEL_METRIC_IDS.some((pixel) => pixel === id) ? withoutMasks : oneClass)),
  );
});

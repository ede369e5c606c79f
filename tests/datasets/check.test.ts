import * as path from 'node:path';
import { checkDataset } from '../../datasets/check';
import { openDataset } from '../../datasets/dataset';
import type { Progress } from '../../lib/progress';
import { describeWithSamples, makeTree, png, removeTrees } from './tree';

afterEach(removeTrees);

test('every file is opened and what is wrong is named', async () => {
  const good = await png(8, 8, 100);
  const root = makeTree({
    'nut/test/good/0.png': good,
    'nut/test/good/1.png': good.subarray(0, 40),
    'nut/test/bent/0.png': good,
    'nut/ground_truth/bent/0_mask.png': await png(8, 8, 0, 255),
    'nut/test/bent/1.png': good,
    'nut/ground_truth/bent/1_mask.png': await png(8, 8, 0),
    'nut/test/bent/2.png': good,
    'nut/ground_truth/bent/2_mask.png': await png(8, 4, 0, 1),
    'nut/test/bent/3.png': good,
    'nut/ground_truth/bent/3_mask.png': 'no picture',
    'nut/test/bent/4.png': '',
    'nut/ground_truth/bent/4_mask.png': await png(8, 8, 0, 1),
  });
  const seen: Progress[] = [];
  const report = await checkDataset(await openDataset(root), (progress) => seen.push(progress));
  const found = report.problems.map((problem) => [problem.kind, problem.severity, path.relative(root, problem.path)]);
  expect(found).toEqual([
    ['empty-mask', 'warning', 'nut/ground_truth/bent/1_mask.png'],
    ['mask-size', 'error', 'nut/ground_truth/bent/2_mask.png'],
    ['unreadable', 'error', 'nut/ground_truth/bent/3_mask.png'],
    ['unreadable', 'error', 'nut/test/bent/4.png'],
    ['unreadable', 'error', 'nut/test/good/1.png'],
  ]);
  expect(report.counts).toEqual({ images: 7, normal: 2, anomalous: 5, masks: 5 });
  expect(report.categories).toEqual([{ name: 'nut', defects: ['bent'], images: 7, normal: 2, anomalous: 5, masks: 5 }]);
  expect(seen[0]).toEqual({ kind: 'start', task: 'check set', total: 7, unit: 'images' });
  expect(seen.at(-2)).toMatchObject({ kind: 'advance', done: 7 });
});

test('a mask that marks something on a normal image, and counts that are not those of the whole set', async () => {
  const image = await png(4, 4, 9);
  const root = makeTree({
    'MT_Free/Imgs/f.jpg': image,
    'MT_Free/Imgs/f.png': image,
    'MT_Crack/Imgs/c.jpg': image,
    'MT_Crack/Imgs/c.png': image,
  });
  expect((await checkDataset(await openDataset(root))).problems.map((problem) => problem.kind)).toEqual([
    'filled-mask',
  ]);
  const colon = makeTree({ 'images/1.png': image, 'masks/1.png': image }, 'cvc-colondb');
  const [problem] = (await checkDataset(await openDataset(colon))).problems;
  expect(problem?.message).toContain('0 normal and 1 anomalous images; the whole set has 0 and 380');
});

describeWithSamples('real samples decode in full', (folder) => {
  test.each(['mvtec/grid', 'crackforest', 'magnetic-tile'])('%s has nothing wrong', async (name) => {
    expect((await checkDataset(await openDataset(path.join(folder, name)))).problems).toEqual([]);
  });
});

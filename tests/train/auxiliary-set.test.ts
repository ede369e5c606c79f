import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { chooseSamples, openAuxiliarySet } from '../../train/auxiliary-set';
import { completeModelOptions } from '../../lib/methods/crane/options';
import { completeTrainingOptions, type TrainingOptionsInput } from '../../train/options';
import { smallSizes, writeSmallSet } from './tiny-files';

let folder: string;
let plates: string;
let lungs: string;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-auxiliary-'));
  plates = await writeSmallSet(path.join(folder, 'plates'));
  lungs = await writeSmallSet(path.join(folder, 'lungs'), { normal: 3, anomalous: 2 });
  fs.renameSync(path.join(lungs, 'plate'), path.join(lungs, 'chest'));
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const training = (options: TrainingOptionsInput = {}): ReturnType<typeof completeTrainingOptions> =>
  completeTrainingOptions(options, completeModelOptions({}, smallSizes));

test('several sets are one, with the images of each', async () => {
  const set = await openAuxiliarySet([plates, lungs]);
  expect(set.name).toBe('plates,lungs');
  expect(set.strata.map(({ name, samples }) => [name, samples.length])).toEqual([
    ['plates/plate/normal', 5],
    ['plates/plate/anomalous', 6],
    ['lungs/chest/normal', 3],
    ['lungs/chest/anomalous', 2],
  ]);
  expect(chooseSamples(set, training()).training).toHaveLength(16);
});

test('categories are chosen over all sets; a set without any is left out', async () => {
  const set = await openAuxiliarySet([plates, lungs], { categories: ['chest'] });
  expect(set.name).toBe('lungs');
  await expect(openAuxiliarySet([plates, lungs], { categories: ['chest', 'liver'] })).rejects.toMatchObject({
    name: 'UsageError',
    message: expect.stringContaining('liver') as string,
  });
});

test('a set is not taken twice, and one there must be', async () => {
  await expect(openAuxiliarySet([plates, `${plates}/`])).rejects.toMatchObject({
    name: 'UsageError',
    code: 'training/auxiliary-twice',
  });
  await expect(openAuxiliarySet([])).rejects.toMatchObject({ name: 'UsageError', code: 'training/no-auxiliary' });
});

test('without masks there is no pixel loss, and that is said, with the set', async () => {
  const noMasks = path.join(folder, 'no-masks');
  for (const [name, from] of [
    ['yes', 'spot'],
    ['no', 'good'],
  ] as const)
    fs.cpSync(path.join(plates, 'plate/test', from), path.join(noMasks, name), { recursive: true });
  const set = await openAuxiliarySet([plates, noMasks]);
  expect(() => chooseSamples(set, training())).toThrow(
    expect.objectContaining({ code: 'training/no-masks', message: expect.stringContaining('no-masks') as string }),
  );
  expect(chooseSamples(set, training({ pixelWeight: 0 })).training).toHaveLength(22);
});

test('how the sets are read is decided by whoever opens them', async () => {
  const defects = path.join(folder, 'defects');
  fs.cpSync(path.join(plates, 'plate/test/good'), path.join(defects, 'images'), { recursive: true });
  const [spot] = fs.readdirSync(path.join(plates, 'plate/test/spot')) as [string];
  fs.cpSync(path.join(plates, 'plate/test/spot', spot), path.join(defects, 'images', `spot-${spot}`));
  const [mask] = fs.readdirSync(path.join(plates, 'plate/ground_truth/spot')) as [string];
  fs.cpSync(path.join(plates, 'plate/ground_truth/spot', mask), path.join(defects, 'masks', `spot-${spot}`));
  await expect(openAuxiliarySet([defects])).rejects.toMatchObject({ code: 'dataset/incomplete' });
  const { strata } = await openAuxiliarySet([defects], { normalWithoutMask: true });
  expect(strata.map(({ name, samples }) => [name, samples.length])).toEqual([
    ['defects/defects/normal', 5],
    ['defects/defects/anomalous', 1],
  ]);
  await expect(openAuxiliarySet([plates], { layout: 'visa' })).rejects.toThrow(/does not have the layout visa/);
});

test('a choice that leaves nothing to learn from is refused', async () => {
  const set = await openAuxiliarySet([lungs]);
  expect(() => chooseSamples(set, training({ portion: 0.4 }))).toThrow(
    expect.objectContaining({ code: 'training/nothing-chosen', message: expect.stringContaining('0.4') as string }),
  );
});

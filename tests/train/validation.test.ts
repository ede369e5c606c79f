import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openDataset } from '../../datasets/dataset';
import { evaluate } from '../../eval/evaluator';
import { prepareBackend } from '../../lib/backend';
import { Crane } from '../../lib/crane';
import { openBackbone } from '../../lib/methods/backbone';
import { buildCraneModel } from '../../lib/methods/crane/build';
import { openPrompts } from '../../lib/methods/crane/checkpoint';
import { bestEpoch, type EpochRecord } from '../../train/epoch-record';
import { FeatureStore } from '../../train/feature-store';
import { runTraining } from '../../train/run';
import { measureHeldBack } from '../../train/validation';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let root: string;
let backbone: string;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-validation-'));
  root = await writeSmallSet(path.join(folder, 'plates'));
  // A second category, so that means over categories are told from means over images.
  fs.cpSync(
    path.join(await writeSmallSet(path.join(folder, 'more'), { normal: 3, anomalous: 2 }), 'plate'),
    path.join(root, 'cup'),
    { recursive: true },
  );
  backbone = writeSmallBackbone(folder);
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

test("metrics of held-back images are eval's own figures for them", async () => {
  const { prompts } = await runTraining({
    auxiliary: root,
    backbone,
    out: path.join(folder, 'run'),
    cache: false,
    training: { epochs: 1, batchSize: 4 },
  });
  const dataset = await openDataset(root);
  const crane = await Crane.load({ backbone, prompts });
  const { mean } = await evaluate(crane, dataset);
  const { preprocessing } = crane.description;
  crane.dispose();

  const open = await openBackbone(backbone);
  const model = buildCraneModel(open, { prompts: await openPrompts(prompts) });
  open.close();
  const samples = dataset.categories.flatMap((category) => category.samples);
  const features = await FeatureStore.encode(model, samples, {
    preprocessing,
    interpolation: 'bilinear',
    precision: 'float32',
  });
  const measured = await expectNoLeak(() =>
    measureHeldBack(model, features, ({ category }) => ({ name: category, hasMasks: true })),
  );
  expect(measured['image/auroc']).toBeCloseTo(mean['image/auroc'] as number, 6);
  for (const id of ['image/ap', 'pixel/auroc', 'pixel/ap', 'pixel/aupro/exact@0.3'] as const)
    expect(measured[id]).toBeCloseTo(mean[id] as number, 3);

  const withoutMasks = await measureHeldBack(model, features, ({ category }) => ({ name: category, hasMasks: false }));
  expect(withoutMasks).toMatchObject({ 'image/auroc': measured['image/auroc'], 'pixel/auroc': null });
  model.dispose();
});

test('a run measures what it holds back after each epoch, and keeps the best prompts by it', async () => {
  const out = path.join(folder, 'measured');
  const result = await runTraining({
    auxiliary: root,
    backbone,
    out,
    cache: false,
    training: { epochs: 4, batchSize: 4, validate: 0.3, learningRate: 0.01 },
  });
  expect(result.record.auxiliary).toMatchObject({ images: 10, validation: 6 });
  const merits = result.epochs.map(
    ({ validation }) => ((validation?.['image/auroc'] as number) + (validation?.['pixel/auroc'] as number)) / 2,
  );
  expect(merits.every(Number.isFinite)).toBe(true);
  const best = merits.indexOf(Math.max(...merits)) + 1;
  expect(result.best).toEqual({ epoch: best, by: 'validation', value: Math.max(...merits) });
  expect(fs.readFileSync(result.bestPrompts).equals(fs.readFileSync(path.join(out, `epoch_${best}.safetensors`)))).toBe(
    true,
  );
});

describe('the best epoch', () => {
  const epoch = (
    number: number,
    total: number,
    image: number | null,
    pixel: number | null,
    measured = true,
  ): EpochRecord =>
    ({
      epoch: number,
      total,
      focal: 0,
      dice: 0,
      image: 0,
      file: null,
      validation: measured ? { 'image/auroc': image, 'pixel/auroc': pixel } : null,
    }) as unknown as EpochRecord;

  test('has the highest mean of both AUROC, the first of equals', () => {
    expect(bestEpoch([epoch(1, 3, 0.5, 0.7), epoch(2, 9, 0.9, 0.6), epoch(3, 1, 0.8, 0.7)])).toEqual({
      epoch: 2,
      by: 'validation',
      value: 0.75,
    });
  });

  test('goes by what is defined', () => {
    expect(bestEpoch([epoch(1, 3, 0.5, null), epoch(2, 9, 0.9, null)])).toEqual({
      epoch: 2,
      by: 'validation',
      value: 0.9,
    });
  });

  test('has the lowest loss where nothing was measured', () => {
    expect(bestEpoch([epoch(1, 3, 0, 0, false), epoch(2, 2, 0, 0, false), epoch(3, 2, 0, 0, false)])).toEqual({
      epoch: 2,
      by: 'loss',
      value: 2,
    });
    expect(bestEpoch([])).toBeUndefined();
  });
});

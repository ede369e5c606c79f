import { completeModelOptions } from '../../lib/methods/crane/options';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { curvesPage } from '../../train/curves-page';
import { bestEpoch, type EpochRecord } from '../../train/epoch-record';
import { completeTrainingOptions } from '../../train/options';
import type { RunFile } from '../../train/run-file';
import type { StepLine } from '../../train/step-log';
import { readMarkup } from '../eval/report/markup';
import { smallSizes } from './tiny-files';

const options = completeModelOptions({}, smallSizes);
const stepLines = (count: number, perEpoch: number): StepLine[] =>
  Array.from({ length: count }, (_, index) => ({
    step: index + 1,
    epoch: Math.floor(index / perEpoch) + 1,
    total: 8 / (index + 1),
    focal: 1,
    dice: 2,
    image: 0.5,
    images: 4,
    seconds: 0.1,
  }));
const epochOf = (epoch: number, auroc: number | null): EpochRecord => ({
  epoch,
  total: 5 - epoch,
  focal: 1,
  dice: 2,
  image: 3,
  file: epoch === 1 ? null : `epoch_${epoch}.safetensors`,
  validation:
    auroc === null
      ? null
      : ({ 'image/auroc': auroc, 'image/ap': null, 'pixel/auroc': auroc, 'pixel/ap': auroc / 2 } as never),
});

function runOf(epochs: readonly EpochRecord[], more: Partial<RunFile> = {}): RunFile {
  return {
    schemaVersion: 2,
    status: 'running',
    request: {},
    auxiliary: { name: '<b>odd & set', categories: ['plate'], images: 9, anomalous: 5, validation: 2, files: 'f00d' },
    backbone: { name: 'small', sha256: 'beef' },
    spatial: null,
    start: null,
    options,
    preprocessing: CLIP_PREPROCESSING,
    precision: 'float16',
    training: completeTrainingOptions({ epochs: 3 }, options),
    versions: { crane: '1.2.3' },
    commandLine: 'crane train --aux "<b>odd & set"',
    commit: null,
    started: '2026-01-01T00:00:00.000Z',
    skipped: [],
    epochs,
    best: bestEpoch(epochs) ?? null,
    seconds: { encode: 1, train: 2 },
    ...more,
  };
}

const textOf = (page: string): string =>
  page
    .replace(/<style>[^]*?<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

test('a page that loads nothing, escapes what it is told, and marks the best epoch', () => {
  const page = curvesPage({
    run: runOf([epochOf(1, 0.6), epochOf(2, 0.9), epochOf(3, 0.7)], { status: 'finished' }),
    steps: stepLines(9, 3),
  });
  expect(() => readMarkup(page)).not.toThrow();
  expect(page).not.toMatch(/<b>odd|https?:|src=/);
  expect(page).toContain('&lt;b&gt;odd &amp; set');
  expect(textOf(page)).toContain('epoch 2 , with a mean of image and pixel AUROC of 90.0 %');
  expect(page.match(/class="best"/g)).toHaveLength(3); // image AP is not defined
  expect(textOf(page)).toMatch(
    /2 \(best\) 3\.0000 1\.0000 2\.0000 3\.0000 90\.0 % n\/a 90\.0 % 45\.0 % epoch_2\.safetensors/,
  );
  expect(textOf(page)).toContain('not kept');
});

test('every step of a short run is drawn where it belongs, and a long one in stretches', () => {
  const pathOf = (count: number): [number, number][] => {
    const page = curvesPage({
      run: runOf([epochOf(1, null)], { auxiliary: { ...runOf([]).auxiliary, validation: 0 } }),
      steps: stepLines(count, count),
    });
    const data = /<path class="steps" d="([^"]*)"/.exec(page)?.[1] as string;
    return [...data.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
  };
  const short = pathOf(4);
  expect(short).toHaveLength(4);
  const [first, second, , fourth] = short as [[number, number], [number, number], [number, number], [number, number]];
  // Steps are evenly apart, and 8, 4, 8/3 and 2 fall as they should: y grows downwards.
  expect(second[0] - first[0]).toBeCloseTo((fourth[0] - first[0]) / 3, 0);
  expect((second[1] - first[1]) / (fourth[1] - first[1])).toBeCloseTo(4 / 6, 1);
  expect(pathOf(4000)).toHaveLength(400);
  expect(pathOf(401)).toHaveLength(201);
});

test('the mean of an epoch stands in the middle of its steps', () => {
  const page = curvesPage({
    run: runOf([epochOf(1, null), epochOf(2, null)], { auxiliary: { ...runOf([]).auxiliary, validation: 0 } }),
    steps: stepLines(6, 3),
  });
  const steps = [...(/<path class="steps" d="([^"]*)"/.exec(page)?.[1] as string).matchAll(/[ML]([\d.]+)/g)].map(
    ([, x]) => x,
  );
  const means = [...page.matchAll(/<circle class="mark" cx="([\d.]+)"/g)].map(([, x]) => x);
  expect(means.slice(0, 2)).toEqual([steps[1], steps[4]]);
});

test('a run without validation, and one without a step, say so', () => {
  const without = curvesPage({
    run: runOf([epochOf(1, null), epochOf(2, null)], { auxiliary: { ...runOf([]).auxiliary, validation: 0 } }),
    steps: stepLines(6, 3),
  });
  expect(textOf(without)).toContain('no images were held out');
  expect(textOf(without)).not.toContain('Validation');
  const empty = curvesPage({ run: runOf([]), steps: [] });
  expect(() => readMarkup(empty)).not.toThrow();
  expect(textOf(empty)).toContain('No step is complete');
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { openDataset } from '../../../datasets/dataset';
import { isComparable, runBenchmark, type BenchmarkOptions, type RowState } from '../../../eval/benchmark/benchmark';
import { readRowDetails, type BenchmarkResults, type BenchmarkRow } from '../../../eval/benchmark/benchmark-results';
import { trainPrompts } from '../../../cli/benchmark';
import { ModelInspector } from '../../../eval/benchmark/model-files';
import { evaluate } from '../../../eval/evaluator';
import { METRIC_IDS, type MetricValues } from '../../../eval/metrics/metric-ids';
import type { ModelOptions } from '../../../lib/methods/crane/options';
import { RECIPES } from '../../../eval/recipes';
import { prepareBackend, type BackendInfo } from '../../../lib/backend';
import { Crane } from '../../../lib/crane';
import { embeddedFile } from '../../../lib/methods/backbone';
import { readPromptCheckpoint, writePromptCheckpoint } from '../../../lib/weights/prompt-checkpoint';
import { FakeData } from './fake-data';

const sets = new FakeData();
let backend: BackendInfo;
beforeAll(async () => {
  backend = await prepareBackend('auto');
  await sets.write(['btad', 'headct', 'isic']);
});
afterAll(() => sets.remove());
afterEach(() => jest.restoreAllMocks());

const model = { backbone: 'nano', imageSize: 32 };

interface Outcome {
  readonly results: BenchmarkResults;
  readonly states: readonly RowState[];
  readonly loads: number;
}

async function run(out: string, options: Partial<BenchmarkOptions> = {}): Promise<Outcome> {
  const load = jest.spyOn(Crane, 'load');
  let states: readonly RowState[] = [];
  const tensors = tf.memory().numTensors;
  const results = await runBenchmark({
    datasets: ['btad', 'headct', 'isic'],
    recipes: [RECIPES['crane-plus']],
    model,
    out: sets.path(out),
    backend,
    command: 'crane benchmark',
    machine: { cpu: 'some' },
    pictures: false,
    onRows: (rows) => (states = rows),
    ...options,
  });
  expect(tf.memory().numTensors).toBe(tensors);
  expect(JSON.parse(fs.readFileSync(sets.path(out, 'results.json'), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(results)),
  );
  const loads = load.mock.calls.length;
  load.mockRestore();
  return { results, states, loads };
}

const rowOf = ({ datasets }: BenchmarkResults, name: string): BenchmarkRow =>
  datasets.find((row) => row.name === name) as BenchmarkRow;
const resumedOf = ({ states }: Outcome): Record<string, number> =>
  Object.fromEntries(states.map(({ name, resumed }) => [name, resumed]));
const undated = (results: BenchmarkResults): BenchmarkResults => ({ ...results, run: { ...results.run, date: '' } });

test('a row is what eval computes, with its recipe, costs and the printed figures', async () => {
  const notices: string[] = [];
  const { results, states } = await run('plain', { onNotice: (message) => notices.push(message) });
  expect(notices).toEqual([
    'btad: mvtec layout: 12 images, 6 with masks',
    'headct: headct layout: 4 images, 2 anomalous, no masks',
    'isic: images-masks layout: 4 images, 4 with masks',
  ]);
  expect(states.map(({ name, status }) => [name, status])).toEqual([
    ['btad', 'done'],
    ['headct', 'done'],
    ['isic', 'done'],
  ]);
  expect(results.datasets.map(({ name, domain, images, anomalous }) => [name, domain, images, anomalous])).toEqual([
    ['btad', 'industrial', 12, expect.any(Number)],
    ['headct', 'medical', 4, 2],
    ['isic', 'medical', 4, 4],
  ]);
  const crane = await Crane.load({ ...model, layers: [6], fusion: 'logit' });
  const direct = await evaluate(crane, await openDataset('btad'));
  crane.dispose();
  const row = rowOf(results, 'btad');
  expect(row.mean).toEqual(direct.mean);
  expect(row.categories).toEqual(
    direct.categories.map(({ name, images, anomalous, metrics }) => ({ name, images, anomalous, metrics })),
  );
  // Fusion differs from set to set in this recipe.
  expect(
    results.datasets.map((item) => [
      (item.model.options as ModelOptions).fusion,
      (item.model.options as ModelOptions).layers,
    ]),
  ).toEqual([
    ['logit', [6]],
    ['soft', [6]],
    ['soft', [6]],
  ]);
  expect(row.published).toMatchObject({ 'image/auroc': 96.3, 'pixel/f1max': 61.1 });
  expect(row.comparable).toBe(false);
  expect(row.cost).toMatchObject({
    parameters: 1_972_096,
    bytes: 4 * 1_972_096,
    imagesPerSecond: expect.any(Number),
    flop: { dattn: 0, spatial: 0 },
  });
  expect(row.cost.peakMemoryBytes).toBeGreaterThan(row.cost.bytes);
  expect(row.files).toEqual({
    backbone: { name: 'nano', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    prompts: {
      name: 'nano-prompts',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      auxiliary: 'synthetic-auxiliary',
    },
    spatial: null,
  });
  expect(results.averages).toEqual([
    { recipe: 'crane-plus', domain: 'industrial', sets: ['btad'], mean: row.mean, published: null },
    { recipe: 'crane-plus', domain: 'medical', sets: ['headct', 'isic'], mean: expect.anything(), published: null },
  ]);
  const { evaluation } = readRowDetails(sets.path('plain'), row);
  const seconds = evaluation.categories.reduce((sum, category) => sum + category.detectionSeconds, 0);
  expect(row.cost.imagesPerSecond).toBeCloseTo(12 / seconds, 6);
  // One set of the two has images of both kinds, the other has masks.
  const medical = results.averages[1]?.mean as MetricValues;
  expect(medical['image/auroc']).toBe(rowOf(results, 'headct').mean['image/auroc']);
  expect(medical['pixel/auroc']).toBe(rowOf(results, 'isic').mean['pixel/auroc']);
  expect(results).toMatchObject({
    schemaVersion: 1,
    model: row.model,
    run: { complete: true, machine: { cpu: 'some' }, seed: 111 },
    leftOut: [],
    corruptions: null,
    matrix: null,
  });
});

test('what is finished is not computed again, and gives the same results to the last digit', async () => {
  const first = await run('again');
  expect([first.loads, resumedOf(first)]).toEqual([2, { btad: 0, headct: 0, isic: 0 }]);
  const second = await run('again');
  expect([second.loads, resumedOf(second)]).toEqual([0, { btad: 3, headct: 1, isic: 1 }]);
  expect(undated(second.results)).toEqual(undated(first.results));

  const image = path.join(sets.data, 'btad/02/test/ok');
  const [file] = fs.readdirSync(image).map((name) => path.join(image, name)) as [string];
  fs.utimesSync(file, new Date(), new Date(fs.statSync(file).mtimeMs + 5000));
  expect(resumedOf(await run('again'))).toEqual({ btad: 2, headct: 1, isic: 1 });

  for (const [options, resumed] of [
    [{ model: { ...model, sigma: 2 } }, { btad: 0, headct: 0, isic: 0 }],
    [{ backend: { ...backend, tensorflowVersion: '0.0' } }, { btad: 0, headct: 0, isic: 0 }],
    [{ fresh: true }, { btad: 0, headct: 0, isic: 0 }],
    // Both recipes score these two alike with this backbone; of btad they differ in fusion.
    [{ recipes: [RECIPES['crane-plus-reproduce']] }, { btad: 0, headct: 1, isic: 1 }],
    [{}, { btad: 3, headct: 1, isic: 1 }],
  ] as const) {
    expect(resumedOf(await run('again', options))).toEqual(resumed);
  }
});

test('stopped in the middle of a set, it continues with the next category', async () => {
  // In the first category, at its last image, and in the second.
  for (const [image, kept] of [
    [2, 0],
    [4, 1],
    [6, 1],
  ] as const) {
    const stop = new AbortController();
    const stopped = run(`stopped at ${image}`, {
      datasets: ['btad'],
      signal: stop.signal,
      onProgress: (progress) =>
        progress.kind === 'advance' && progress.done === image && stop.abort(new Error('stopped here')),
    });
    await expect(stopped).rejects.toThrow('stopped here');
    expect(
      fs.existsSync(sets.path(`stopped at ${image}`, 'kept'))
        ? fs.readdirSync(sets.path(`stopped at ${image}`, 'kept'))
        : [],
    ).toHaveLength(kept);
  }
  jest.restoreAllMocks();
  const resumed = await run('stopped at 6');
  expect(resumedOf(resumed)).toEqual({ btad: 1, headct: 0, isic: 0 });
  await expect(run('stopped at 6', { signal: AbortSignal.abort(new Error('at once')) })).rejects.toThrow('at once');
  jest.restoreAllMocks();
  const whole = await run('plain');
  expect(resumed.results.datasets.map(({ name, categories, mean }) => ({ name, categories, mean }))).toEqual(
    whole.results.datasets.map(({ name, categories, mean }) => ({ name, categories, mean })),
  );
});

test('what concerns one row is named, and the others go on', async () => {
  const prompts = sets.path('prompts.safetensors');
  writePromptCheckpoint(prompts, await readPromptCheckpoint(embeddedFile('nano-prompts.safetensors')), {
    'crane.auxiliary': 'mpdd,HeadCT',
  });
  const hole = sets.path('hole');
  fs.mkdirSync(path.join(hole, 'thing/test/good'), { recursive: true });
  fs.cpSync(path.join(sets.data, 'btad/02/test/ok'), path.join(hole, 'thing/test/good'), { recursive: true });
  fs.mkdirSync(path.join(hole, 'thing/test/bad'));
  fs.writeFileSync(path.join(hole, 'thing/test/bad/0.png'), 'no picture');
  const { results, states } = await run('mixed', {
    datasets: ['tn3k', hole, 'no/such/folder', 'headct', 'isic'],
    model: { ...model, prompts },
  });
  expect(states.map(({ name, status }) => [path.basename(name), status])).toEqual([
    ['tn3k', 'absent'],
    ['hole', 'failed'],
    ['folder', 'failed'],
    ['headct', 'auxiliary'],
    ['isic', 'done'],
  ]);
  expect(results.leftOut.map(({ message }) => message)).toEqual([
    expect.stringMatching(/TN3K is not in .*\n {2}Get it from: https/),
    expect.stringMatching(/not complete/),
    expect.stringMatching(/neither a registered set nor a folder/),
    expect.stringMatching(/trained on mpdd,HeadCT/),
  ]);
  expect(results.leftOut[0]?.get).toEqual({
    source: expect.stringMatching(/^https/),
    licence: expect.any(String),
    place: path.join(sets.data, 'tn3k'),
  });
  const lenient = await run('mixed', { datasets: [hole], allowIncomplete: true });
  expect(rowOf(lenient.results, 'hole').failures).toEqual([
    { path: expect.stringMatching(/bad\/0\.png$/), message: expect.stringMatching(/not an image/) },
  ]);
  expect(rowOf(lenient.results, 'hole')).toMatchObject({ domain: null, published: null, title: 'hole' });
});

test('a backbone that is not there ends it before any row', async () => {
  await expect(run('none', { model: { backbone: sets.path('gone.pt') } })).rejects.toThrow(/gone\.pt/);
});

test('the details of a row hold scores, curves and pictures', async () => {
  const { results } = await run('details', { datasets: ['headct', 'isic'], pictures: true });
  const { evaluation, thumbnails, recipe, title } = readRowDetails(sets.path('details'), rowOf(results, 'headct'));
  expect([recipe, title, evaluation.mean]).toEqual(['crane-plus', 'HeadCT', rowOf(results, 'headct').mean]);
  const [category] = evaluation.categories;
  expect(category?.scores).toHaveLength(4);
  expect(category?.curves.imageRoc?.thresholds[0]).toBe(Infinity);
  expect(
    category?.curves.imageRoc?.thresholds
      .slice(1)
      .every((threshold) => Number.isFinite(threshold) || threshold === -Infinity),
  ).toBe(true);
  expect(Object.keys(thumbnails ?? {}).sort()).toEqual(category?.scores.map((image) => image.path).sort());
  expect(Object.values(thumbnails ?? {})[0]?.overlay).toMatch(/^data:image\/webp/);
  const again = await run('details', { datasets: ['headct', 'isic'], pictures: true });
  expect(again.loads).toBe(0);
  expect(readRowDetails(sets.path('details'), rowOf(again.results, 'headct')).thumbnails).toEqual(thumbnails);
  expect(readRowDetails(sets.path('plain'), rowOf(results, 'headct')).thumbnails).toBeNull();
});

test('degraded pictures are scored, and compared with the pictures as they are', async () => {
  const corruptions = [
    { kind: 'noise', strength: 5 },
    { kind: 'brightness', strength: 1 },
  ] as const;
  const { results } = await run('degraded', { datasets: ['btad'], corruptions });
  expect(results.corruptions?.map(({ name, kind, strength, level }) => [name, kind, strength, level])).toEqual([
    ['btad', 'noise', 5, 45],
    ['btad', 'brightness', 1, 25],
  ]);
  const clean = rowOf(results, 'btad').mean;
  for (const { mean, change } of results.corruptions ?? []) {
    expect(mean['pixel/auroc']).not.toBe(clean['pixel/auroc']);
    for (const id of METRIC_IDS) expect(change[id]).toBe((mean[id] as number) - (clean[id] as number));
  }
  expect((await run('degraded', { datasets: ['btad'], corruptions })).loads).toBe(0);
  expect((await run('degraded', { datasets: ['btad'], corruptions, seed: 5 })).loads).toBe(1);
});

test('a matrix trains on each set and scores the others; what is trained is kept', async () => {
  const matrix = { epochs: 1, train: trainPrompts };
  const { results, loads } = await run('matrix', { matrix });
  const cells = results.matrix?.cells.map(({ auxiliary, target }) => `${auxiliary}>${target}`);
  expect(cells).toEqual(['btad>headct', 'btad>isic', 'isic>btad', 'isic>headct']);
  expect(results.matrix?.leftOut).toEqual([
    { recipe: 'crane-plus', auxiliary: 'headct', target: null, message: expect.stringMatching(/mask/) },
  ]);
  // Other prompts give other maps than those of the package.
  const trained = results.matrix?.cells.find((cell) => cell.auxiliary === 'isic' && cell.target === 'btad')?.mean;
  expect(trained?.['pixel/auroc']).not.toBe(rowOf(results, 'btad').mean['pixel/auroc']);
  // Two for the rows, and one for each pair of prompts and way of fusing.
  expect(loads).toBe(5);
  const again = await run('matrix', { matrix });
  expect(again.loads).toBe(0);
  expect(again.results.matrix).toEqual(results.matrix);
  expect(fs.readdirSync(sets.path('matrix', 'prompts'))).toHaveLength(2);
  expect(
    (await run('matrix', { matrix: { epochs: 2, train: trainPrompts }, datasets: ['btad', 'isic'] })).results.matrix
      ?.cells,
  ).toHaveLength(2);
  expect(fs.readdirSync(sets.path('matrix', 'prompts'))).toHaveLength(4);
});

test('figures are held against the printed ones only where they should be equal', () => {
  const like = (
    given: Parameters<typeof isComparable>[2]['given'],
    { paper = true, spatial = 'dinov2' as 'none' | 'dinov2' | 'sam' } = {},
  ): boolean =>
    isComparable(RECIPES['crane-plus'], 'mvtec', {
      backbone: { takesPublishedPrompts: paper },
      given,
      used: { options: { spatial } },
    });
  expect(like({})).toBe(true);
  expect(
    like({
      backbone: 'models/clip.pt',
      spatial: { weights: 'dinov2.pth' },
      backend: 'wasm',
      batchSize: 8,
      dattnMean: 'batch',
      offline: true,
    }),
  ).toBe(true);
  expect([like({ sigma: 2 }), like({ prompts: 'mine.pth' }), like({ imageSize: 336 })]).toEqual([false, false, false]);
  expect([
    like({}, { paper: false }),
    like({ spatial: 'sam' }, { spatial: 'sam' }),
    like({ spatial: 'none' }, { spatial: 'none' }),
  ]).toEqual([false, false, false]);
});

test('prompts are the same by what they hold and how they were trained, not by name', async () => {
  const prompts = await readPromptCheckpoint(embeddedFile('nano-prompts.safetensors'));
  const write = (name: string, metadata: Record<string, string>, contextNormal = prompts.contextNormal): string => {
    writePromptCheckpoint(sets.path(name), { ...prompts, contextNormal }, metadata);
    return sets.path(name);
  };
  const inspector = new ModelInspector({});
  const hashOf = async (file: string): Promise<string | undefined> =>
    (await inspector.filesOf({ backbone: 'nano', prompts: file })).prompts?.sha256;
  const one = await hashOf(write('one.safetensors', { 'crane.auxiliary': 'a' }));
  expect(await hashOf(write('same.safetensors', { 'crane.auxiliary': 'a' }))).toBe(one);
  expect(
    await hashOf(write('told.safetensors', { 'crane.auxiliary': 'a', 'crane.options': '{"fusion":"logit"}' })),
  ).not.toBe(one);
  expect(
    await hashOf(
      write(
        'other.safetensors',
        { 'crane.auxiliary': 'a' },
        prompts.contextNormal.map((value) => value + 1),
      ),
    ),
  ).not.toBe(one);
});

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { quantile } from '../../cli/bench/forward-case';
import { measureForward } from '../../cli/bench/forward-measurement';
import { planForward } from '../../cli/bench/forward-plan';
import { measureProduct } from '../../cli/bench/peak';
import { productShapes, stageFlop } from '../../cli/bench/products';
import { peakResidentBytes } from '../../eval/benchmark/peak-memory';
import { drawPictures, TemporaryFolder, writeSeededBackbone, writeSeededPrompts } from '../../cli/bench/seeded-files';
import { StageClock, STAGES, typicalStages, type Stage, type StageSeconds } from '../../cli/bench/stages';
import { prepareBackend } from '../../lib/backend';
import { CLIP_VARIANTS, type ClipSizes } from '../../lib/encoders/clip-sizes';
import { completeModelOptions, type ModelOptionsInput } from '../../lib/methods/crane/options';
import { LearnablePrompts } from '../../lib/prompts/learnable-prompts';
import { openClipWeights } from '../../lib/weights/clip-weights';
import { runCrane } from './run-crane';

const CRANE = path.resolve(__dirname, '../../bin/crane.js');
const LARGE = CLIP_VARIANTS['ViT-L/14@336px'] as ClipSizes;
const SMALL: ClipSizes = {
  embedDimension: 64,
  vision: { width: 64, layers: 2, heads: 1, patchSize: 8, gridSize: 3 },
  text: { width: 64, layers: 2, heads: 1, contextLength: 77, vocabularySize: 49408 },
};

let folder: string;
let weights: string;
let pictures: string[];

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-bench-test-'));
  weights = path.join(folder, 'small.pt');
  writeSeededBackbone(weights, SMALL);
  pictures = await drawPictures(folder, 2, 48, 40);
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('the clock of stages', () => {
  const clockAt = (): { clock: StageClock; pass: (milliseconds: number) => void } => {
    let time = 0;
    return { clock: new StageClock(() => time), pass: (milliseconds) => void (time += milliseconds) };
  };
  const lapOf = (clock: StageClock): Partial<Record<Stage, number>> =>
    Object.fromEntries(Object.entries(clock.lap()).filter(([, seconds]) => seconds !== 0));

  test('a stage within a stage, by hand', () => {
    const { clock, pass } = clockAt();
    pass(1000);
    clock.run('modelOther', () => {
      pass(200);
      clock.run('attention', () => {
        pass(30);
        clock.run('mlp', () => pass(4));
        pass(5);
      });
      clock.run('text', () => pass(7000));
    });
    pass(10);
    expect(lapOf(clock)).toEqual({ other: 1.01, modelOther: 0.2, attention: 0.035, mlp: 0.004, text: 7 });
    expect(lapOf(clock)).toEqual({});
  });

  test('what is waited for counts while nothing computes; what throws has ended', async () => {
    const { clock, pass } = clockAt();
    let decoded: () => void = () => undefined;
    const waiting = clock.run('decode', () => new Promise<void>((resolve) => (decoded = resolve)));
    pass(100);
    clock.run('resize', () => pass(20));
    expect(() =>
      clock.run('scoring', () => {
        pass(3);
        throw new Error('no');
      }),
    ).toThrow('no');
    pass(1000);
    decoded();
    await waiting;
    pass(5);
    expect(lapOf(clock)).toEqual({ decode: 1.1, resize: 0.02, scoring: 0.003, other: 0.005 });
  });

  test('medians of several runs in the proportion that makes them add up, by hand', () => {
    const lap = (decode: number, attention: number, other: number): { stages: StageSeconds; whole: number } => ({
      stages: {
        ...(Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>),
        decode,
        attention,
        other,
      },
      whole: decode + attention + other,
    });
    // Medians 2, 10 and 4, together 16; the median of the wholes 15, 11 and 34 is 15.
    const typical = typicalStages([lap(1, 10, 4), lap(2, 8, 1), lap(9, 20, 5)]);
    expect(Object.fromEntries(Object.entries(typical).filter(([, seconds]) => seconds !== 0))).toEqual({
      decode: 1.875,
      attention: 9.375,
      other: 3.75,
    });
  });
});

describe('operations by stage', () => {
  const of = (options: ModelOptionsInput = {}, featureSets = 1): ReturnType<typeof stageFlop> =>
    stageFlop({ sizes: LARGE, options: completeModelOptions(options, LARGE), featureSets });
  // ViT-L/14 at 518 px: 1369 patches and the class token, 1024 wide.
  const linear = 2 * 1370 * 1024 * 1024;
  const each = 2 * 1370 * 1370 * 1024;

  test('the network of the paper, by hand', () => {
    const { perImage, total, text } = of();
    const ofClassToken = 2 * 1024 * 1024 + 2 * (2 * 1370 * 1024);
    expect(perImage).toEqual({
      patchEmbedding: 2 * 1369 * 588 * 1024,
      attention: 23 * (4 * linear + 2 * each) + 3 * linear + ofClassToken + 19 * (4 * each + linear),
      mlp: 23 * 8 * linear + 8 * 2 * 1024 * 1024,
      projection: 2 * 1370 * 1024 * 768,
      scoring: 2 * 1369 * 768 * 2 + 2 * 1369 * 768 + 2 * 768 * 2,
    });
    expect(Object.values(perImage).reduce((sum, part) => sum + part)).toBe(total);
    expect(text).toBe(2 * (12 * (2 * 18 * 768 * 768 * 12 + 2 * 2 * 18 * 18 * 768) + 2 * 768 * 768));
  });

  test('less than by definition by the last block of all tokens but the first, and without a refined path by nothing', () => {
    const { total, byDefinition, perImage } = of();
    const lastBlock = 9 * linear + 2 * each;
    const ofClassToken = 9 * 2 * 1024 * 1024 + 2 * (2 * 1370 * 1024);
    expect(byDefinition - (total - (perImage.scoring as number))).toBe(lastBlock - ofClassToken);
    const plain = of({ eattnBlocks: 0 });
    expect(plain.total - (plain.perImage.scoring as number)).toBe(plain.byDefinition);
  });

  test.each([
    ['qq', -2 * 19 * each],
    ['(q+k+v)^2', 0],
    // The other queries of the last block are of no use then.
    ['kk', -2 * 19 * each - (linear - 2 * 1024 * 1024)],
  ] as const)('E-Attn with %s', (attention, difference) => {
    expect(of({ attention }).total - of().total).toBe(difference);
  });

  test('each further set of patch features is projected and scored', () => {
    expect(of({}, 3).total - of().total).toBe(2 * (2 * 1369 * 1024 * 768 + 2 * 1369 * 768 * 2));
  });

  test.each([
    ['ViT-L/14@336px', {}],
    ['ViT-L/14@336px', { attention: '(q+k+v)^2', eattnBlocks: 7 }],
    ['ViT-B/16', { imageSize: 512 }],
    ['ViT-B/16', { eattnBlocks: 0 }],
  ] as const)('the products that are measured are all of %s with %j but what is of the class token', (name, input) => {
    const sizes = CLIP_VARIANTS[name] as ClipSizes;
    const options = completeModelOptions(input as ModelOptionsInput, sizes);
    const measured = productShapes({ sizes, options }).reduce(
      (sum, { rows, inner, columns, heads, count }) => sum + count * heads * 2 * rows * inner * columns,
      0,
    );
    const { total, perImage } = stageFlop({ sizes, options });
    const expected = total - (perImage.scoring as number);
    expect(Math.abs(measured / expected - 1)).toBeLessThan(1e-4);
  });
});

test('products are measured by every way, and leave nothing behind', async () => {
  await prepareBackend();
  const before = tf.memory().numTensors;
  const single = await measureProduct(
    { name: 'a product', count: 3, rows: 40, inner: 30, columns: 20, heads: 1 },
    { seconds: 0.001 },
  );
  const heads = await measureProduct(
    { name: 'correlations', count: 3, rows: 40, inner: 30, columns: 20, heads: 4 },
    { seconds: 0.001 },
  );
  expect(tf.memory().numTensors).toBe(before);
  expect(single.gflop).toBeCloseTo(48e-6, 12);
  expect(heads.gflop).toBeCloseTo(4 * 48e-6, 12);
  for (const { gflop, seconds, gflops, bestGflops, way } of [single, heads]) {
    expect(gflops).toBeCloseTo(gflop / seconds, 6);
    expect(bestGflops).toBeGreaterThanOrEqual(gflops);
    expect(seconds).toBeGreaterThan(0);
    expect(way).toMatch(/MatMul|matMul/);
  }
});

describe('one case', () => {
  const job = (over: object): Parameters<typeof measureForward>[0] => ({
    backbone: weights,
    prompts: path.join(folder, 'prompts.safetensors'),
    imageSize: 24,
    batch: 1,
    backend: 'auto',
    runs: 2,
    seconds: 1,
    pictures,
    out: folder,
    products: false,
    ...over,
  });
  beforeAll(() => writeSeededPrompts(path.join(folder, 'prompts.safetensors'), SMALL));

  test('stages add up to the whole, and all of them take time', async () => {
    await prepareBackend();
    const before = tf.memory().numTensors;
    const encodeOriginal = Object.getOwnPropertyDescriptor(LearnablePrompts.prototype, 'encode')
      ?.value as LearnablePrompts['encode'];
    const encoding: number[] = [];
    const encode = jest.spyOn(LearnablePrompts.prototype, 'encode').mockImplementation(function (
      this: LearnablePrompts,
      ...args
    ) {
      encoding.push(performance.now());
      const result = encodeOriginal.apply(this, args);
      encoding.push(performance.now());
      return result;
    });
    let firsts = 0;
    const figures = await measureForward(job({}), { onFirstResult: () => firsts++ });
    encode.mockRestore();
    const stages = figures.stages as Record<Stage, number>;
    expect(firsts).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
    expect(STAGES.reduce((sum, stage) => sum + stages[stage], 0)).toBeCloseTo(figures.endToEndSecondsPerImage, 9);
    for (const stage of STAGES) {
      // The text encoder ran before.
      if (stage !== 'text') expect([stage, stages[stage] > 0]).toEqual([stage, true]);
    }
    expect(stages.text).toBe(0);
    // Encoded once, when the model was loaded, and not a copy of what was encoded then.
    expect(encoding).toHaveLength(2);
    const [began, ended] = encoding as [number, number];
    expect((figures.textSeconds as number) * 1000).toBeGreaterThanOrEqual(ended - began);
    expect(figures.textSeconds).toBeLessThan(figures.loadSeconds);
    expect(figures.runs).toBeGreaterThanOrEqual(2);
    expect(figures.latencies).toEqual([...figures.latencies].sort((a, b) => a - b));
    expect(figures.latencies.length).toBe(figures.runs);
    // A machine too busy for many files in a second says nothing of them.
    if (figures.imagesPerSecondInARow !== null) expect(figures.imagesPerSecondInARow).toBeGreaterThan(0);
    expect(fs.existsSync(path.join(folder, '0.png'))).toBe(true);
  });

  test('where answers come before they are computed, the model is measured with its results read, and no stages', async () => {
    await prepareBackend();
    const before = tf.memory().numTensors;
    const figures = await measureForward(job({ batch: 2, products: true }), { asynchronous: true });
    expect(tf.memory().numTensors).toBe(before);
    expect(figures.stages).toBeNull();
    expect(figures.textSeconds).toBeNull();
    expect(figures.secondsPerImage).toBeGreaterThan(0);
    expect(figures.products.every(({ gflops }) => gflops > 0)).toBe(true);
  });

  test('a batch is measured as a batch, with a heatmap for each image and no latency', async () => {
    const began = performance.now();
    const figures = await measureForward(job({ batch: 24, runs: 1, seconds: 0.01 }));
    const passed = (performance.now() - began) / 1000;
    expect(figures.latencies).toEqual([]);
    expect(figures.runs).toBe(1);
    expect(fs.existsSync(path.join(folder, '23.png'))).toBe(true);
    // An image has its share of the one batch.
    expect(24 * figures.endToEndSecondsPerImage).toBeLessThan(passed);
    expect(figures.imagesPerSecondInARow).toBeNull();
  });
});

describe('what is measured', () => {
  const before = process.env['CRANE_CACHE'];
  beforeAll(() => void (process.env['CRANE_CACHE'] = path.join(folder, 'cache')));
  afterAll(() => {
    if (before === undefined) delete process.env['CRANE_CACHE'];
    else process.env['CRANE_CACHE'] = before;
  });
  const shown = async (choice: Partial<Parameters<typeof planForward>[0]>): Promise<string[]> =>
    (await planForward({ quick: false, ...choice })).cases.map(
      ({ backbone, imageSize, batch }) => `${backbone.name} ${imageSize} ${batch}`,
    );

  test('by default three networks, the large ones at two sizes, and what does not fit is said', async () => {
    const { cases, notes } = await planForward({ quick: false });
    expect(cases.map(({ backbone, imageSize, batch }) => `${backbone.name} ${imageSize} ${batch}`)).toEqual([
      ...['nano 112 1', 'nano 112 4', 'nano 112 8'],
      ...['ViT-B/16 336 1', 'ViT-B/16 336 4', 'ViT-B/16 336 8', 'ViT-B/16 512 1', 'ViT-B/16 512 4', 'ViT-B/16 512 8'],
      ...[
        'ViT-L/14@336px 336 1',
        'ViT-L/14@336px 336 4',
        'ViT-L/14@336px 336 8',
        'ViT-L/14@336px 518 1',
        'ViT-L/14@336px 518 4',
        'ViT-L/14@336px 518 8',
      ],
    ]);
    expect(notes).toEqual([
      expect.stringMatching(/^ViT-B\/16: its file is not cached, so random weights/),
      'ViT-B/16: 518 px is not a multiple of its patches of 16 px; measured at 512 px.',
      expect.stringMatching(/^ViT-L\/14@336px: its file is not cached/),
    ]);
    expect(cases.map(({ backbone }) => backbone.file)).toEqual(expect.arrayContaining(['nano', undefined]));
    expect(await shown({ quick: true })).toEqual(['nano 112 1', 'ViT-B/16 512 1', 'ViT-L/14@336px 518 1']);
  });

  test("files, and sizes of one's own; what comes out alike is measured once", async () => {
    expect(await shown({ backbones: [weights, weights], imageSizes: [30, 24, 3], batches: [2, 2] })).toEqual([
      'small.pt 24 2',
      'small.pt 8 2',
    ]);
    await expect(planForward({ backbones: ['ViT-Z/1'], quick: false })).rejects.toMatchObject({
      code: 'usage/weights-name',
    });
    await expect(planForward({ backbones: ['crane-visa'], quick: false })).rejects.toMatchObject({
      code: 'usage/weights-name',
    });
  });
});

test('a seeded backbone is a CLIP file of those shapes whose numbers spread as trained ones do', async () => {
  const { reader, sizes, close } = await openClipWeights(weights);
  expect(sizes).toEqual(SMALL);
  const matrix = reader.take('visual.transformer.resblocks.1.mlp.c_fc.weight', [256, 64]);
  const other = reader.take('visual.transformer.resblocks.0.mlp.c_fc.weight', [256, 64]);
  const deviation = Math.sqrt(matrix.reduce((sum, value) => sum + value * value, 0) / matrix.length);
  expect(deviation).toBeCloseTo(0.03, 2);
  expect(Array.from(matrix.slice(0, 20))).not.toEqual(Array.from(other.slice(0, 20)));
  expect(Array.from(reader.take('visual.ln_post.weight', [64]))).toEqual(Array.from({ length: 64 }, () => 1));
  expect(Array.from(reader.take('visual.ln_post.bias', [64]))).toEqual(Array.from({ length: 64 }, () => 0));
  close();
});

test("peak memory is the kernel's figure, or else the process's own", () => {
  const file = path.join(folder, 'status');
  fs.writeFileSync(file, 'VmPeak:\t 9000 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 1000 kB\n');
  expect(peakResidentBytes(file)).toBe(1234 * 1024);
  for (const absent of [path.join(folder, 'absent'), pictures[0] as string]) {
    expect(peakResidentBytes(absent) / process.memoryUsage.rss()).toBeGreaterThan(0.9);
    expect(peakResidentBytes(absent) / process.memoryUsage.rss()).toBeLessThan(20);
  }
});

test('quantiles, by hand', () => {
  expect([quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.95), quantile([7], 0.5)]).toEqual([2, 4, 7]);
  expect(
    quantile(
      Array.from({ length: 100 }, (_, index) => index + 1),
      0.95,
    ),
  ).toBe(95);
  expect(quantile([], 0.5)).toBeNaN();
});

test('a temporary folder is gone when it is removed', () => {
  const temporary = new TemporaryFolder();
  const listeners = process.listenerCount('SIGINT');
  fs.writeFileSync(path.join(temporary.path, 'file'), 'x');
  temporary.remove();
  expect(fs.existsSync(temporary.path)).toBe(false);
  expect(process.listenerCount('SIGINT')).toBe(listeners - 1);
});

describe('crane bench', () => {
  test('as JSON, with every figure, from processes of its own', async () => {
    const listeners = process.listenerCount('SIGTERM');
    const { code, out, err } = await runCrane(
      ...[
        'bench',
        '--backbone',
        weights,
        '--image-size',
        '24',
        '--batch',
        '1,2',
        '--runs',
        '1',
        '--seconds',
        '1',
        '--picture',
        '60x40',
        '--json',
        '-',
      ],
    );
    expect([code, err]).toEqual([0, expect.stringContaining('cases: 2 steps')]);
    // Its temporary folder has been removed.
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
    type Case = Record<string, number> & { stages: Record<Stage, { seconds: number; gflop: number }> };
    const result = JSON.parse(out) as {
      peakGflops: number;
      machine: object;
      cases: Case[];
      products: { products: { gflops: number }[] }[];
    };
    expect(result.machine).toMatchObject({
      cores: expect.any(Number) as number,
      kernels: (await prepareBackend()).kernels,
    });
    expect(result.cases.map(({ model, seeded, imageSize, batch }) => [model, seeded, imageSize, batch])).toEqual([
      ['small.pt', false, 24, 1],
      ['small.pt', false, 24, 2],
    ]);
    expect(result.peakGflops).toBe(
      Math.max(...result.products.flatMap(({ products }) => products.map(({ gflops }) => gflops))),
    );
    expect(result.products).toHaveLength(1);
    for (const found of result.cases) {
      for (const name of [
        'secondsPerImage',
        'gflopPerImage',
        'shareOfPeak',
        'peakRssMB',
        'loadSeconds',
        'firstResultSeconds',
        'endToEndSecondsPerImage',
        'floorSeconds',
        'imagesPerSecond',
      ]) {
        expect([name, (found[name] as number) > 0]).toEqual([name, true]);
      }
      expect(found['shareOfPeak']).toBeCloseTo(
        (found['gflopPerImage'] as number) / (found['secondsPerImage'] as number) / result.peakGflops,
        9,
      );
      const perImage = STAGES.filter((stage) => stage !== 'text').map((stage) => found.stages[stage]);
      expect(perImage.reduce((sum, { gflop }) => sum + gflop, 0)).toBeCloseTo(found['gflopPerImage'] as number, 12);
      expect(perImage.reduce((sum, { seconds }) => sum + seconds, 0)).toBeCloseTo(
        found['endToEndSecondsPerImage'] as number,
        9,
      );
      expect(found['firstResultSeconds']).toBeGreaterThan(found['loadSeconds'] as number);
    }
    const [single, pair] = result.cases as unknown as [
      { latency: object; floorSeconds: number },
      { latency: null; floorSeconds: number },
    ];
    expect(single.latency).toMatchObject({ p50: expect.any(Number) as number, p95: expect.any(Number) as number });
    expect(pair.latency).toBeNull();
    expect(pair.floorSeconds).toBe(single.floorSeconds);
  });

  test('as tables that fit a terminal', async () => {
    const { code, out } = await runCrane(
      'bench',
      '--backbone',
      weights,
      '--image-size',
      '24',
      '--batch',
      '1',
      '--runs',
      '1',
      '--seconds',
      '1',
      '--picture',
      pictures[0] as string,
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^small\.pt, 24 px, batch 1; medians of \d+ runs?$/m);
    expect(out).toMatch(/^attention +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+$/m);
    expect(out).toMatch(/^file to heatmap +[\d.]+ +100 %/m);
    expect(out).toMatch(/^correlations +7 +10 x 64 x 10 /m);
    expect(out).toMatch(/^Peak: [\d.]+ GFLOP\/s/m);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test.each([
    [['--batch', '0'], '--batch 0: expected a whole number of 1 or more'],
    [['--image-size', '336,,518'], '--image-size 336,,518: a value is missing'],
    [['--seconds', '0'], '--seconds 0: expected a number above 0'],
    [['--backbone', 'ViT-L/15'], 'no file is registered as "ViT-L/15"'],
    [['--backbone', 'nano', '--picture', 'absent.png'], '--picture absent.png: neither a file nor a size'],
  ])('%j is wrong use', async (given, message) => {
    const { code, err } = await runCrane('bench', ...given);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test('what its processes are told is refused from people', () => {
    const { status, stderr } = spawnSync(process.execPath, [CRANE, 'bench', '--job', '{}'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining('--job is for processes that `crane bench` starts itself'),
    ]);
  });

  test('Ctrl-C leaves no files and says 130', async () => {
    const place = fs.mkdtempSync(path.join(folder, 'tmp-'));
    const child = spawn(
      process.execPath,
      [CRANE, 'bench', '--backbone', weights, '--image-size', '24', '--batch', '1'],
      { env: { ...process.env, TMPDIR: place }, stdio: 'ignore' },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const own = (): string[] => fs.readdirSync(place).filter((name) => name.startsWith('crane-bench-'));
    while (own().flatMap((name) => fs.readdirSync(path.join(place, name))).length < 5)
      await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(own()).toEqual([]);
  });
});

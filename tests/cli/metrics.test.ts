import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { PixelMetrics } from '../../eval/metrics/pixel-metrics';
import { openMaps } from '../../eval/metrics/score-files';
import type { DatasetResult } from '../../eval/results';
import { encodeMapPng } from '../../lib/image/map-file';
import { encodeNpy, type NpyData } from '../../lib/image/npy';
import { resizeMap } from '../../lib/image/resize-map';
import { runCrane } from './run-crane';
import { floatTiff } from '../image/float-tiff';
import { zip } from '../weights/archives';
import { seeded } from '../eval/metrics/random-cases';

const [width, height] = [12, 10];
const writeNpy = async (file: string, data: NpyData, shape: readonly number[]): Promise<void> =>
  fs.writeFileSync(file, encodeNpy(data, shape));
let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-metrics-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Drawn {
  /** Path without suffix. */
  readonly name: string;
  /** Multiples of 1/65535, so that a PNG holds them. */
  readonly map: Float32Array;
  /** Null for normal images. */
  readonly mask: Uint8Array | null;
}

/** Two categories of three images each: two with a block of defects, one normal. */
const drawn: readonly Drawn[] = ['nut', 'bolt'].flatMap((category, seed) => {
  const random = seeded(seed + 1);
  return ['scratch/0', 'stain/0', 'good/0'].map((name, index): Drawn => {
    const mask = Uint8Array.from({ length: width * height }, (_, at) =>
      at % width < 4 + index && at < 4 * width ? 1 : 0,
    );
    const map = Float32Array.from(
      mask,
      (inside) => Math.round((random() * 0.7 + (index < 2 ? 0.2 * inside : 0)) * 65535) / 65535,
    );
    return { name: `${category}/${name}`, map, mask: index < 2 ? mask : null };
  });
});

/** The pixel metrics without files and pairing. */
function expected(prefix: string): unknown {
  const metrics = new PixelMetrics();
  for (const { name, map, mask } of drawn)
    if (name.startsWith(prefix)) metrics.add(map, mask ?? new Uint8Array(map.length), width, height);
  return metrics.value();
}

async function place(set: string, file: string, write: (target: string) => Promise<unknown>): Promise<void> {
  const target = path.join(folder, set, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  await write(target);
}

const grey = (mask: Uint8Array, w = width, h = height): Sharp =>
  sharp(
    mask.map((value) => value * 255),
    { raw: { width: w, height: h, channels: 1 } },
  ).toColourspace('b-w');

/** A set of its own in the folder: maps of some kind, masks as PNG. */
async function writeSet(set: string, kind: 'npy' | 'png' | 'tiff'): Promise<[maps: string, masks: string]> {
  for (const { name, map, mask } of drawn) {
    if (kind === 'npy') await place(`${set}/maps`, `${name}.npy`, (file) => writeNpy(file, map, [1, height, width]));
    if (kind === 'png')
      await place(`${set}/maps`, `${name}.png`, async (file) =>
        fs.promises.writeFile(file, await encodeMapPng(map, width, height)),
      );
    if (kind === 'tiff')
      await place(`${set}/maps`, `${name}_anomaly_map.tiff`, (file) =>
        fs.promises.writeFile(file, floatTiff(width, height, map)),
      );
    if (mask) await place(`${set}/masks`, `${name}_mask.png`, (file) => grey(mask).png().toFile(file));
  }
  return [path.join(folder, set, 'maps'), path.join(folder, set, 'masks')];
}

type JsonCategory = DatasetResult['categories'][number] & {
  readonly thresholds: Record<string, number | null>;
  readonly reasons?: Record<string, string>;
  readonly notCounted?: number;
};
interface Json {
  readonly schemaVersion: number;
  readonly datasets: [
    Omit<DatasetResult, 'categories'> & { readonly categories: JsonCategory[]; readonly wholeSet?: JsonCategory },
  ];
}
const parse = (out: string): Json['datasets'][0] => (JSON.parse(out) as Json).datasets[0];
const byName = (set: Json['datasets'][0], name: string): JsonCategory =>
  set.categories.find((category) => category.name === name) as JsonCategory;

describe.each(['npy', 'png', 'tiff'] as const)('maps as %s', (kind) => {
  test('give the metrics of their pixels', async () => {
    const [maps, masks] = await writeSet(kind, kind);
    const { code, out } = await runCrane('metrics', maps, masks, '--normal-without-mask', '--json', '-');
    expect(code).toBe(0);
    const set = parse(out);
    expect(set.name).toBe('maps');
    for (const name of ['nut', 'bolt']) {
      const category = byName(set, name);
      expect(category).toMatchObject({ images: 3, anomalous: 2 });
      expect(category.metrics).toMatchObject(expected(name) as object);
      expect(category.metrics['image/auroc']).toBeNull();
      expect(category.reasons?.['image/auroc']).toMatch(/--scores/);
    }
    expect(set.mean['pixel/ap']).toBeCloseTo(
      ((byName(set, 'nut').metrics['pixel/ap'] as number) + (byName(set, 'bolt').metrics['pixel/ap'] as number)) / 2,
      12,
    );
  });
});

test('maps and masks as NPZ, one file a set', async () => {
  const entries = (of: (image: Drawn) => Buffer | undefined): Buffer =>
    zip(
      drawn.flatMap((image) =>
        of(image) ? [{ name: `${image.name}.npy`, content: of(image) as Buffer, packed: true }] : [],
      ),
    );
  await place('npz', 'maps.npz', (file) =>
    fs.promises.writeFile(
      file,
      entries(({ map }) => encodeNpy(map, [height, width])),
    ),
  );
  await place('npz', 'masks.npz', (file) =>
    fs.promises.writeFile(
      file,
      entries(({ mask }) => (mask ? encodeNpy(mask, [height, width]) : undefined)),
    ),
  );
  const { code, out } = await runCrane(
    'metrics',
    path.join(folder, 'npz/maps.npz'),
    path.join(folder, 'npz/masks.npz'),
    '--normal-without-mask',
    '--json',
    '-',
  );
  expect(code).toBe(0);
  expect(byName(parse(out), 'nut').metrics).toMatchObject(expected('nut') as object);
});

describe('a set with everything', () => {
  let set: [string, string];
  let scores: string;
  beforeAll(async () => {
    set = await writeSet('all', 'npy');
    scores = path.join(folder, 'all/scores.csv');
    // Of nut one defect scores below the normal image; bolt is all in order.
    fs.writeFileSync(
      scores,
      'name,score,label\nnut/scratch/0.png,0.9,1\nnut/stain/0.png,0.1,1\nnut/good/0.png,0.5,0\nbolt/scratch/0,3,1\nbolt/stain/0,2,1\nbolt/good/0,1,0\n',
    );
  });

  test('image metrics from a list, whose labels say what is normal', async () => {
    const { code, out, err } = await runCrane('metrics', ...set, '--scores', scores, '--json', '-');
    expect([code, err.includes('INCOMPLETE')]).toEqual([0, false]);
    const result = parse(out);
    expect(byName(result, 'nut').metrics).toMatchObject({
      'image/auroc': 0.5,
      'image/ap': (1 + 2 / 3) / 2,
      'image/f1max': 0.8,
    });
    expect(byName(result, 'bolt').metrics['image/auroc']).toBe(1);
    expect(byName(result, 'bolt').thresholds['image/f1max']).toBe(2);
    expect(result.mean['image/auroc']).toBe(0.75);
    expect(Object.keys(JSON.parse(out) as object)).toEqual(['schemaVersion', 'datasets', 'run']);
  });

  test('a table in per cent, with ids, thresholds and all categories together', async () => {
    const { code, out } = await runCrane('metrics', ...set, '--scores', scores, '--whole-set');
    expect(code).toBe(0);
    expect(out).toMatch(/^nut +3 +2 +50\.0 +83\.3 +80\.0 /m);
    expect(out).toMatch(/^mean +6 +4 +75\.0 /m);
    const whole = expected('') as Record<string, number>;
    expect(out).toMatch(
      new RegExp(`^ +all together +6 +4 .*${(100 * (whole['pixel/aupro/exact@0.3'] as number)).toFixed(1)}$`, 'm'),
    );
    expect(out).toContain('AUPRO-paper = pixel/aupro/paper200@0.3');
    expect(out).toMatch(/best F1 .*: bolt 0\.\d+, nut 0\.\d+, all together 0\.\d+\./);
    expect(out).not.toContain('n/a');
  });

  test('means as the reference takes them', async () => {
    const nut = path.join(folder, 'one-class');
    fs.cpSync(set[0], path.join(nut, 'maps'), {
      recursive: true,
      filter: (file) => !/bolt\/(scratch|stain)/.test(file),
    });
    fs.cpSync(set[1], path.join(nut, 'masks'), { recursive: true, filter: (file) => !/bolt/.test(file) });
    const run = (...more: string[]) =>
      runCrane(
        'metrics',
        path.join(nut, 'maps'),
        path.join(nut, 'masks'),
        '--normal-without-mask',
        '--json',
        '-',
        ...more,
      );
    const own = parse((await run()).out);
    const auroc = byName(own, 'nut').metrics['pixel/auroc'] as number;
    expect(byName(own, 'bolt').metrics['pixel/auroc']).toBeNull();
    expect(own.mean['pixel/auroc']).toBe(auroc);
    const reference = parse((await run('--reference-means')).out);
    expect(reference).toMatchObject({ referenceMeans: true, mean: { 'pixel/auroc': auroc / 2, 'image/auroc': null } });
    const { out } = await runCrane(
      'metrics',
      path.join(nut, 'maps'),
      path.join(nut, 'masks'),
      '--normal-without-mask',
      '--reference-means',
    );
    expect(out).toMatch(/^mean \(n\/a as 0\)/m);
    expect(out).toMatch(/^n\/a: P-AUROC, P-AP, .* of bolt: all 120 pixels are normal/m);
  });

  test('images of which nothing says that they are normal are not guessed at', async () => {
    const { code, err, out } = await runCrane('metrics', ...set);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(
      /2 of 6 maps have no mask of the same name: .*bolt\/good\/0\.npy, .*nut\/good\/0\.npy\. .*--normal-without-mask/,
    );
  });

  test('folders that do not belong together', async () => {
    const { code, err } = await runCrane(
      'metrics',
      path.join(set[0], 'nut/scratch'),
      path.join(set[1], 'nut'),
      '--normal-without-mask',
    );
    expect(code).toBe(2);
    expect(err).toMatch(/has the same name as a mask in .*: found .*scratch\/0\.npy and .*0_mask\.png, for example/);
    expect((await runCrane('metrics', path.join(folder, 'none'), set[1])).err).toMatch(
      /none: expected a folder or an .npz file, found nothing/,
    );
    expect((await runCrane('metrics', scores, set[1])).err).toMatch(/found a file/);
    fs.mkdirSync(path.join(folder, 'empty'));
    expect((await runCrane('metrics', set[0], path.join(folder, 'empty'))).err).toMatch(
      /no mask in this folder or below it/,
    );
  });
});

describe('what cannot be counted', () => {
  test('is named, the rest is scored, and the figures say that they are incomplete', async () => {
    const [maps, masks] = await writeSet('damaged', 'npy');
    const spoilt = (drawn[0] as Drawn).map.slice();
    spoilt[width * 2 + 5] = NaN;
    await writeNpy(path.join(maps, 'nut/scratch/0.npy'), spoilt, [height, width]);
    fs.writeFileSync(path.join(maps, 'bolt/stain/0.npy'), 'cut off');
    fs.rmSync(path.join(maps, 'bolt/scratch/0.npy'));
    const { code, out, err } = await runCrane('metrics', maps, masks, '--normal-without-mask');
    expect(code).toBe(1);
    expect(err).toMatch(/nut\/scratch\/0\.npy: the anomaly map holds NaN at x 5, y 2/);
    expect(err).toMatch(/bolt\/stain\/0\.npy: not an NPY file/);
    expect(err).toMatch(/bolt\/scratch\/0_mask\.png: no map belongs to this mask/);
    expect(out).toMatch(
      /^INCOMPLETE, 3 problems: 1 of the 2 images of bolt, 1 of the 3 images of nut are not counted/m,
    );
    const json = await runCrane('metrics', maps, masks, '--normal-without-mask', '--json', '-');
    expect(json.code).toBe(1);
    expect(json.err).toMatch(/^INCOMPLETE/m);
    const set = parse(json.out);
    expect(byName(set, 'nut')).toMatchObject({ images: 2, anomalous: 1, notCounted: 1 });
    expect(set.failures?.map(({ path: file }) => path.relative(folder, file)).sort()).toEqual([
      'damaged/maps/bolt/stain/0.npy',
      'damaged/maps/nut/scratch/0.npy',
      'damaged/masks/bolt/scratch/0_mask.png',
    ]);
  });

  test.each([
    [
      'labelled normal, and its mask marks a defect',
      '0.5,0',
      /scratch\/0\.npy: .* is labelled normal in line 2, and its mask .*0_mask\.png marks a defect/,
    ],
    ['without a row', undefined, /scratch\/0\.npy: the list of scores has no row for it/],
  ])('an image %s', async (_, row, message) => {
    const [maps, masks] = await writeSet('labels', 'npy');
    const scores = path.join(folder, 'labels/scores.csv');
    const rows = drawn.map(({ name, mask }, at) =>
      at === 0 ? (row === undefined ? '' : `${name},${row}\n`) : `${name},${at},${mask ? 1 : 0}\n`,
    );
    fs.writeFileSync(scores, `name,score,label\n${rows.join('')}`);
    const { code, err, out } = await runCrane('metrics', maps, masks, '--scores', scores, '--json', '-');
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(byName(parse(out), 'nut')).toMatchObject({ images: 2, anomalous: 1, notCounted: 1 });
  });

  test('masks of one image that differ in size', async () => {
    const [maps, masks] = await writeSet('two-sizes', 'npy');
    await place('two-sizes/masks', 'nut/scratch/0_mask_2.png', (file) =>
      grey(new Uint8Array(9), 3, 3).png().toFile(file),
    );
    const { code, err, out } = await runCrane(
      'metrics',
      maps,
      masks,
      '--normal-without-mask',
      '--whole-set',
      '--json',
      '-',
    );
    expect(code).toBe(1);
    expect(err).toMatch(/nut\/scratch\/0\.npy: its masks have different sizes, 12 x 10 and 3 x 3/);
    expect(parse(out).wholeSet).toMatchObject({ images: 5, anomalous: 3, notCounted: 1 });
  });

  test('an image labelled anomalous without a mask, and a row without a map', async () => {
    const [maps, masks] = await writeSet('unmasked', 'npy');
    const scores = path.join(folder, 'unmasked/scores.csv');
    fs.writeFileSync(
      scores,
      `name,score,label\n${drawn.map(({ name }, at) => `${name},${at},1\n`).join('')}gone,1,0\n`,
    );
    const { code, err } = await runCrane('metrics', maps, masks, '--scores', scores);
    expect(code).toBe(1);
    expect(err).toMatch(/nut\/good\/0\.npy: .* is labelled anomalous in line 4, but there is no mask of that name/);
    expect(err).toMatch(/gone: no map belongs to line 8 of the list of scores/);
  });
});

test('the label of an image counts, whatever its mask marks', async () => {
  const [maps, masks] = await writeSet('label', 'npy');
  await place('label/masks', 'nut/good/0.png', (file) =>
    grey(new Uint8Array(width * height))
      .png()
      .toFile(file),
  );
  const scores = path.join(folder, 'label/scores.csv');
  fs.writeFileSync(
    scores,
    `name,score,label\n${drawn.map(({ name, mask }, at) => `${name},${at},${mask || name === 'nut/good/0' ? 1 : 0}\n`).join('')}`,
  );
  const { code, out } = await runCrane('metrics', maps, masks, '--scores', scores, '--json', '-');
  expect(code).toBe(0);
  expect(byName(parse(out), 'nut')).toMatchObject({
    images: 3,
    anomalous: 3,
    metrics: { 'image/auroc': null, ...(expected('nut') as object) },
  });
});

describe('maps and masks of different sizes', () => {
  const large = new Uint8Array(4 * width * height);
  for (let y = 0; y < 2 * height; y++)
    for (let x = 0; x < 2 * width; x++) large[y * 2 * width + x] = y < 8 && x < 6 ? 1 : 0;
  const small = Uint8Array.from({ length: width * height }, (_, at) => (at < 4 * width && at % width < 3 ? 1 : 0));
  const map = Float32Array.from(small, (inside, at) => 0.3 * inside + ((at * 37) % 101) / 101);

  async function run(...more: string[]): Promise<JsonCategory> {
    await place('sizes/maps', 'a.npy', (file) => writeNpy(file, map, [height, width]));
    await place('sizes/masks', 'a.png', (file) =>
      grey(large, 2 * width, 2 * height)
        .png()
        .toFile(file),
    );
    const { code, out } = await runCrane(
      'metrics',
      path.join(folder, 'sizes/maps'),
      path.join(folder, 'sizes/masks'),
      '--json',
      '-',
      ...more,
    );
    expect(code).toBe(0);
    return parse(out).categories[0] as JsonCategory;
  }

  test('masks are brought to their maps', async () => {
    const metrics = new PixelMetrics();
    metrics.add(map, small, width, height);
    expect((await run()).metrics).toMatchObject(metrics.value());
  });

  test('or maps to their masks', async () => {
    const metrics = new PixelMetrics();
    metrics.add(resizeMap(map, width, height, 2 * width, 2 * height), large, 2 * width, 2 * height);
    expect((await run('--resize', 'maps')).metrics).toMatchObject(metrics.value());
  });
});

test('several masks of one image count together', async () => {
  const [first] = drawn as [Drawn];
  const halves = [0, 1].map((half) => (first.mask as Uint8Array).map((value, at) => (at % 2 === half ? value : 0)));
  await place('parts/maps', 'a.npy', (file) => writeNpy(file, first.map, [height, width]));
  for (const [index, half] of halves.entries())
    await place('parts/masks', `a_mask_${index}.png`, (file) => grey(half).png().toFile(file));
  const { out } = await runCrane(
    'metrics',
    path.join(folder, 'parts/maps'),
    path.join(folder, 'parts/masks'),
    '--json',
    '-',
  );
  const metrics = new PixelMetrics();
  metrics.add(first.map, first.mask as Uint8Array, width, height);
  expect(parse(out).categories[0]?.metrics).toMatchObject(metrics.value());
});

test('pictures beside arrays are not taken for maps', async () => {
  const [maps, masks] = await writeSet('beside', 'npy');
  await place('beside/maps', 'nut/scratch/0.png', (file) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toFile(file),
  );
  const { code, out } = await runCrane('metrics', maps, masks, '--normal-without-mask', '--json', '-');
  expect(code).toBe(0);
  expect(byName(parse(out), 'nut').images).toBe(3);
});

describe('what masks leave open', () => {
  async function run(...more: string[]): Promise<{ code: number; out: string; err: string }> {
    const scores = [0.9, 0.8, 0.1, 0.2, 0.3, 0.95];
    await place('open/maps', 'a.npy', (file) => writeNpy(file, Float32Array.from(scores), [2, 3]));
    // The highest score lies on the pixel of -1, which would count as a defect, or as normal.
    await place('open/masks', 'a.npy', (file) => writeNpy(file, Int8Array.of(1, 1, 0, 0, 0, -1), [2, 3]));
    return runCrane('metrics', path.join(folder, 'open/maps'), path.join(folder, 'open/masks'), ...more);
  }

  test('is refused by name', async () => {
    const { code, err } = await run();
    expect(code).toBe(1);
    expect(err).toMatch(/masks\/a\.npy: this mask holds -1 at x 2, y 1; .* pass --ignore-value -1\./);
  });

  test.each([['--ignore-value', '-1'], ['--ignore-value', '-1,nan'], ['--ignore-value=-1']])(
    'or is in no metric, counted and said: %s %s',
    async (...option) => {
      const { code, out } = await run(...option, '--whole-set', '--json', '-');
      expect(code).toBe(0);
      const set = parse(out);
      expect(set.categories[0]).toMatchObject({
        images: 1,
        ignoredPixels: 1,
        metrics: { 'pixel/auroc': 1, 'pixel/ap': 1, 'pixel/aupro/exact@0.3': 1 },
      });
      expect(set.wholeSet).toMatchObject({ ignoredPixels: 1 });
      expect((await run(...option)).out).toMatch(/^Pixels left out, since their masks hold -1(, NaN)?: 1 in maps\.$/m);
    },
  );

  test('where no mask holds the value, that is said', async () => {
    const [maps, masks] = await writeSet('nothing-open', 'npy');
    const { code, out } = await runCrane('metrics', maps, masks, '--normal-without-mask', '--ignore-value', '127');
    expect([code, /No mask that was counted holds 127/.test(out)]).toEqual([0, true]);
  });

  test.each([
    ['x', /"x" is not a number/],
    ['1,', /"" is not a number/],
  ])('a value that is no number is refused: %s', async (value, message) => {
    const { code, err } = await run('--ignore-value', value);
    expect([code, message.test(err)]).toEqual([2, true]);
  });

  test('maps are brought to the size of such masks, or masks to that of maps', async () => {
    const half = Float32Array.of(1, 0);
    await place('open-sizes/maps', 'a.npy', (file) => writeNpy(file, half, [1, 2]));
    await place('open-sizes/masks', 'a.npy', (file) =>
      writeNpy(file, Float32Array.of(1, 1, 0, NaN, 1, 1, 0, NaN), [2, 4]),
    );
    for (const [resize, ignored] of [
      ['masks', 0],
      ['maps', 2],
    ] as const) {
      const { out } = await runCrane(
        'metrics',
        path.join(folder, 'open-sizes/maps'),
        path.join(folder, 'open-sizes/masks'),
        '--ignore-value',
        'nan',
        '--resize',
        resize,
        '--json',
        '-',
      );
      expect(parse(out).categories[0]).toMatchObject({ images: 1, anomalous: 1, metrics: { 'pixel/auroc': 1 } });
      expect((parse(out).categories[0] as { ignoredPixels?: number }).ignoredPixels ?? 0).toBe(ignored);
    }
  });
});

test('float64 maps that float32 would round are ranked as they are, resized too', async () => {
  const mask = Uint8Array.from({ length: 64 }, (_, at) => (at % 8 < 3 && at < 24 ? 1 : 0));
  await place('wide/maps', 'a.npy', (file) =>
    writeNpy(
      file,
      Float64Array.from(mask, (inside) => 1 + 1e-12 * inside),
      [8, 8],
    ),
  );
  await place('wide/masks', 'a.png', (file) => grey(mask, 8, 8).png().toFile(file));
  const large = Uint8Array.from(
    { length: 256 },
    (_, at) => mask[Math.floor(at / 32) * 8 + Math.floor((at % 16) / 2)] as number,
  );
  await place('wide/large', 'a.png', (file) => grey(large, 16, 16).png().toFile(file));
  const all = { 'pixel/auroc': 1, 'pixel/ap': 1, 'pixel/f1max': 1, 'pixel/aupro/exact@0.3': 1 };
  const { code, out } = await runCrane(
    'metrics',
    path.join(folder, 'wide/maps'),
    path.join(folder, 'wide/masks'),
    '--json',
    '-',
  );
  expect([code, parse(out).mean]).toEqual([0, expect.objectContaining(all)]);
  expect(parse(out).categories[0]?.thresholds['pixel/f1max']).toBe(1 + 1e-12);
  expect((await runCrane('metrics', path.join(folder, 'wide/maps'), path.join(folder, 'wide/masks'))).out).toContain(
    'maps 1.000000000001.',
  );
  const resized = await runCrane(
    'metrics',
    path.join(folder, 'wide/maps'),
    path.join(folder, 'wide/large'),
    '--resize',
    'maps',
    '--json',
    '-',
  );
  expect(parse(resized.out).mean['pixel/auroc']).toBeGreaterThan(0.99);
});

test('one map called as the mask of another', async () => {
  const block = (first: number): Uint8Array =>
    Uint8Array.from({ length: 16 }, (_, at) => (at >= first && at < first + 4 ? 1 : 0));
  for (const [name, mask] of [
    ['board', block(0)],
    ['board_label', block(8)],
    ['plain', new Uint8Array(16)],
  ] as const) {
    await place('twins/maps', `${name}.npy`, (file) => writeNpy(file, Float32Array.from(mask), [4, 4]));
    await place('twins/masks', `${name}.png`, (file) => grey(mask, 4, 4).png().toFile(file));
  }
  const [maps, masks] = [path.join(folder, 'twins/maps'), path.join(folder, 'twins/masks')];
  const both = await runCrane('metrics', maps, masks, '--json', '-');
  expect([both.code, parse(both.out).mean]).toEqual([0, expect.objectContaining({ 'pixel/auroc': 1, 'pixel/ap': 1 })]);
  fs.rmSync(path.join(maps, 'board_label.npy'));
  const one = await runCrane('metrics', maps, masks, '--json', '-');
  expect([one.code, parse(one.out).mean['pixel/auroc']]).toEqual([1, 1]);
  expect(one.err).toMatch(/board_label\.png: no map belongs to this mask/);
});

test('labels in words, and categories and images called as built-in properties', async () => {
  const names = ['__proto__/constructor', '__proto__/toString', 'constructor/__proto__', 'constructor/valueOf'];
  for (const [at, name] of names.entries()) {
    await place('built-in/maps', `${name}.npy`, (file) => writeNpy(file, Float32Array.of(at % 2, 0), [1, 2]));
    await place('built-in/masks', `${name}.npy`, (file) => writeNpy(file, Uint8Array.of(at % 2, 0), [1, 2]));
  }
  const scores = path.join(folder, 'built-in/scores.csv');
  fs.writeFileSync(
    scores,
    `\uFEFFname;score;label\r\n${names.map((name, at) => `${name};0.${at};${['ok', 'ng', '0.0', '1.0'][at]}\r\n`).join('')}`,
  );
  const run = (...more: string[]): ReturnType<typeof runCrane> =>
    runCrane(
      'metrics',
      path.join(folder, 'built-in/maps'),
      path.join(folder, 'built-in/masks'),
      '--scores',
      scores,
      ...more,
    );
  const { code, out } = await run('--json', '-');
  expect(code).toBe(0);
  const set = parse(out);
  expect(
    set.categories.map(({ name, images, anomalous, metrics }) => [
      name,
      images,
      anomalous,
      metrics['image/auroc'],
      metrics['pixel/auroc'],
    ]),
  ).toEqual([
    ['__proto__', 2, 1, 1, 1],
    ['constructor', 2, 1, 1, 1],
  ]);
  expect((await run('--whole-set')).out).toMatch(/^__proto__ +2 +1 +100\.0 /m);
});

test('what is not read is said', async () => {
  const [maps, masks] = await writeSet('unread', 'npy');
  await place('unread/maps', 'nut/scratch/0.png', (file) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toFile(file),
  );
  await place('unread/maps', 'nut/scratch/0.txt', (file) => fs.promises.writeFile(file, 'x'));
  await place('unread/masks', 'nut/scratch/0.json', (file) => fs.promises.writeFile(file, '{}'));
  await place('unread/masks', 'nut/scratch/0.png', (file) =>
    grey(new Uint8Array(width * height).fill(1))
      .png()
      .toFile(file),
  );
  const { code, out } = await runCrane('metrics', maps, masks, '--normal-without-mask');
  expect(code).toBe(0);
  expect(out).toMatch(
    /^Not read in .*maps: 2 files, since maps are read from the arrays next to them: for example .*0\.png\.$/m,
  );
  expect(out).toMatch(/^Not read in .*masks: 1 file, of other kinds: .*0\.json\.$/m);
  expect(out).toMatch(
    /^Not read in .*masks: 1 file, assumed to be the images, since there are masks next to them: .*0\.png\.$/m,
  );
  const json = await runCrane('metrics', maps, masks, '--normal-without-mask', '--json', '-');
  expect(json.err).toMatch(/^Not read in /m);
  expect(byName(parse(json.out), 'nut').metrics).toMatchObject(expected('nut') as object);
});

test('archives of one array each are paired by the names of their arrays', async () => {
  await place('lone', 'maps.npz', (file) =>
    fs.promises.writeFile(file, zip([{ name: 'a.npy', content: encodeNpy(Float32Array.of(1, 0), [1, 2]) }])),
  );
  await place('lone', 'masks.npz', (file) =>
    fs.promises.writeFile(file, zip([{ name: 'a.npy', content: encodeNpy(Uint8Array.of(1, 0), [1, 2]) }])),
  );
  const { code, out } = await runCrane(
    'metrics',
    path.join(folder, 'lone/maps.npz'),
    path.join(folder, 'lone/masks.npz'),
    '--json',
    '-',
  );
  expect([code, parse(out).mean['pixel/auroc']]).toEqual([0, 1]);
});

test('more archives than a process may have open, some of several arrays', async () => {
  const count = 40;
  for (let at = 0; at < count; at++) {
    const arrays = (values: [string, Buffer][]): Buffer =>
      zip(values.map(([name, content]) => ({ name: `${name}.npy`, content })));
    const map = (value: number): Buffer => encodeNpy(Float32Array.of(value, 0), [1, 2]);
    const mask = encodeNpy(Uint8Array.of(1, 0), [1, 2]);
    await place('many/maps', `${at}.npz`, (file) =>
      fs.promises.writeFile(
        file,
        arrays(
          at % 2
            ? [['only', map(at)]]
            : [
                ['a', map(1)],
                ['b', map(2)],
              ],
        ),
      ),
    );
    await place('many/masks', `${at}.npz`, (file) =>
      fs.promises.writeFile(
        file,
        arrays(
          at % 2
            ? [['other', mask]]
            : [
                ['b', mask],
                ['a', mask],
              ],
        ),
      ),
    );
  }
  const { code, out } = await runCrane(
    'metrics',
    path.join(folder, 'many/maps'),
    path.join(folder, 'many/masks'),
    '--whole-set',
    '--json',
    '-',
  );
  expect([code, parse(out).wholeSet?.images, parse(out).wholeSet?.metrics['pixel/auroc']]).toEqual([0, 60, 1]);
  if (process.platform !== 'linux') return;
  const handles = (): number => fs.readdirSync('/proc/self/fd').length;
  const before = handles();
  const maps = openMaps(path.join(folder, 'many/maps'));
  for (const file of maps.files) await file.read();
  expect(handles() - before).toBeLessThan(5);
  maps.close();
});

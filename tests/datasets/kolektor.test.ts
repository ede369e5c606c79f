import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { openDataset } from '../../datasets/dataset';
import { pathInSet } from '../../datasets/path-in-set';
import { testSplit } from '../../datasets/random-state';
import { decodeImage } from '../../lib/image/decode';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';
import { makeTree, removeTrees } from './tree';

let cache: string;

beforeEach(() => {
  cache = makeTree([], 'cache');
  process.env['CRANE_CACHE'] = cache;
});

afterEach(() => {
  delete process.env['CRANE_CACHE'];
  removeTrees();
});

describe('the split', () => {
  test.each([
    [2, [1]],
    [5, [1, 4]],
    [10, [8, 1, 5]],
    [23, [15, 9, 0, 8, 17, 12]],
  ])('of %i things is that of scikit-learn 1.9 with NumPy 2.4', (count, expected) => {
    expect(testSplit(count, 0.25, 42)).toEqual(expected);
  });

  test('of the 1123 normal tiles of the real set', () => {
    const split = testSplit(1123, 0.25, 42);
    expect(split).toHaveLength(281);
    expect(split.slice(0, 10)).toEqual([971, 824, 96, 665, 1064, 825, 381, 388, 156, 631]);
    expect(split.slice(-5)).toEqual([1118, 306, 72, 649, 707]);
    expect(split.reduce((sum, place) => sum + place, 0)).toBe(153430);
    expect(testSplit(10, 1, 42)).toEqual([8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
  });
});

const width = 6;

/** A grey picture whose rows have these levels. */
function rows(levels: readonly number[]): Sharp {
  const data = Buffer.from(levels.flatMap((level) => Array.from({ length: width }, () => level)));
  return sharp(data, { raw: { width, height: levels.length, channels: 1 } }).toColourspace('b-w');
}

/** The image as PNG under a JPEG's name, so that its levels are exact. */
async function part(height: number, defectiveRows: readonly number[]): Promise<{ image: Buffer; label: Buffer }> {
  const image = await rows(Array.from({ length: height }, (_, row) => row))
    .png()
    .toBuffer();
  const label = await rows(Array.from({ length: height }, (_, row) => (defectiveRows.includes(row) ? 1 : 0)))
    .png()
    .toBuffer();
  return { image, label };
}

test('thirds are cut at whole rows, rounded down; one label pixel of 1 makes a tile anomalous', async () => {
  // 11 rows: 0 to 2, 3 to 6, 7 to 10.
  const [a, b] = [await part(11, [3]), await part(11, [10, 2])];
  const root = makeTree(
    {
      'kos01/Part0.jpg': a.image,
      'kos01/Part0_label.bmp': a.label,
      'kos02/Part3.jpg': b.image,
      'kos02/Part3_label.bmp': b.label,
      'readme.txt': '',
    },
    'KolektorSDD',
  );
  const dataset = await openDataset(root, { allowIncomplete: true });
  expect(dataset).toMatchObject({ name: 'sdd', root, layout: 'kolektor', hasMasks: true, problems: [] });
  // Normal tiles in order: kos01_Part0_0, kos01_Part0_2, kos02_Part3_1; one of three is chosen, the first of the permutation.
  const [chosen] = testSplit(3, 0.25, 42) as [number];
  const good = ['kos01_Part0_0.png', 'kos01_Part0_2.png', 'kos02_Part3_1.png'][chosen] as string;
  const samples = dataset.categories[0]?.samples ?? [];
  expect(samples.map(({ imagePath, defect }) => `${defect} ${path.basename(imagePath)}`)).toEqual([
    'defect kos01_Part0_1.png',
    'defect kos02_Part3_0.png',
    'defect kos02_Part3_2.png',
    `good ${good}`,
  ]);
  expect(
    samples
      .slice(0, 1)
      .map(({ imagePath, maskPath }) => [pathInSet(root, imagePath), pathInSet(root, maskPath as string)]),
  ).toEqual([['kos01_Part0_1.png', 'kos01_Part0_1_mask.png']]);
  expect([
    pathInSet(root, path.join(root, 'kos01', 'Part0.jpg')),
    pathInSet(root, path.join(root, '..hidden', 'a')),
  ]).toEqual(['kos01/Part0.jpg', '..hidden/a']);
  const firstColumn = async (file: string): Promise<number[]> => {
    const { data, height } = await decodeImage(file);
    return Array.from({ length: height }, (_, row) => data[row * width] as number);
  };
  const [middle, top, bottom] = samples.map(({ imagePath }) => imagePath) as [string, string, string];
  expect(await firstColumn(middle)).toEqual([3, 4, 5, 6]);
  expect(await firstColumn(top)).toEqual([0, 1, 2]);
  expect(await firstColumn(bottom)).toEqual([7, 8, 9, 10]);
  const mask = await loadMaskAtOwnSize(samples[0]?.maskPath as string);
  expect(Array.from(mask.data)).toEqual([1, 0, 0, 0].flatMap((value) => Array.from({ length: width }, () => value)));
});

test('tiles are cut once, again where a file changed, and not into the set', async () => {
  const { image, label } = await part(9, [0]);
  const root = makeTree({ 'kos01/Part0.jpg': image, 'kos01/Part0_label.bmp': label }, 'KolektorSDD');
  const tileOf = async (): Promise<string> => (await openDataset(root)).categories[0]?.samples[0]?.imagePath as string;
  const [one, two] = await Promise.all([tileOf(), tileOf()]);
  expect(two).toBe(one);
  expect(fs.readdirSync(path.join(cache, 'sets'))).toHaveLength(1);
  expect(fs.readdirSync(root)).toEqual(['kos01']);
  fs.writeFileSync(path.join(root, 'kos01/Part0_label.bmp'), (await part(9, [8])).label);
  expect(path.basename(await tileOf())).toBe('kos01_Part0_2.png');
  const [only, ...older] = fs.readdirSync(path.join(cache, 'sets'));
  expect(older).toEqual([]);
  expect(await tileOf()).toContain(only);
});

test('lost labels, unreadable files and labels of another size are named, at every call', async () => {
  const { image, label } = await part(9, [0]);
  const root = makeTree({
    'kos01/Part0.jpg': image,
    'kos01/Part1.jpg': image,
    'kos01/Part1_label.bmp': 'no picture',
    'kos01/Part2.jpg': image.subarray(0, 60),
    'kos01/Part2_label.bmp': label,
    'kos01/Part3.jpg': image,
    'kos01/Part3_label.bmp': (await part(12, [0])).label,
    'kos01/Part4.jpg': image,
    'kos01/Part4_label.bmp': label,
  });
  for (let call = 0; call < 2; call++) {
    await expect(openDataset(root)).rejects.toThrow(
      /Part0\.jpg has no label Part0_label\.bmp and is left out[\s\S]*Part1_label\.bmp: not an image/,
    );
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(dataset.problems.map(({ kind, path: file }) => `${kind} ${path.basename(file)}`)).toEqual([
      'ambiguous set',
      'missing-mask Part0.jpg',
      'unreadable Part1_label.bmp',
      'unreadable Part2.jpg',
      'mask-size Part3_label.bmp',
    ]);
  }
});

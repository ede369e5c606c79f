import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { openDataset, type Dataset } from '../../datasets/dataset';
import { loadMaskAtOwnSize, preprocessMask } from '../../lib/image/preprocess';
import { makeTree, png, removeTrees } from './tree';

let cache: string;

beforeEach(() => {
  cache = makeTree([], 'cache');
  process.env['CRANE_CACHE'] = cache;
});

afterEach(() => {
  delete process.env['CRANE_CACHE'];
  removeTrees();
});

/** Grey PNG of 4 x 2 with these levels. */
const levels = (...values: number[]): Promise<Buffer> =>
  sharp(Buffer.from(values), { raw: { width: 4, height: 2, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();

/** Images by name with defect, or `-`. */
const labels = ({ categories }: Dataset): string[] =>
  categories.flatMap(({ samples }) =>
    samples.map(({ imagePath, anomalous, defect }) => `${path.basename(imagePath)} ${anomalous ? defect : '-'}`),
  );

describe('several masks of an image', () => {
  test('count as their union, from files with numbers or from a folder named after the image', async () => {
    const root = makeTree({
      'images/1.png': await png(4, 2, 9),
      'masks/1_mask1.png': await levels(0, 255, 0, 0, 0, 0, 0, 0),
      'masks/1_mask_2.PNG': await levels(1, 0, 0, 0, 0, 0, 0, 0),
      'masks/1-label.png': await levels(0, 0, 0, 0, 0, 0, 0, 7),
      'images/2.png': await png(4, 2, 9),
      'masks/2/000.png': await levels(0, 0, 0, 0, 1, 0, 0, 0),
      'masks/2/001.png': await levels(0, 0, 0, 0, 0, 1, 0, 0),
      'images/3.png': await png(4, 2, 9),
      'masks/3.png': await levels(0, 0, 255, 0, 0, 0, 0, 0),
    });
    const dataset = await openDataset(root);
    expect(dataset.problems).toEqual([]);
    const samples = dataset.categories[0]?.samples ?? [];
    const masks = await Promise.all(samples.map(({ maskPath }) => loadMaskAtOwnSize(maskPath as string)));
    expect(masks.map(({ data }) => [...data].join(''))).toEqual(['11000001', '00001100', '00100000']);
    expect(samples.map(({ maskParts }) => maskParts?.map((part) => path.relative(root, part)))).toEqual([
      ['masks/1-label.png', 'masks/1_mask1.png', 'masks/1_mask_2.PNG'],
      ['masks/2/000.png', 'masks/2/001.png'],
      undefined,
    ]);
    expect(samples[2]?.maskPath).toBe(path.join(root, 'masks/3.png'));
    // Joined once, outside of the set, and again where a part changed.
    expect((await openDataset(root)).categories[0]?.samples[0]?.maskPath).toBe(samples[0]?.maskPath);
    fs.writeFileSync(path.join(root, 'masks/2/000.png'), await levels(1, 1, 1, 1, 1, 1, 1, 1));
    const again = (await openDataset(root)).categories[0]?.samples[1]?.maskPath as string;
    expect([...(await loadMaskAtOwnSize(again)).data].join('')).toBe('11111111');
  });

  test('in the layout of MVTec LOCO', async () => {
    const root = makeTree({
      'box/test/good/000.png': await png(4, 2, 9),
      'box/test/logical/000.png': await png(4, 2, 9),
      'box/ground_truth/logical/000/000.png': await levels(255, 0, 0, 0, 0, 0, 0, 0),
      'box/ground_truth/logical/000/001.png': await levels(0, 0, 0, 200, 0, 0, 0, 0),
    });
    const dataset = await openDataset(root);
    expect(dataset).toMatchObject({ layout: 'mvtec', problems: [] });
    const [sample] = dataset.categories[0]?.samples.filter(({ anomalous }) => anomalous) ?? [];
    expect([...(await loadMaskAtOwnSize(sample?.maskPath as string)).data].join('')).toBe('10010000');
  });

  test('that differ in size, or cannot be read, are named at every call', async () => {
    const root = makeTree({
      'images/1.png': await png(4, 2, 9),
      'masks/1_mask1.png': await png(4, 2, 0),
      'masks/1_mask2.png': await png(2, 2, 0),
      'images/2.png': await png(4, 2, 9),
      'masks/2_mask1.png': await png(4, 2, 0),
      'masks/2_mask2.png': 'no picture',
    });
    for (let call = 0; call < 2; call++) {
      await expect(openDataset(root)).rejects.toThrow(
        /the masks of .*1\.png differ in size.*1_mask1\.png is 4x2, .*1_mask2\.png 2x2\n.*2_mask2\.png: not an image/,
      );
      const dataset = await openDataset(root, { allowIncomplete: true });
      expect(dataset.problems.map(({ kind }) => kind)).toEqual(['mask-size', 'unreadable']);
      expect(dataset.categories[0]?.samples.map(({ hasMask, anomalous }) => [hasMask, anomalous])).toEqual([
        [false, true],
        [false, true],
      ]);
    }
  });
});

describe('what a mask marks', () => {
  const size = 64;
  /** A disc of white on black, as its mask should be. */
  const disc = Uint8Array.from({ length: size * size }, (_, at) =>
    Math.hypot((at % size) - 30, Math.floor(at / size) - 34) < 17 ? 1 : 0,
  );
  const grey = (white: number): Sharp =>
    sharp(Buffer.from(disc.map((value) => value * white)), { raw: { width: size, height: size, channels: 1 } });

  test('a JPEG is noisy, and cut in the middle; the reference cuts at nothing', async () => {
    const jpeg = await grey(255).toColourspace('b-w').jpeg({ quality: 60 }).toBuffer();
    const { data } = await loadMaskAtOwnSize(jpeg);
    expect(data).toEqual(disc);
    const noisy = (await loadMaskAtOwnSize(jpeg, { reference: true })).data;
    expect(noisy.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(
      1.1 * disc.reduce((sum, value) => sum + value, 0),
    );
    expect((await loadMaskAtOwnSize(jpeg, { above: 0 })).data).toEqual(noisy);
    expect(await preprocessMask(jpeg, { width: size, height: size })).toEqual(disc);
  });

  test.each([
    ['0 and 255', (): Promise<Buffer> => grey(255).toColourspace('b-w').png().toBuffer()],
    ['0 and 1', (): Promise<Buffer> => grey(1).toColourspace('b-w').png().toBuffer()],
    ['colour', (): Promise<Buffer> => grey(255).toColourspace('srgb').png().toBuffer()],
    [
      'one colour of three',
      (): Promise<Buffer> =>
        sharp(Buffer.from([...disc].flatMap((value) => [0, 0, 200 * value])), {
          raw: { width: size, height: size, channels: 3 },
        })
          .png()
          .toBuffer(),
    ],
    ['TIFF', (): Promise<Buffer> => grey(255).toColourspace('b-w').tiff({ compression: 'lzw' }).toBuffer()],
    ['TIFF of 0 and 1', (): Promise<Buffer> => grey(1).toColourspace('b-w').tiff({ compression: 'none' }).toBuffer()],
    [
      'TIFF packed as JPEG',
      (): Promise<Buffer> => grey(255).toColourspace('b-w').tiff({ compression: 'jpeg', quality: 70 }).toBuffer(),
    ],
    ['a JPEG in colour', (): Promise<Buffer> => grey(255).toColourspace('srgb').jpeg({ quality: 75 }).toBuffer()],
  ])('%s', async (_, picture) => {
    expect((await loadMaskAtOwnSize(await picture())).data).toEqual(disc);
  });

  test('a mask of another size is brought to the size that is asked for', async () => {
    const double = await grey(255).resize(128, 128, { kernel: 'nearest' }).toColourspace('b-w').png().toBuffer();
    expect(await preprocessMask(double, { width: size, height: size })).toEqual(disc);
  });
});

describe('where only masks say which images are anomalous', () => {
  test('an image whose mask marks nothing is normal; every image of a registered set is anomalous', async () => {
    const files = {
      'images/1.png': await png(4, 2, 9),
      'masks/1.png': await png(4, 2, 0),
      'images/2.png': await png(4, 2, 9),
      'masks/2.png': await png(4, 2, 0, 255),
      'images/3.png': await png(4, 2, 9),
      'masks/3.png': 'no picture',
    };
    expect(labels(await openDataset(makeTree(files)))).toEqual(['1.png -', '2.png anomaly', '3.png anomaly']);
    expect(labels(await openDataset(makeTree(files, 'tn3k')))).toEqual([
      '1.png anomaly',
      '2.png anomaly',
      '3.png anomaly',
    ]);
  });

  test('masks beside images in one folder, or in its test split (KolektorSDD2): no mask, or an empty one, is normal', async () => {
    const files = {
      '10.png': await png(4, 2, 9),
      '10_GT.png': await png(4, 2, 0),
      '11.png': await png(4, 2, 9),
      '11_GT.png': await png(4, 2, 0, 9),
      '12 x.PNG': await png(4, 2, 9),
      '13.png': await png(4, 2, 9),
      '13_gt.png': await png(4, 2, 5),
    };
    const found = ['10.png -', '11.png anomaly', '12 x.PNG -', '13.png anomaly'];
    const single = await openDataset(makeTree(files));
    expect(single).toMatchObject({ layout: 'masks-beside', problems: [] });
    expect(labels(single)).toEqual(found);
    const inTest = (folder: string): Record<string, Buffer> =>
      Object.fromEntries(Object.entries(files).map(([file, content]) => [`${folder}/${file}`, content]));
    expect(labels(await openDataset(makeTree({ ...inTest('test'), ...inTest('train') })))).toEqual(found);
  });

  test('masks beside images in folders for each condition: the folder says it, and lost masks are named', async () => {
    const image = await png(4, 2, 9);
    const root = makeTree({
      'good/1.png': image,
      'good/2.png': image,
      'crack/3.png': image,
      'crack/3_mask.png': await png(4, 2, 0),
      'crack/4.png': image,
      'crack/5_mask.png': image,
    });
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(labels(dataset)).toEqual(['3.png crack', '4.png crack', '1.png -', '2.png -']);
    expect(dataset.problems.map(({ kind, path: file }) => `${kind} ${path.relative(root, file)}`)).toEqual([
      'stray-mask crack/5_mask.png',
      'missing-mask crack/4.png',
    ]);
  });
});

test('a folder of pictures of all sorts, one of them in two formats, has no masks beside them', async () => {
  const image = await png(4, 2, 9);
  const files = { 'a.jpg': image, 'a.png': image, 'b.png': image, 'c.png': image };
  await expect(openDataset(makeTree(files))).rejects.toThrow(/is in no known layout/);
  expect((await openDataset(makeTree({ ...files, 'b.jpg': image }))).layout).toBe('masks-beside');
});

test('names in two forms of Unicode are one name', async () => {
  const image = await png(4, 2, 9);
  const dataset = await openDataset(
    makeTree({ ['images/Stück 1.png'.normalize('NFD')]: image, ['masks/STÜCK 1_Mask.png'.normalize('NFC')]: image }),
  );
  expect(dataset.problems).toEqual([]);
  expect(dataset.categories[0]?.samples[0]?.hasMask).toBe(true);
});

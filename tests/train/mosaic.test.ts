import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { makeSample, type Sample } from '../../datasets/sample';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { drawMosaics, mosaicOf } from '../../train/mosaic';
import { decodeSample, readSample } from '../../train/network-input';

const sampleOf = (category: string, index: number, anomalous: boolean): Sample =>
  makeSample(
    category,
    `/set/${category}/${anomalous ? 'bad' : 'good'}/${index}.png`,
    anomalous ? 'scratch' : null,
    anomalous ? [`/set/${category}/masks/${index}.png`] : [],
  );

const samples = ['cap', 'nut'].flatMap((category) => [
  ...Array.from({ length: 300 }, (_, index) => sampleOf(category, index, false)),
  ...Array.from({ length: 300 }, (_, index) => sampleOf(category, index, true)),
]);
const draw = (mosaicRate: number, epoch = 1, seed = 111, from = samples): ReturnType<typeof drawMosaics> =>
  drawMosaics(from, ({ category }) => category, { seed, mosaicRate }, epoch);

describe('which images become mosaics', () => {
  test('none, all, or about the share asked for', () => {
    expect(draw(0).size).toBe(0);
    expect(draw(1).size).toBe(1200);
    // Four standard deviations of a binomial count.
    expect(Math.abs(draw(0.2).size - 240)).toBeLessThan(56);
  });

  test('decided by seed and epoch', () => {
    const places = (mosaics: ReturnType<typeof draw>): unknown =>
      [...mosaics].map(([place, { tiles }]) => [place, tiles.map(({ imagePath }) => imagePath)]);
    expect(places(draw(0.2))).toEqual(places(draw(0.2)));
    expect(places(draw(0.2, 2))).not.toEqual(places(draw(0.2)));
    expect(places(draw(0.2, 1, 112))).not.toEqual(places(draw(0.2)));
  });

  test('four of the category, of one kind, normal in four of five', () => {
    const mosaics = [...draw(1).entries()];
    for (const [place, { tiles, category, anomalous }] of mosaics) {
      expect(tiles).toHaveLength(4);
      expect(category).toBe(samples[place]?.category);
      expect(tiles.every((tile) => tile.category === category && tile.anomalous === anomalous)).toBe(true);
    }
    const normal = mosaics.filter(([, { anomalous }]) => !anomalous).length;
    expect(Math.abs(normal - 960)).toBeLessThan(56);
  });

  test('of the kind there is, where a category has only one', () => {
    const allGood = samples.filter(({ anomalous }) => !anomalous);
    expect([...draw(1, 1, 111, allGood).values()].some(({ anomalous }) => anomalous)).toBe(false);
  });
});

describe('what a mosaic holds', () => {
  let folder: string;
  const colours = [
    [250, 10, 20],
    [30, 240, 50],
    [60, 70, 230],
    [200, 200, 90],
  ] as const;

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-mosaic-'));
    for (const [index, [r, g, b]] of colours.entries()) {
      await sharp({ create: { width: 30, height: 20, channels: 3, background: { r, g, b } } })
        .png()
        .toFile(path.join(folder, `${index}.png`));
    }
    await sharp({ create: { width: 30, height: 20, channels: 3, background: '#fff' } })
      .greyscale()
      .png()
      .toFile(path.join(folder, 'mask.png'));
  });

  afterAll(() => fs.rmSync(folder, { recursive: true }));

  const tile = (index: number, anomalous = false): Sample =>
    makeSample(
      'cap',
      path.join(folder, `${index}.png`),
      anomalous ? 'scratch' : null,
      anomalous ? [path.join(folder, 'mask.png')] : [],
    );

  test.each([8, 7])('a tile in each quarter, its mask with it; side %d', async (size) => {
    const mosaic = mosaicOf([tile(0), tile(1), tile(2, true), tile(3)]);
    expect(mosaic).toMatchObject({ anomalous: true, hasMask: true, category: 'cap' });
    const { contents } = await readSample(mosaic);
    const { pixels, mask } = await decodeSample(mosaic, contents, size, CLIP_PREPROCESSING);
    expect([pixels.length, mask.length]).toEqual([size * size * 3, size * size]);
    const half = Math.floor(size / 2);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const quarter = (y < half ? 0 : 2) + (x < half ? 0 : 1);
        const colour = [0, 1, 2].map((channel) => {
          const { mean, std } = CLIP_PREPROCESSING;
          return Math.round(
            255 *
              ((pixels[(y * size + x) * 3 + channel] as number) * (std[channel] as number) + (mean[channel] as number)),
          );
        });
        expect(colour).toEqual(colours[quarter]);
        expect(mask[y * size + x]).toBe(quarter === 2 ? 1 : 0);
      }
    }
  });

  test('normal where all tiles are', () => {
    expect(mosaicOf([tile(0), tile(1), tile(2), tile(3)])).toMatchObject({ anomalous: false, defect: 'good' });
  });

  test('other tiles are other features', async () => {
    const [one, other] = await Promise.all(
      [mosaicOf([tile(0), tile(1), tile(2), tile(3)]), mosaicOf([tile(1), tile(0), tile(2), tile(3)])].map((sample) =>
        readSample(sample),
      ),
    );
    expect(one?.recipe).not.toBe('');
    expect(one?.hashes).not.toEqual(other?.hashes);
  });

  test('a tile that cannot be read is named', async () => {
    fs.writeFileSync(path.join(folder, 'broken.png'), 'no picture');
    const broken = makeSample('cap', path.join(folder, 'broken.png'), null, []);
    const mosaic = mosaicOf([tile(0), broken, tile(2), tile(3)]);
    const { contents } = await readSample(mosaic);
    await expect(decodeSample(mosaic, contents, 8, CLIP_PREPROCESSING)).rejects.toMatchObject({
      name: 'ImageError',
      message: expect.stringContaining('broken.png') as string,
    });
  });
});

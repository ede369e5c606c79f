import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import {
  corrupt,
  corruptedImage,
  CORRUPTION_KINDS,
  levelOf,
  STRENGTHS,
  type Corruption,
} from '../../../eval/benchmark/corruptions';
import type { RgbImage } from '../../../lib/image/decoded-image';
import { seededUniform } from '../../../lib/weights/seeded';

const side = 240;
/** Stripes on a slope, with some texture. */
const picture: RgbImage = (() => {
  const next = seededUniform('texture');
  return {
    width: side,
    height: side,
    data: Uint8Array.from({ length: side * side * 3 }, (_, at) => {
      const [x, y] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side)];
      return 40 + Math.floor(x / 4) + 40 * (Math.floor((x + y) / 11) % 2) + Math.floor(20 * next());
    }),
  };
})();
const before = Uint8Array.from(picture.data);

const distance = (a: Uint8Array, b: Uint8Array): number =>
  Math.sqrt(a.reduce((sum, value, at) => sum + (value - (b[at] as number)) ** 2, 0) / a.length);

test.each(CORRUPTION_KINDS)(
  '%s: each strength is further from the picture, repeatable, and of its size',
  async (kind) => {
    let nearer = 0;
    for (const strength of STRENGTHS) {
      const corrupted = await corrupt(picture, { kind, strength }, 'seed');
      expect([corrupted.width, corrupted.height, corrupted.data.length]).toEqual([side, side, side * side * 3]);
      expect(Buffer.compare(corrupted.data, (await corrupt(picture, { kind, strength }, 'seed')).data)).toBe(0);
      const far = distance(corrupted.data, picture.data);
      expect(far).toBeGreaterThan(nearer);
      nearer = far;
    }
    expect(Buffer.compare(picture.data, before)).toBe(0);
  },
);

test('noise has the deviation that it says, no mean, and is another for another seed', async () => {
  const grey: RgbImage = { width: 100, height: 100, data: new Uint8Array(30_000).fill(128) };
  for (const strength of [1, 4] as const) {
    const { data } = await corrupt(grey, { kind: 'noise', strength }, 'a');
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    expect(mean).toBeCloseTo(128, 0);
    const deviation = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
    expect(Math.abs(deviation / levelOf({ kind: 'noise', strength }) - 1)).toBeLessThan(0.03);
  }
  const [one, other] = await Promise.all(['a', 'b'].map((seed) => corrupt(grey, { kind: 'noise', strength: 1 }, seed)));
  expect(distance(one?.data as Uint8Array, other?.data as Uint8Array)).toBeGreaterThan(
    levelOf({ kind: 'noise', strength: 1 }),
  );
  const { data } = await corrupt(
    { ...grey, data: new Uint8Array(30_000).fill(250) },
    { kind: 'noise', strength: 5 },
    'a',
  );
  // Levels that would be above white are white, and do not begin again at black.
  expect(Math.max(...data)).toBe(255);
  expect(Math.min(...data)).toBeGreaterThan(30);
});

test('brightness adds a level, up to white', async () => {
  const { data } = await corrupt(
    { width: 1, height: 1, data: Uint8Array.of(0, 100, 240) },
    { kind: 'brightness', strength: 2 },
    '',
  );
  expect([...data]).toEqual([50, 150, 255]);
});

test('blur spreads an edge as a Gaussian of its deviation does', async () => {
  const width = 200;
  const edge: RgbImage = {
    width,
    height: width,
    data: Uint8Array.from({ length: width * width * 3 }, (_, at) => (Math.floor(at / 3) % width < width / 2 ? 0 : 200)),
  };
  const { data } = await corrupt(edge, { kind: 'blur', strength: 5 }, '');
  const sigma = (14 / 1000) * width;
  const at = (x: number): number => data[((width / 2) * width + x) * 3] as number;
  expect(at(10)).toBe(0);
  expect(at(190)).toBe(200);
  // One deviation from the edge a Gaussian step has 84.1 per cent of its height; pixel centres lie half a pixel off.
  const place = width / 2 + Math.round(sigma - 0.5);
  const exact = 200 * normalShare((place + 0.5 - width / 2) / sigma);
  expect(Math.abs(at(place) - exact)).toBeLessThan(2);
});

/** Share of the standard normal distribution below z, by summing its density. */
function normalShare(z: number): number {
  let sum = 0.5;
  for (let x = 0; x < z; x += 1e-4) sum += (1e-4 * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  return sum;
}

describe('from a file', () => {
  const corruption: Corruption = { kind: 'brightness', strength: 1 };
  let folder: string;
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-corrupt-'));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  test('grey pictures become colour, turned as their EXIF says', async () => {
    const file = path.join(folder, 'grey.jpg');
    await sharp(Buffer.alloc(30 * 20, 77), { raw: { width: 30, height: 20, channels: 1 } })
      .toColourspace('b-w')
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100 })
      .toFile(file);
    const turned = await corruptedImage(file, corruption, { seed: '' });
    expect([turned.width, turned.height, turned.channels, turned.data[0]]).toEqual([20, 30, 3, 102]);
    expect(await corruptedImage(file, corruption, { seed: '', reference: true })).toMatchObject({
      width: 30,
      height: 20,
    });
  });

  test('a file that is no picture is named', async () => {
    fs.writeFileSync(path.join(folder, 'x.png'), 'x');
    await expect(corruptedImage(path.join(folder, 'x.png'), corruption, { seed: '' })).rejects.toThrow(/x\.png/);
  });
});

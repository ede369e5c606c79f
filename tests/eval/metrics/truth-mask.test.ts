import * as fc from 'fast-check';
import sharp from 'sharp';
import { resizeTruth, truthOfArray, truthOfImage, unionOf, type TruthMask } from '../../../eval/metrics/truth-mask';
import { MetricError } from '../../../lib/errors';
import { decodeNpy, encodeNpy, type NpyArray, type NpyData } from '../../../lib/image/npy';
import { resizeMask } from '../../../lib/image/preprocess';
import { plainTiff } from '../../image/float-tiff';
import { scratchFolder } from '../../weights/archives';

const scratch = scratchFolder();
afterAll(scratch.remove);

const arrayOf = (data: NpyData, shape = [1, data.length]): NpyArray => decodeNpy(encodeNpy(data, shape), 'm.npy');
/** One letter a pixel: normal, anomalous, open. */
const told = ({ data, ignored }: TruthMask): string =>
  [...data].map((value, at) => (ignored?.[at] ? (value ? '!' : '?') : value ? 'x' : '.')).join('');

describe('masks as arrays', () => {
  test.each<[string, NpyData, readonly number[], string]>([
    ['bytes', Uint8Array.of(0, 1, 255), [], '.xx'],
    ['a float64 that float32 would make 0', Float64Array.of(0, -0, 1e-300), [], '..x'],
    ['whole numbers that float64 rounds', BigUint64Array.of(0n, 2n ** 64n - 1n), [], '.x'],
    ['-1 ignored', Int8Array.of(-1, 0, 1), [-1], '?.x'],
    ['-1 ignored, of int64', BigInt64Array.of(-1n, 0n, 1n), [-1], '?.x'],
    ['NaN ignored', Float32Array.of(NaN, 0, 1), [NaN], '?.x'],
    ['several ignored', Float32Array.of(NaN, -1, 2, 1, 0), [NaN, -1, 2], '???x.'],
    ['0 ignored', Uint8Array.of(0, 1), [0], '?x'],
  ])('%s', (_, data, ignoring, expected) => {
    expect(told(truthOfArray(arrayOf(data), 'm.npy', new Set(ignoring)))).toBe(expected);
  });

  test.each<[NpyData, readonly number[], RegExp]>([
    [Float32Array.of(0, 0, 1, NaN), [], /m\.npy: this mask holds NaN at x 1, y 1; .* pass `ignoring: \[nan\]`\.$/],
    [Int32Array.of(0, -1, 1, 0), [], /holds -1 at x 1, y 0; .* pass `ignoring: \[-1\]`\.$/],
    [Float64Array.of(0, -1, NaN, 0), [-1], /holds NaN at x 0, y 1; .* pass `ignoring: \[-1, nan\]`\.$/],
    [Float32Array.of(0, Infinity, 1, 0), [], /holds Infinity at x 1, y 0/],
    [BigInt64Array.of(0n, 0n, 0n, -(2n ** 63n)), [], /holds -922337203685477\d+ at x 1, y 1/],
  ])('values that are neither 0 nor above it are refused: %#', (data, ignoring, message) => {
    const read = (): TruthMask => truthOfArray(arrayOf(data, [2, 2]), 'm.npy', new Set(ignoring));
    expect(read).toThrow(MetricError);
    expect(read).toThrow(message);
  });
});

describe('masks as pictures', () => {
  const grey = (...levels: number[]): Promise<Buffer> =>
    sharp(Buffer.from(levels), { raw: { width: levels.length, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
  const colour = (...levels: number[]): Promise<Buffer> =>
    sharp(Buffer.from(levels), { raw: { width: levels.length / 3, height: 1, channels: 3 } })
      .png()
      .toBuffer();
  const read = (content: Buffer, name: string, ...ignoring: number[]): Promise<TruthMask> =>
    truthOfImage(scratch.file(name, content), new Set(ignoring));

  test('a level of grey is left open where it is said to be', async () => {
    const picture = await grey(0, 1, 128, 255);
    expect(told(await read(picture, 'a.png'))).toBe('.xxx');
    expect(told(await read(picture, 'a.png', 255))).toBe('.xx?');
    expect(told(await read(picture, 'a.png', 128, 0))).toBe('?x?x');
    expect(told(await read(picture, 'a.png', -1, NaN))).toBe('.xxx');
  });

  test('of 16 bits too, and in colour where all three have that level', async () => {
    expect(told(await read(plainTiff(3, 1, Uint16Array.of(0, 255, 65535), 1), 'b.tif', 255))).toBe('.?x');
    expect(told(await read(await colour(0, 0, 0, 255, 255, 255, 255, 0, 0, 255, 255, 254), 'c.png', 255))).toBe('.?xx');
  });

  test('pictures that do not keep their levels are refused, if levels matter', async () => {
    const jpeg = await sharp(Buffer.alloc(64, 255), { raw: { width: 8, height: 8, channels: 1 } })
      .jpeg()
      .toBuffer();
    expect(told(await read(jpeg, 'd.jpg', -1))).toBe('x'.repeat(64));
    await expect(read(jpeg, 'd.jpg', 255)).rejects.toThrow(/d\.jpg: this mask is lossily compressed/);
    const palette = await sharp(Buffer.of(0, 0, 0, 9, 9, 9), { raw: { width: 2, height: 1, channels: 3 } })
      .png({ palette: true })
      .toBuffer();
    await expect(read(palette, 'e.png', 1)).rejects.toThrow(/e\.png: this mask has a palette/);
    const wide = await sharp(Uint16Array.of(65535, 65535, 65535, 65400, 65400, 65400), {
      raw: { width: 2, height: 1, channels: 3 },
    })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    await expect(read(wide, 'g.png', 255)).rejects.toThrow(/g\.png: this mask has several 16-bit channels/);
  });

  test('a TIFF of several pages is refused', async () => {
    await expect(read(plainTiff(2, 1, Uint8Array.of(0, 255), 1, 2), 'f.tif')).rejects.toThrow(
      /f\.tif: contains 2 images; a mask is a single one/,
    );
  });
});

test('the union: what any mask marks is anomalous, what any leaves open and none marks is open', () => {
  const all = (mask: string): TruthMask => ({
    width: mask.length,
    height: 1,
    data: Uint8Array.from(mask, (c) => (c === 'x' ? 1 : 0)),
    ignored: Uint8Array.from(mask, (c) => (c === '?' ? 1 : 0)),
  });
  expect(told(unionOf([all('..x??x'), all('.?.?x.')], 'm') as TruthMask)).toBe('.?x?xx');
  expect(unionOf([], 'm')).toBeUndefined();
  expect(() => unionOf([all('..'), all('...')], 'm.npy')).toThrow(
    'm.npy: its masks have different sizes, 2 x 1 and 3 x 1; they must be of one image',
  );
});

describe('masks at another size', () => {
  const planes = fc
    .array(fc.constantFrom(0, 1, 2), { minLength: 48, maxLength: 48 })
    .map((values) => Uint8Array.from(values));
  const of = (values: Uint8Array): TruthMask => ({
    width: 8,
    height: 6,
    data: values.map((value) => (value === 1 ? 1 : 0)),
    ignored: values.map((value) => (value === 2 ? 1 : 0)),
  });

  test('are cut at one half where nothing is open, as the reference cuts them', () => {
    fc.assert(
      fc.property(planes, (values) => {
        const data = values.map((value) => (value === 1 ? 1 : 0));
        const none = new Uint8Array(48);
        for (const ignored of [undefined, none])
          expect(resizeTruth({ width: 8, height: 6, data, ignored }, 5, 9).data).toEqual(
            resizeMask({ width: 8, height: 6, data }, 5, 9),
          );
      }),
    );
  });

  test('keep what is open apart from what is anomalous, and a mask of their own size as it is', () => {
    fc.assert(
      fc.property(planes, (values) => {
        expect(told(resizeTruth(of(values), 5, 9))).not.toContain('!');
        expect(told(resizeTruth(of(values), 8, 6))).toBe(told(of(values)));
      }),
    );
  });

  test('a pixel that is more anomalous than normal is anomalous, however much of it is open below one half', () => {
    // One pixel from a row of four, with the weights 5, 7, 7 and 5 of 24: a triangle as wide as both sides.
    const quarter = (block: string): string => {
      const mask = {
        width: 4,
        height: 4,
        data: Uint8Array.from({ length: 16 }, (_, at) => (block[at % 4] === 'x' ? 1 : 0)),
        ignored: Uint8Array.from({ length: 16 }, (_, at) => (block[at % 4] === '?' ? 1 : 0)),
      };
      return told(resizeTruth(mask, 1, 1));
    };
    expect(['....', 'xxxx', '????', '.xx?', '.x?.', 'x?.x', '?.x.', 'x??x'].map(quarter).join('')).toBe('.x?x.x.?');
  });
});

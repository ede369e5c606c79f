import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import sharp from 'sharp';
import { ImageError } from '../../lib/errors';
import { mapOfArray, readMap } from '../../lib/image/map-file';
import { decodeNpy, encodeNpy, type NpyArray, type NpyData } from '../../lib/image/npy';
import { scratchFolder } from '../weights/archives';
import { plainTiff } from './float-tiff';

const scratch = scratchFolder();
afterAll(scratch.remove);

const arrayOf = (data: NpyData, shape: readonly number[] = [1, data.length]): NpyArray =>
  decodeNpy(encodeNpy(data, shape), 'x.npy');

describe('scores keep their order, to the last bit of their file', () => {
  test.each<[string, NpyData, Float32Array | Float64Array]>([
    ['float64 that float32 holds', Float64Array.of(0.5, -3, 2 ** 40), Float32Array.of(0.5, -3, 2 ** 40)],
    ['float64', Float64Array.of(1, 1 + 2 ** -40), Float64Array.of(1, 1 + 2 ** -40)],
    ['float64 below the range of float32', Float64Array.of(1e-300, 0), Float64Array.of(1e-300, 0)],
    ['float64 above it', Float64Array.of(1e39, 1e40), Float64Array.of(1e39, 1e40)],
    ['float64 with NaN and infinities', Float64Array.of(NaN, -Infinity, 1), Float32Array.of(NaN, -Infinity, 1)],
    ['int32 of 25 bits', Int32Array.of(16777216, 16777217), Float64Array.of(16777216, 16777217)],
    ['small int32', Int32Array.of(-5, 7), Float32Array.of(-5, 7)],
    ['uint32', Uint32Array.of(4294967295, 4294967294), Float64Array.of(4294967295, 4294967294)],
    ['int64', BigInt64Array.of(-(2n ** 53n), 2n ** 53n - 1n), Float64Array.of(-(2 ** 53), 2 ** 53 - 1)],
    ['uint64 of a round value', BigUint64Array.of(2n ** 63n, 0n), Float32Array.of(2 ** 63, 0)],
    ['uint16', Uint16Array.of(65535, 65534), Float32Array.of(65535, 65534)],
  ])('%s', (_, data, expected) => {
    expect(mapOfArray(arrayOf(data), 'x.npy').data).toEqual(expected);
  });

  test.each<[string, NpyData]>([
    ['int64', BigInt64Array.of(1n, 2n ** 53n + 1n)],
    ['negative int64', BigInt64Array.of(-(2n ** 60n) - 1n)],
    ['uint64', BigUint64Array.of(2n ** 64n - 1n)],
  ])('%s that float64 would round is refused', (_, data) => {
    expect(() => mapOfArray(arrayOf(data), 'x.npy')).toThrow(
      /x\.npy: holds -?\d{16,}, which 64-bit floating point would round/,
    );
  });

  test.each([
    ['no axis', []],
    ['one axis', [6]],
    ['a batch of two', [2, 1, 3]],
  ])('%s is no map', (_, shape) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
    expect(() => mapOfArray({ dtype: 'float32', shape, data }, 'x.npy')).toThrow(
      /x\.npy: a map \[height, width\] expected, found \[/,
    );
  });

  test.each([
    ['>f8', Buffer.from(Float64Array.of(1, 3, 2, 1 + 2 ** -50).buffer).swap64(), [1, 2, 3, 1 + 2 ** -50]],
    ['>i8', Buffer.from(BigInt64Array.of(-1n, 3n, 2n, 2n ** 40n + 1n).buffer).swap64(), [-1, 2, 3, 2 ** 40 + 1]],
    ['>u2', Buffer.from(Uint16Array.of(1, 3, 2, 65535).buffer).swap16(), [1, 2, 3, 65535]],
    ['|b1', Buffer.of(0, 1, 0, 1), [0, 0, 1, 1]],
  ])('of the other byte order and the other order of axes: %s', (descr, body, expected) => {
    const header = Buffer.from(`{'descr': '${descr}', 'fortran_order': True, 'shape': (2, 2), }\n`);
    const head = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), Buffer.of(header.length, 0)]);
    expect([...mapOfArray(decodeNpy(Buffer.concat([head, header, body]), 'x'), 'x').data]).toEqual(expected);
  });

  test('axes of length 1 before and after are dropped, and no others', () => {
    const size = (shape: number[]): unknown => {
      const { width, height } = mapOfArray(arrayOf(new Float32Array(6), shape), 'x');
      return [height, width];
    };
    expect(
      [
        [2, 3],
        [1, 2, 3],
        [2, 3, 1],
        [1, 1, 2, 3, 1],
        [1, 1, 6, 1],
        [1, 1, 1, 6],
      ].map(size),
    ).toEqual([
      [2, 3],
      [2, 3],
      [2, 3],
      [2, 3],
      [6, 1],
      [1, 6],
    ]);
  });

  test('a header in double quotes, as other programs write it', () => {
    const bytes = encodeNpy(Float32Array.of(1, 2), [1, 2]);
    const quoted = Buffer.from(bytes.toString('latin1').replaceAll("'", '"'), 'latin1');
    expect(decodeNpy(quoted, 'x')).toEqual(decodeNpy(bytes, 'x'));
  });
});

describe('TIFF maps', () => {
  const read = (name: string, content: Buffer): ReturnType<typeof readMap> => readMap(scratch.file(name, content));

  test.each([
    ['float32', plainTiff(2, 1, Float32Array.of(1, 2), 3, 2)],
    ['16 bits', plainTiff(2, 1, Uint16Array.of(1, 2), 1, 3)],
  ])('of several pages are refused: %s', async (_, content) => {
    await expect(read('pages.tiff', content)).rejects.toThrow(/pages\.tiff: a TIFF of one page expected, found [23]/);
  });

  test('a reduction of the map in the same file is no page of its own', async () => {
    const bytes = plainTiff(2, 1, Float32Array.of(1, 2), 3, 2);
    // The rows of a strip, 1, in the second directory become "reduced resolution", 1.
    bytes.writeUInt16LE(254, bytes.lastIndexOf(Buffer.from([278 & 255, 278 >> 8, 3, 0])));
    expect(Array.from((await read('reduced.tif', bytes)).data)).toEqual([1, 2]);
  });

  test.each([
    ['float32', Float32Array.of(0, 1, 0.5), 3, [0.5, 1, 0]],
    ['8 bits', Uint8Array.of(0, 255, 51), 1, [Math.fround(0.2), 1, 0]],
  ])('of %s are turned by their own tag', async (_, samples, format, right) => {
    const bytes = plainTiff(3, 1, samples, format);
    // One row in a strip is the rule without a tag; in its place: upside down.
    const rows = bytes.indexOf(Buffer.from([278 & 255, 278 >> 8, 3, 0]));
    bytes.writeUInt16LE(274, rows);
    bytes.writeUInt32LE(3, rows + 8);
    expect(await read('turned.tif', bytes)).toMatchObject({ width: 3, height: 1, data: Float32Array.from(right) });
  });

  test.each([
    ['float64', plainTiff(2, 1, Float64Array.of(1, 2), 3), /more than 32 bits|float64/],
    [
      'float16, which is not kept',
      plainTiff(2, 1, Uint16Array.of(0x3c00, 0x3555), 3),
      /floating point other than float32/,
    ],
    ['whole numbers of 32 bits', plainTiff(2, 1, Uint32Array.of(1, 2), 1), /of the type "uint"/],
  ])('of samples that cannot be read as they are are refused: %s', async (_, content, message) => {
    const failed = await read('samples.tif', content).catch((error: Error) => error);
    expect(failed).toBeInstanceOf(ImageError);
    expect((failed as Error).message).toMatch(message);
  });

  test('of 16 bits are scaled', async () => {
    expect(await read('grey.tif', plainTiff(2, 1, Uint16Array.of(65535, 13107), 1))).toEqual({
      width: 2,
      height: 1,
      data: Float32Array.of(1, 0.2),
    });
  });
});

test.each([
  [
    'a palette of greys',
    (): Promise<Buffer> =>
      sharp(Buffer.of(0, 90, 180, 255), { raw: { width: 2, height: 2, channels: 1 } })
        .png({ palette: true })
        .toBuffer(),
    'P',
  ],
  [
    'grey with alpha',
    (): Promise<Buffer> =>
      sharp(Buffer.of(0, 90, 180, 255), { raw: { width: 2, height: 1, channels: 2 } })
        .toColourspace('b-w')
        .png()
        .toBuffer(),
    'LA',
  ],
  [
    'grey kept as colour',
    (): Promise<Buffer> =>
      sharp(Buffer.of(9, 9, 9, 8, 8, 8), { raw: { width: 2, height: 1, channels: 3 } })
        .png()
        .toBuffer(),
    'RGB',
  ],
])('a PNG of %s is no map of scores', async (_, content, mode) => {
  await expect(readMap(scratch.file('x.png', await content()))).rejects.toThrow(
    `a map of one channel expected, found an image of mode ${mode}.`,
  );
});

test('a pipe is refused, not waited for', async () => {
  for (const name of ['pipe.npy', 'pipe.png', 'pipe.tiff']) {
    const file = scratch.file(name, Buffer.alloc(0));
    fs.rmSync(file);
    execFileSync('mkfifo', [file]);
    await expect(readMap(file)).rejects.toThrow(/not a regular file/);
  }
});

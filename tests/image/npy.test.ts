import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { ImageError } from '../../lib/errors';
import { encodeMapPng, readMap } from '../../lib/image/map-file';
import { decodeNpy, encodeNpy, readNpy, type NpyData } from '../../lib/image/npy';
import { floatTiff } from './float-tiff';

/** A file as numpy.save lays it out, from a header text. */
function numpyFile(header: string, body: Buffer, version = 1): Buffer {
  const prefix = version === 1 ? 10 : 12;
  const total = Math.ceil((prefix + header.length + 1) / 64) * 64;
  const text = Buffer.from(`${header.padEnd(total - prefix - 1)}\n`);
  const head = Buffer.alloc(prefix);
  head.write('\x93NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(text.length, 8);
  else head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, text, body]);
}

const FLOATS = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);

describe('NPY', () => {
  test('halves are widened, in either byte order', () => {
    // 1, -2, 65504, the smallest, a third.
    const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555, 0).buffer);
    const expected = {
      dtype: 'float16',
      shape: [2, 3],
      data: Float32Array.of(1, -2, 65504, 2 ** -24, 0.333251953125, 0),
    };
    expect(
      decodeNpy(numpyFile("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }", halves), 'x.npy'),
    ).toEqual(expected);
    expect(
      decodeNpy(
        numpyFile("{'descr': '>f2', 'fortran_order': False, 'shape': (2, 3), }", Buffer.from(halves).swap16()),
        'x.npy',
      ),
    ).toEqual(expected);
    expect(() => encodeNpy(Float32Array.of(1), [1], 'float16')).toThrow(/of float16 expected/);
  });

  test('bytes are those that numpy.save writes', () => {
    const got = encodeNpy(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    expect(got.length).toBe(128 + 24);
    expect(got.equals(numpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", FLOATS))).toBe(true);
    const line = encodeNpy(Uint8Array.of(1, 0), [2], 'bool');
    expect(line.equals(numpyFile("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", Buffer.of(1, 0)))).toBe(
      true,
    );
  });

  test.each([1, 2, 3])('version %i is read', (version) => {
    const bytes = numpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", FLOATS, version);
    expect(decodeNpy(bytes, 'x')).toEqual({ dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  });

  test('every type comes back as it was', () => {
    const arrays: NpyData[] = [
      Float32Array.of(1.5, -2),
      Float64Array.of(Math.PI, NaN),
      Uint8Array.of(0, 255),
      Int8Array.of(-128, 127),
      Uint16Array.of(0, 65535),
      Int16Array.of(-32768, 1),
      Uint32Array.of(0, 2 ** 32 - 1),
      Int32Array.of(-(2 ** 31), 5),
      BigInt64Array.of(-5n, 2n ** 62n),
      BigUint64Array.of(0n, 2n ** 64n - 1n),
    ];
    for (const data of arrays) expect(decodeNpy(encodeNpy(data, [2, 1]), 'x')).toMatchObject({ shape: [2, 1], data });
  });

  test('any shape comes back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), (shape) => {
        const count = shape.reduce((product, n) => product * n, 1);
        const data = Int32Array.from({ length: count }, (_, at) => at);
        expect(decodeNpy(encodeNpy(data, shape), 'x')).toEqual({ dtype: 'int32', shape, data });
      }),
    );
  });

  test('big-endian values and Fortran order are brought to ours', () => {
    const swapped = Buffer.from(FLOATS).swap32();
    expect(
      decodeNpy(numpyFile("{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }", swapped), 'x').data,
    ).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    // Columns of [[1, 3, 5], [2, 4, 6]] one after another.
    expect(
      decodeNpy(numpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", FLOATS), 'x').data,
    ).toEqual(Float32Array.of(1, 3, 5, 2, 4, 6));
    const cube = numpyFile(
      "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2), }",
      Buffer.of(0, 1, 2, 3, 4, 5, 6, 7),
    );
    expect(decodeNpy(cube, 'x').data).toEqual(Uint8Array.of(0, 4, 2, 6, 1, 5, 3, 7));
  });

  test('pickled objects, records, unknown types and damage are named errors', () => {
    const fail = (bytes: Buffer): string => {
      try {
        decodeNpy(bytes, 'x.npy');
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError);
        return (error as ImageError).message;
      }
      throw new Error('was read');
    };
    expect(fail(numpyFile("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", FLOATS))).toContain(
      'never unpickled',
    );
    expect(fail(numpyFile("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", FLOATS))).toContain(
      'structured',
    );
    expect(fail(numpyFile("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", FLOATS))).toContain('"<c8"');
    expect(fail(numpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", FLOATS))).toContain(
      '28 bytes expected for [7] of float32, found 24',
    );
    expect(
      fail(numpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999, 9), }", FLOATS)),
    ).toContain('its shape is');
    expect(fail(numpyFile('nonsense', FLOATS))).toContain('its header is');
    expect(
      fail(numpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", FLOATS).subarray(0, 40)),
    ).toContain('its header claims');
    expect(fail(numpyFile('', FLOATS, 4))).toContain('NPY version 4');
    expect(fail(Buffer.alloc(0))).toContain('not an NPY file');
    expect(() => encodeNpy(new Float32Array(3), [2, 2])).toThrow('an array [2, 2] of float32 expected, found 3 values');
  });
});

describe('map files', () => {
  let folder: string;
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-maps-'));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const at = (name: string): string => path.join(folder, name);

  test('NPY of any number type, with or without axes of one', async () => {
    const want = { width: 3, height: 2, data: Float32Array.of(1, 2, 3, 4, 5, 6) };
    fs.writeFileSync(at('a.npy'), encodeNpy(want.data, [2, 3]));
    expect(await readMap(at('a.npy'))).toEqual(want);
    expect((await readNpy(at('a.npy'))).shape).toEqual([2, 3]);
    fs.writeFileSync(at('b.npy'), encodeNpy(BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n), [1, 2, 3, 1]));
    expect(await readMap(at('b.npy'))).toEqual(want);
    fs.writeFileSync(at('line.npy'), encodeNpy(want.data, [1, 6]));
    expect(await readMap(at('line.npy'))).toMatchObject({ width: 6, height: 1 });
    fs.writeFileSync(at('c.npy'), encodeNpy(new Float32Array(8), [2, 2, 2]));
    await expect(readMap(at('c.npy'))).rejects.toThrow('a map [height, width] expected, found [2, 2, 2]');
    await expect(readMap(at('none.npy'))).rejects.toThrow('no such file');
  });

  test('16-bit PNG is within half a step of 1/65535, values outside are clipped', async () => {
    const data = Float32Array.of(0, 1, 0.5, 0.123456, -3, 7, NaN, 1 / 65535, 0.25);
    fs.writeFileSync(at('m.png'), await encodeMapPng(data, 3, 3));
    expect(await sharp(at('m.png')).metadata()).toMatchObject({ depth: 'ushort', channels: 1, width: 3, height: 3 });
    const got = await readMap(at('m.png'));
    const want = [0, 1, 0.5, 0.123456, 0, 1, 0, 1 / 65535, 0.25];
    want.forEach((value, index) =>
      expect(Math.abs((got.data[index] as number) - value)).toBeLessThanOrEqual(0.5001 / 65535),
    );
  });

  test('8-bit grey is scaled to 0..1; colours cannot be read back', async () => {
    await sharp(Buffer.of(0, 51, 255, 0), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(at('g.png'));
    expect((await readMap(at('g.png'))).data).toEqual(Float32Array.of(0, 0.2, 1, 0));
    await sharp({ create: { width: 2, height: 2, channels: 3, background: '#f00' } })
      .png()
      .toFile(at('c.png'));
    await expect(readMap(at('c.png'))).rejects.toThrow('a map of one channel expected, found an image of mode RGB');
  });

  test('TIFF of floats, as MVTec distributes maps, keeps its values', async () => {
    const values = [0.25, -1.5, 3e-8, 12345.678];
    fs.writeFileSync(at('f.tiff'), floatTiff(2, 2, values));
    expect(await readMap(at('f.tiff'))).toEqual({ width: 2, height: 2, data: Float32Array.from(values) });
    fs.writeFileSync(at('cut.tiff'), floatTiff(2, 2, values).subarray(0, 40));
    await expect(readMap(at('cut.tiff'))).rejects.toThrow(ImageError);
  });
});

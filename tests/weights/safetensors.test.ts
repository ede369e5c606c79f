import * as fc from 'fast-check';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { openTensors, openTensorsSync } from '../../lib/weights/open';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
let counter = 0;

function file(header: unknown, data: Uint8Array = new Uint8Array(0), claimed?: bigint): string {
  const json = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return scratch.file(`${counter++}.safetensors`, Buffer.concat([length, json, data]));
}

test('the bytes written are those that the format asks for', () => {
  const target = path.join(scratch.folder, 'new folder', 'known.safetensors');
  writeSafetensors(
    target,
    {
      half: { dtype: 'float16', shape: [1], data: Float32Array.of(1.5) },
      b: { dtype: 'int32', shape: [2], data: Int32Array.of(-1, 258) },
      a: { dtype: 'float32', shape: [], data: Float32Array.of(-2) },
    },
    { who: 'me' },
  );
  const bytes = fs.readFileSync(target);
  const length = Number(bytes.readBigUInt64LE(0));
  expect(length % 8).toBe(0);
  expect(JSON.parse(bytes.toString('utf8', 8, 8 + length))).toEqual({
    __metadata__: { who: 'me' },
    a: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
    b: { dtype: 'I32', shape: [2], data_offsets: [4, 12] },
    half: { dtype: 'F16', shape: [1], data_offsets: [12, 14] },
  });
  expect(bytes.toString('hex', 8 + length)).toBe('000000c0' + 'ffffffff02010000' + '003e');
});

test('what is written is read back', () => {
  const shape = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
  const one = fc.tuple(
    shape,
    fc.constantFrom('float32', 'float16', 'bfloat16', 'int32'),
    fc.infiniteStream(fc.integer({ min: -128, max: 128 })),
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 12 }), one, { noNullPrototype: true }),
      fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
      (drawn, metadata) => {
        fc.pre(!Object.keys(drawn).some((name) => name === '__metadata__' || name === '__proto__'));
        const target = path.join(scratch.folder, 'round-trip.safetensors');
        const tensors: Record<string, TensorToWrite> = {};
        for (const [name, [size, dtype, stream]] of Object.entries(drawn)) {
          const values = [...stream.take(size.reduce((product, n) => product * n, 1))];
          tensors[name] =
            dtype === 'int32'
              ? { dtype, shape: size, data: Int32Array.from(values) }
              : { dtype: dtype as 'float32', shape: size, data: () => Float32Array.from(values) };
        }
        writeSafetensors(target, tensors, metadata);
        const source = openTensorsSync(target);
        expect([...source.entries.keys()].sort()).toEqual(Object.keys(tensors).sort());
        expect({ ...source.metadata }).toEqual({ ...metadata });
        for (const [name, { dtype, shape: size, data }] of Object.entries(tensors)) {
          expect(source.entries.get(name)).toMatchObject({ dtype, shape: size });
          expect([...source.read(name)]).toEqual([...(typeof data === 'function' ? data() : data)]);
        }
        source.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('every stored type', async () => {
  const cases: [string, number, (view: DataView, at: number) => void, number][] = [
    ['F64', 8, (view, at) => view.setFloat64(at, 0.1, true), 0.1],
    ['I64', 8, (view, at) => view.setBigInt64(at, -5n, true), -5],
    ['I16', 2, (view, at) => view.setInt16(at, -300, true), -300],
    ['I8', 1, (view, at) => view.setInt8(at, -3), -3],
    ['U8', 1, (view, at) => view.setUint8(at, 250), 250],
    ['BOOL', 1, (view, at) => view.setUint8(at, 1), 1],
  ];
  for (const [dtype, size, set, value] of cases) {
    const data = new Uint8Array(size);
    set(new DataView(data.buffer), 0);
    const source = await openTensors(file({ t: { dtype, shape: [1], data_offsets: [0, size] } }, data));
    expect([...source.readDoubles('t'), ...source.read('t')]).toEqual([value, Math.fround(value)]);
    if (dtype !== 'F64') expect([...source.readIntegers('t')]).toEqual([value]);
    source.close();
  }
});

test('values of a tensor larger than one reading step', async () => {
  const count = 1_500_001;
  const target = path.join(scratch.folder, 'large.safetensors');
  writeSafetensors(target, {
    t: { dtype: 'float16', shape: [count], data: Float32Array.from({ length: count }, (_, index) => index % 2048) },
  });
  const source = await openTensors(target);
  const values = source.read('t');
  expect(values.findIndex((value, index) => value !== index % 2048)).toBe(-1);
  expect(values.length).toBe(count);
  source.close();
});

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32'): unknown => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

test.each<[string, unknown, number, RegExp]>([
  ['overlapping tensors', { a: entry(0, 8), b: entry(4, 12) }, 12, /overlaps/],
  ['one range for two tensors', { a: entry(0, 8), b: entry(0, 8) }, 8, /overlaps/],
  ['a hole between tensors', { a: entry(0, 4), b: entry(8, 12) }, 12, /belong to no tensor/],
  ['bytes at the end', { a: entry(0, 4) }, 8, /belong to no tensor/],
  ['an end behind the file', { a: entry(0, 400) }, 8, /truncated/],
  ['a shape that does not fit its bytes', { a: entry(0, 8, [3]) }, 8, /takes 12 bytes, but 8/],
  ['an end before its begin', { a: entry(8, 0, [0]) }, 8, /takes 0 bytes, but -8/],
  ['a negative size', { a: entry(0, 8, [-2]) }, 8, /impossible shape/],
  ['a size that is not whole', { a: entry(0, 8, [0.5]) }, 8, /impossible shape/],
  ['a size that is not finite', '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', 8, /impossible shape/],
  ['sizes whose product overflows', { a: entry(0, 8, [2 ** 40, 2 ** 40]) }, 8, /impossible shape/],
  ['sizes whose product overflows behind a zero', { a: entry(0, 0, [0, 2 ** 40, 2 ** 40]) }, 0, /impossible shape/],
  ['hundreds of axes', { a: entry(0, 4, new Array(400).fill(1)) }, 4, /impossible shape/],
  ['a shape that is no list', { a: entry(0, 8, 2) }, 8, /impossible shape/],
  [
    'offsets that are not numbers',
    { a: { dtype: 'F32', shape: [1], data_offsets: ['0', '4'] } },
    4,
    /impossible byte offsets/,
  ],
  ['one offset', { a: { dtype: 'F32', shape: [1], data_offsets: [0] } }, 4, /impossible byte offsets/],
  ['an unknown type', { a: entry(0, 8, [8], 'F8_E4M3') }, 8, /"F8_E4M3"/],
  ['a type that JavaScript knows', { a: entry(0, 8, [8], 'constructor') }, 8, /"constructor"/],
  ['no type', { a: { shape: [1], data_offsets: [0, 4] } }, 4, /has the type undefined/],
  ['a tensor that is no object', { a: null }, 0, /not described by an object/],
  ['metadata that are no strings', { __metadata__: { a: 1 } }, 0, /metadata entry a/],
  ['metadata that are a list', { __metadata__: [] }, 0, /metadata/],
  ['a header that is a list', '[]', 0, /not a JSON object|not a known weights file/],
  ['a header that breaks off', '{"a":', 0, /not JSON/],
  ['a header nested deeply', `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 0, /nests deeper than 64 levels/],
  ['a header that is not UTF-8', Buffer.from('{"\xff\xfe":1}', 'latin1'), 0, /not JSON/],
])('%s: an error', async (_, header, dataLength, message) => {
  expect((await weightsError(() => openTensors(file(header, new Uint8Array(dataLength))))).message).toMatch(message);
});

test.each([[2n ** 63n], [10n ** 8n], [1000n]])('a header that claims %d bytes', async (claimed) => {
  expect((await weightsError(() => openTensors(file({}, new Uint8Array(8), claimed)))).message).toMatch(
    /header claims/,
  );
});

test('a file appears complete or not at all', async () => {
  const target = path.join(scratch.folder, 'atomic', 'x.safetensors');
  writeSafetensors(target, { t: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } });
  const before = fs.readFileSync(target);
  const wrong: TensorToWrite = { dtype: 'float32', shape: [3], data: Float32Array.of(1) };
  expect((await weightsError(() => writeSafetensors(target, { t: wrong }))).message).toContain(
    '1 values given for shape [3]',
  );
  expect(fs.readFileSync(target)).toEqual(before);
  expect(fs.readdirSync(path.dirname(target))).toEqual(['x.safetensors']);
});

test('a place that cannot be written is said', async () => {
  const blocked = scratch.file('blocked', new Uint8Array(1));
  expect((await weightsError(() => writeSafetensors(path.join(blocked, 'x.safetensors'), {}))).code).toBe(
    'weights/not-written',
  );
});

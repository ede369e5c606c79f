import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { NativeValues } from '../../lib/weights/native-values';
import { openTensorsSync } from '../../lib/weights/open';
import { parametersOf } from '../../lib/weights/parameters';
import { type NameMapping, WeightReader } from '../../lib/weights/weight-reader';
import { expectNoLeak } from '../tensors';
import { checkpoint, expectSameValues, scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
beforeAll(async () => {
  await prepareBackend('auto');
});
afterAll(() => scratch.remove());

interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A safetensors file of given bytes, so that every bit pattern can stand in it. */
function safetensors(tensors: Readonly<Record<string, Stored>>): Buffer {
  let end = 0;
  const header = Object.entries(tensors).map(
    ([name, { dtype, shape, bytes }]) => [name, { dtype, shape, data_offsets: [end, (end += bytes.length)] }] as const,
  );
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

let counter = 0;
function readerOf(content: Buffer, mapping?: NameMapping): WeightReader {
  const file = scratch.file(`weights-${counter++}.bin`, content);
  return new WeightReader(openTensorsSync(file), mapping ? { mapping } : {});
}

const bytesOf = (
  values: Uint16Array | Uint32Array | Float32Array | Float64Array | BigInt64Array | Int32Array,
): Uint8Array => new Uint8Array(values.buffer);

/** Every pattern of 16 bits, `times` times over, so that several threads have a share in converting them. */
const everyPattern = (times: number): Uint16Array =>
  Uint16Array.from({ length: 65536 * times }, (_, index) => index & 0xffff);

/** Numbers whose bits are spread over all patterns of 32, with the special ones among them. */
function patterns32(count: number): Uint32Array {
  const special = [
    0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff, 0x7f7fffff,
  ];
  return Uint32Array.from({ length: count }, (_, index) => special[index] ?? Math.imul(index, 2654435761) >>> 0);
}

/** Equal bit by bit, except that any NaN may stand for another: hardware marks signalling ones as seen, a table does not. */
function expectSameNumbers(found: Float32Array, wanted: Float32Array): void {
  const [a, b] = [found, wanted].map((values) => new Uint32Array(Float32Array.from(values).buffer)) as [
    Uint32Array,
    Uint32Array,
  ];
  expect(a.length).toBe(b.length);
  const differ = a.reduce(
    (count, bits, at) => count + (bits === b[at] || (Number.isNaN(found[at]) && Number.isNaN(wanted[at])) ? 0 : 1),
    0,
  );
  expect(differ).toBe(0);
}

function turned(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)] as number);
}

const dataOf = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;

describe('parameters from a file equal what is read from it in JavaScript', () => {
  const file = safetensors({
    half: { dtype: 'F16', shape: [1024, 256], bytes: bytesOf(everyPattern(4)) },
    brain: { dtype: 'BF16', shape: [256, 1024], bytes: bytesOf(everyPattern(4)) },
    single: { dtype: 'F32', shape: [300, 200], bytes: bytesOf(patterns32(60000)) },
    row: { dtype: 'F32', shape: [1, 40000], bytes: bytesOf(patterns32(40000)) },
    column: { dtype: 'F32', shape: [40000, 1], bytes: bytesOf(patterns32(40000)) },
    vector: { dtype: 'F16', shape: [65536], bytes: bytesOf(everyPattern(1)) },
    kernel: { dtype: 'F16', shape: [16, 4, 32, 32], bytes: bytesOf(everyPattern(1)) },
    scalar: { dtype: 'F32', shape: [], bytes: bytesOf(Float32Array.of(4.6052)) },
    empty: { dtype: 'F16', shape: [0, 3], bytes: new Uint8Array() },
    double: { dtype: 'F64', shape: [2, 3], bytes: bytesOf(Float64Array.of(1e38, -1e-320, NaN, 0.1, -0, Infinity)) },
    long: { dtype: 'I64', shape: [2, 2], bytes: bytesOf(BigInt64Array.of(0n, -5n, 2n ** 24n - 1n, 2n ** 62n)) },
    whole: { dtype: 'I32', shape: [2, 2], bytes: bytesOf(Int32Array.of(0, -1, 2 ** 31 - 128, -(2 ** 31))) },
    short: { dtype: 'I16', shape: [4], bytes: bytesOf(Uint16Array.of(0, 1, 0x8000, 0xffff)) },
    byte: { dtype: 'I8', shape: [4], bytes: Uint8Array.of(0, 1, 128, 255) },
    unsigned: { dtype: 'U8', shape: [4], bytes: Uint8Array.of(0, 1, 128, 255) },
    flag: { dtype: 'BOOL', shape: [2], bytes: Uint8Array.of(0, 1) },
  });

  test.each(['auto', 'cpu'] as const)(
    'for every type of element and shape, as stored and transposed, on the backend %s',
    async (backend) => {
      await prepareBackend(backend);
      const reader = readerOf(file);
      const parameters = parametersOf(reader);
      await expectNoLeak(() => {
        const entries = [...reader.source.entries.values()];
        // All are read before the first is looked at: what one leaves behind must not reach into another.
        const made = entries.map(({ name, shape }) => ({
          plain: parameters(name, [...shape]),
          turned: shape.length === 2 && !shape.includes(0) ? parameters.transposed(name, [...shape]) : undefined,
        }));
        entries.forEach(({ name, shape, dtype }, index) => {
          const { plain, turned: transpose } = made[index] as (typeof made)[number];
          const wanted = reader.source.read(name);
          expect([name, plain.shape, plain.dtype]).toEqual([name, shape, 'float32']);
          if (dtype === 'float32') expectSameValues(dataOf(plain), wanted);
          else expectSameNumbers(dataOf(plain), wanted);
          if (transpose === undefined) return;
          const [rows, columns] = shape as [number, number];
          expect([name, transpose.shape, transpose.dtype]).toEqual([name, [columns, rows], 'float32']);
          expectSameNumbers(dataOf(transpose), turned(wanted, rows, columns));
        });
        made.forEach(({ plain, turned: transpose }) => tf.dispose(transpose ? [plain, transpose] : plain));
      });
      reader.source.close();
      await prepareBackend('auto');
    },
  );

  test('joined from parts and stored transposed, in any combination', () => {
    const part = (first: number): Stored => ({
      dtype: 'F16',
      shape: [2, 3],
      bytes: bytesOf(Uint16Array.from({ length: 6 }, (_, index) => 0x3c00 + first + index)),
    });
    const mapping: NameMapping = (name) => ({
      from: name.startsWith('joined') ? ['a', 'b', 'c'] : ['a'],
      transposed: name.endsWith('turned'),
    });
    const reader = readerOf(safetensors({ a: part(0), b: part(10), c: part(20) }), mapping);
    const parameters = parametersOf(reader);
    for (const [name, shape] of [
      ['joined', [6, 3]],
      ['one', [2, 3]],
      ['one turned', [3, 2]],
    ] as const) {
      const [rows, columns] = shape;
      const wanted = reader.take(name, shape);
      const [plain, transpose] = [parameters(name, [...shape]), parameters.transposed(name, [...shape])];
      expect([plain.shape, [...dataOf(plain)]]).toEqual([[rows, columns], [...wanted]]);
      expect([transpose.shape, [...dataOf(transpose)]]).toEqual([[columns, rows], [...turned(wanted, rows, columns)]]);
      tf.dispose([plain, transpose]);
    }
    reader.source.close();
  });

  test('a view whose elements are not one after the other', () => {
    const reader = readerOf(checkpoint([{ name: 'view', shape: [3, 2], strides: [1, 3] }]));
    const view = parametersOf(reader)('view', [3, 2]);
    expect([...dataOf(view)]).toEqual([0, 3, 1, 4, 2, 5]);
    view.dispose();
    reader.source.close();
  });
});

describe('memory', () => {
  test('a tensor keeps its values when the bytes it was made from are overwritten', () => {
    const native = NativeValues.current();
    if (!native) return expect(tf.getBackend()).not.toBe('tensorflow');
    // TensorFlow shares memory that begins at multiples of 64, which one of these does.
    const buffer = new ArrayBuffer(4096);
    for (const offset of [0, 16, 32, 48]) {
      const bytes = new Uint8Array(buffer, offset, 2048);
      for (const [dtype, shape] of [
        ['float32', [512]],
        ['float32', [1, 512]],
        ['float32', [16, 32]],
        ['float16', [1, 1024]],
        ['bfloat16', [1024, 1]],
      ] as const) {
        for (const turn of shape.length === 2 ? [false, true] : [false]) {
          bytes.fill(0x3c);
          const made = native.tensor(bytes, dtype, shape, turn);
          const before = [...dataOf(made)];
          bytes.fill(0);
          expect([...dataOf(made)]).toEqual(before);
          expect(before[0]).not.toBe(0);
          made.dispose();
        }
      }
    }
  });

  test('no tensor, and no handle of the binding, is left where reading fails half-way', async () => {
    const damaged = checkpoint([{ name: 'a', type: 'FloatStorage' }]);
    const at = damaged.indexOf(Buffer.from(Float32Array.of(3).buffer));
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    const whole: Stored = { dtype: 'F32', shape: [2, 3], bytes: bytesOf(patterns32(6)) };
    const both: NameMapping = () => ({ from: ['a', 'b'] });
    const cases: [WeightReader, number[], string][] = [
      [readerOf(damaged), [2, 3], 'weights/checksum'],
      [readerOf(safetensors({ a: whole }), both), [4, 3], 'weights/missing'],
      [readerOf(safetensors({ a: whole, b: { ...whole, shape: [3, 2] } }), both), [4, 3], 'weights/shape'],
      [readerOf(safetensors({ a: whole })), [3, 3], 'weights/shape'],
    ];
    const handles = countHandles();
    try {
      await expectNoLeak(async () => {
        for (const [reader, shape, code] of cases) {
          const parameters = parametersOf(reader);
          expect((await weightsError(() => parameters('a', shape))).code).toBe(code);
          expect((await weightsError(() => parameters.transposed('a', shape))).code).toBe(code);
          reader.source.close();
        }
        // A first part that is converted before the second turns out to be closed.
        const reader = readerOf(safetensors({ a: whole, b: whole }), both);
        let reads = 0;
        const { source } = reader;
        const readStored = source.readStored.bind(source);
        source.readStored = (...given) => {
          if (++reads === 2) source.close();
          return readStored(...given);
        };
        const fast = NativeValues.current() !== undefined;
        if (!fast) source.close();
        expect((await weightsError(() => parametersOf(reader)('a', [4, 3]))).code).toBe('weights/closed');
        if (fast) expect(reads).toBe(2);
      });
      expect(handles.open()).toBe(0);
    } finally {
      handles.stop();
    }
  });

  test('a tensor that was made is the only handle of the binding', () => {
    const handles = countHandles();
    const reader = readerOf(safetensors({ a: { dtype: 'F16', shape: [256, 256], bytes: bytesOf(everyPattern(1)) } }));
    const parameters = parametersOf(reader);
    try {
      const made = [parameters('a', [256, 256]), parameters.transposed('a', [256, 256])];
      expect(handles.open()).toBe(handles.counts ? 2 : 0);
      tf.dispose(made);
      expect(handles.open()).toBe(0);
    } finally {
      handles.stop();
      reader.source.close();
    }
  });
});

interface Binding {
  createTensor(...given: unknown[]): number;
  executeOp(...given: unknown[]): readonly unknown[];
  deleteTensor(...given: unknown[]): void;
}

/** Counts tensors of the C++ binding, which tfjs does not know of. Nothing is counted on another backend. */
function countHandles(): { readonly counts: boolean; open(): number; stop(): void } {
  if (tf.getBackend() !== 'tensorflow') return { counts: false, open: () => 0, stop: () => undefined };
  const backend = tf.backend() as unknown as { binding: Binding };
  const real = backend.binding;
  let open = 0;
  // The binding's own properties cannot be replaced, so one that inherits from it stands in.
  backend.binding = Object.create(real, {
    createTensor: { value: (...given: unknown[]) => (open++, real.createTensor(...given)) },
    executeOp: {
      value: (...given: unknown[]) => {
        const made = real.executeOp(...given);
        open += made.length;
        return made;
      },
    },
    deleteTensor: { value: (...given: unknown[]) => (open--, real.deleteTensor(...given)) },
  }) as Binding;
  return { counts: true, open: () => open, stop: () => void (backend.binding = real) };
}

describe('some rows of a matrix', () => {
  const values = Float32Array.from({ length: 700 * 600 }, (_, index) => index);
  const rows = [0, 3, 436, 437, 699];
  const wanted = rows.flatMap((row) => [...values.subarray(row * 600, (row + 1) * 600)]);

  test.each([
    [
      'with a checksum, in pieces that end within rows',
      checkpoint([{ name: 'table', shape: [700, 600], strides: [600, 1], count: 420000 }], 420000),
    ],
    ['without one', safetensors({ table: { dtype: 'F32', shape: [700, 600], bytes: bytesOf(values) } })],
  ])('of a file %s', (_, content) => {
    const reader = readerOf(content);
    const table = parametersOf(reader, new Map([['table', rows]]))('table', [5, 600]);
    expect([...dataOf(table)]).toEqual(wanted);
    table.dispose();
    expect(() => reader.finish()).not.toThrow();
    reader.source.close();
  });

  test('of a view whose elements are not one after the other', () => {
    const { source } = readerOf(checkpoint([{ name: 'view', shape: [3, 2], strides: [1, 3] }]));
    expect([...source.readRows('view', [2, 0])]).toEqual([2, 5, 0, 3]);
    source.close();
  });

  test('a damaged value in another row is found', async () => {
    const content = checkpoint([{ name: 'a' }]);
    const at = content.indexOf(Buffer.from(Float32Array.of(3).buffer));
    content.writeUInt8(content.readUInt8(at) ^ 1, at);
    const { source } = readerOf(content);
    expect((await weightsError(() => source.readRows('a', [0]))).code).toBe('weights/checksum');
    source.close();
  });

  test('rows that are not there, other columns, and tables in parts are refused', async () => {
    const table: Stored = { dtype: 'F32', shape: [2, 3], bytes: bytesOf(patterns32(6)) };
    const reader = readerOf(safetensors({ table, vector: { ...table, shape: [6] } }));
    for (const row of [-1, 2, 0.5])
      expect((await weightsError(() => reader.takeRows('table', [row], 3))).code).toBe('weights/shape');
    expect((await weightsError(() => reader.source.readRows('vector', [0]))).code).toBe('weights/shape');
    expect((await weightsError(() => reader.takeRows('table', [0], 2))).code).toBe('weights/shape');
    const turnedTable = new WeightReader(reader.source, { mapping: (name) => ({ from: [name], transposed: true }) });
    expect((await weightsError(() => turnedTable.takeRows('table', [0], 2))).code).toBe('weights/shape');
    reader.source.close();
  });
});

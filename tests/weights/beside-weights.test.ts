import { openTensorsSync } from '../../lib/weights/open';
import { TorchCheckpointSource } from '../../lib/weights/torch-checkpoint';
import { WeightReader } from '../../lib/weights/weight-reader';
import { writeSafetensors } from '../../lib/weights/safetensors';
import * as fs from 'node:fs';
import { op, pickle, scratchFolder, tensor, torchZip, uint32, weightsError, type ZipFile } from './archives';
import { runCrane } from '../cli/run-crane';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

let counter = 0;
const weights = { name: 'x/data/0', content: Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer) };

/** A checkpoint `{ state_dict: { w: … }, extra: … }`. */
function beside(extra: Buffer, more: readonly ZipFile[] = []): string {
  const bytes = torchZip(
    pickle(
      op.code('}('),
      op.text('state_dict'),
      op.code('}'),
      op.text('w'),
      tensor({}),
      op.code('s'),
      op.text('extra'),
      extra,
      op.code('u'),
    ),
    [weights, ...more],
  );
  return scratch.file(`beside-${counter++}.pt`, bytes);
}

const call = (module: string, name: string, ...args: readonly Buffer[]): Buffer =>
  Buffer.concat([op.global(module, name), op.code('('), ...args, op.code('tR')]);
const storage = (type: string, count: number, module = 'torch'): Buffer =>
  Buffer.concat([
    op.code('('),
    op.text('storage'),
    op.global(module, type),
    op.text('1'),
    op.text('cpu'),
    op.int(count),
    op.code('tQ'),
  ]);
const hooks = call('collections', 'OrderedDict');
/** `_rebuild_tensor_v3` of shape `[2]`, with a type over plain bytes. */
const typed = (dtype: string, bytes: number): Buffer =>
  call(
    'torch._utils',
    '_rebuild_tensor_v3',
    storage('UntypedStorage', bytes, 'torch.storage'),
    op.code('K\x00K\x02\x85K\x01\x85\x89'),
    hooks,
    op.global('torch', dtype),
  );
/** A view of shape `[2]` from the given element on, with metadata such as `{neg: True}`. */
const view = (type: string, count: number, metadata: Buffer, strides = 1): Buffer =>
  call(
    'torch._utils',
    '_rebuild_tensor_v2',
    storage(type, count),
    op.code('K\x00K\x02\x85'),
    op.code('K'),
    Buffer.of(strides),
    op.code('\x85\x89'),
    hooks,
    metadata,
  );
const bit = (name: string): Buffer => Buffer.concat([op.code('}'), op.text(name), op.code('\x88s')]);

// Opcodes as Python and PyTorch write them for these values.
test.each<[string, Buffer, string]>([
  ['a set', call('__builtin__', 'set', op.code('](K\x01K\x02e')), 'set'],
  ['a set of protocol 4', op.code('\x8f(K\x01K\x02\x90'), 'set'],
  ['a frozen set of protocol 4', op.code('(K\x01\x91'), 'frozenset'],
  ['a path', call('pathlib', 'PurePosixPath', op.text('/'), op.text('x')), 'pathlib.PurePosixPath'],
  ['a Counter', call('collections', 'Counter', op.code('}'), op.text('a').subarray(0, 0)), 'collections.Counter'],
  ['a complex number', call('__builtin__', 'complex', op.code('K\x01K\x02')), 'complex'],
  ['bytes', op.code('C\x02xy'), 'bytes'],
  [
    'an array of NumPy',
    Buffer.concat([
      call(
        'numpy._core.multiarray',
        '_reconstruct',
        op.global('numpy', 'ndarray'),
        op.code('K\x00\x85'),
        op.code('C\x01b'),
      ),
      op.code('(K\x01K\x03\x85'),
      call('numpy', 'dtype', op.text('i8'), op.code('\x89\x88')),
      op.code('\x89C\x01xtb'),
    ]),
    'numpy.ndarray',
  ],
  [
    'an object of a class of its own',
    Buffer.concat([op.global('__main__', 'Config'), op.code(')\x81}'), op.text('lr'), op.code('K\x01sb')]),
    '__main__.Config',
  ],
  [
    'a dictionary of a class of its own',
    Buffer.concat([op.global('__main__', 'Settings'), op.code(')\x81'), op.text('lr'), op.code('K\x01s')]),
    '__main__.Settings',
  ],
  ['complex values', view('ComplexFloatStorage', 2, op.code('N')), 'complex64 tensor'],
  ['the conjugate bit', view('ComplexFloatStorage', 2, bit('conj')), 'complex64 tensor'],
  ['integers with the negative bit', view('LongStorage', 2, bit('neg')), 'int64 tensor with the neg bit set'],
  ['a bit that is not known', view('FloatStorage', 2, bit('new')), 'float32 tensor with the new bit set'],
  ['float8', typed('float8_e4m3fn', 2), 'float8_e4m3fn tensor'],
  ['a sparse tensor', call('torch._utils', '_rebuild_sparse_tensor', op.code('NN')), 'sparse tensor'],
  ['a quantized tensor', call('torch._utils', '_rebuild_qtensor', storage('QInt8Storage', 3)), 'quantized tensor'],
  ['a storage alone', storage('FloatStorage', 2), 'storage without a tensor'],
  [
    'a tensor of a class of its own',
    call(
      'torch._tensor',
      '_rebuild_from_type_v2',
      op.global('torch._utils', '_rebuild_tensor_v2'),
      op.global('my', 'Tensor'),
      op.code('(tN'),
    ),
    'my.Tensor, a tensor of a class of its own',
  ],
])('%s beside weights does not stop them, and is named', async (_, extra, kind) => {
  const file = beside(extra, [{ name: 'x/data/1', content: Buffer.alloc(16) }]);
  const source = openTensorsSync(file);
  expect([...source.entries.keys()]).toEqual(['state_dict.w']);
  expect([...source.read('state_dict.w')]).toEqual([1, 2, 3, 4, 5, 6]);
  expect([...source.leftOut.values()].map((entry) => [entry.name, entry.kind])).toEqual([['extra', kind]]);
  expect((await weightsError(() => source.read('extra'))).message).toContain(`extra is there but not read (${kind})`);
  source.close();
});

test('parameters and tensors with attributes of their own are tensors', () => {
  const inner = Buffer.concat([
    op.code('('),
    storage('FloatStorage', 2),
    op.code('K\x00K\x02\x85K\x01\x85\x89'),
    hooks,
    op.code('t'),
  ]);
  const extra = call(
    'torch._tensor',
    '_rebuild_from_type_v2',
    op.global('torch._utils', '_rebuild_tensor_v2'),
    op.global('torch', 'Tensor'),
    inner,
    bit('note'),
  );
  const source = openTensorsSync(
    beside(extra, [{ name: 'x/data/1', content: Buffer.from(Float32Array.of(7, 8).buffer) }]),
  );
  expect([...source.read('extra')]).toEqual([7, 8]);
  source.close();
});

test.each<[string, string, Buffer, number[]]>([
  ['uint16', 'uint16', Buffer.from(Uint16Array.of(1, 65535).buffer), [1, 65535]],
  ['uint32', 'uint32', Buffer.from(Uint32Array.of(1, 2 ** 31).buffer), [1, 2 ** 31]],
  ['uint64', 'uint64', Buffer.from(BigUint64Array.of(3n, 2n ** 63n).buffer), [3, 2 ** 63]],
  ['float32 over plain bytes', 'float32', Buffer.from(Float32Array.of(0.5, -2).buffer), [0.5, -2]],
])('%s is read', (_, dtype, content, values) => {
  const source = openTensorsSync(beside(typed(dtype, content.length), [{ name: 'x/data/1', content }]));
  expect([...source.read('extra')]).toEqual(values);
  expect([...source.readDoubles('extra')]).toEqual(values);
  source.close();
});

test('a typed tensor that reaches beyond its bytes is refused', async () => {
  expect(
    (
      await weightsError(() =>
        openTensorsSync(beside(typed('uint16', 3), [{ name: 'x/data/1', content: Buffer.alloc(3) }])),
      )
    ).message,
  ).toMatch(/extra: .* reaches value 1 of a storage of 1/);
});

test('the negative bit turns the sign, of views too', () => {
  const content = Buffer.from(Float32Array.of(1, 2, -3, 4).buffer);
  // z.conj().imag of [1+2i, -3+4i] begins at the first imaginary part; here from the first element, every other.
  const source = openTensorsSync(beside(view('FloatStorage', 4, bit('neg'), 2), [{ name: 'x/data/1', content }]));
  expect([...source.read('extra')]).toEqual([-1, 3]);
  expect([...source.readDoubles('extra')]).toEqual([-1, 3]);
  source.close();
  const half = openTensorsSync(
    beside(view('HalfStorage', 2, bit('neg')), [
      { name: 'x/data/1', content: Buffer.from(Uint16Array.of(0x3c00, 0xc000).buffer) },
    ]),
  );
  expect([...half.read('extra')]).toEqual([-1, 2]);
  half.close();
});

test('rows of a matrix with the negative bit', () => {
  const matrix = call(
    'torch._utils',
    '_rebuild_tensor_v2',
    storage('FloatStorage', 4),
    op.code('K\x00K\x02K\x02\x86K\x02K\x01\x86\x89'),
    hooks,
    bit('neg'),
  );
  const source = openTensorsSync(
    beside(matrix, [{ name: 'x/data/1', content: Buffer.from(Float32Array.of(1, 2, 3, 4).buffer) }]),
  );
  expect([...source.readRows('extra', [1])]).toEqual([-3, -4]);
  source.close();
});

test('where a network needs what is not read, it says so, and does not pass over a tensor that it has no place for', async () => {
  const source = openTensorsSync(beside(typed('float8_e5m2', 2), [{ name: 'x/data/1', content: Buffer.alloc(2) }]));
  const reader = new WeightReader(source);
  reader.take('state_dict.w', [2, 3]);
  expect((await weightsError(() => reader.take('extra', [2]))).message).toContain(
    'extra is there but not read (float8_e5m2 tensor)',
  );
  expect((await weightsError(() => reader.finish())).message).toContain('extra (float8_e5m2 tensor)');
  reader.finish([/^extra$/]);
  const object = openTensorsSync(beside(call('pathlib', 'Path')));
  const other = new WeightReader(object);
  other.take('state_dict.w', [2, 3]);
  other.finish();
  source.close();
  object.close();
});

test.each<[string, Buffer, string, RegExp]>([
  [
    'an object instead of a state dict',
    Buffer.concat([op.global('torch.nn.modules.linear', 'Linear'), op.code(')\x81}b')]),
    'weights/unsafe-pickle',
    /the whole of it \(torch\.nn\.modules\.linear\.Linear\).*state_dict/,
  ],
  [
    'an object in its place',
    Buffer.concat([op.code('}'), op.text('model'), op.global('__main__', 'Net'), op.code(')\x81}bs')]),
    'weights/unsafe-pickle',
    /but model \(__main__\.Net\)/,
  ],
  [
    'tensors of other kinds only',
    Buffer.concat([op.code('}'), op.text('a'), typed('float8_e5m2', 2), op.code('s')]),
    'weights/dtype',
    /but a \(float8_e5m2 tensor\)/,
  ],
])('%s is refused by name', async (_, body, code, message) => {
  const error = await weightsError(() => openTensorsSync(scratch.file(`none-${counter++}.pt`, torchZip(pickle(body)))));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test('a name that runs programs ends the reading, also beside weights, and the entry is named', async () => {
  const args = Buffer.concat([
    op.code('}'),
    op.text('hook'),
    op.global('posix', 'system'),
    op.text('touch /tmp/owned'),
    op.code('\x85Rs'),
  ]);
  const error = await weightsError(() => openTensorsSync(beside(args)));
  expect(error.code).toBe('weights/unsafe-pickle');
  expect(error.message).toMatch(/\.pt: extra\.hook: the checkpoint refers to posix\.system/);
});

test('keys that are no texts are told apart, and settings are kept as they are', () => {
  const source = openTensorsSync(beside(Buffer.concat([op.code('}(K\x01K\x02\x86K\x05NK\x06u')])));
  expect(source).toBeInstanceOf(TorchCheckpointSource);
  expect(source instanceof TorchCheckpointSource && [...source.plain.keys()]).toEqual(['extra']);
  source.close();
});

test('safetensors with a type that is not read beside one that is', () => {
  const file = scratch.file(
    'f8.safetensors',
    safetensors(
      {
        a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
        b: { dtype: 'F8_E4M3', shape: [3], data_offsets: [4, 7] },
        c: { dtype: 'U16', shape: [1], data_offsets: [7, 9] },
      },
      Buffer.of(0, 0, 0, 64, 1, 2, 3, 0xff, 0xff),
    ),
  );
  const source = openTensorsSync(file);
  expect([...source.read('a'), ...source.read('c')]).toEqual([2, 65535]);
  expect([...source.leftOut.values()]).toEqual([{ name: 'b', kind: 'tensor of type "F8_E4M3"', isTensor: true }]);
  source.close();
});

function safetensors(header: object | string, data: Uint8Array): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return Buffer.concat([uint32(json.length), uint32(0), json, data]);
}

test.each([
  ['a', '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}'],
  ['dtype', '{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}'],
])('the key %s given twice in a header is refused by name', async (key, header) => {
  const error = await weightsError(() =>
    openTensorsSync(scratch.file('twice.safetensors', safetensors(header, Buffer.alloc(4)))),
  );
  expect(error.message).toContain(`gives the same key twice in one object: ${key}`);
});

test('a colon and a quote inside texts are no keys', () => {
  const header = { __metadata__: { 'a:"b\\': '{"x":1}:[' }, a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } };
  const source = openTensorsSync(scratch.file('quotes.safetensors', safetensors(header, Buffer.alloc(4))));
  expect({ ...source.metadata }).toEqual(header.__metadata__);
  source.close();
});

test('names that JavaScript knows are written and read like any other; the name of the metadata is refused', async () => {
  const file = scratch.file('names.safetensors', Buffer.alloc(0));
  const one = (value: number): { dtype: 'float32'; shape: number[]; data: Float32Array } => ({
    dtype: 'float32',
    shape: [1],
    data: Float32Array.of(value),
  });
  writeSafetensors(
    file,
    Object.fromEntries([
      ['__proto__', one(1)],
      ['constructor', one(2)],
    ]),
    Object.fromEntries([['__proto__', 'text']]),
  );
  const source = openTensorsSync(file);
  expect([...source.entries.keys()].sort()).toEqual(['__proto__', 'constructor']);
  expect([...source.read('__proto__')]).toEqual([1]);
  expect(Object.entries(source.metadata)).toEqual([['__proto__', 'text']]);
  source.close();
  const before = fs.readFileSync(file);
  expect((await weightsError(() => writeSafetensors(file, { __metadata__: one(1) }))).code).toBe('weights/name');
  expect(fs.readFileSync(file).equals(before)).toBe(true);
});

test('inspect and convert say what was left out', async () => {
  const file = beside(call('pathlib', 'Path'));
  const shown = await runCrane('weights', 'inspect', file);
  expect(shown.code).toBe(0);
  expect(shown.out).toContain('Left out, since only plain tensors are read: extra (pathlib.Path)');
  expect(
    (JSON.parse((await runCrane('weights', 'inspect', file, '--json')).out) as { leftOut: unknown }).leftOut,
  ).toEqual([{ name: 'extra', kind: 'pathlib.Path' }]);
  const converted = await runCrane('weights', 'convert', file, `${file}.safetensors`);
  expect(converted.code).toBe(0);
  expect(converted.out).toContain('Not written, since only plain tensors are: extra (pathlib.Path)');
});

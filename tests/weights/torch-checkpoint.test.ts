import * as fs from 'node:fs';
import { openTensors, openTensorsSync } from '../../lib/weights/open';
import { PickleDict, type PickleValue } from '../../lib/weights/pickle-values';
import { TorchCheckpointSource } from '../../lib/weights/torch-checkpoint';
import { describeWithGoldens, golden, goldenPath, hasGolden, testEachGolden, testWithGoldens } from '../goldens';
import {
  checkpoint,
  expectSameValues,
  op,
  pickle,
  type PickledView,
  scratchFolder,
  tensor,
  torchZip,
  weightsError,
} from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

let counter = 0;
const save = (content: Uint8Array): string => scratch.file(`checkpoint-${counter++}.pth`, content);
const load = (content: Uint8Array): TorchCheckpointSource => openTensorsSync(save(content)) as TorchCheckpointSource;
const refuse = (content: Uint8Array): ReturnType<typeof weightsError> => weightsError(() => openTensors(save(content)));

/** Dictionaries as objects. */
function plainly(value: PickleValue): unknown {
  if (value instanceof PickleDict) return Object.fromEntries([...value].map(([key, member]) => [key, plainly(member)]));
  return Array.isArray(value) ? (value as readonly PickleValue[]).map(plainly) : value;
}

interface Zoo {
  readonly meta: Record<string, unknown>;
  readonly tensors: Record<string, { dtype: string; shape: number[]; values: (number | string)[] }>;
}

describeWithGoldens('checkpoints that PyTorch wrote', () => {
  test.each(['torch_zoo.pth', 'torch_zoo_legacy.pth'])(
    '%s: every type, view and plain value is exact',
    async (file) => {
      const zoo = JSON.parse(fs.readFileSync(goldenPath('torch_zoo.json'), 'utf8')) as Zoo;
      const source = (await openTensors(goldenPath(file))) as TorchCheckpointSource;
      expect([...source.entries.keys()].sort()).toEqual(
        Object.keys(zoo.tensors)
          .map((name) => `zoo.${name}`)
          .sort(),
      );
      for (const [name, { dtype, shape, values }] of Object.entries(zoo.tensors)) {
        expect(source.entries.get(`zoo.${name}`)).toMatchObject({ dtype, shape });
        const wanted = values.map((value) => (value === 'inf' ? Infinity : Number(value)));
        expect([name, ...source.readDoubles(`zoo.${name}`)]).toEqual([name, ...wanted]);
        // 1e300 and 2^31 - 1 are no float32.
        if (name === 'f64' || name === 'i32')
          expect((await weightsError(() => source.read(`zoo.${name}`))).code).toBe('weights/range');
        else expect([name, ...source.read(`zoo.${name}`)]).toEqual([name, ...wanted.map(Math.fround)]);
      }
      expect(plainly(new PickleDict([...source.plain]))).toEqual({ meta: zoo.meta });
      expect([...source.readIntegers('zoo.i32')]).toEqual([-2147483648, 2147483647]);
      expect([...source.readIntegers('zoo.flag')]).toEqual([1, 0, 1]);
      expect((await weightsError(() => source.readIntegers('zoo.i64'))).message).toContain('1099511627776');
      expect((await weightsError(() => source.readIntegers('zoo.f32'))).code).toBe('weights/dtype');
      source.close();
    },
  );

  testWithGoldens('vfm_dinov2_f16.pth', 'vfm_dinov2.safetensors')('float16 DINOv2 equals its safetensors', () => {
    const [half, plain] = [
      openTensorsSync(goldenPath('vfm_dinov2_f16.pth')),
      openTensorsSync(goldenPath('vfm_dinov2.safetensors')),
    ];
    expect([...half.entries.keys()].sort()).toEqual([...plain.entries.keys()].sort());
    for (const name of plain.entries.keys()) {
      expect(half.entries.get(name)).toMatchObject({ dtype: 'float16', shape: plain.entries.get(name)?.shape });
      expectSameValues(half.read(name), plain.read(name));
      expectSameValues(plain.read(name), golden(`vfm_dinov2.safetensors#${name}`).data);
    }
    half.close();
    plain.close();
  });

  const published = hasGolden('published/published.json')
    ? (
        JSON.parse(fs.readFileSync(goldenPath('published/published.json'), 'utf8')) as {
          files: Record<
            string,
            Record<
              string,
              { shape: number[]; dtype: string; sum: number; abs_sum: number; first: number[]; last: number }
            >
          >;
        }
      ).files
    : {};
  testEachGolden(
    Object.entries(published).map(([file, tensors]): [string, typeof tensors] => [`published/${file}`, tensors]),
    '%s has the published shapes and sums',
    (file, tensors) => {
      const source = openTensorsSync(goldenPath(file));
      expect([...source.entries.keys()]).toEqual(Object.keys(tensors).map((name) => `prompt_learner.${name}`));
      for (const [name, wanted] of Object.entries(tensors)) {
        const values = source.readDoubles(`prompt_learner.${name}`);
        expect(source.entries.get(`prompt_learner.${name}`)).toMatchObject({
          shape: wanted.shape,
          dtype: wanted.dtype,
        });
        expect(Math.abs(values.reduce((sum, value) => sum + value, 0) - wanted.sum)).toBeLessThan(1e-9);
        expect(Math.abs(values.reduce((sum, value) => sum + Math.abs(value), 0) - wanted.abs_sum)).toBeLessThan(1e-9);
        expect([...values.subarray(0, 5)]).toEqual(wanted.first);
        expect(values.at(-1)).toBe(wanted.last);
      }
      source.close();
    },
  );
});

describe('views', () => {
  const read = (view: PickledView): number[] => [...load(checkpoint([{ name: 'v', ...view }])).read('v')];

  test.each<[string, PickledView, number[]]>([
    ['row-major', {}, [0, 1, 2, 3, 4, 5]],
    ['transposed', { shape: [3, 2], strides: [1, 3] }, [0, 3, 1, 4, 2, 5]],
    ['every other, from an offset', { shape: [2], strides: [2], offset: 3 }, [3, 5]],
    ['expanded', { shape: [2, 2], strides: [0, 1], offset: 1 }, [1, 2, 1, 2]],
    ['overlapping windows', { shape: [3, 2], strides: [1, 1] }, [0, 1, 1, 2, 2, 3]],
    ['unit axes whose strides exceed the storage', { shape: [1, 1, 2], strides: [900, 600, 3] }, [0, 3]],
    ['scalar', { shape: [], strides: [], offset: 5 }, [5]],
    ['empty, whatever its offset', { shape: [0, 3], strides: [3, 1], offset: 99 }, []],
    ['three axes in disorder', { shape: [2, 1, 3], strides: [1, 77, 2] }, [0, 2, 4, 1, 3, 5]],
  ])('%s', (_, view, wanted) => {
    expect(read(view)).toEqual(wanted);
  });

  test.each<[string, PickledView]>([
    ['reaches beyond the storage', { shape: [7], strides: [1] }],
    ['reaches beyond it by its stride', { shape: [2], strides: [6] }],
    ['reaches beyond it by its offset', { shape: [2, 3], offset: 1 }],
    ['has a negative stride', { shape: [2], strides: [-1], offset: 5 }],
    ['has a negative size', { shape: [-2], strides: [1] }],
    ['has a negative offset', { shape: [2], strides: [1], offset: -1 }],
    ['has more sizes than strides', { shape: [2, 3], strides: [1] }],
    ['overflows when counted', { shape: [2 ** 30, 2 ** 30], strides: [0, 0] }],
    ['claims a storage larger than the record', { shape: [7], strides: [1], count: 7 }],
    ['claims a storage smaller than the record', { shape: [5], strides: [1], count: 5 }],
    ['names a storage that is not there', { key: '1' }],
    ['names a storage outside of the archive', { key: '../../../../etc/passwd' }],
    ['has a type of storage that is not known', { type: 'ComplexFloatStorage' }],
  ])('an error where a tensor %s', async (_, view) => {
    expect((await refuse(checkpoint([view]))).message).toMatch(/checkpoint-\d+\.pth/);
  });

  test('a view spread over billions of values is listed, but not read', async () => {
    const source = load(checkpoint([{ name: 'bomb', shape: [100_000, 100_000], strides: [0, 0] }]));
    expect((await weightsError(() => source.read('bomb'))).code).toBe('weights/limit');
  });

  test('two names for one storage are two tensors', () => {
    const source = load(checkpoint([{ name: 'a' }, { name: 'b', shape: [2], strides: [1], offset: 4 }]));
    expect([...source.read('a'), ...source.read('b')]).toEqual([0, 1, 2, 3, 4, 5, 4, 5]);
  });
});

test('a checkpoint from a big-endian machine is refused', async () => {
  const bytes = torchZip(pickle(op.code('}')), [{ name: 'x/byteorder', content: Buffer.from('big') }]);
  expect((await refuse(bytes)).code).toBe('weights/byte-order');
});

test('a flipped bit in the values is found by the checksum', async () => {
  const bytes = checkpoint([{ name: 'a' }]);
  const at = bytes.indexOf(Buffer.from(Float32Array.of(3).buffer));
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  const source = load(bytes);
  expect((await weightsError(() => source.read('a'))).code).toBe('weights/checksum');
});

test('an OrderedDict given as pairs, lists, and numbers as keys', () => {
  const whole = pickle(
    op.global('collections', 'OrderedDict'),
    op.code('('), // the list of pairs
    op.code('('),
    op.text('a'),
    op.code('}K\x07'),
    tensor({}),
    op.code('st'),
    op.code('('),
    op.text('b'),
    op.code(']'),
    tensor({}),
    op.code('at'),
    op.code('l\x85R'),
  );
  const source = load(torchZip(whole, [{ name: 'x/data/0', content: Buffer.alloc(24) }]));
  expect([...source.entries.keys()]).toEqual(['a.7', 'b.0']);
});

test.each<[string, Buffer]>([
  ['from a number', op.code('K\x01\x85R')],
  ['with an entry that is no pair', op.code('(K\x01l\x85R')],
  ['with an entry without a name', op.code('((K\x01K\x02tl\x85R')],
])('an OrderedDict %s is refused', async (_, body) => {
  expect((await refuse(torchZip(pickle(op.global('collections', 'OrderedDict'), body)))).message).toContain(
    'OrderedDict',
  );
});

test('names repeat only by mistake', async () => {
  const twice = pickle(
    op.code('}('),
    op.text('a.b'),
    tensor({}),
    op.text('a'),
    op.code('}('),
    op.text('b'),
    tensor({}),
    op.code('uu'),
  );
  const bytes = torchZip(twice, [{ name: 'x/data/0', content: Buffer.alloc(24) }]);
  expect((await refuse(bytes)).message).toContain('two tensors are named a.b');
});

test('a closed source says that it is closed', async () => {
  const source = load(checkpoint([{ name: 'a' }]));
  source.close();
  source.close();
  expect((await weightsError(() => source.read('a'))).code).toBe('weights/closed');
  expect((await weightsError(() => source.read('b'))).code).toBe('weights/missing');
});

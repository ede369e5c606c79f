import * as fc from 'fast-check';
import * as path from 'node:path';
import { openTensorsSync } from '../../lib/weights/open';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { editDistance } from '../../lib/nearest-name';
import { type NameMapping, WeightReader } from '../../lib/weights/weight-reader';
import { scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const counting = (...shape: number[]): TensorToWrite => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => index),
});

function reader(mapping?: NameMapping, ignorable: RegExp[] = []): WeightReader {
  const file = path.join(scratch.folder, 'weights.safetensors');
  writeSafetensors(file, {
    'block.weight': counting(2, 3),
    'block.bias': counting(2),
    'other.weight': counting(2, 3),
    position_ids: counting(4),
  });
  return new WeightReader(openTensorsSync(file), { ...(mapping ? { mapping } : {}), ignorable });
}

test('takes tensors by name and shape', () => {
  const weights = reader();
  expect(weights.has('block.weight')).toBe(true);
  expect(weights.has('block.wait')).toBe(false);
  expect(weights.shapeOf('block.weight')).toEqual([2, 3]);
  expect([...weights.take('block.weight', [2, 3])]).toEqual([0, 1, 2, 3, 4, 5]);
});

test('a missing tensor: the error shows path, shape and the nearest names', async () => {
  const error = await weightsError(() => reader().take('block.wight', [2, 3]));
  expect(error.code).toBe('weights/missing');
  expect(error.message).toMatch(
    /weights\.safetensors lacks block\.wight of shape \[2, 3\]\. Nearest names: block\.weight \[2, 3\], block\.bias \[2\], other\.weight \[2, 3\]$/,
  );
  expect(error.data).toMatchObject({ tensor: 'block.wight', expected: [2, 3] });
});

test.each([[[3, 2]], [[6]], [[2, 3, 1]], [[]]])(
  'a tensor of another shape than %j: the error shows both',
  async (shape) => {
    const error = await weightsError(() => reader().take('block.weight', shape));
    expect(error.code).toBe('weights/shape');
    expect(error.message).toContain(`block.weight has shape [2, 3], but [${shape.join(', ')}] is needed`);
    expect(error.data).toMatchObject({ found: [2, 3], expected: shape });
  },
);

test('what is left over is an error, unless it may be', async () => {
  const weights = reader(undefined, [/position_ids$/]);
  weights.take('block.weight', [2, 3]);
  weights.take('block.bias', [2]);
  const error = await weightsError(() => weights.finish());
  expect(error.code).toBe('weights/surplus');
  expect(error.message).toMatch(/holds a tensor that this network does not use: other\.weight \[2, 3\]$/);
  expect(() => weights.finish([/^other/])).not.toThrow();
});

describe('with a mapping', () => {
  const mapping: NameMapping = (name) =>
    name === 'joined'
      ? { from: ['block.weight', 'other.weight'] }
      : name === 'turned'
        ? { from: ['block.weight'], transposed: true }
        : name === 'bad'
          ? { from: ['block.weight', 'block.bias'] }
          : { from: [`block.${name}`] };

  test('parts are joined along the first axis and turned', () => {
    const weights = reader(mapping);
    expect(weights.shapeOf('joined')).toEqual([4, 3]);
    expect([...weights.take('joined', [4, 3])]).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    expect(weights.shapeOf('turned')).toEqual([3, 2]);
    expect([...weights.take('turned', [3, 2])]).toEqual([0, 3, 1, 4, 2, 5]);
    weights.finish([/bias/, /position_ids/]);
  });

  test("errors name both the network's name and the file's", async () => {
    expect((await weightsError(() => reader(mapping).take('scale', [2]))).message).toContain(
      'lacks scale (here block.scale) of shape [2]',
    );
    expect((await weightsError(() => reader(mapping).take('bad', [2]))).message).toContain(
      'cannot be put together from shapes [2, 3], [2]',
    );
  });
});

test('edit distance is a metric and agrees with its recursive definition', () => {
  const slow = (a: string, b: string): number => {
    if (a === '' || b === '') return a.length + b.length;
    return Math.min(
      slow(a.slice(1), b) + 1,
      slow(a, b.slice(1)) + 1,
      slow(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1),
    );
  };
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 5 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(slow(a, b));
      expect(editDistance(b, a)).toBe(editDistance(a, b));
    }),
  );
});

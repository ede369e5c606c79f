import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { convertWeights } from '../../cli/convert-weights';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { openClipWeights } from '../../lib/weights/clip-weights';
import { openTensorsSync } from '../../lib/weights/open';
import { op, pickle, tensor, torchZip } from '../weights/archives';
import { describeWithGoldens, goldenPath, testEachGolden, testWithGoldens } from '../goldens';

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-convert-'));
});

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Every tensor of a file, sorted by name, its values as a hash: jest compares long arrays slowly. */
function content(file: string): { name: string; shape: readonly number[]; values: string }[] {
  const source = openTensorsSync(file);
  try {
    return [...source.entries.values()]
      .map(({ name, shape }) => ({ name, shape, values: hashOf(source.read(name)) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    source.close();
  }
}

function hashOf(values: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}

describeWithGoldens('converting', () => {
  test('prompts to safetensors and back give the reference file again, fixed words included', async () => {
    const ours = path.join(folder, 'prompts.safetensors');
    const theirs = path.join(folder, 'prompts.pth');
    expect((await convertWeights(goldenPath('prompts_tiny.pth'), ours)).tensors).toBeLessThan(
      content(goldenPath('prompts_tiny.pth')).length,
    );
    await expect(convertWeights(ours, theirs)).rejects.toThrow(/name the backbone with --backbone/);
    expect(fs.existsSync(theirs)).toBe(false);
    await convertWeights(ours, theirs, { backbone: goldenPath('clip_tiny.safetensors') });
    expect(content(theirs)).toEqual(content(goldenPath('prompts_tiny.pth')));
  });

  testWithGoldens('published/trained_on_visa_crane_epoch_5.pth')(
    'a published file to .pth again keeps every value, without its backbone',
    async () => {
      const published = goldenPath('published/trained_on_visa_crane_epoch_5.pth');
      await convertWeights(published, path.join(folder, 'again.pth'));
      expect(content(path.join(folder, 'again.pth'))).toEqual(content(published));
    },
  );

  testWithGoldens('published/trained_on_visa_crane_epoch_5.pth')('a backbone of another width is refused', async () => {
    const ours = path.join(folder, 'prompts.safetensors');
    await convertWeights(goldenPath('published/trained_on_visa_crane_epoch_5.pth'), ours);
    await expect(
      convertWeights(ours, path.join(folder, 'x.pth'), { backbone: goldenPath('clip_tiny.safetensors') }),
    ).rejects.toThrow(/768 wide, but .* embeds words in 64/);
  });

  testEachGolden(
    [['clip_tiny.safetensors'], ['clip_tiny_torchscript.pt'], ['clip_tiny_statedict.pt'], ['clip_tiny_hf.safetensors']],
    '%s to safetensors is the same network',
    async (name) => {
      const file = path.join(folder, 'clip.safetensors');
      await convertWeights(goldenPath(name), file);
      expect(content(file)).toEqual(content(goldenPath(name)));
      const [before, after] = await Promise.all([openClipWeights(goldenPath(name)), openClipWeights(file)]);
      expect(after.sizes).toEqual(before.sizes);
      expect(after.activation).toBe(before.activation);
      before.close();
      after.close();
    },
  );

  testWithGoldens('clip_tiny_hf.safetensors')('float16 halves the file and rounds once; integers stay', async () => {
    const [wide, narrow] = [path.join(folder, 'wide.safetensors'), path.join(folder, 'narrow.safetensors')];
    await convertWeights(goldenPath('clip_tiny_hf.safetensors'), wide, { dtype: 'float32' });
    await convertWeights(goldenPath('clip_tiny_hf.safetensors'), narrow, { dtype: 'float16' });
    expect(fs.statSync(wide).size / fs.statSync(narrow).size).toBeCloseTo(2, 1);
    const source = openTensorsSync(narrow);
    const ids = [...source.entries.values()].filter((entry) => entry.dtype === 'int32').map((entry) => entry.name);
    source.close();
    expect(ids.length).toBeGreaterThan(0);
    // Every value of this file is one of half precision already.
    expect(content(narrow)).toEqual(content(wide));
  });

  test('a backbone as .pth, another suffix and a file that is there are wrong use', async () => {
    const from = goldenPath('formats.safetensors');
    await expect(convertWeights(from, path.join(folder, 'x.pth'))).rejects.toThrow(/holds no prompts/);
    await expect(convertWeights(from, path.join(folder, 'x.onnx'))).rejects.toThrow(/expected \.safetensors, or \.pth/);
    const there = path.join(folder, 'x.safetensors');
    fs.writeFileSync(there, 'mine');
    await expect(convertWeights(from, there)).rejects.toThrow(/--force/);
    expect(fs.readFileSync(there, 'utf8')).toBe('mine');
    await convertWeights(from, there, { force: true });
    expect(content(there)).toEqual(content(from));
  });
});

describe("OpenAI's state dict", () => {
  const sizes: ClipSizes = {
    embedDimension: 8,
    vision: { width: 64, layers: 1, heads: 1, patchSize: 2, gridSize: 1 },
    text: { width: 64, layers: 1, heads: 1, contextLength: 9, vocabularySize: 30 },
  };
  /** A pickled dictionary of tensors that show one number in every place. */
  const stateDict = (prefix: string): Buffer => {
    const items = [...clipParameterShapes(sizes)].flatMap(([name, shape]) => [
      op.text(prefix + name),
      tensor({ count: 1, shape, strides: shape.map(() => 0) }),
    ]);
    return Buffer.concat([op.code('}('), ...items, op.code('u')]);
  };

  test.each([
    ['bare', stateDict('')],
    [
      'as state_dict beside an epoch',
      Buffer.concat([
        op.code('}('),
        ...[op.text('epoch'), op.int(3), op.text('state_dict'), stateDict('')],
        op.code('u'),
      ]),
    ],
    ['of DistributedDataParallel', stateDict('module.')],
    ['of torch.compile', stateDict('_orig_mod.')],
  ])('%s: the converted file says quick-gelu, or what was asked for', async (_, content) => {
    const from = path.join(folder, 'wrapped.pt');
    const stored = { name: 'x/data/0', content: Buffer.from(Float32Array.of(1).buffer) };
    fs.writeFileSync(from, torchZip(pickle(content), [stored]));
    for (const [to, options, activation] of [
      ['usual.safetensors', {}, 'quick-gelu'],
      ['asked.safetensors', { network: { activation: 'gelu' } }, 'gelu'],
    ] as const) {
      await convertWeights(from, path.join(folder, to), options);
      const source = openTensorsSync(path.join(folder, to));
      source.close();
      expect(source.metadata['crane.activation']).toBe(activation);
    }
  });
});

describe('values that the type asked for cannot hold', () => {
  const source = (content: Uint8Array, type: string, count: number): string => {
    const file = path.join(folder, 'source.pt');
    const view = tensor({ type, count, shape: [count], strides: [1] });
    fs.writeFileSync(
      file,
      torchZip(pickle(op.code('}'), op.text('blocks.weight'), view, op.code('s')), [{ name: 'x/data/0', content }]),
    );
    return file;
  };
  const floats = (...values: number[]): string =>
    source(Buffer.from(Float32Array.from(values).buffer), 'FloatStorage', values.length);
  const target = (): string => path.join(folder, 'out.safetensors');

  test.each<['float16' | 'bfloat16', number[], RegExp]>([
    [
      'float16',
      [1, 65519, -1e5],
      /^blocks\.weight: the value -100000 at element 2 is outside the range of float16 \(largest 65504\) and would become infinite; store it as float32 or bfloat16$/,
    ],
    [
      'bfloat16',
      [3.3e38, 3.4e38],
      /^blocks\.weight: the value 3\.3\d*e\+38 at element 1 is outside the range of bfloat16 \(largest 3\.38\d*e\+38\)/,
    ],
  ])('%s: refused with name and value, and nothing is written', async (dtype, values, message) => {
    await expect(convertWeights(floats(...values), target(), { dtype })).rejects.toMatchObject({
      code: 'weights/range',
      message: expect.stringMatching(message) as string,
    });
    expect(fs.readdirSync(folder)).toEqual(['source.pt']);
  });

  test('infinities and numbers that are none stay what they are, and large ones fit bfloat16', async () => {
    await convertWeights(floats(Infinity, -Infinity, NaN, 65519), target(), { dtype: 'float16' });
    const narrow = openTensorsSync(target());
    expect([...narrow.read('blocks.weight')]).toEqual([Infinity, -Infinity, NaN, 65504]);
    narrow.close();
    await convertWeights(floats(1e5), target(), { dtype: 'bfloat16', force: true });
    const brain = openTensorsSync(target());
    // 100000 / 2^9 = 195.3, of which bfloat16 keeps 195.
    expect([...brain.read('blocks.weight')]).toEqual([195 * 512]);
    brain.close();
  });

  test('float64 beyond float32 is refused by name; smaller values are rounded', async () => {
    await expect(
      convertWeights(source(Buffer.from(Float64Array.of(0.1, -1e39).buffer), 'DoubleStorage', 2), target()),
    ).rejects.toMatchObject({
      code: 'weights/range',
      message: expect.stringMatching(
        /source\.pt: blocks\.weight: -1e\+39 at element 1 is outside the range of float32/,
      ) as string,
    });
    await convertWeights(source(Buffer.from(Float64Array.of(0.1, Infinity).buffer), 'DoubleStorage', 2), target());
    const read = openTensorsSync(target());
    expect([...read.read('blocks.weight')]).toEqual([Math.fround(0.1), Infinity]);
    read.close();
  });

  test('integers that float32 or 32 bits cannot hold are refused, others are exact', () => {
    const integers = (...values: bigint[]): ReturnType<typeof openTensorsSync> =>
      openTensorsSync(source(Buffer.from(BigInt64Array.from(values).buffer), 'LongStorage', values.length));
    const name = 'blocks.weight';
    const exact = integers(2n ** 24n, -(2n ** 24n), 2n ** 40n);
    expect([...exact.read(name)]).toEqual([2 ** 24, -(2 ** 24), 2 ** 40]);
    const odd = integers(5n, 2n ** 24n + 1n);
    expect(() => odd.read(name)).toThrow(
      /blocks\.weight: the integer 16777217 at element 1 cannot be represented as float32/,
    );
    expect([...odd.readDoubles(name)]).toEqual([5, 2 ** 24 + 1]);
    const vast = integers(2n ** 53n + 1n);
    expect(() => vast.readDoubles(name)).toThrow(/9007199254740993 at element 0 cannot be represented as float64/);
    expect(() => vast.readIntegers(name)).toThrow(/does not fit a 32-bit integer/);
    for (const opened of [exact, odd, vast]) opened.close();
  });
});

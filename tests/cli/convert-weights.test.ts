import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { convertWeights } from '../../cli/convert-weights';
import { openClipWeights } from '../../lib/weights/clip-weights';
import { openTensorsSync } from '../../lib/weights/open';
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
    return [...source.entries.values()].map(({ name, shape }) => ({ name, shape, values: hashOf(source.read(name)) })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    source.close();
  }
}

function hashOf(values: Float32Array): string {
  return createHash('sha256').update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex');
}

describeWithGoldens('converting', () => {
  test('prompts to safetensors and back give the reference file again, fixed words included', async () => {
    const ours = path.join(folder, 'prompts.safetensors');
    const theirs = path.join(folder, 'prompts.pth');
    expect((await convertWeights(goldenPath('prompts_tiny.pth'), ours)).tensors).toBeLessThan(content(goldenPath('prompts_tiny.pth')).length);
    await expect(convertWeights(ours, theirs)).rejects.toThrow(/name the backbone with --backbone/);
    expect(fs.existsSync(theirs)).toBe(false);
    await convertWeights(ours, theirs, { backbone: goldenPath('clip_tiny.safetensors') });
    expect(content(theirs)).toEqual(content(goldenPath('prompts_tiny.pth')));
  });

  testWithGoldens('published/trained_on_visa_crane_epoch_5.pth')('a published file to .pth again keeps every value, without its backbone at hand', async () => {
    const published = goldenPath('published/trained_on_visa_crane_epoch_5.pth');
    await convertWeights(published, path.join(folder, 'again.pth'));
    expect(content(path.join(folder, 'again.pth'))).toEqual(content(published));
  });

  testWithGoldens('published/trained_on_visa_crane_epoch_5.pth')('a backbone of another width is refused', async () => {
    const ours = path.join(folder, 'prompts.safetensors');
    await convertWeights(goldenPath('published/trained_on_visa_crane_epoch_5.pth'), ours);
    await expect(convertWeights(ours, path.join(folder, 'x.pth'), { backbone: goldenPath('clip_tiny.safetensors') })).rejects.toThrow(/768 wide .* embeds words in 64/);
  });

  testEachGolden([['clip_tiny.safetensors'], ['clip_tiny_torchscript.pt'], ['clip_tiny_statedict.pt'], ['clip_tiny_hf.safetensors']], '%s to safetensors is the same network', async (name) => {
    const file = path.join(folder, 'clip.safetensors');
    await convertWeights(goldenPath(name), file);
    expect(content(file)).toEqual(content(goldenPath(name)));
    const [before, after] = await Promise.all([openClipWeights(goldenPath(name)), openClipWeights(file)]);
    expect(after.sizes).toEqual(before.sizes);
    expect(after.activation).toBe(before.activation);
    before.close();
    after.close();
  });

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

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../../lib/errors';
import { openTensorsSync } from '../../lib/weights/open';
import { describeWithGoldens, goldenPath, testEachGolden } from '../goldens';
import { checkpoint, scratchFolder, weightsError } from './archives';

/** Opens a file and reads all of it; whatever is wrong must come out as a WeightsError. True where nothing is. */
function readsAll(file: string, tensors = Infinity): boolean {
  let source: ReturnType<typeof openTensorsSync> | undefined;
  try {
    source = openTensorsSync(file);
    let read = 0;
    for (const name of source.entries.keys()) {
      if (read++ < tensors) source.readDoubles(name);
    }
    return true;
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    expect(error.message.length).toBeLessThan(2000);
    return false;
  } finally {
    source?.close();
  }
}

/** Seeded numbers from 0 to 1 (mulberry32), so that a failure can be found again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const files = [
  'clip_tiny.safetensors',
  'clip_tiny_hf.safetensors',
  'clip_tiny_statedict.pt',
  'clip_tiny_torchscript.pt',
  'prompts_tiny.pth',
  'prompts_train_start.pth',
  'torch_zoo.pth',
  'torch_zoo_legacy.pth',
  'vfm_dinov2_f16.pth',
  'vfm_sam.safetensors',
  'published/trained_on_visa_crane_epoch_5.pth',
].map((name): [string] => [name]);

describeWithGoldens('damaged files', () => {
  testEachGolden(files, '%s, cut at every hundredth, is an error', (name) => {
    const file = path.join(scratch.folder, path.basename(name));
    fs.copyFileSync(goldenPath(name), file);
    const size = fs.statSync(file).size;
    const survived: number[] = [];
    for (let percent = 99; percent >= 0; percent--) {
      fs.truncateSync(file, Math.floor((size * percent) / 100));
      if (readsAll(file)) survived.push(percent);
    }
    expect(survived).toEqual([]);
  });

  testEachGolden(files, '%s with random bytes changed is read or is an error', (name) => {
    const file = path.join(scratch.folder, path.basename(name));
    fs.copyFileSync(goldenPath(name), file);
    const { size } = fs.statSync(file);
    const next = random(size);
    const descriptor = fs.openSync(file, 'r+');
    const original = Buffer.alloc(8);
    // Headers, pickles and directories stand at both ends, and there damage is most interesting.
    const ends = Math.min(size, 24_000);
    let refused = 0;
    const runs = 200;
    for (let run = 0; run < runs; run++) {
      const [where, length] = [next(), 1 + Math.floor(next() * 8)];
      const place = where < 0.45 ? next() * ends : where < 0.9 ? size - next() * ends : next() * size;
      const at = Math.min(size - length, Math.floor(place));
      fs.readSync(descriptor, original, 0, length, at);
      fs.writeSync(
        descriptor,
        Uint8Array.from({ length }, () => (next() < 0.3 ? 0xff : next() * 256)),
        0,
        length,
        at,
      );
      if (!readsAll(file, size > 1e6 ? 3 : Infinity)) refused++;
      fs.writeSync(descriptor, original, 0, length, at);
    }
    fs.closeSync(descriptor);
    expect(readsAll(file)).toBe(true);
    // Values themselves may change unnoticed where a format has no checksums; headers may not.
    expect(refused).toBeGreaterThan(runs / 20);
  });
});

test('a small checkpoint with any single byte changed is read or is an error', () => {
  const bytes = checkpoint([{ name: 'a' }, { name: 'b', shape: [2], strides: [2], offset: 1 }]);
  const file = scratch.file('small.pt', bytes);
  const descriptor = fs.openSync(file, 'r+');
  let refused = 0;
  bytes.forEach((original, at) => {
    for (const value of [0xff, original ^ 1]) {
      fs.writeSync(descriptor, Uint8Array.of(value), 0, 1, at);
      if (!readsAll(file)) refused++;
    }
    fs.writeSync(descriptor, Uint8Array.of(original), 0, 1, at);
  });
  fs.closeSync(descriptor);
  // Sizes, names, places and checksums hold together nearly everywhere.
  expect(refused).toBeGreaterThan(bytes.length);
  expect(readsAll(file)).toBe(true);
});

(fs.existsSync('/proc/self/fd') ? test : test.skip)('no descriptor stays open after an error', () => {
  const open = (): number => fs.readdirSync('/proc/self/fd').length;
  const file = scratch.file('bad.pt', checkpoint([{ name: 'a' }]).subarray(0, 300));
  const before = open();
  for (let run = 0; run < 20; run++) expect(readsAll(file)).toBe(false);
  expect(open()).toBe(before);
});

test('a pipe is refused without waiting for its other end', async () => {
  const pipe = path.join(scratch.folder, 'pipe.pt');
  execFileSync('mkfifo', [pipe]);
  expect((await weightsError(() => openTensorsSync(pipe))).message).toContain('not a regular file');
});

test.each<[string, Uint8Array, RegExp]>([
  ['empty', new Uint8Array(0), /is empty/],
  ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), /Git LFS pointer/],
  ['a web page', Buffer.from('<!DOCTYPE html><html></html>'), /web page/],
  ['a bare pickle', Buffer.from([0x80, 4, 0x4e, 0x2e]), /Python pickle/],
  ['noise', Buffer.from('0123456789abcdef'), /not a known weights file/],
  ['one byte', Buffer.from('P'), /not a known weights file/],
])('a file that is %s says what it seems to be', async (_, bytes, message) => {
  expect((await weightsError(() => openTensorsSync(scratch.file('odd', bytes)))).message).toMatch(message);
});

test('a path that is not there, and a folder without weights', async () => {
  for (const nowhere of [
    '/no/such/file.pt',
    'nul\0byte.pt',
    '',
    `${'x'.repeat(5000)}.pt`,
    path.join(scratch.file('plain', new Uint8Array(1)), 'below.pt'),
  ]) {
    expect((await weightsError(() => openTensorsSync(nowhere))).code).toBe('weights/not-found');
  }
  expect((await weightsError(() => openTensorsSync(scratch.folder))).message).toContain('looked for model.safetensors');
});

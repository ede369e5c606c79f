import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { openTensorsSync } from '../../lib/weights/open';
import { checkpoint, scratchFolder } from '../weights/archives';
import { jsonLines, runCrane } from './run-crane';

jest.setTimeout(120_000);

const scratch = scratchFolder();
afterAll(() => scratch.remove());

let picture: string;
beforeAll(async () => {
  picture = path.join(scratch.folder, 'part.png');
  await sharp(Buffer.from(Array.from({ length: 112 * 112 * 3 }, (_, at) => (at * 37) % 251)), {
    raw: { width: 112, height: 112, channels: 3 },
  })
    .png()
    .toFile(picture);
});

/** A file of one number seen in every place. */
function clipFile(name: string, width: number, prefix = ''): string {
  const sizes: ClipSizes = {
    embedDimension: 8,
    vision: { width, layers: 1, heads: 1, patchSize: 2, gridSize: 1 },
    text: { width: 64, layers: 1, heads: 1, contextLength: 9, vocabularySize: 30 },
  };
  const views = [...clipParameterShapes(sizes)].map(([tensor, shape]) => ({
    name: prefix + tensor,
    count: 1,
    shape: [...shape],
    strides: shape.map(() => 0),
  }));
  return scratch.file(name, checkpoint(views, 1));
}

const scoreOf = async (...options: string[]): Promise<unknown> => {
  const { code, out, err } = await runCrane('detect', picture, '--json', '-', ...options);
  expect([code, err]).toEqual([0, expect.any(String)]);
  return jsonLines(out)[0]?.['score'];
};

test('--activation and --heads overrule the file, on the command line and in a file of options', async () => {
  const usual = await scoreOf();
  const gelu = await scoreOf('--activation', 'gelu');
  const heads = await scoreOf('--heads', '4,1');
  expect(new Set([usual, gelu, heads]).size).toBe(3);
  expect(await scoreOf('--activation', 'quick-gelu', '--heads', '2,2')).toBe(usual);
  const config = path.join(scratch.folder, 'options.yaml');
  fs.writeFileSync(config, 'activation: gelu\nheads: 2\n');
  expect(await scoreOf('--config', config)).toBe(gelu);
});

test.each<[string[], RegExp]>([
  [['--heads', '0'], /--heads 0: expected attention heads/],
  [['--heads', '2,2,2'], /--heads 2,2,2: expected/],
  [['--heads', 'many'], /--heads many: expected/],
  [['--activation', 'relu'], /quick-gelu/],
])('%j is wrong use', async (options, message) => {
  const { code, err } = await runCrane('detect', picture, ...options);
  expect(code).toBe(2);
  expect(err).toMatch(message);
});

test('weights inspect says what is computed with a CLIP, and what was a guess', async () => {
  const file = clipFile('bare.pt', 64, 'module.');
  const { code, out } = await runCrane('weights', 'inspect', file);
  expect(code).toBe(0);
  expect(out).toMatch(
    /CLIP: vision tower of 1 block of 64 channels in 1 head, .*activation quick-gelu; images resized to a square bicubically, mean 0\.48145466/,
  );
  expect(out).toMatch(/Nothing in or beside bare\.pt says which activation/);
  const { clip } = JSON.parse((await runCrane('weights', 'inspect', file, '--activation', 'gelu', '--json')).out) as {
    clip: object;
  };
  expect(clip).toMatchObject({ activation: 'gelu', guesses: [], sizes: { vision: { heads: 1 } } });
});

test('weights inspect and convert take the heads of a width of no known network', async () => {
  const file = clipFile('wide.pt', 1152);
  const converted = path.join(scratch.folder, 'wide.safetensors');
  expect((await runCrane('weights', 'inspect', file)).out).toMatch(
    /Not a usable CLIP: .*1152 channels wide, unlike that of any published CLIP/,
  );
  expect((await runCrane('weights', 'inspect', file, '--heads', '16')).out).toContain('of 1152 channels in 16 heads');
  const refused = await runCrane('weights', 'convert', file, converted);
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('1152 channels wide');
  const { code, out } = await runCrane('weights', 'convert', file, converted, '--heads', '16', '--activation', 'gelu');
  expect(code).toBe(0);
  expect(out).not.toContain('Nothing in or beside');
  const source = openTensorsSync(converted);
  const { metadata } = source;
  source.close();
  expect(metadata).toMatchObject({
    'crane.activation': 'gelu',
    'crane.preprocessing': expect.stringContaining('0.48145466') as string,
  });
  expect(JSON.parse(metadata['crane.sizes'] as string)).toMatchObject({ vision: { width: 1152, heads: 16 } });
});

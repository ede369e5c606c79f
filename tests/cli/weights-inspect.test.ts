import * as fs from 'node:fs';
import * as path from 'node:path';
import { dinoParameterShapes } from '../weights/dino-parameter-shapes';
import { dinoMetadata } from '../../lib/weights/dino-weights';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { scratchFolder } from '../weights/archives';
import { goldenPath, testEachGolden } from '../goldens';
import { runCrane } from './run-crane';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const sizes = {
  width: 64,
  layers: 2,
  heads: 1,
  patchSize: 14,
  gridSize: 3,
  registers: 4,
  feedForward: 'swiglu',
  hidden: 16,
  layerScale: true,
} as const;

function write(metadata: Record<string, string>, width = 64, without?: string): string {
  const file = path.join(fs.mkdtempSync(path.join(scratch.folder, 'file-')), 'model.safetensors');
  const shapes = [...dinoParameterShapes({ ...sizes, width })].filter(([name]) => name !== without);
  const tensors = shapes.map(([name, shape]): [string, TensorToWrite] => [
    name,
    { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
  ]);
  writeSafetensors(file, Object.fromEntries(tensors), metadata);
  return file;
}

test('a vision model is described after its tensors, with how to use it', async () => {
  const file = write({});
  const { code, out } = await runCrane('weights', 'inspect', file);
  expect(code).toBe(0);
  expect(out).toContain('blocks.1.mlp.w12.weight');
  expect(out.trimEnd().split('\n').at(-1)).toBe(
    `DINOv2: 2 blocks of 64 channels in 1 head, patches of 14 px, native grid 3 x 3 (42 px), 4 registers, gated feed-forward. Use: --spatial dinov2 --spatial-weights ${file}`,
  );
});

test('for programs: family and sizes, without heads where nothing says how many', async () => {
  const spatialOf = async (file: string): Promise<unknown> =>
    (JSON.parse((await runCrane('weights', 'inspect', file, '--json')).out) as { spatial: unknown }).spatial;
  expect(await spatialOf(write({}))).toMatchObject({ family: 'dinov2', sizes });
  expect(await spatialOf(write(dinoMetadata('dinov2', { ...sizes, heads: 5 }), 40))).toMatchObject({
    family: 'dinov2',
    sizes: { width: 40, heads: 5 },
  });
  const untold = (await spatialOf(write({}, 40))) as { sizes: object; text: string };
  expect(untold.sizes).not.toHaveProperty('heads');
  expect(untold.text).toContain('40 channels in an unknown number of heads');
  expect(await spatialOf(write({}, 64, 'pos_embed'))).toEqual({
    problem: expect.stringContaining('lacks pos_embed') as string,
  });
});

testEachGolden(
  [
    [
      'vfm_sam.safetensors',
      /Image encoder of Segment Anything: 3 blocks of 32 channels in 2 heads, .* windows of 7, global attention in blocks 2; features of 24 channels\./,
    ],
    ['vfm_dino.safetensors', /DINO: 3 blocks of 48 channels/],
  ],
  '%s',
  async (file, line) => {
    expect((await runCrane('weights', 'inspect', goldenPath(file))).out).toMatch(line);
  },
);

testEachGolden(
  [['clip_tiny.safetensors']],
  '%s is no vision model for D-Attn, and nothing is said of one',
  async (file) => {
    const { out } = await runCrane('weights', 'inspect', goldenPath(file));
    expect(out).not.toMatch(/vision model|DINO|Segment/);
  },
);

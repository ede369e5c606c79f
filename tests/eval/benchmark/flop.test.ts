import { flopPerImage, type CountedModel } from '../../../lib/methods/crane/flop';
import { CLIP_VARIANTS, type ClipSizes } from '../../../lib/encoders/clip-sizes';
import { completeModelOptions, type ModelOptionsInput } from '../../../lib/methods/crane/options';
import type { DinoSizes } from '../../../lib/encoders/dino-transformer';
import type { SamSizes } from '../../../lib/encoders/sam';

const sizes = CLIP_VARIANTS['ViT-L/14@336px'] as ClipSizes;
const of = (options: ModelOptionsInput = {}, spatial?: CountedModel['spatial']): ReturnType<typeof flopPerImage> =>
  flopPerImage({ sizes, options: completeModelOptions(options, sizes), spatial });

/** ViT-L/14 at 518 px: 37 x 37 patches and the class token; 1024 wide. */
const [T, D, E] = [1370, 1024, 768];
const linear = 2 * T * D * D;
const matrix = 2 * T * T * D;

describe('operations for one image', () => {
  test('the network of the paper, by hand', () => {
    const blocks = 24 * (3 * linear + 2 * matrix + linear + 8 * linear);
    const patchEmbedding = 2 * 1369 * (14 * 14 * 3) * D;
    const projection = 2 * T * D * E;
    const refined = 19 * (3 * matrix + matrix + linear);
    expect(blocks + refined).toBe(1_358_683_668_480);
    expect(of()).toEqual({
      vision: blocks + patchEmbedding + projection,
      eattn: refined,
      dattn: 0,
      spatial: 0,
      text: 0,
      total: 1_358_683_668_480 + patchEmbedding + projection,
    });
  });

  test.each([
    [{ attention: 'qq' }, 19 * (2 * matrix + linear)],
    [{ attention: 'qq+kk' }, 19 * (3 * matrix + linear)],
    // Three vectors side by side make one correlation three times as long.
    [{ attention: '(q+k+v)^2' }, 19 * (4 * matrix + linear)],
    [{ eattnBlocks: 0 }, 0],
    [{ eattnBlocks: 1 }, 4 * matrix + linear],
  ] as const)('E-Attn with %j', (options, expected) => {
    expect(of(options as ModelOptionsInput).eattn).toBe(expected);
  });

  test('prompts that see the image cost two runs of the text encoder for each', () => {
    const block = 2 * 18 * 768 * 768 * 12 + 2 * 2 * 18 * 18 * 768;
    expect(of({ context: true }).text).toBe(2 * (12 * block + 2 * 768 * 768));
  });

  const base: DinoSizes = {
    width: 768,
    layers: 12,
    heads: 12,
    patchSize: 14,
    gridSize: 37,
    registers: 4,
    feedForward: 'mlp',
    hidden: 3072,
    layerScale: true,
  };

  test('DINOv2 beside it: 152 thousand million multiplications at 518 px, and D-Attn on its grid', () => {
    const { dattn, spatial, eattn } = of({ spatial: 'dinov2' }, { family: 'dinov2', sizes: base });
    expect(spatial).toBe(12 * (24 * 1374 * 768 * 768 + 4 * 1374 * 1374 * 768) + 2 * 1369 * 588 * 768);
    expect(spatial / 2e9).toBeCloseTo(152.1, 1);
    // Values and output 1024 wide, similarities of 768 channels, the shared space of 768.
    expect(dattn).toBe(2 * 1369 * (1024 * 1024 + 768 * 1369 + 1369 * 1024 + 1024 * 1024 + 1024 * 768));
    expect(eattn).toBe(of().eattn);
    const only = of({ spatial: 'dinov2', spatialOnly: true }, { family: 'dinov2', sizes: base });
    expect(only.eattn).toBe(0);
    expect(of().vision - only.vision).toBe(2 * 1369 * D * E);
  });

  test('a gated feed-forward part has three products, and smaller patches more of them', () => {
    const count = (over: Partial<DinoSizes>): number => of({}, { family: 'dino', sizes: { ...base, ...over } }).spatial;
    expect(count({ feedForward: 'swiglu' }) - count({})).toBe(12 * 2 * 1374 * 768 * 3072);
    expect(count({ patchSize: 8, registers: 0 })).toBe(
      12 * (24 * 4097 * 768 ** 2 + 4 * 4097 ** 2 * 768) + 2 * 4096 * 192 * 768,
    );
  });

  test('SAM of ViT-B at 1024 px: 486 thousand million multiplications, as published', () => {
    const sam: SamSizes = {
      width: 768,
      layers: 12,
      heads: 12,
      patchSize: 16,
      gridSize: 64,
      windowSize: 14,
      globalBlocks: [2, 5, 8, 11],
      channels: 256,
    };
    const { spatial, dattn } = of({ spatial: 'sam' }, { family: 'sam', sizes: sam });
    expect(spatial / 2e9).toBeCloseTo(486, 0);
    expect(dattn).toBe(2 * (1369 * 1024 * 1024 + 4096 * (256 * 4096 + 4096 * 1024 + 1024 * 1024 + 1024 * 768)));
  });
});

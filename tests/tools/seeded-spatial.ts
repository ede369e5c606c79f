/**
 * Writes the file of a vision model of published shapes with seeded numbers, as a torch archive of fp16 or fp32 values:
 * a stand-in for the real file wherever only size and speed matter.
 *
 *   node -r ts-node/register/transpile-only tests/tools/seeded-spatial.ts dinov2_vitb14_reg4 <file.pth> [seed] [--fp32]
 */
import * as path from 'node:path';
import type { DinoSizes } from '../../lib/encoders/dino-transformer';
import { dinoParameterShapes } from '../weights/dino-parameter-shapes';
import { narrowToHalf } from '../../lib/files/half';
import { rowMajorStrides } from '../../lib/weights/located-tensors';
import { pickleStateDict } from '../../lib/weights/pickle-writer';
import { seededNormal } from '../../lib/weights/seeded';
import { writeTorchArchive, type ArchiveRecord } from '../../lib/weights/torch-archive-writer';

const SPREAD = 0.03;

const towers = {
  s: { width: 384, layers: 12, heads: 6, feedForward: 'mlp', hidden: 1536 },
  b: { width: 768, layers: 12, heads: 12, feedForward: 'mlp', hidden: 3072 },
  l: { width: 1024, layers: 24, heads: 16, feedForward: 'mlp', hidden: 4096 },
  g: { width: 1536, layers: 40, heads: 24, feedForward: 'swiglu', hidden: 4096 },
} as const;

/** Sizes of the official models by their registered names; undefined where there is none. */
export function officialDinoSizes(name: string): DinoSizes | undefined {
  const v2 = /^dinov2_vit([sblg])14(_reg4)?$/.exec(name);
  if (v2)
    return {
      ...towers[v2[1] as keyof typeof towers],
      patchSize: 14,
      gridSize: 37,
      registers: v2[2] ? 4 : 0,
      layerScale: true,
    };
  const v1 = /^dino_vit([sb])(8|16)$/.exec(name);
  const patchSize = Number(v1?.[2]);
  return v1
    ? { ...towers[v1[1] as keyof typeof towers], patchSize, gridSize: 224 / patchSize, registers: 0, layerScale: false }
    : undefined;
}

export function writeSeededDino(name: string, file: string, seed: number, type: 'fp16' | 'fp32' = 'fp16'): void {
  const sizes = officialDinoSizes(name);
  if (!sizes) throw new Error(`no such network: ${name}; known: dinov2_vit{s,b,l,g}14[_reg4], dino_vit{s,b}{8,16}`);
  const shapes = [
    ...dinoParameterShapes(sizes),
    ...(name.startsWith('dinov2') ? [['mask_token', [1, sizes.width]] as const] : []),
  ];
  const tensors = shapes.map(([tensor, shape], index) => ({
    name: tensor,
    storage: String(index),
    storageType: type === 'fp16' ? ('HalfStorage' as const) : ('FloatStorage' as const),
    storageCount: shape.reduce((product, size) => product * size, 1),
    offset: 0,
    shape,
    strides: rowMajorStrides(shape),
  }));
  const records = tensors.map(({ name: tensor, storage, storageCount }): ArchiveRecord => {
    const drawn = values(tensor, storageCount, seed);
    const stored = type === 'fp16' ? narrowToHalf(drawn) : drawn;
    return { name: `data/${storage}`, content: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) };
  });
  const text = (record: string, content: string): ArchiveRecord => ({ name: record, content: Buffer.from(content) });
  writeTorchArchive(file, path.parse(file).name, [
    { name: 'data.pkl', content: pickleStateDict({ key: 'state_dict', tensors, modules: [''], device: 'cpu' }) },
    text('byteorder', 'little'),
    ...records,
    text('version', '3\n'),
  ]);
}

function values(name: string, count: number, seed: number): Float32Array {
  if (/norm\d?\.weight$|\.gamma$/.test(name)) return new Float32Array(count).fill(1);
  if (/bias$/.test(name)) return new Float32Array(count);
  const next = seededNormal(`${seed}/${name}`);
  return Float32Array.from({ length: count }, () => SPREAD * next());
}

if (require.main === module) {
  const [name, file, seed = '1'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  if (name === undefined || file === undefined)
    throw new Error('usage: seeded-spatial.ts NETWORK FILE [SEED] [--fp32]');
  writeSeededDino(name, file, Number(seed), process.argv.includes('--fp32') ? 'fp32' : 'fp16');
}

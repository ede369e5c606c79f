/**
 * Writes a CLIP file of a published network's shapes with seeded numbers, as a torch archive of fp16 matrices: a stand-in
 * for the real file wherever only size and speed matter.
 *
 *   node -r ts-node/register/transpile-only tests/tools/seeded-clip.ts ViT-L/14@336px <file.pt> [seed]
 */
import * as path from 'node:path';
import { CLIP_VARIANTS } from '../../lib/config';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { narrowToHalf } from '../../lib/weights/half';
import { rowMajorStrides } from '../../lib/weights/located-tensors';
import { pickleStateDict } from '../../lib/weights/pickle-writer';
import { seededNormal } from '../../lib/weights/seeded';
import { writeTorchArchive, type ArchiveRecord } from '../../lib/weights/torch-archive-writer';

const SPREAD = 0.03;

export function writeSeededClip(variant: string, file: string, seed: number): void {
  const sizes = CLIP_VARIANTS[variant];
  if (!sizes) throw new Error(`no such network: ${variant}; known: ${Object.keys(CLIP_VARIANTS).join(', ')}`);
  const shapes = [...clipParameterShapes(sizes)];
  const tensors = shapes.map(([name, shape], index) => ({
    name,
    storage: String(index),
    storageType: 'HalfStorage' as const,
    storageCount: shape.reduce((product, size) => product * size, 1),
    offset: 0,
    shape,
    strides: rowMajorStrides(shape),
  }));
  const records: ArchiveRecord[] = tensors.map(({ name, storage, storageCount }) => {
    const halves = narrowToHalf(values(name, storageCount, seed));
    return { name: `data/${storage}`, content: new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength) };
  });
  const text = (name: string, content: string): ArchiveRecord => ({ name, content: Buffer.from(content) });
  writeTorchArchive(file, path.parse(file).name, [
    { name: 'data.pkl', content: pickleStateDict({ key: 'state_dict', tensors, modules: [''], device: 'cpu' }) },
    text('byteorder', 'little'),
    ...records,
    text('version', '3\n'),
  ]);
}

function values(name: string, count: number, seed: number): Float32Array {
  if (/ln_\w+\.weight$/.test(name)) return new Float32Array(count).fill(1);
  if (/bias$/.test(name)) return new Float32Array(count);
  const next = seededNormal(`${seed}/${name}`);
  return Float32Array.from({ length: count }, () => SPREAD * next());
}

if (require.main === module) {
  const [variant, file, seed = '1'] = process.argv.slice(2);
  if (variant === undefined || file === undefined) throw new Error('usage: seeded-clip.ts NETWORK FILE [SEED]');
  writeSeededClip(variant, file, Number(seed));
}

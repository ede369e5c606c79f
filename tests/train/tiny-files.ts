import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { ANOMALOUS_WORDS } from '../../lib/methods/crane/build';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { clipParameterShapes, TOKEN_IDS } from '../../lib/weights/clip-keys';
import { clipMetadata } from '../../lib/weights/clip-weights';
import { writeSafetensors, type TensorToWrite } from '../../lib/weights/safetensors';
import { seededNormal, seededUniform } from '../../lib/weights/seeded';

/** A network of a few thousand numbers: 32 px in patches of 8. */
export const smallSizes: ClipSizes = {
  embedDimension: 32,
  vision: { width: 32, layers: 3, heads: 1, patchSize: 8, gridSize: 4 },
  text: { width: 32, layers: 3, heads: 1, contextLength: 24, vocabularySize: 49408 },
};

/** Writes a CLIP with random numbers, and with the words of the prompts as its whole vocabulary. */
export function writeSmallBackbone(folder: string, sizes = smallSizes): string {
  const file = path.join(folder, 'small.safetensors');
  const tokenizer = ClipTokenizer.embedded();
  const ids = [...new Set([tokenizer.startToken, tokenizer.endToken, 0, ...tokenizer.encode(ANOMALOUS_WORDS)])].sort(
    (a, b) => a - b,
  );
  const tensors: Record<string, TensorToWrite> = {
    [TOKEN_IDS]: { dtype: 'int32', shape: [ids.length], data: Int32Array.from(ids) },
  };
  for (const [name, shape] of clipParameterShapes(sizes, ids.length)) {
    const next = seededNormal(name);
    const count = shape.reduce((product, size) => product * size, 1);
    const isGain = /ln_\w+\.weight$/.test(name);
    tensors[name] = {
      dtype: 'float32',
      shape,
      data: Float32Array.from({ length: count }, () => (isGain ? 1 : 0.15 * next())),
    };
  }
  writeSafetensors(file, tensors, clipMetadata(sizes, 'quick-gelu'));
  return file;
}

/** Draws a set in MVTec layout: noisy grey squares, some with a bright spot; 48 px, so that they are resized. */
export async function writeSmallSet(
  root: string,
  { normal = 5, anomalous = 6 }: { normal?: number; anomalous?: number } = {},
): Promise<string> {
  for (let index = 0; index < normal + anomalous; index++) {
    const damaged = index >= normal;
    const uniform = seededUniform(`picture ${index}`);
    const pixels = Uint8Array.from({ length: 48 * 48 * 3 }, () => 90 + Math.floor(40 * uniform()));
    const mask = new Uint8Array(48 * 48);
    const [left, top] = [Math.floor(36 * uniform()), Math.floor(36 * uniform())];
    for (let y = top; damaged && y < top + 12; y++) {
      for (let x = left; x < left + 12; x++) {
        pixels.set([250, 230, 40], (y * 48 + x) * 3);
        mask[y * 48 + x] = 255;
      }
    }
    const kind = damaged ? 'spot' : 'good';
    const name = String(index).padStart(3, '0');
    await writePng(path.join(root, 'plate', 'test', kind, `${name}.png`), pixels, 3);
    if (damaged) await writePng(path.join(root, 'plate', 'ground_truth', kind, `${name}_mask.png`), mask, 1);
  }
  return root;
}

async function writePng(file: string, data: Uint8Array, channels: 1 | 3): Promise<void> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  await sharp(data, { raw: { width: 48, height: 48, channels } })
    .png()
    .toFile(file);
}

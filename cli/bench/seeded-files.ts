import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { formatBytes } from '../../lib/bytes';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { UsageError } from '../../lib/errors';
import { PROMPT_SIZES } from '../../lib/methods/crane/trainable';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { elementCount } from '../../lib/weights/elements';
import { narrowToHalf } from '../../lib/files/half';
import { rowMajorStrides } from '../../lib/weights/located-tensors';
import { pickleStateDict } from '../../lib/weights/pickle-writer';
import { writePromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { seededNormal, seededUniform } from '../../lib/weights/seeded';
import { writeTorchArchive, type ArchiveRecord } from '../../lib/weights/torch-archive-writer';

/** Standard deviation of a trained network's matrices, about. */
const SPREAD = 0.03;
/** Speed asks for no more different numbers, and drawing 400 million would take minutes. A prime, so that no two rows are equal. */
const DISTINCT = 65_521;
/** Space that is left on the disk. */
const RESERVE = 200e6;

/** A folder for what a measurement needs, which is gone when the process ends, however that comes about but by SIGKILL. */
export class TemporaryFolder {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-bench-'));
  private interrupts = 0;
  private readonly endings = {
    exit: (): void => fs.rmSync(this.path, { recursive: true, force: true }),
    // A first Ctrl-C is the command's to deal with.
    SIGINT: (): void => void (++this.interrupts > 1 && process.exit(130)),
    SIGTERM: (): void => process.exit(143),
  };

  constructor() {
    for (const [event, end] of Object.entries(this.endings)) process.on(event, end);
  }

  remove(): void {
    for (const [event, end] of Object.entries(this.endings)) process.off(event, end);
    this.endings.exit();
  }
}

/**
 * Writes a backbone of given shapes with seeded numbers, as a torch archive with fp16 matrices like OpenAI's: what a program does
 * with the real file it does with this one, in the same time.
 * @throws UsageError where the disk is too full
 */
export function writeSeededBackbone(file: string, sizes: ClipSizes): void {
  const shapes = [...clipParameterShapes(sizes)];
  const bytes = shapes.reduce((sum, [, shape]) => sum + 2 * elementCount(shape), 0);
  const { bavail, bsize } = fs.statfsSync(path.dirname(file));
  if (bavail * bsize < bytes + RESERVE) {
    const message = `a seeded stand-in for the weights takes ${formatBytes(bytes)}, but ${path.dirname(file)} has ${formatBytes(bavail * bsize)} left; set TMPDIR to another place`;
    throw new UsageError('usage/space', message, { needed: bytes, left: bavail * bsize });
  }
  const longest = Math.max(...shapes.map(([, shape]) => elementCount(shape)));
  const pool = seededHalves(longest + shapes.length);
  const [ones, zeros] = [narrowToHalf(new Float32Array(longest).fill(1)), new Uint16Array(longest)];
  const tensors = shapes.map(([name, shape], index) => ({
    name,
    storage: String(index),
    storageType: 'HalfStorage' as const,
    storageCount: elementCount(shape),
    offset: 0,
    shape,
    strides: rowMajorStrides(shape),
  }));
  const records = tensors.map(({ name, storage, storageCount }, index): ArchiveRecord => {
    const [from, first] = /ln_\w+\.weight$/.test(name) ? [ones, 0] : /bias$/.test(name) ? [zeros, 0] : [pool, index];
    const halves = from.subarray(first, first + storageCount);
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

/** Normal numbers as bits of halves, again and again the same. */
function seededHalves(count: number): Uint16Array {
  const normal = seededNormal('bench');
  const halves = new Uint16Array(Math.max(count, DISTINCT));
  halves.set(narrowToHalf(Float32Array.from({ length: DISTINCT }, () => SPREAD * normal())));
  for (let filled = DISTINCT; filled < count; filled *= 2) halves.copyWithin(filled, 0, filled);
  return halves;
}

/** Writes prompts of the paper's sizes for a backbone, with seeded numbers. */
export function writeSeededPrompts(file: string, { text }: ClipSizes): void {
  const normal = seededNormal('bench prompts');
  const { contextTokens, deepTokens, depth: paperDepth } = PROMPT_SIZES;
  const depth = Math.min(paperDepth, text.layers);
  const rows = (count: number): Float32Array =>
    Float32Array.from({ length: count * text.width }, () => SPREAD * normal());
  const deep = Array.from({ length: depth - 1 }, () => rows(deepTokens));
  writePromptCheckpoint(file, {
    contextNormal: rows(contextTokens),
    contextAnomalous: rows(contextTokens),
    deep,
    width: text.width,
    contextTokens,
    deepTokens,
    depth,
    metadata: {},
  });
}

/** Draws pictures with edges, gradients and some noise, so that they compress about as photographs of things do. */
export async function drawPictures(
  folder: string,
  count: number,
  width: number,
  height: number,
  suffix: 'png' | 'jpg' = 'png',
): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const uniform = seededUniform(`picture ${index}`);
      const data = new Uint8Array(3 * width * height);
      const [centreX, centreY, radius] = [
        (0.4 + 0.2 * uniform()) * width,
        (0.4 + 0.2 * uniform()) * height,
        0.35 * Math.min(width, height),
      ];
      for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const inside = Math.hypot(x - centreX, y - centreY) < radius;
          const light = (inside ? 120 + (60 * x) / width : 40 + (30 * y) / height) + 8 * uniform();
          for (const tint of [1, 0.9, 0.7]) data[at++] = Math.round(light * tint);
        }
      }
      const file = path.join(folder, `picture-${index}.${suffix}`);
      await sharp(data, { raw: { width, height, channels: 3 } }).toFile(file);
      return file;
    }),
  );
}

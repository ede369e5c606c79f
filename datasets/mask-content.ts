import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import { CraneError } from '../lib/errors';
import { readFrame } from '../lib/image/decode';
import { inverseOrientation, turn } from '../lib/image/orientation';
import { loadMaskAtOwnSize, type Mask } from '../lib/image/preprocess';
import { MemoryBudget } from '../lib/memory-budget';
import { derivedFolder } from './derived-folder';
import { stem } from './listing';
import type { Category, DatasetProblem, Sample } from './sample';

interface Settled {
  readonly categories: readonly Category[];
  readonly problems: readonly DatasetProblem[];
}

/**
 * What has to be read from masks before a set can be used: the union of several masks of one image becomes one file, and,
 * where only masks say which images are anomalous, an image whose mask marks nothing becomes normal.
 *
 * @param labelled false where masks are the labels
 */
export async function settleMasks(root: string, categories: readonly Category[], labelled: boolean): Promise<Settled> {
  const joined = await joinMasks(root, categories);
  return labelled ? joined : { ...joined, categories: await labelByMasks(joined.categories) };
}

async function joinMasks(root: string, categories: readonly Category[]): Promise<Settled> {
  const several = categories.flatMap(({ samples }) => samples.filter(({ maskParts }) => maskParts !== undefined));
  if (several.length === 0) return { categories, problems: [] };
  const sources = several.flatMap(({ imagePath, maskParts = [] }) => [imagePath, ...maskParts]);
  const { folder, problems } = await derivedFolder(root, 'masks-2', sources, async (draft) => {
    const failures: DatasetProblem[] = [];
    for (const [index, sample] of several.entries()) {
      const union = await unionOf(sample).catch(problemOf(sample, failures));
      if (union !== undefined) await writeMask(path.join(draft, nameOf(sample, index)), union);
    }
    return failures;
  });
  const files = several.map((sample, index): [Sample, string] => [sample, path.join(folder, nameOf(sample, index))]);
  const unions = new Map(files.filter(([, file]) => fs.existsSync(file)));
  const settled = categories.map((category) => ({
    ...category,
    samples: category.samples.map((sample) => {
      if (sample.maskParts === undefined) return sample;
      const maskPath = unions.get(sample) ?? null;
      return { ...sample, maskPath, hasMask: maskPath !== null };
    }),
  }));
  return { categories: settled, problems };
}

function nameOf({ imagePath }: Sample, index: number): string {
  return `${String(index).padStart(6, '0')}-${stem(imagePath)}_mask.png`;
}

/** The union is stored like the image's file, as masks are. */
async function unionOf({ imagePath, maskParts = [] }: Sample): Promise<Mask> {
  const image = await readFrame(imagePath);
  let union: Mask | undefined;
  for (const part of maskParts) {
    const mask = await loadMaskAtOwnSize(part, { image });
    union ??= { ...mask, data: new Uint8Array(mask.data.length) };
    const { width, height, data } = union;
    if (mask.width !== width || mask.height !== height) {
      const found = `${maskParts[0]} is ${width}x${height}, ${part} ${mask.width}x${mask.height}`;
      throw new CraneError(
        'dataset/mask-size',
        `the masks of ${imagePath} differ in size, so they cannot be joined: ${found}`,
      );
    }
    for (let at = 0; at < data.length; at++) if (mask.data[at] === 1) data[at] = 1;
  }
  return turn(union as Mask, inverseOrientation(image.orientation));
}

/** Turns a failure into a complaint about the sample; any other failure passes through. */
function problemOf({ maskPath }: Sample, problems: DatasetProblem[]): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof CraneError)) throw error;
    problems.push({
      kind: error.code === 'dataset/mask-size' ? 'mask-size' : 'unreadable',
      severity: 'error',
      path: maskPath as string,
      message: error.message,
    });
    return undefined;
  };
}

/** Writes a mask as a grey PNG of 0 and 255. */
export async function writeMask(file: string, { width, height, data }: Mask): Promise<void> {
  const bytes = Buffer.from(data.map((value) => (value > 0 ? 255 : 0)));
  await sharp(bytes, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png({ compressionLevel: 4 })
    .toFile(file);
}

/** Masks opened at the same time. */
const concurrency = 4;

/** An unreadable mask leaves its image anomalous; opening it again will say why. */
async function labelByMasks(categories: readonly Category[]): Promise<readonly Category[]> {
  const empty = new Set<Sample>();
  const budget = new MemoryBudget();
  const queue = categories.flatMap(({ samples }) => samples.filter(({ maskPath }) => maskPath !== null));
  const worker = async (): Promise<void> => {
    for (let sample = queue.shift(); sample !== undefined; sample = queue.shift()) {
      const file = sample.maskPath as string;
      const mask = await budget.run((memory) => loadMaskAtOwnSize(file, { memory })).catch(() => undefined);
      if (mask !== undefined && !mask.data.includes(1)) empty.add(sample);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return categories.map((category) => ({
    ...category,
    samples: category.samples.map((sample) =>
      empty.has(sample) ? { ...sample, defect: 'good', anomalous: false } : sample,
    ),
  }));
}

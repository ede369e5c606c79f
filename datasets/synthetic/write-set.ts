import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { makeFolderSync } from '../../lib/files/make-folder';
import { CraneError, DatasetError, UsageError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { defectKinds, isUnseen } from './defects';
import { drawPair, drawPicture, GENERATOR_VERSION } from './draw';
import { auxiliaryFamilies, targetFamilies, type Family } from './families';

export type SyntheticSetName = 'synthetic-auxiliary' | 'synthetic-target';

/** The sets that can be drawn. */
const syntheticSetNames: readonly SyntheticSetName[] = ['synthetic-auxiliary', 'synthetic-target'];

export interface PerCategory {
  /** Perfect images in `train/good`. */
  readonly train: number;
  /** Perfect images in `test/good`. */
  readonly good: number;
  /** Images of every kind of defect. */
  readonly perKind: number;
}

export interface SynthesizeOptions {
  readonly name: SyntheticSetName;
  /** The folder that the set's own folder, named after it, is put into. */
  readonly root: string;
  /** 0 by default. Equal seeds give equal files. */
  readonly seed?: number;
  /** Width and height in pixels; 224 by default. */
  readonly imageSize?: number;
  readonly perCategory?: PerCategory;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** What `synthetic.json` says about a set. */
export interface SyntheticSetRecord {
  readonly name: SyntheticSetName;
  readonly generator: number;
  readonly seed: number;
  readonly imageSize: number;
  readonly perCategory: PerCategory;
  readonly categories: readonly { readonly name: string; readonly family: string; readonly texture: boolean }[];
  /** Kinds of defects that training sees, and kinds that only the target set has. */
  readonly defects: { readonly seen: readonly string[]; readonly unseen: readonly string[] };
  readonly images: number;
  /** Over every image and mask in order: path, line feed, then the raw pixels. Independent of how PNG is written. */
  readonly sha256: string;
}

/** The folder of a family in a set: `bottle top` is `bottle_top`. */
export function categoryOf(family: Family): string {
  return family.name.replaceAll(' ', '_');
}

/** How many images of each sort a category has by default. */
const defaultPerCategory: Readonly<Record<SyntheticSetName, PerCategory>> = {
  'synthetic-auxiliary': { train: 10, good: 12, perKind: 2 },
  'synthetic-target': { train: 4, good: 14, perKind: 2 },
};

interface Item {
  readonly path: string;
  readonly maskPath: string | null;
  readonly family: string;
  readonly defect: string | null;
  readonly seed: string;
}

const number = (index: number): string => String(index).padStart(3, '0');

/** Every image of a set, in the order of writing; no two show the same object. */
function itemsOf(name: SyntheticSetName, seed: number, perCategory: PerCategory): Item[] {
  const families = name === 'synthetic-target' ? targetFamilies : auxiliaryFamilies;
  const kinds = name === 'synthetic-target' ? [...defectKinds.seen, ...defectKinds.unseen] : defectKinds.seen;
  const items: Item[] = [];
  for (const family of families) {
    const category = categoryOf(family);
    const add = (folder: string, count: number, defect: string | null): void => {
      for (let i = 0; i < count; i++) {
        items.push({
          path: `${category}/${folder}/${number(i)}.png`,
          maskPath: defect === null ? null : `${category}/ground_truth/${defect}/${number(i)}_mask.png`,
          family: family.name,
          defect,
          seed: `${name}/${seed}/${folder}/${i}`,
        });
      }
    };
    add('train/good', perCategory.train, null);
    add('test/good', perCategory.good, null);
    for (const kind of kinds) add(`test/${kind}`, perCategory.perKind, kind);
  }
  return items;
}

/**
 * Draws a set and writes it in the layout of MVTec AD: `category/train/good`, `category/test/good`,
 * `category/test/<defect>`, `category/ground_truth/<defect>/NNN_mask.png` (0 and 255), with `synthetic.json` beside.
 * It is written into a temporary folder and renamed at the end: an existing set is complete, and one that was there
 * before is replaced only then. Returns the set's folder and its record. Throws UsageError for sizes that cannot be
 * drawn, DatasetError when the folder cannot be written, and the signal's reason when aborted.
 */
export async function synthesizeSet({
  name,
  root,
  seed = 0,
  imageSize = 224,
  perCategory = defaultPerCategory[name],
  onProgress,
  signal,
}: SynthesizeOptions): Promise<{ folder: string; record: SyntheticSetRecord }> {
  if (!syntheticSetNames.includes(name))
    throw new UsageError(
      'synthetic/name',
      `there is no synthetic set "${String(name)}"; known: ${syntheticSetNames.join(', ')}`,
      { name },
    );
  if (!Number.isInteger(imageSize) || imageSize < 32 || imageSize > 1024)
    throw new UsageError('synthetic/image-size', `synthetic images can be 32 to 1024 px wide, not ${imageSize}`, {
      imageSize,
    });
  const counts = Object.values(perCategory);
  if (counts.some((count) => !Number.isInteger(count) || count < 0 || count > 1000))
    throw new UsageError(
      'synthetic/per-category',
      `numbers of images must be whole, from 0 to 1000, not ${counts.join(', ')}`,
      { perCategory },
    );
  const folder = join(root, name);
  const temporary = join(root, `.${name}.${process.pid}.${randomUUID().slice(0, 8)}`);
  const items = itemsOf(name, seed, perCategory);
  const hash = createHash('sha256');
  const task = `draw ${name}`;
  onProgress?.({ kind: 'start', task, total: items.length, unit: 'images' });
  try {
    makeFolderSync(temporary);
    for (const parent of new Set(
      items.flatMap(({ path, maskPath }) => (maskPath === null ? [dirname(path)] : [dirname(path), dirname(maskPath)])),
    )) {
      await mkdir(join(temporary, parent), { recursive: true });
    }
    let done = 0;
    for (const { path, maskPath, family, defect, seed: itemSeed } of items) {
      signal?.throwIfAborted();
      const { pixels, mask } =
        defect === null
          ? drawPicture({ family, seed: itemSeed, size: imageSize })
          : drawPair({ family, defect, seed: itemSeed, size: imageSize }).damaged;
      await writePng(join(temporary, path), pixels, imageSize, 3);
      hash.update(`${path}\n`).update(pixels);
      if (maskPath !== null) {
        const bytes = mask.map((value) => value * 255);
        await writePng(join(temporary, maskPath), bytes, imageSize, 1);
        hash.update(`${maskPath}\n`).update(bytes);
      }
      onProgress?.({ kind: 'advance', task, done: ++done, total: items.length });
    }
    const families = name === 'synthetic-target' ? targetFamilies : auxiliaryFamilies;
    const kinds = [...new Set(items.flatMap(({ defect }) => (defect === null ? [] : [defect])))];
    const record: SyntheticSetRecord = {
      name,
      generator: GENERATOR_VERSION,
      seed,
      imageSize,
      perCategory,
      categories: families.map((family) => ({
        name: categoryOf(family),
        family: family.name,
        texture: family.texture,
      })),
      defects: { seen: kinds.filter((kind) => !isUnseen(kind)), unseen: kinds.filter(isUnseen) },
      images: items.length,
      sha256: hash.digest('hex'),
    };
    await writeFile(join(temporary, 'synthetic.json'), `${JSON.stringify(record, null, 2)}\n`);
    await replace(temporary, folder);
    onProgress?.({ kind: 'done', task });
    return { folder, record };
  } catch (error) {
    // The original error matters more than one from the clean-up.
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    if (signal?.aborted === true || error instanceof CraneError) throw error;
    throw new DatasetError(
      'synthetic/write',
      `the synthetic set could not be written to ${folder}: ${error instanceof Error ? error.message : String(error)}. Free some space or choose another folder.`,
      { folder },
      { cause: error },
    );
  }
}

/** Puts a finished folder in the place of another, which is only then removed. */
async function replace(finished: string, folder: string): Promise<void> {
  const old = `${finished}.old`;
  const moved = await rename(folder, old).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(finished, folder);
  } catch (error) {
    if (moved) await rename(old, folder);
    throw error;
  }
  if (moved) await rm(old, { recursive: true, force: true });
}

async function writePng(path: string, bytes: Uint8Array, size: number, channels: 1 | 3): Promise<void> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  await sharp(buffer, { raw: { width: size, height: size, channels } })
    .png({ compressionLevel: 4 })
    .toFile(path);
}

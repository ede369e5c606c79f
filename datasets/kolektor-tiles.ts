import { mkdir } from 'node:fs/promises';
import * as path from 'node:path';
import sharp from 'sharp';
import { ImageError } from '../lib/errors';
import { decodeImage } from '../lib/image/decode';
import { toRgb, type DecodedImage } from '../lib/image/decoded-image';
import { loadMaskAtOwnSize, type Mask } from '../lib/image/preprocess';
import type { OnProgress } from '../lib/progress';
import { writeMask } from './mask-content';
import { testSplit } from './random-state';
import type { DatasetProblem } from './sample';

/** An image and its label, and the name that its tiles begin with: `kos01_Part5`. */
export interface Part {
  readonly name: string;
  readonly image: string;
  readonly label: string;
}

/** One third of a part, counted from the top. */
interface Tile {
  readonly part: Part;
  readonly third: number;
}

const THIRDS = [0, 1, 2] as const;
const TEST_SHARE = 0.25;
const SPLIT_SEED = 42;

/**
 * Cuts the test split of KolektorSDD by the rule of AdaCLIP's re-packed archive (docs/method.md#industrial-sets) and
 * writes it in the layout of MVTec-AD: `test/good/kos01_Part0_0.png`, `test/defect/kos01_Part5_0.png`,
 * `ground_truth/defect/kos01_Part5_0_mask.png`.
 *
 * @param parts sorted by name: the order decides which normal tiles are taken
 * @returns parts that could not be read, or whose label has another size
 */
export async function writeTiles(
  parts: readonly Part[],
  folder: string,
  onProgress?: OnProgress,
): Promise<DatasetProblem[]> {
  const task = 'cut into tiles';
  const problems: DatasetProblem[] = [];
  const places = {
    good: path.join(folder, 'test', 'good'),
    defect: path.join(folder, 'test', 'defect'),
    masks: path.join(folder, 'ground_truth', 'defect'),
  };
  await Promise.all(Object.values(places).map((place) => mkdir(place, { recursive: true })));

  onProgress?.({ kind: 'start', task, total: 2 * parts.length, unit: 'images' });
  let done = 0;
  const step = (): void => onProgress?.({ kind: 'advance', task, done: ++done, total: 2 * parts.length });
  const normal: Tile[] = [];
  const anomalous: Tile[] = [];
  for (const part of parts) {
    const label = await loadMaskAtOwnSize(part.label).catch(unreadable(part.label, problems));
    if (label !== undefined)
      THIRDS.forEach((third) => (cut(label, third).data.includes(1) ? anomalous : normal).push({ part, third }));
    step();
  }

  const chosen = testSplit(normal.length, TEST_SHARE, SPLIT_SEED).map((at) => normal[at] as Tile);
  for (const part of parts) {
    const ofPart = (tiles: readonly Tile[]): number[] =>
      tiles.filter((tile) => tile.part === part).map(({ third }) => third);
    const [good, defective] = [ofPart(chosen), ofPart(anomalous)];
    const image =
      good.length + defective.length > 0
        ? await decodeImage(part.image).catch(unreadable(part.image, problems))
        : undefined;
    if (image !== undefined) {
      const label = await loadMaskAtOwnSize(part.label);
      if (label.width !== image.width || label.height !== image.height) problems.push(otherSize(part, image, label));
      for (const third of good)
        await writePicture(path.join(places.good, `${part.name}_${third}.png`), cut(image, third));
      for (const third of defective) {
        await writePicture(path.join(places.defect, `${part.name}_${third}.png`), cut(image, third));
        await writeMask(path.join(places.masks, `${part.name}_${third}_mask.png`), cut(label, third));
      }
    }
    step();
  }
  onProgress?.({ kind: 'done', task });
  return problems;
}

/** Rows height * third / 3 to height * (third + 1) / 3, both rounded down, as the script's whole-number division does. */
function cut<Picture extends Pick<DecodedImage, 'width' | 'height' | 'data'>>(
  picture: Picture,
  third: number,
): Picture {
  const { width, height, data } = picture;
  const [from, to] = [third, third + 1].map((count) => Math.floor((height * count) / 3)) as [number, number];
  const row = data.length / height;
  return { ...picture, width, height: to - from, data: data.slice(from * row, to * row) };
}

/** Grey stays grey; everything else becomes colour. */
async function writePicture(file: string, picture: DecodedImage): Promise<void> {
  const { width, height } = picture;
  const grey = picture.mode === 'L';
  const bytes = Buffer.from(grey ? (picture.data as Uint8Array) : toRgb(picture));
  await sharp(bytes, { raw: { width, height, channels: grey ? 1 : 3 } })
    .toColourspace(grey ? 'b-w' : 'srgb')
    .png({ compressionLevel: 4 })
    .toFile(file);
}

function unreadable(file: string, problems: DatasetProblem[]): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof ImageError)) throw error;
    problems.push({ kind: 'unreadable', severity: 'error', path: file, message: error.message });
    return undefined;
  };
}

function otherSize({ image, label }: Part, { width, height }: DecodedImage, found: Mask): DatasetProblem {
  return {
    kind: 'mask-size',
    severity: 'error',
    path: label,
    message: `${label} is ${found.width}x${found.height}, its image ${image} ${width}x${height}`,
  };
}

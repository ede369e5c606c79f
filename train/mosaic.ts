import type { Sample } from '../datasets/dataset';
import { decodeImage } from '../lib/image/decode';
import { preprocessImage, preprocessMask, type Preprocessing } from '../lib/image/preprocess';
import type { MemoryClaim } from '../lib/memory-budget';
import { seededUniform } from '../lib/weights/seeded';
import { naming, type ComposedSample, type NetworkInput } from './network-input';
import type { TrainingOptions } from './options';

/** Share of normal mosaics, as in the reference. With tiles of both kinds, nearly every mosaic would be anomalous. */
const NORMAL_SHARE = 0.8;

/** Four images of one category, two by two, as one image. */
export interface Mosaic extends ComposedSample {
  /** From left to right, then from top to bottom. */
  readonly tiles: readonly Sample[];
}

/**
 * The mosaics of an epoch (docs/method.md#mosaics): with the probability `mosaicRate`, each image is replaced by four of
 * its category, chosen with replacement: all of them normal in four out of five cases, otherwise all anomalous, as in the
 * reference. Determined by seed, epoch and place alone.
 * @param samples the training samples
 * @param groupOf name of the category, distinct for each set
 * @returns mosaics by place among the samples
 */
export function drawMosaics(
  samples: readonly Sample[],
  groupOf: (sample: Sample) => string,
  { seed, mosaicRate }: Pick<TrainingOptions, 'seed' | 'mosaicRate'>,
  epoch: number,
): Map<number, Mosaic> {
  const mosaics = new Map<number, Mosaic>();
  if (mosaicRate === 0) return mosaics;
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) groups.set(groupOf(sample), [...(groups.get(groupOf(sample)) ?? []), sample]);
  samples.forEach((sample, place) => {
    const uniform = seededUniform(`${seed}/mosaic/${epoch}/${place}`);
    if (uniform() >= mosaicRate) return;
    const wantsNormal = uniform() < NORMAL_SHARE;
    const category = groups.get(groupOf(sample)) as readonly Sample[];
    const wanted = category.filter(({ anomalous }) => anomalous !== wantsNormal);
    const from = wanted.length > 0 ? wanted : category;
    mosaics.set(place, mosaicOf(Array.from({ length: 4 }, () => from[Math.floor(uniform() * from.length)] as Sample)));
  });
  return mosaics;
}

/** The images that a sample is made of: those of a mosaic are its tiles. */
export function imagePathsOf(sample: Sample | Mosaic): string[] {
  return 'tiles' in sample ? sample.tiles.map(({ imagePath }) => imagePath) : [sample.imagePath];
}

/** @param tiles four samples of one category */
export function mosaicOf(tiles: readonly Sample[]): Mosaic {
  const first = tiles[0] as Sample;
  const anomalous = tiles.some((tile) => tile.anomalous);
  return {
    imagePath: first.imagePath,
    maskPath: null,
    hasMask: tiles.some(({ hasMask }) => hasMask),
    category: first.category,
    defect: anomalous ? 'mosaic' : 'good',
    anomalous,
    tiles,
    files: tiles.flatMap(({ imagePath, maskPath }) => [imagePath, maskPath]),
    recipe: 'mosaic 2 x 2',
    compose: (contents, size, preprocessing, memory) => compose(tiles, contents, size, preprocessing, memory),
  };
}

/**
 * Resizes each image to its quarter, which amounts to resizing all four together; quarters of an odd side differ by a
 * pixel.
 */
async function compose(
  tiles: readonly Sample[],
  contents: readonly (Uint8Array | null)[],
  size: number,
  { reference, ...rule }: Preprocessing,
  memory?: MemoryClaim,
): Promise<NetworkInput> {
  const reading = { reference, ...(memory ? { memory } : {}) };
  const pixels = new Float32Array(size * size * 3);
  const mask = new Uint8Array(size * size);
  const half = Math.floor(size / 2);
  for (const [index, { imagePath, maskPath }] of tiles.entries()) {
    const [left, top] = [index % 2 === 0 ? 0 : half, index < 2 ? 0 : half];
    const target = { width: left === 0 ? half : size - half, height: top === 0 ? half : size - half };
    const [image, truth] = [contents[2 * index] as Uint8Array, contents[2 * index + 1] ?? null];
    const decoded = await naming(imagePath, image, () => decodeImage(image, reading));
    const ofTile = preprocessImage(decoded, { ...target, ...rule });
    const maskOfTile =
      truth === null
        ? undefined
        : await naming(maskPath as string, truth, () => preprocessMask(truth, target, { ...reading, image: decoded }));
    for (let row = 0; row < target.height; row++) {
      const at = (top + row) * size + left;
      pixels.set(ofTile.subarray(row * target.width * 3, (row + 1) * target.width * 3), at * 3);
      if (maskOfTile) mask.set(maskOfTile.subarray(row * target.width, (row + 1) * target.width), at);
    }
  }
  return { pixels, mask };
}

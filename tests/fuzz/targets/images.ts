import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import { openMaps, openMasks } from '../../../eval/metrics/score-files';
import { decodeImage } from '../../../lib/image/decode';
import { readMap } from '../../../lib/image/map-file';
import { encodeNpy } from '../../../lib/image/npy';
import { loadMaskAtOwnSize, resizeToRgb } from '../../../lib/image/preprocess';
import {
  bmpFile,
  mutateBmp,
  mutateNpy,
  mutatePng,
  mutateTiff,
  pngChunks,
  tiffSeed,
  writePng,
  writeTiff,
} from '../mutate/pictures';
import { disturbBytes, HOSTILE_NAMES } from '../mutate/values';
import { mutateZip, writeZip, type ZipPart } from '../mutate/zip-file';
import type { Random } from '../random';
import type { Files, Target } from '../target';

// What libvips keeps open for a while, in case it is asked for again, is not what a reader has forgotten to close.
sharp.cache(false);

/** Pictures that claim more are refused, as one may ask; by default they may take a gigabyte. */
const maxPixels = 1 << 22;

const one = (name: string, content: Uint8Array): Files => ({ [name]: content });

/** As an image to score, as one to score like the reference, and as a mask. */
async function readPicture(file: string): Promise<void> {
  const decoded = await decodeImage(file, { maxPixels });
  resizeToRgb(decoded, 14, 14);
  await loadMaskAtOwnSize(file, { maxPixels, reference: true });
}

function pictures(
  name: string,
  file: string,
  seeds: readonly Uint8Array[],
  mutate: (random: Random) => Uint8Array,
): Target {
  return {
    name,
    group: 'images',
    seeds: seeds.map((seed) => one(file, seed)),
    mutate: (random) => one(file, mutate(random)),
    read: (folder) => readPicture(path.join(folder, file)),
  };
}

const pngSeeds = [
  pngChunks(0, 8),
  pngChunks(0, 16),
  pngChunks(0, 1),
  pngChunks(2, 8),
  pngChunks(2, 16),
  pngChunks(3, 2),
  pngChunks(3, 8),
  pngChunks(4, 8),
  pngChunks(6, 8),
];
const tiffSeeds = [
  tiffSeed({}),
  tiffSeed({ bits: 16 }),
  tiffSeed({ bits: 16, big: true }),
  tiffSeed({ samples: 3, photometric: 2 }),
  tiffSeed({ samples: 3, photometric: 2, compression: 8 }),
  tiffSeed({ bits: 1 }),
  tiffSeed({ samples: 4, photometric: 2, extra: [{ tag: 338, type: 3, values: [2] }] }),
  tiffSeed({
    photometric: 3,
    extra: [{ tag: 320, type: 3, values: Array.from({ length: 768 }, (_, at) => (at % 256) * 257) }],
  }),
];
const bmpSeeds = [
  bmpFile(1),
  bmpFile(4),
  bmpFile(8),
  bmpFile(16),
  bmpFile(24),
  bmpFile(32),
  bmpFile(8, 12),
  bmpFile(24, 12),
  bmpFile(32, 124, 3),
  bmpFile(32, 40, 3),
];

const floats = tiffSeed({ bits: 32, format: 3 });
const floatSeeds = [floats, tiffSeed({ bits: 32, format: 3, big: true })];

const maps: Target = {
  name: 'tiff-map',
  group: 'images',
  seeds: floatSeeds.map((seed) => one('m.tiff', writeTiff(seed).bytes)),
  mutate: (random) => one('m.tiff', mutateTiff(random, random.pick(floatSeeds))),
  read: async (folder) => {
    await readMap(path.join(folder, 'm.tiff'));
  },
};

const npy: Target = {
  name: 'npy',
  group: 'images',
  seeds: [
    one(
      'm.npy',
      encodeNpy(
        Float32Array.from({ length: 12 }, (_, at) => at),
        [3, 4],
      ),
    ),
    one('m.npy', encodeNpy(BigInt64Array.of(1n, 2n), [1, 2])),
  ],
  mutate: (random) => one('m.npy', mutateNpy(random)),
  read: async (folder) => {
    await readMap(path.join(folder, 'm.npy'));
  },
};

const npzParts: readonly ZipPart[] = [
  {
    name: 'a.npy',
    content: encodeNpy(
      Float32Array.from({ length: 12 }, (_, at) => at),
      [3, 4],
    ),
  },
  { name: 'deep/b.npy', content: encodeNpy(new Uint8Array(12), [1, 3, 4]), deflated: true },
];

const npz: Target = {
  name: 'npz',
  group: 'images',
  seeds: [one('m.npz', writeZip(npzParts).bytes)],
  mutate(random) {
    const parts = random.chance(0.5)
      ? npzParts.map((part) => (random.chance(0.7) ? { ...part, content: mutateNpy(random) } : part))
      : npzParts;
    return one(
      'm.npz',
      parts === npzParts || random.chance(0.2)
        ? mutateZip(random, parts, { names: [...HOSTILE_NAMES, 'a.npy', '.npy', '__proto__.npy', 'c.npy/'] })
        : writeZip(parts).bytes,
    );
  },
  async read(folder) {
    for (const open of [openMaps, openMasks] as const) {
      const { files, close } = open(path.join(folder, 'm.npz'));
      try {
        for (const file of files) await file.read();
      } finally {
        close();
      }
    }
  },
};

const photographs = ['exif_rotated.jpg', 'gray.jpg', 'photo420.jpg'].map((name) =>
  fs.readFileSync(path.resolve(__dirname, '../../goldens/images', name)),
);

/** Headers stand at the beginning, and there damage is most interesting. */
function mutateJpeg(random: Random): Uint8Array {
  const whole = random.pick(photographs);
  let head: Uint8Array = whole.subarray(0, 700);
  for (let round = random.few(4); round > 0; round--) head = disturbBytes(random, head);
  const rest = whole.subarray(700);
  return Buffer.concat([head, random.chance(0.2) ? disturbBytes(random, rest) : rest]);
}

export const imageTargets: readonly Target[] = [
  pictures(
    'png',
    'p.png',
    pngSeeds.map((chunks) => writePng(chunks)),
    (random) => mutatePng(random, random.chance(0.1) ? pngChunks(2, 8, 1) : random.pick(pngSeeds)),
  ),
  pictures(
    'tiff',
    'p.tif',
    tiffSeeds.map((seed) => writeTiff(seed).bytes),
    (random) => mutateTiff(random, random.pick(tiffSeeds)),
  ),
  pictures('bmp', 'p.bmp', bmpSeeds, (random) => mutateBmp(random, random.pick(bmpSeeds))),
  pictures('jpeg', 'p.jpg', photographs, mutateJpeg),
  maps,
  npy,
  npz,
];

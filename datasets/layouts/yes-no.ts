import * as fs from 'node:fs';
import * as path from 'node:path';
import { filesUnder } from '../inventory';
import { childFolder, listFolders, listImages, stem } from '../listing';
import { imageNameOf } from '../mask-names';
import { makeCategory, makeSample } from '../sample';
import { testSplitOf, type Split } from '../splits';
import type { Layout } from './layout';

/** Names of the folder of normal images and of that of anomalous ones. The first pair is BrainMRI's and Br35H's. */
const folderPairs: readonly { readonly normal: string; readonly anomalous: readonly string[] }[] = [
  { normal: 'no', anomalous: ['yes'] },
  { normal: 'good', anomalous: ['bad', 'defect', 'defective', 'damaged', 'anomaly'] },
  { normal: 'ok', anomalous: ['ko', 'nok', 'ng'] },
  { normal: 'normal', anomalous: ['abnormal', 'anomaly', 'anomalous', 'defect', 'defective'] },
];

interface Pair {
  readonly folder: string;
  readonly normal: readonly string[];
  readonly anomalous: readonly string[];
  readonly defect: string;
}

/**
 * `yes/` for images with a tumour and `no/` for those without, as BrainMRI and Br35H come
 * (docs/method.md#medical-sets), or `good/` and `bad/` and the like, in the folder itself, or in the one in it that is
 * the test split or holds most of them. Only those two are read: Br35H's `pred/` is not labelled, and BrainMRI carries
 * a second copy of itself one folder deeper.
 */
export const yesNoLayout: Layout = {
  name: 'yes-no',
  looksFor:
    'yes/ and no/ (BrainMRI, Br35H), good/ and bad/, ok/ and ko/, normal/ and abnormal/: labels per image, no masks',
  fits: (root) => pairIn(root) !== undefined,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const { pair, training } = pairIn(root) as Found;
    const samples = [
      ...pair.normal.map((image) => makeSample(name, image, null, [])),
      ...pair.anomalous.map((image) => makeSample(name, image, pair.defect, [])),
    ];
    const unlabelled = hints.unlabelled === undefined ? [] : filesUnder(childFolder(pair.folder, hints.unlabelled));
    const others = [
      ...unlabelled,
      ...training.flatMap(({ normal, anomalous }) => [...normal, ...anomalous]),
      ...copiesOf(pair),
    ];
    return { categories: [makeCategory(name, samples)], problems: [], hasMasks: false, others };
  },
};

interface Found {
  readonly pair: Pair;
  /** Those that are for training, where the pair is the test split. */
  readonly training: readonly Pair[];
}

function pairIn(root: string): Found | undefined {
  const own = pairOf(root);
  if (own !== undefined) return { pair: own, training: [] };
  const { test, others }: Split<Pair> = testSplitOf(
    listFolders(root).flatMap((folder) => pairOf(folder) ?? []),
    ({ folder }) => path.basename(folder),
  );
  const [first, ...rest] = test;
  if (first === undefined) return undefined;
  return { pair: rest.reduce((most, pair) => (sizeOf(pair) > sizeOf(most) ? pair : most), first), training: others };
}

function pairOf(folder: string): Pair | undefined {
  for (const names of folderPairs) {
    const [normal, anomalous] = [childFolder(folder, names.normal), childFolder(folder, ...names.anomalous)];
    if (normal === undefined || anomalous === undefined) continue;
    const word = path.basename(anomalous).toLowerCase();
    const pair = {
      folder,
      normal: imagesOf(normal),
      anomalous: imagesOf(anomalous),
      defect: word === 'yes' ? 'tumour' : word,
    };
    if (sizeOf(pair) > 0) return pair;
  }
  return undefined;
}

function sizeOf({ normal, anomalous }: Pair): number {
  return normal.length + anomalous.length;
}

/** Images without masks: `1_mask.png` beside `1.png` is not an image. */
function imagesOf(folder: string): string[] {
  const files = listImages(folder);
  const names = new Set(files.map((file) => stem(file).toLowerCase()));
  return files.filter((file) => !names.has(imageNameOf(file)?.toLowerCase() ?? ''));
}

/** Files of the same names and sizes, one folder deeper. */
function copiesOf({ folder, normal, anomalous }: Pair): string[] {
  const originals = [...normal, ...anomalous];
  return listFolders(folder).flatMap((below) =>
    originals.flatMap((original) => {
      const copy = path.join(below, path.relative(folder, original));
      const size = fs.statSync(copy, { throwIfNoEntry: false })?.size;
      return size !== undefined && size === fs.statSync(original, { throwIfNoEntry: false })?.size ? [copy] : [];
    }),
  );
}

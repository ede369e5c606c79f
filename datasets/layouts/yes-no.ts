import * as path from 'node:path';
import { makeCategory, makeSample } from '../sample';
import { childFolder, listFolders, listImages } from '../listing';
import type { Layout } from './layout';

/** Names of the folder of normal images and of that of anomalous ones. The first pair is BrainMRI's and Br35H's. */
const folderPairs: readonly { readonly normal: string; readonly anomalous: readonly string[] }[] = [
  { normal: 'no', anomalous: ['yes'] },
  { normal: 'good', anomalous: ['bad', 'defect', 'defective', 'damaged', 'anomaly'] },
  { normal: 'ok', anomalous: ['ko', 'nok', 'ng'] },
  { normal: 'normal', anomalous: ['abnormal', 'anomaly', 'anomalous', 'defect', 'defective'] },
];

interface Pair {
  readonly normal: string;
  readonly anomalous: string;
}

/**
 * `yes/` for images with a tumour and `no/` for those without, as BrainMRI and Br35H come (spec 9.3), or `good/` and
 * `bad/` and the like. Only those two are read: Br35H's `pred/` is not labelled, and BrainMRI carries a second copy of
 * itself one folder deeper.
 */
export const yesNoLayout: Layout = {
  name: 'yes-no',
  looksFor: 'yes/ and no/ (BrainMRI, Br35H), good/ and bad/, ok/ and ko/, normal/ and abnormal/: labels per image, no masks',
  fits: (root) => pairIn(root) !== undefined,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const { normal, anomalous } = pairIn(root) as Pair;
    const folder = path.basename(anomalous).toLowerCase();
    const defect = folder === 'yes' ? 'tumour' : folder;
    const samples = [...listImages(normal).map((image) => makeSample(name, image, null, [])), ...listImages(anomalous).map((image) => makeSample(name, image, defect, []))];
    return { categories: [makeCategory(name, samples)], problems: [], hasMasks: false };
  },
};

function pairIn(root: string): Pair | undefined {
  for (const folder of [root, ...listFolders(root)]) {
    for (const names of folderPairs) {
      const normal = childFolder(folder, names.normal);
      const anomalous = childFolder(folder, ...names.anomalous);
      if (normal !== undefined && anomalous !== undefined && listImages(normal).length + listImages(anomalous).length > 0) return { normal, anomalous };
    }
  }
  return undefined;
}

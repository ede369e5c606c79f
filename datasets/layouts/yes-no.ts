import * as path from 'node:path';
import { makeCategory, makeSample } from '../sample';
import { childFolder, listFolders, listImages } from '../listing';
import type { Layout } from './layout';

/**
 * `yes/` for images with a tumour and `no/` for those without, as BrainMRI and Br35H come (spec 9.3). Only those two
 * are read: Br35H's `pred/` is not labelled, and BrainMRI carries a second copy of itself one folder deeper.
 */
export const yesNoLayout: Layout = {
  name: 'yes-no',
  looksFor: 'yes/ and no/ (BrainMRI, Br35H)',
  fits: (root) => folderWithBoth(root) !== undefined,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const folder = folderWithBoth(root) as string;
    const normal = listImages(childFolder(folder, 'no') as string).map((image) => makeSample(name, image, null, []));
    const anomalous = listImages(childFolder(folder, 'yes') as string).map((image) => makeSample(name, image, 'tumour', []));
    return { categories: [makeCategory(name, [...normal, ...anomalous])], problems: [], hasMasks: false };
  },
};

function folderWithBoth(root: string): string | undefined {
  return [root, ...listFolders(root)].find((folder) => childFolder(folder, 'yes') !== undefined && childFolder(folder, 'no') !== undefined);
}

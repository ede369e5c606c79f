import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem, type Sample } from '../sample';
import { filesUnder } from '../inventory';
import { childFolder, listFolders, listImages } from '../listing';
import { listMasks, pairByName } from '../mask-names';
import { missingMask, type Layout, type LayoutHints } from './layout';

/**
 * The reference program's form for one's own data (docs/method.md#custom-sets): `test/CATEGORY/{good,DEFECT}/NAME.png`,
 * `test/CATEGORY/masks/NAME_mask.png`.
 */
export const craneCustomLayout: Layout = {
  name: 'crane-custom',
  looksFor:
    'test/CATEGORY/good and test/CATEGORY/DEFECT with test/CATEGORY/masks/NAME_mask.png (the form that the Crane program expects for your own data)',
  fits: (root) => categoryFolders(root).length > 0,
  read(root, hints) {
    const problems: DatasetProblem[] = [];
    const categories = categoryFolders(root).map((folder) => readCategory(folder, hints, problems));
    return { categories, problems, hasMasks: hints.expectMasks, others: filesUnder(childFolder(root, 'train')) };
  },
};

function categoryFolders(root: string): string[] {
  const test = childFolder(root, 'test');
  if (test === undefined || listFolders(test).some((child) => listImages(child).length > 0)) return [];
  return listFolders(test).filter((folder) => childFolder(folder, 'good') !== undefined);
}

function readCategory(folder: string, hints: LayoutHints, problems: DatasetProblem[]): Category {
  const name = path.basename(folder);
  const maskFolder = childFolder(folder, 'masks') ?? path.join(folder, 'masks');
  const groups = listFolders(folder).filter((group) => group !== maskFolder);
  const normal = groups.filter((group) => path.basename(group).toLowerCase() === 'good');
  const anomalous = groups.filter((group) => !normal.includes(group));
  // One folder of masks serves all kinds of defects, so all are paired at once.
  const { masksOf, problems: misfits } = pairByName(anomalous.flatMap(listImages), listMasks(maskFolder), maskFolder);
  problems.push(...misfits);
  const samples: Sample[] = normal.flatMap(listImages).map((image) => makeSample(name, image, null, []));
  for (const group of anomalous) {
    for (const image of listImages(group)) {
      const masks = masksOf(image);
      if (masks.length === 0 && hints.expectMasks) problems.push(missingMask(image, `${maskFolder}/NAME_mask.png`));
      samples.push(makeSample(name, image, path.basename(group), masks));
    }
  }
  return makeCategory(name, samples);
}

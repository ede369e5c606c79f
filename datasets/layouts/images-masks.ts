import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem } from '../sample';
import { childFolder, listFolders, listImages } from '../listing';
import { listMasks, pairByName } from '../mask-names';
import { missingMask, type Layout } from './layout';

/** Names of the two folders, the names of the official downloads among them (spec 9.3). */
const folderPairs = [
  ['images', 'masks'],
  ['image', 'mask'],
  ['images', 'ground_truth'],
  ['imgs', 'masks'],
  ['Original', 'Ground Truth'],
  ['test-image', 'test-mask'],
  ['ISBI2016_ISIC_Part1_Test_Data', 'ISBI2016_ISIC_Part1_Test_GroundTruth'],
] as const;

interface FolderPair {
  readonly folder: string;
  readonly images: string;
  readonly masks: string;
}

/**
 * Two folders beside each other, images and masks (polyp sets, TN3K, ISIC, CrackForest). Every image of the registered
 * sets is anomalous; of other sets, those whose mask marks nothing are normal.
 */
export const imagesMasksLayout: Layout = {
  name: 'images-masks',
  looksFor: 'images/ and masks/ with masks named like the images, or NAME_mask, NAME_label, NAME_Segmentation (CVC-ColonDB, CVC-ClinicDB, TN3K, ISIC)',
  fits: (root) => pairsIn(root).length > 0,
  read(root, hints) {
    const all = pairsIn(root);
    // A set of one category may lie there in two file formats (CVC-ClinicDB as PNG and as TIF): it is read once.
    const pairs = hints.category === null ? all : all.slice(0, 1);
    const problems = leftOut(root, pairs);
    const categories = pairs.map((pair) => readPair(pair, hints.category ?? path.basename(pair.folder), problems));
    return { categories, problems, hasMasks: true, labelledByMasks: !hints.registered };
  },
};

/** The pair in the folder itself, else one for each folder in it. */
function pairsIn(root: string): FolderPair[] {
  const own = pairOf(root);
  return own ? [own] : listFolders(root).flatMap((folder) => pairOf(folder) ?? []);
}

function leftOut(root: string, pairs: readonly FolderPair[]): DatasetProblem[] {
  if (pairs.some((pair) => pair.folder === root)) return [];
  const taken = new Set(pairs.map((pair) => pair.folder));
  return listFolders(root).filter((folder) => !taken.has(folder)).map((folder) => ({
    kind: 'left-out', severity: 'warning', path: folder,
    message: pairOf(folder) ? `${folder} is left out: ${[...taken].join(', ')} is read` : `${folder} has no pair of folders such as images/ and masks/ and is left out`,
  }));
}

function pairOf(folder: string): FolderPair | undefined {
  for (const [imageName, maskName] of folderPairs) {
    const images = childFolder(folder, imageName);
    const masks = childFolder(folder, maskName);
    if (images && masks && listImages(images).length > 0) return { folder, images, masks };
  }
  return undefined;
}

function readPair({ images, masks }: FolderPair, category: string, problems: DatasetProblem[]): Category {
  const imagePaths = listImages(images);
  const { masksOf, problems: misfits } = pairByName(imagePaths, listMasks(masks), masks);
  problems.push(...misfits);
  const lost = imagePaths.filter((image) => masksOf(image).length === 0);
  problems.push(...lost.map((image) => missingMask(image, `the same name in ${masks}`)));
  return makeCategory(category, imagePaths.map((image) => makeSample(category, image, 'anomaly', masksOf(image))));
}

import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem } from '../sample';
import { filesUnder } from '../inventory';
import { childFolder, listFolders, listImages } from '../listing';
import { listMasks, pairByName } from '../mask-names';
import { testSplitOf, type Split } from '../splits';
import { missingMask, type Layout } from './layout';

/** Names of the two folders, the names of the official downloads among them (docs/method.md#medical-sets). */
const folderPairs: readonly {
  readonly images: string;
  readonly masks: string;
  readonly training?: readonly string[];
}[] = [
  { images: 'images', masks: 'masks' },
  { images: 'image', masks: 'mask' },
  { images: 'images', masks: 'ground_truth' },
  { images: 'imgs', masks: 'masks' },
  { images: 'Original', masks: 'Ground Truth' },
  { images: 'test-image', masks: 'test-mask', training: ['trainval-image', 'trainval-mask'] },
  {
    images: 'ISBI2016_ISIC_Part1_Test_Data',
    masks: 'ISBI2016_ISIC_Part1_Test_GroundTruth',
    training: ['ISBI2016_ISIC_Part1_Training_Data', 'ISBI2016_ISIC_Part1_Training_GroundTruth'],
  },
];

interface FolderPair {
  readonly folder: string;
  readonly images: string;
  readonly masks: string;
  /** Files beside them that are for training. */
  readonly training: readonly string[];
}

/**
 * Two folders beside each other, images and masks (polyp sets, TN3K, ISIC, CrackForest). Every image of the registered
 * sets is anomalous; of other sets, those whose mask marks nothing are normal.
 */
export const imagesMasksLayout: Layout = {
  name: 'images-masks',
  looksFor:
    'images/ and masks/ with masks named like the images, or NAME_mask, NAME_label, NAME_Segmentation (CVC-ColonDB, CVC-ClinicDB, TN3K, ISIC)',
  fits: (root) => pairsIn(root).test.length > 0,
  read(root, hints) {
    const all = pairsIn(root);
    // A set of one category may be present in two file formats (CVC-ClinicDB as PNG and as TIF): it is read once.
    const pairs = hints.category === null ? all.test : all.test.slice(0, 1);
    const problems: DatasetProblem[] = [];
    const [only] = pairs;
    // The only split of a set is the set, whatever its folder is called.
    const nameOf = ({ folder }: FolderPair): string =>
      hints.category ??
      path.basename(pairs.length === 1 && folder === only?.folder && all.others.length > 0 ? root : folder);
    // Folders of which one has no masks at all are conditions of one object, not objects.
    const conditions = pairs.some(({ folder, images, masks }) => folder === images && listMasks(masks).length === 0);
    const categories = joined(
      pairs.map((pair) =>
        readPair(
          pair,
          conditions ? (hints.category ?? path.basename(root)) : nameOf(pair),
          hints.normalWithoutMask === true,
          problems,
        ),
      ),
    );
    const others = [
      ...pairs.flatMap(({ training }) => training),
      ...all.others.flatMap(({ images, masks }) => [images, masks].flatMap(filesUnder)),
    ];
    return { categories, problems, hasMasks: true, labelledByMasks: !hints.registered, others };
  },
};

/** The pair in the folder itself, else one for each folder in it, or those of its test split. */
function pairsIn(root: string): Split<FolderPair> {
  const own = pairsOf(root);
  const found = own.length > 0 ? own : listFolders(root).flatMap(pairsOf);
  return testSplitOf(found, ({ folder }) => path.basename(folder));
}

/** Images are directly in the two folders, or in folders of one name in both, such as `images/test` and `masks/test`. */
function pairsOf(folder: string): FolderPair[] {
  for (const names of folderPairs) {
    const images = childFolder(folder, names.images);
    const masks = childFolder(folder, names.masks);
    if (images === undefined || masks === undefined) continue;
    const training = (names.training ?? []).flatMap((name) => filesUnder(childFolder(folder, name)));
    if (listImages(images).length > 0) return [{ folder, images, masks, training }];
    const parts = listFolders(images).filter((part) => listImages(part).length > 0);
    const twins = parts.map((part) => ({
      folder: part,
      images: part,
      masks: childFolder(masks, path.basename(part)) ?? path.join(masks, path.basename(part)),
      training: [],
    }));
    if (twins.some((pair) => listMasks(pair.masks).length > 0)) return twins;
  }
  return [];
}

/** Categories of one name are one. */
function joined(categories: readonly Category[]): Category[] {
  const names = [...new Set(categories.map(({ name }) => name))];
  return names.map((name) =>
    makeCategory(
      name,
      categories.filter((category) => category.name === name).flatMap(({ samples }) => samples),
    ),
  );
}

function readPair(
  { images, masks }: FolderPair,
  category: string,
  normalWithoutMask: boolean,
  problems: DatasetProblem[],
): Category {
  const imagePaths = listImages(images);
  const { masksOf, problems: misfits } = pairByName(imagePaths, listMasks(masks), masks);
  problems.push(...misfits);
  const lost = imagePaths.filter((image) => masksOf(image).length === 0);
  if (!normalWithoutMask) problems.push(...lost.map((image) => missingMask(image, `the same name in ${masks}`)));
  const normal = new Set(normalWithoutMask ? lost : []);
  return makeCategory(
    category,
    imagePaths.map((image) => makeSample(category, image, normal.has(image) ? null : 'anomaly', masksOf(image))),
  );
}

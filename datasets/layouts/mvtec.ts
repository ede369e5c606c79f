import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem, type Sample } from '../sample';
import { filesUnder } from '../inventory';
import { childFile, childFolder, listFolders, listImages } from '../listing';
import { listMasks, pairByName } from '../mask-names';
import { missingMask, type Layout, type LayoutHints } from './layout';

/** Folders of normal images: MVTec-AD says `good`, BTAD `ok`. */
const normalFolders = new Set(['good', 'ok', 'normal']);
/**
 * Names of the folder of masks; the last is what AnomalyCLIP's script expects of ISIC, masks lying directly in it
 * (docs/method.md#medical-sets).
 */
const truthFolders = ['ground_truth', 'groundtruth', 'ISBI2016_ISIC_Part1_Test_GroundTruth'];

/**
 * Trees like that of MVTec-AD, BTAD's `ok` and `ko` among them (docs/method.md#industrial-sets):
 * `CATEGORY/test/good/000.png`, `CATEGORY/test/DEFECT/000.png`, `CATEGORY/ground_truth/DEFECT/000_mask.png`. The folder
 * may be the set or one category.
 */
export const mvtecLayout: Layout = {
  name: 'mvtec',
  looksFor:
    'CATEGORY/test/good|ok and CATEGORY/test/DEFECT with CATEGORY/ground_truth/DEFECT/NAME_mask.png (MVTec-AD, MPDD, BTAD, DTD-Synthetic), or one such category',
  fits: (root) => categoryFolders(root).length > 0,
  read(root, hints) {
    const problems: DatasetProblem[] = foldersWithoutTest(root);
    const categories = categoryFolders(root).map((folder) => readCategory(folder, hints, problems));
    const hasMasks =
      hints.expectMasks || categories.some((category) => category.samples.some((sample) => sample.hasMask));
    return { categories, problems, hasMasks, others: categoryFolders(root).flatMap(othersOf) };
  },
};

/** Images for training and validation, masks of normal images, and MVTec LOCO's description of its defects. */
function othersOf(folder: string): string[] {
  const truth = childFolder(folder, ...truthFolders);
  const masksOfNormal =
    truth === undefined
      ? []
      : listFolders(truth).filter((group) => normalFolders.has(path.basename(group).toLowerCase()));
  const beside = ['train', 'validation'].flatMap((name) => childFolder(folder, name) ?? []);
  return [
    ...[...beside, ...masksOfNormal].flatMap(filesUnder),
    ...[childFile(folder, 'defects_config.json') ?? []].flat(),
  ];
}

function categoryFolders(root: string): string[] {
  if (isCategory(root)) return [root];
  return listFolders(root).filter(isCategory);
}

/** A `test` folder whose children hold images; in Crane's own form they hold folders. */
function isCategory(folder: string): boolean {
  const test = childFolder(folder, 'test');
  return test !== undefined && listFolders(test).some((child) => listImages(child).length > 0);
}

/** Categories whose `test` folder is missing or empty; folders that are not a category at all do not matter. */
function foldersWithoutTest(root: string): DatasetProblem[] {
  const lost = isCategory(root)
    ? []
    : listFolders(root).filter(
        (folder) => childFolder(folder, 'train', ...truthFolders) !== undefined && !isCategory(folder),
      );
  return lost.map((folder) => {
    const test = path.join(folder, 'test');
    return {
      kind: 'missing-folder',
      severity: 'error',
      path: test,
      message: `the folder ${test} is missing or has no images, so category ${path.basename(folder)} is left out`,
    };
  });
}

function readCategory(folder: string, hints: LayoutHints, problems: DatasetProblem[]): Category {
  const name = path.basename(folder);
  const truth = childFolder(folder, ...truthFolders);
  const samples: Sample[] = [];
  let anomalous = 0;
  for (const group of listFolders(childFolder(folder, 'test') as string)) {
    const images = listImages(group);
    const defect = path.basename(group);
    if (normalFolders.has(defect.toLowerCase())) {
      samples.push(...images.map((image) => makeSample(name, image, null, [])));
      continue;
    }
    anomalous += images.length;
    const masks = truth === undefined ? undefined : maskFolderOf(truth, defect);
    const { masksOf, problems: misfits } = pairByName(images, masks === undefined ? [] : listMasks(masks), masks);
    problems.push(...misfits);
    samples.push(...images.map((image) => makeSample(name, image, defect, masksOf(image))));
    if (!hints.expectMasks || truth === undefined || images.length === 0) continue;
    if (masks === undefined) problems.push(missingFolder(path.join(truth, defect), images.length));
    else
      problems.push(
        ...images
          .filter((image) => masksOf(image).length === 0)
          .map((image) => missingMask(image, `${masks}/NAME_mask.png`)),
      );
  }
  if (hints.expectMasks && truth === undefined && anomalous > 0)
    problems.push(missingFolder(path.join(folder, 'ground_truth'), anomalous));
  return makeCategory(name, samples);
}

/** Masks are in a folder for each kind of defect, or, where there is only one kind, directly in the folder of masks. */
function maskFolderOf(truth: string, defect: string): string | undefined {
  return childFolder(truth, defect) ?? (listImages(truth).length > 0 ? truth : undefined);
}

function missingFolder(folder: string, images: number): DatasetProblem {
  const message = `the folder ${folder} is missing, so ${images} anomalous image${images === 1 ? ' has' : 's have'} no mask`;
  return { kind: 'missing-folder', severity: 'error', path: folder, message };
}

import * as path from 'node:path';
import { makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { filesUnder } from '../inventory';
import { childFolder, listFolders, listImages, stem } from '../listing';
import { imageNameOf, pairByName } from '../mask-names';
import { isSplit, testSplitOf, type Split } from '../splits';
import { missingMask, type Layout } from './layout';

const normalFolder = /(^|[_\- ])(free|good|ok|normal|no)$/i;

/** Images of a folder, separated into images and masks. */
interface Beside {
  /** Kind of defect, or the name of the folder of normal images; null where one folder holds all images. */
  readonly condition: string | null;
  readonly folder: string;
  readonly images: readonly string[];
  readonly masks: readonly string[];
}

/**
 * Each mask beside its image: `NAME_mask.png` beside `NAME.png` (or `_label`, `_GT`, …), or `a.png` beside `a.jpg`
 * (magnetic tiles), in one folder for each condition, such as `MT_Crack/Imgs` and `MT_Free/Imgs`, or all in one folder.
 * Folders called free, good, ok, normal or no hold normal images, others anomalous ones. In a single folder, the set's own or
 * its `test`, an image without a mask, or whose mask marks nothing, is normal (as in KolektorSDD2). Of these ways the one
 * that reads most images is taken.
 */
export const masksBesideLayout: Layout = {
  name: 'masks-beside',
  looksFor:
    'NAME.png with the mask NAME_mask.png beside it, or NAME.jpg with the mask NAME.png, in one folder or in one for each condition (magnetic tiles)',
  fits: (root) => foldersOf(root).length > 0,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const problems: DatasetProblem[] = [];
    const folders = foldersOf(root);
    const samples = folders.flatMap((folder) => readFolder(name, folder, problems));
    const isTest = folders[0]?.condition === null && folders[0].folder !== root;
    const others = isTest ? splitsOf(root).others.flatMap(filesUnder) : [];
    return {
      categories: [makeCategory(name, samples)],
      problems,
      hasMasks: true,
      labelledByMasks: folders[0]?.condition === null,
      others,
    };
  },
};

/** The set's own folder, its test split, or those in it that have a pair with folders of normal images beside them: whichever has most images. */
function foldersOf(root: string): Beside[] {
  const single = [[root], splitsOf(root).test].map((folders) => folders.map((folder) => tellApart(null, folder)));
  const below = listFolders(root)
    .filter((folder) => !isSplit(folder))
    .map((folder) => tellApart(path.basename(folder), childFolder(folder, 'Imgs') ?? folder));
  const conditions = below.filter(
    ({ condition, images, masks }) => masks.length > 0 || (images.length > 0 && normalFolder.test(condition as string)),
  );
  const ways = [...single, conditions].filter((folders) => folders.some(({ masks }) => masks.length > 0));
  return ways.reduce((best: Beside[], way) => (picturesIn(way) > picturesIn(best) ? way : best), []);
}

/** Folders that are called test, train and the like. */
function splitsOf(root: string): Split<string> {
  return testSplitOf(listFolders(root).filter(isSplit), (folder) => path.basename(folder));
}

function picturesIn(folders: readonly Beside[]): number {
  return folders.reduce((sum, { images, masks }) => sum + images.length + masks.length, 0);
}

/** By the endings of masks' names; where no name has one, a PNG beside a JPEG of its name is the mask. */
function tellApart(condition: string | null, folder: string): Beside {
  const files = listImages(folder);
  const names = new Set(files.map((file) => stem(file).toLowerCase().normalize('NFC')));
  const isNamedMask = (file: string): boolean => names.has(imageNameOf(file)?.toLowerCase().normalize('NFC') ?? '');
  if (files.some(isNamedMask))
    return {
      condition,
      folder,
      images: files.filter((file) => imageNameOf(file) === undefined),
      masks: files.filter((file) => imageNameOf(file) !== undefined),
    };
  const photographs = files.filter((file) => /\.jpe?g$/i.test(file));
  const photographed = new Set(photographs.map(stem));
  const drawn = files.filter((file) => /\.png$/i.test(file));
  // A folder of images of all sorts may hold one twice, in two formats.
  const pairs = drawn.filter((file) => photographed.has(stem(file))).length;
  return pairs > 0 && 2 * pairs >= drawn.length
    ? { condition, folder, images: photographs, masks: drawn }
    : { condition, folder, images: files, masks: [] };
}

function readFolder(
  category: string,
  { condition, folder, images, masks }: Beside,
  problems: DatasetProblem[],
): Sample[] {
  const normal = condition !== null && normalFolder.test(condition);
  const { masksOf, problems: misfits } = pairByName(images, masks);
  problems.push(...misfits);
  return images.map((image) => {
    const found = masksOf(image);
    if (normal || (condition === null && found.length === 0)) return makeSample(category, image, null, found);
    if (found.length === 0) problems.push(missingMask(image, path.join(folder, `${stem(image)}_mask.png`)));
    return makeSample(category, image, condition?.replace(/^MT_/, '') ?? 'anomaly', found);
  });
}

import * as path from 'node:path';
import { makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { childFolder, listFolders, listImages, stem } from '../listing';
import { missingMask, type Layout } from './layout';

const normalFolder = /(^|[_\- ])(free|good|ok|normal)$/i;

/**
 * One folder for each condition, each mask beside its image under the same name: `MT_Crack/Imgs/a.jpg` with
 * `MT_Crack/Imgs/a.png` (magnetic tiles). `MT_Free` is normal. JPEG is the image, PNG the mask.
 */
export const masksBesideLayout: Layout = {
  name: 'masks-beside',
  looksFor: 'CONDITION/Imgs/NAME.jpg with the mask NAME.png beside it (magnetic tiles)',
  fits: (root) => conditionFolders(root).length > 0,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const problems: DatasetProblem[] = [];
    const samples = conditionFolders(root).flatMap(({ condition, images }) => readCondition(name, condition, images, problems));
    return { categories: [makeCategory(name, samples)], problems, hasMasks: true };
  },
};

function conditionFolders(root: string): { condition: string; images: string }[] {
  return listFolders(root).flatMap((folder) => {
    const images = childFolder(folder, 'Imgs') ?? folder;
    const { photographs, maskOf } = split(images);
    return photographs.some((file) => maskOf.has(stem(file))) ? [{ condition: path.basename(folder), images }] : [];
  });
}

function split(folder: string): { photographs: string[]; maskOf: Map<string, string> } {
  const files = listImages(folder);
  return {
    photographs: files.filter((file) => /\.jpe?g$/i.test(file)),
    maskOf: new Map(files.filter((file) => /\.png$/i.test(file)).map((file) => [stem(file), file])),
  };
}

function readCondition(category: string, condition: string, folder: string, problems: DatasetProblem[]): Sample[] {
  const normal = normalFolder.test(condition);
  const { photographs, maskOf } = split(folder);
  const names = new Set(photographs.map(stem));
  for (const [name, mask] of maskOf) {
    if (!names.has(name)) problems.push({ kind: 'stray-mask', severity: 'warning', path: mask, message: `no image belongs to the mask ${mask}` });
  }
  return photographs.map((image) => {
    const mask = maskOf.get(stem(image)) ?? null;
    if (mask === null && !normal) problems.push(missingMask(image, path.join(folder, `${stem(image)}.png`)));
    return makeSample(category, image, normal ? null : condition.replace(/^MT_/, ''), mask);
  });
}

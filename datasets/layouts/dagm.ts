import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem } from '../sample';
import { childFolder, listFolders, listImages } from '../listing';
import { pairByName } from '../mask-names';
import type { Layout } from './layout';

/** DAGM 2007 (spec 9.2): `ClassN/Test/0001.PNG`, and `ClassN/Test/Label/0001_label.PNG` for the images that have a defect. */
export const dagmLayout: Layout = {
  name: 'dagm',
  looksFor: 'ClassN/Test/NNNN.PNG with ClassN/Test/Label/NNNN_label.PNG (DAGM)',
  fits: (root) => classFolders(root).length > 0,
  read(root) {
    const problems: DatasetProblem[] = [];
    return { categories: classFolders(root).map((folder) => readClass(folder, problems)), problems, hasMasks: true };
  },
};

function classFolders(root: string): string[] {
  return listFolders(root).filter((folder) => {
    const test = childFolder(folder, 'Test');
    return test !== undefined && childFolder(test, 'Label') !== undefined && listImages(test).length > 0;
  });
}

function readClass(folder: string, problems: DatasetProblem[]): Category {
  const name = path.basename(folder);
  const test = childFolder(folder, 'Test') as string;
  const images = listImages(test);
  const { maskOf, problems: misfits } = pairByName(images, listImages(childFolder(test, 'Label') as string));
  problems.push(...misfits);
  return makeCategory(name, images.map((image) => makeSample(name, image, maskOf.has(image) ? 'defect' : null, maskOf.get(image) ?? null)));
}

import * as path from 'node:path';
import { makeCategory, makeSample, type Category, type DatasetProblem } from '../sample';
import { filesUnder } from '../inventory';
import { readListFile } from '../list-file';
import { childFile, childFolder, listFolders, listImages } from '../listing';
import { pairByName } from '../mask-names';
import { missingMask, type Layout } from './layout';

/**
 * DAGM 2007 (docs/method.md#industrial-sets): `ClassN/Test/0001.PNG`, and `ClassN/Test/Label/0001_label.PNG` for the
 * images that have a defect. `Label/Labels.txt`, if present, says which these are, so that a missing label is
 * noticed.
 */
export const dagmLayout: Layout = {
  name: 'dagm',
  looksFor: 'ClassN/Test/NNNN.PNG with ClassN/Test/Label/NNNN_label.PNG (DAGM)',
  fits: (root) => testFolders(root).length > 0,
  read(root) {
    const problems: DatasetProblem[] = [];
    const classes = testFolders(root);
    const others = classes.flatMap(({ test }) =>
      [
        childFile(childFolder(test, 'Label') as string, 'Labels.txt') ?? [],
        filesUnder(childFolder(path.dirname(test), 'Train')),
      ].flat(),
    );
    return {
      categories: classes.map(({ name, test }) => readClass(name, test, problems)),
      problems,
      hasMasks: true,
      others,
    };
  },
};

/** The archive of each class has its folder in a folder of the same name; a class may stand alone. */
function testFolders(root: string): { name: string; test: string }[] {
  return [root, ...listFolders(root)].flatMap((folder) => {
    const name = path.basename(folder);
    const test = childFolder(childFolder(folder, name) ?? folder, 'Test');
    return test !== undefined && childFolder(test, 'Label') !== undefined && listImages(test).length > 0
      ? [{ name, test }]
      : [];
  });
}

function readClass(name: string, test: string, problems: DatasetProblem[]): Category {
  const images = listImages(test);
  const label = childFolder(test, 'Label') as string;
  const { masksOf, problems: misfits } = pairByName(images, listImages(label));
  problems.push(...misfits);
  const defective = namedDefective(label);
  const samples = images.map((image) => {
    const masks = masksOf(image);
    if (masks.length === 0 && !defective.has(path.basename(image).toLowerCase()))
      return makeSample(name, image, null, []);
    if (masks.length === 0)
      problems.push(missingMask(image, `a label in ${label}, since Labels.txt calls it defective`));
    return makeSample(name, image, 'defect', masks);
  });
  return makeCategory(name, samples);
}

/** Images that Labels.txt calls defective. Its lines are: number, 0 or 1, image, a number, label; other lines are skipped. */
function namedDefective(label: string): ReadonlySet<string> {
  const list = childFile(label, 'Labels.txt');
  if (list === undefined) return new Set();
  const rows = readListFile(list)
    .split(/\r?\n/)
    .map((line) => line.trim().split(/\s+/));
  return new Set(
    rows
      .filter((fields) => fields[1] === '1' && fields[2] !== undefined)
      .map((fields) => (fields[2] as string).toLowerCase()),
  );
}

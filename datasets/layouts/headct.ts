import * as path from 'node:path';
import { parseCsv } from '../csv';
import { statOf } from '../inventory';
import { readListFile } from '../list-file';
import { makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { childFile, childFolder, listFolders, listImages, stem } from '../listing';
import type { Layout } from './layout';

const labelColumn = 'hemorrhage';

/**
 * HeadCT as on Kaggle (docs/method.md#medical-sets): `head_ct/000.png` and `labels.csv`, whose header is
 * `id, hemorrhage` and whose ids are not padded. No masks.
 */
export const headctLayout: Layout = {
  name: 'headct',
  looksFor: 'labels.csv (id, hemorrhage) with head_ct/NNN.png (HeadCT)',
  fits: (root) => speaksOfIt(root) && imagesOf(root).length > 0,
  read(root, hints) {
    const name = hints.category ?? path.basename(root);
    const problems: DatasetProblem[] = [];
    const labels = readLabels(childFile(root, 'labels.csv') as string, problems);
    const images = new Map(imagesOf(root).map((image) => [plainId(stem(image)), image]));
    const samples: Sample[] = [];
    for (const [id, anomalous] of labels) {
      const image = images.get(id);
      if (image !== undefined) samples.push(makeSample(name, image, anomalous ? labelColumn : null, []));
      else
        problems.push({
          kind: 'missing-image',
          severity: 'error',
          path: root,
          message: `labels.csv names image ${id}, but ${root} has no file of that name`,
        });
    }
    for (const [id, image] of images) {
      if (!labels.has(id))
        problems.push({
          kind: 'unlabelled-image',
          severity: 'warning',
          path: image,
          message: `${image} has no row in labels.csv and is left out`,
        });
    }
    return {
      categories: [makeCategory(name, samples)],
      problems,
      hasMasks: false,
      others: [childFile(root, 'labels.csv') as string],
    };
  },
};

/** Other sets have a labels.csv as well: its column or the folder of images decides. */
function speaksOfIt(root: string): boolean {
  const list = childFile(root, 'labels.csv');
  if (list === undefined || statOf(list)?.isFile() !== true) return false;
  return childFolder(root, 'head_ct') !== undefined || parseCsv(readListFile(list, 4096)).columns.includes(labelColumn);
}

/** The archive has the folder once or twice, one in the other. */
function imagesOf(root: string): string[] {
  const outer = childFolder(root, 'head_ct');
  const folder = outer && (childFolder(outer, 'head_ct') ?? outer);
  return folder ? listImages(folder) : listFolders(root).flatMap(listImages);
}

function readLabels(csv: string, problems: DatasetProblem[]): Map<string, boolean> {
  const labels = new Map<string, boolean>();
  const { columns, rows } = parseCsv(readListFile(csv));
  if (!columns.includes('id') || !columns.includes(labelColumn)) {
    problems.push({
      kind: 'bad-row',
      severity: 'error',
      path: csv,
      message: `${csv} has the columns ${columns.join(', ')}; expected id and ${labelColumn}`,
    });
    return labels;
  }
  for (const { line, values } of rows) {
    const id = values['id'] ?? '';
    const label = values[labelColumn] ?? '';
    if (id !== '' && (label === '0' || label === '1')) labels.set(plainId(id), label === '1');
    else
      problems.push({
        kind: 'bad-row',
        severity: 'error',
        path: csv,
        message: `${csv} line ${line}: id "${id}", ${labelColumn} "${label}"; expected a number and 0 or 1`,
      });
  }
  return labels;
}

function plainId(text: string): string {
  return /^\d+$/.test(text) ? String(Number(text)) : text;
}

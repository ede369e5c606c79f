import * as path from 'node:path';
import { parseCsv, type CsvRow } from '../csv';
import { filesUnder, statOf } from '../inventory';
import { readListFile } from '../list-file';
import { compareText, makeCategory, makeSample, type Category, type DatasetProblem, type Sample } from '../sample';
import { childFile, childFolder, listFolders, listImages } from '../listing';
import { pairByName } from '../mask-names';
import { isInside } from '../path-in-set';
import { missingMask, type Layout, type LayoutReading } from './layout';

const splitFile = 'split_csv/1cls.csv';
const columns = ['object', 'split', 'label', 'image', 'mask'] as const;

/**
 * VisA as Amazon distributes it (docs/method.md#industrial-sets): `CATEGORY/Data/Images/{Normal,Anomaly}/*.JPG`,
 * `CATEGORY/Data/Masks/Anomaly/*.png`, and `split_csv/1cls.csv`, which says which images are the test split.
 */
export const visaLayout: Layout = {
  name: 'visa',
  looksFor: 'CATEGORY/Data/Images/Normal|Anomaly with split_csv/1cls.csv (VisA)',
  // Without the list, a meta.json knows better which images are the test split.
  fits: (root) =>
    imageFolders(root).length > 0 && (splitCsvOf(root) !== undefined || childFile(root, 'meta.json') === undefined),
  read(root) {
    const csv = splitCsvOf(root);
    return csv === undefined ? readWithoutSplit(root) : readSplit(root, csv);
  },
};

function imageFolders(root: string): { category: string; data: string; images: string }[] {
  return listFolders(root).flatMap((folder) => {
    const data = childFolder(folder, 'Data');
    const images = data && childFolder(data, 'Images');
    return data && images ? [{ category: path.basename(folder), data, images }] : [];
  });
}

function splitCsvOf(root: string): string | undefined {
  const folder = childFolder(root, 'split_csv');
  return folder && childFile(folder, '1cls.csv');
}

function readSplit(root: string, csv: string): LayoutReading {
  const problems: DatasetProblem[] = [];
  const { columns: found, rows } = parseCsv(readListFile(csv));
  const absent = columns.filter((column) => !found.includes(column));
  if (absent.length > 0) {
    const message = `${csv} has the columns ${found.join(', ')}; ${absent.join(', ')} ${absent.length === 1 ? 'is' : 'are'} missing`;
    return { categories: [], problems: [{ kind: 'bad-row', severity: 'error', path: csv, message }], hasMasks: true };
  }
  const others = [
    ...filesUnder(childFolder(root, 'split_csv')),
    ...imageFolders(root).flatMap(({ category }) => childFile(path.join(root, category), 'image_anno.csv') ?? []),
  ];
  const byCategory = new Map<string, Sample[]>();
  for (const row of rows) {
    if (row.values['split'] !== 'test') {
      others.push(
        ...['image', 'mask']
          .map((column) => row.values[column] ?? '')
          .filter((listed) => listed !== '')
          .map((listed) => path.join(root, listed)),
      );
      continue;
    }
    const sample = readRow(root, csv, row, problems);
    if (sample) byCategory.set(sample.category, [...(byCategory.get(sample.category) ?? []), sample]);
  }
  const names = [...byCategory.keys()].sort(compareText);
  return {
    categories: names.map((name) => makeCategory(name, byCategory.get(name) ?? [])),
    problems,
    hasMasks: true,
    others,
  };
}

function readRow(root: string, csv: string, row: CsvRow, problems: DatasetProblem[]): Sample | undefined {
  const [object, label, image, mask] = ['object', 'label', 'image', 'mask'].map(
    (column) => row.values[column] ?? '',
  ) as [string, string, string, string];
  if (object === '' || image === '' || !['normal', 'anomaly'].includes(label)) {
    const message = `${csv} line ${row.line}: object "${object}", label "${label}", image "${image}"; expected a name, normal or anomaly, and a path`;
    problems.push({ kind: 'bad-row', severity: 'error', path: csv, message });
    return undefined;
  }
  const imagePath = path.join(root, image);
  if (!isInside(root, imagePath) || statOf(imagePath) === undefined) {
    problems.push({
      kind: 'missing-image',
      severity: 'error',
      path: imagePath,
      message: `${csv} line ${row.line} names ${imagePath}, which does not exist, or is not in the set`,
    });
    return undefined;
  }
  if (label === 'normal') return makeSample(object, imagePath, null, []);
  const maskPath = mask === '' ? null : path.join(root, mask);
  const there = maskPath !== null && isInside(root, maskPath) && statOf(maskPath) !== undefined;
  if (!there) problems.push(missingMask(imagePath, maskPath ?? `the column "mask" of ${csv}`));
  return makeSample(object, imagePath, 'anomaly', there ? [maskPath] : []);
}

/** Without the split the test images cannot be told from those for training: all are listed, and the fault is named. */
function readWithoutSplit(root: string): LayoutReading {
  const missing = path.join(root, splitFile);
  const message = `${missing} is missing; it says which images of VisA are the test split and comes with the download`;
  const problems: DatasetProblem[] = [{ kind: 'missing-folder', severity: 'error', path: missing, message }];
  const categories = imageFolders(root).map(({ category, data, images }): Category => {
    const normal = listImages(childFolder(images, 'Normal') ?? path.join(images, 'Normal'));
    const anomalous = listImages(childFolder(images, 'Anomaly') ?? path.join(images, 'Anomaly'));
    const masks = childFolder(childFolder(data, 'Masks') ?? data, 'Anomaly');
    const { masksOf } = pairByName(anomalous, masks ? listImages(masks) : []);
    return makeCategory(category, [
      ...normal.map((image) => makeSample(category, image, null, [])),
      ...anomalous.map((image) => makeSample(category, image, 'anomaly', masksOf(image))),
    ]);
  });
  return { categories, problems, hasMasks: true };
}

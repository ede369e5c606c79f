import * as path from 'node:path';
import { parseCsv, type CsvRow } from '../csv';
import { statOf } from '../inventory';
import { isAnomalousLabel, LABELS_EXPECTED } from '../label-words';
import { readListFile } from '../list-file';
import { compareText, makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { listFiles } from '../listing';
import { isInside } from '../path-in-set';
import { missingMask, type Layout, type LayoutReading } from './layout';

/** Spellings of the columns, compared without blanks, dashes and underscores; the first that is present is taken. */
export const columnNames = {
  image: [
    'path',
    'image',
    'imagepath',
    'img',
    'imgpath',
    'file',
    'filename',
    'filepath',
    'imagefile',
    'imagename',
    'picture',
  ],
  label: [
    'label',
    'anomaly',
    'anomalous',
    'isanomaly',
    'isanomalous',
    'target',
    'defective',
    'isdefective',
    'labelindex',
    'y',
  ],
  mask: ['mask', 'maskpath', 'masks', 'groundtruth', 'gt', 'gtpath', 'maskfile', 'segmentation'],
  category: ['category', 'object', 'clsname', 'product', 'class', 'classname'],
  defect: ['defect', 'defecttype', 'speciename', 'kind', 'defectclass'],
  split: ['split', 'set', 'phase', 'subset', 'fold'],
} as const;
type Column = keyof typeof columnNames;
type Columns = ReadonlyMap<Column, string>;

/**
 * A list of images: a CSV file with a column for the image and one for its label or its mask, and perhaps its category,
 * kind of defect and split (only rows of `test` are read then). Paths are relative to the list. Several masks of an
 * image are in one cell with `;` or `|` between them, or in several rows.
 */
export const csvListLayout: Layout = {
  name: 'csv',
  looksFor:
    'a CSV file with columns such as path, label, mask, category (paths relative to it; label normal or anomaly, 0 or 1)',
  fits: (root) => listsIn(root).length > 0,
  read(root, hints) {
    const [list, ...others] = listsIn(root);
    const { file, columns } = list as List;
    const problems: DatasetProblem[] = others.map((other) => ({
      kind: 'left-out',
      severity: 'warning',
      path: other.file,
      message: `${other.file} is left out: ${file} is read`,
    }));
    return readList(file, columns, hints.category ?? path.basename(root), problems, (place) => isInside(root, place));
  },
};

interface List {
  readonly file: string;
  readonly columns: Columns;
}

/** One list, named by a person, whatever else is beside it. */
export function csvFileLayout(file: string): Layout {
  return {
    ...csvListLayout,
    fits: () => listOf(file) !== undefined,
    read: (_, hints) =>
      readList(
        file,
        listOf(file)?.columns ?? new Map(),
        hints.category ?? path.basename(file, path.extname(file)),
        [],
        () => true,
      ),
  };
}

/** Lists that can be read; one called after the test split, or after labels, comes first. */
function listsIn(root: string): List[] {
  const files = listFiles(root).filter((file) => /\.(csv|tsv)$/i.test(file) && !path.basename(file).startsWith('.'));
  const rank = (file: string): number =>
    /test/i.test(path.basename(file)) ? 0 : /label|data|annot/i.test(path.basename(file)) ? 1 : 2;
  return [...files].sort((a, b) => rank(a) - rank(b) || compareText(a, b)).flatMap((file) => listOf(file) ?? []);
}

/** What a file's header says; undefined for one that is not a list of images. */
function listOf(file: string): List | undefined {
  const columns = columnsOf(parseCsv(readHeader(file)).columns);
  return columns.has('image') && (columns.has('label') || columns.has('mask')) ? { file, columns } : undefined;
}

/** Empty for anything but a file, such as a pipe: it is not a list then. */
function readHeader(file: string): string {
  return statOf(file)?.isFile() === true ? (readListFile(file, 4096).split(/[\r\n]/, 1)[0] ?? '') : '';
}

function columnsOf(header: readonly string[]): Columns {
  const plain = new Map(header.map((name) => [name.replace(/[\s_-]/g, ''), name]));
  const found = (Object.keys(columnNames) as Column[]).flatMap((column): [Column, string][] => {
    const spelling = columnNames[column].find((name) => plain.has(name));
    return spelling === undefined ? [] : [[column, plain.get(spelling) as string]];
  });
  return new Map(found);
}

/** @param allowed which places a list may name: a list that comes with a set may name nothing else */
function readList(
  file: string,
  columns: Columns,
  unnamed: string,
  problems: DatasetProblem[],
  allowed: (place: string) => boolean,
): LayoutReading {
  const { rows } = parseCsv(readListFile(file));
  const cell = (row: CsvRow, column: Column): string => row.values[columns.get(column) ?? ''] ?? '';
  const splits = new Set(rows.map((row) => cell(row, 'split').toLowerCase()));
  const wanted = splits.has('test') ? rows.filter((row) => cell(row, 'split').toLowerCase() === 'test') : rows;
  const hasMasks = rows.some((row) => cell(row, 'mask') !== '');
  const entries = new Map<
    string,
    { image: string; category: string; defect: string | null; masks: string[]; row: CsvRow }
  >();
  for (const row of wanted) {
    const listed = cell(row, 'image');
    const image = resolveListed(file, listed, allowed);
    if (listed === '' || image === undefined) {
      const message = `${file} line ${row.line} ${listed === '' ? 'names no image' : `names ${listed}, but there is no such file beside the list${allowed(path.resolve(path.dirname(file), listed)) ? '' : '; files outside the set are read only where the list itself is named'}`}`;
      problems.push({ kind: listed === '' ? 'bad-row' : 'missing-image', severity: 'error', path: file, message });
      continue;
    }
    const masks = cell(row, 'mask')
      .split(/[;|]/)
      .map((part) => part.trim())
      .filter((part) => part !== '');
    const anomalous = !columns.has('label') ? masks.length > 0 : isAnomalousLabel(cell(row, 'label'));
    if (anomalous === undefined) {
      problems.push({
        kind: 'bad-row',
        severity: 'error',
        path: file,
        message: `${file} line ${row.line}: label "${cell(row, 'label')}"; expected ${LABELS_EXPECTED}`,
      });
      continue;
    }
    const known = entries.get(image);
    const defect = anomalous ? cell(row, 'defect') || 'anomaly' : null;
    const entry = known ?? { image, category: cell(row, 'category') || unnamed, defect, masks: [], row };
    for (const mask of masks) {
      const found = resolveListed(file, mask, allowed);
      if (found === undefined) problems.push(missingMask(image, `${mask}, which line ${row.line} of ${file} names`));
      else entry.masks.push(found);
    }
    entries.set(image, { ...entry, defect: entry.defect ?? defect });
  }
  const unread = (wanted === rows ? [] : rows.filter((row) => cell(row, 'split').toLowerCase() !== 'test')).flatMap(
    (row) => [cell(row, 'image'), cell(row, 'mask')],
  );
  const others = [file, ...unread.flatMap((listed) => resolveListed(file, listed, allowed) ?? [])];
  const samples = [...entries.values()].map((entry): Sample => {
    if (hasMasks && entry.defect !== null && entry.masks.length === 0 && cell(entry.row, 'mask') === '')
      problems.push(missingMask(entry.image, `a mask in line ${entry.row.line} of ${file}`));
    return makeSample(entry.category, entry.image, entry.defect, [...new Set(entry.masks)]);
  });
  const names = [...new Set(samples.map(({ category }) => category))].sort(compareText);
  return {
    categories: names.map((name) =>
      makeCategory(
        name,
        samples.filter(({ category }) => category === name),
      ),
    ),
    problems,
    hasMasks,
    others,
  };
}

function resolveListed(list: string, listed: string, allowed: (place: string) => boolean): string | undefined {
  const file = path.resolve(path.dirname(list), listed.replaceAll('\\', path.sep === '/' ? '/' : '\\'));
  return listed !== '' && allowed(file) && statOf(file)?.isFile() ? file : undefined;
}

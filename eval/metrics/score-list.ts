import { parseCsv, type CsvRow } from '../../datasets/csv';
import { isAnomalousLabel } from '../../datasets/label-words';
import { columnNames } from '../../datasets/layouts/csv-list';
import { readListFile } from '../../datasets/list-file';
import { DatasetError, UsageError } from '../../lib/errors';
import { partsOf } from './score-files';

/** What a list says about one image. */
export interface ListedImage {
  /** The name as written in the list. */
  readonly name: string;
  /** Its path, without suffix. */
  readonly parts: readonly string[];
  readonly line: number;
  readonly score: number;
  /** Undefined where the list does not say. */
  readonly anomalous: boolean | undefined;
}

/** Spellings of the columns, compared without blanks, dashes and underscores; the first one found is used. */
const COLUMNS = {
  name: ['name', ...columnNames.image],
  score: ['score', 'anomalyscore', 'imagescore', 'scores'],
  label: columnNames.label,
} as const;

/** A decimal number, and none of the other forms that JavaScript accepts. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * Reads image scores from CSV: columns `name` (the map's path inside its folder, with or without suffix), `score` (any
 * finite number; larger is more anomalous) and, optionally, `label` (0 or 1, also in words), under these names or those
 * of lists of images.
 * @throws UsageError `usage/scores` with file, line, what was found and what was expected
 */
export function readScoreList(file: string): ListedImage[] {
  let text: string;
  try {
    text = readListFile(file);
  } catch (error) {
    if (!(error instanceof DatasetError)) throw error;
    throw new UsageError(
      'usage/scores',
      `\`scores: '${file}'\`: ${error.message}. Name a CSV file.`,
      { file },
      { cause: error },
    );
  }
  const { columns, rows } = parseCsv(text);
  const [name, score, label] = [
    columnOf(columns, 'name', file),
    columnOf(columns, 'score', file),
    columnOf(columns, 'label', file),
  ];
  if (name === undefined || score === undefined) {
    const missing = [...(name === undefined ? ['name'] : []), ...(score === undefined ? ['score'] : [])];
    throw new UsageError(
      'usage/scores',
      `\`scores: '${file}'\`: no column ${missing.join(' and ')}; its first line has ${JSON.stringify(columns.join(', ').slice(0, 60))}. Expected name,score or name,score,label.`,
      { file, columns },
    );
  }
  if (rows.length === 0)
    throw new UsageError(
      'usage/scores',
      `\`scores: '${file}'\`: has no line below its header. Expected a line for each map.`,
      { file },
    );
  return rows.map((row) => readRow(row, { name, score, label }, file));
}

function readRow(
  { line, values, surplus }: CsvRow,
  columns: { name: string; score: string; label: string | undefined },
  file: string,
): ListedImage {
  const wrong = (column: string, found: string, expected: string): UsageError =>
    new UsageError(
      'usage/scores',
      `\`scores: '${file}'\`, line ${line}: ${column} ${JSON.stringify(found)}; expected ${expected}.`,
      { file, line, found },
    );
  if (surplus !== undefined)
    throw wrong(
      'fields behind the last column,',
      surplus.join(','),
      'as many as the first line has; write numbers with a decimal point, and put names that contain the separator in quotes',
    );
  const [name = '', score = '', label = ''] = [columns.name, columns.score, columns.label].map((column) =>
    column === undefined ? '' : values[column],
  );
  if (name === '') throw wrong('name', name, 'the name of a map');
  if (!NUMBER.test(score) || !Number.isFinite(Number(score)))
    throw wrong('score', score, 'a finite number, with a decimal point where needed');
  const anomalous = isAnomalousLabel(label);
  if (label !== '' && anomalous === undefined)
    throw wrong('label', label, '0 for normal or 1 for anomalous, a word such as good or bad, or nothing');
  return { name, parts: partsOf(name), line, score: Number(score), anomalous };
}

/** The name in the file of a column. @throws UsageError where the file has it twice */
function columnOf(columns: readonly string[], wanted: keyof typeof COLUMNS, file: string): string | undefined {
  const plain = columns.map((column) => column.replace(/[\s_-]/g, ''));
  const spelling = COLUMNS[wanted].find((candidate) => plain.includes(candidate));
  if (spelling === undefined) return undefined;
  if (plain.filter((column) => column === spelling).length > 1) {
    throw new UsageError(
      'usage/scores',
      `\`scores: '${file}'\`: its first line has the column ${spelling} twice. Leave one out.`,
      { file, columns },
    );
  }
  return columns[plain.indexOf(spelling)];
}

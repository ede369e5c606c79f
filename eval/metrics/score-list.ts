import * as fs from 'node:fs';
import { parseCsv } from '../../datasets/csv';
import { UsageError } from '../../lib/errors';
import { partsOf } from './score-files';

/** What a list says of one image. */
export interface ListedImage {
  /** The name as it stands in the list. */
  readonly name: string;
  /** Its path, without suffix. */
  readonly parts: readonly string[];
  readonly line: number;
  readonly score: number;
  /** Undefined where the list does not say. */
  readonly anomalous: boolean | undefined;
}

const LABELS: Readonly<Record<string, boolean>> = {
  '0': false, normal: false, good: false, false: false,
  '1': true, anomalous: true, anomaly: true, defect: true, bad: true, true: true,
};

/**
 * Reads image scores from CSV: columns `name` (the map's path inside its folder, with or without suffix), `score` (any finite
 * number; larger is more anomalous) and, if wanted, `label` (0 or 1, also in words).
 * @throws UsageError `usage/scores` naming file, line, what was found and what was expected
 */
export function readScoreList(file: string): ListedImage[] {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError('usage/scores', `\`scores: '${file}'\`: cannot be read (${(error as NodeJS.ErrnoException).code}). Name a CSV file.`, { file }, { cause: error });
  }
  const { columns, rows } = parseCsv(text);
  const missing = ['name', 'score'].filter((column) => !columns.includes(column));
  if (missing.length > 0) {
    throw new UsageError('usage/scores', `\`scores: '${file}'\`: no column ${missing.join(' and ')}; its first line has ${JSON.stringify(columns.join(', ').slice(0, 60))}. Expected name,score or name,score,label.`, { file, columns });
  }
  return rows.map(({ line, values }) => {
    const { name = '', score = '', label = '' } = values;
    const wrong = (column: string, found: string, expected: string): UsageError =>
      new UsageError('usage/scores', `\`scores: '${file}'\`, line ${line}: ${column} "${found}"; expected ${expected}.`, { file, line, found });
    if (name === '') throw wrong('name', name, 'the name of a map');
    if (score === '' || !Number.isFinite(Number(score))) throw wrong('score', score, 'a finite number');
    const anomalous = LABELS[label.toLowerCase()];
    if (label !== '' && anomalous === undefined) throw wrong('label', label, '0 for normal or 1 for anomalous');
    return { name, parts: partsOf(name), line, score: Number(score), anomalous };
  });
}

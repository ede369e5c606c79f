import * as path from 'node:path';
import { writeFileAtomically } from '../../lib/files/atomic-file';
import {
  readRowDetails,
  type BenchmarkResults,
  type BenchmarkRow,
  type RowDetails,
} from '../benchmark/benchmark-results';
import type { MetricId } from '../metrics/metric-ids';
import { unwritable } from '../results';
import { benchmarkPage } from './benchmark-page';
import { benchmarkCsv } from './comma-separated';
import { benchmarkMarkdown } from './markdown';
import { paperTable } from './paper-table';
import { fitThumbnails, type SetThumbnails } from '../gallery/picture-budget';
import { renderColourBar } from '../gallery/pictures';
import { selectImages } from '../gallery/selection';
import type { ReportedRow } from './set-sections';

/** What `writeBenchmarkReport` writes, beside `results.json`. */
export const REPORT_FILES = ['report.html', 'report.md', 'report.csv'] as const;

/**
 * Writes a benchmark's reports from its results: a self-contained page, the paper's table as Markdown,
 * and every figure as CSV. Each is written atomically.
 * @param folder the one with `results.json` and the rows' details; the page names details that cannot be read
 * @throws CraneError `results/unwritable`
 */
export async function writeBenchmarkReport(folder: string, results: BenchmarkResults): Promise<void> {
  const details = new Map(results.datasets.map((row) => [row, detailsOf(folder, row)]));
  const reasonOf = (row: BenchmarkRow, metric: MetricId): string =>
    details
      .get(row)
      ?.evaluation.categories.map(({ reasons }) => reasons[metric])
      .find((reason) => reason !== undefined) ?? 'not defined in any category';
  const table = paperTable(results, reasonOf);
  const fitted = await fitThumbnails(results.datasets.map((row) => thumbnailsOf(details.get(row) ?? null)));
  const rows = results.datasets.map((row, at): ReportedRow => ({
    row,
    details: details.get(row) ?? null,
    shown: fitted.sets[at] as SetThumbnails,
  }));
  const page = benchmarkPage({ results, table, rows, reasonOf, fitted, colourBar: await renderColourBar() });
  await write(path.join(folder, 'report.html'), page);
  await write(path.join(folder, 'report.md'), benchmarkMarkdown(results, table));
  await write(path.join(folder, 'report.csv'), benchmarkCsv(results));
}

async function write(file: string, content: string): Promise<void> {
  await writeFileAtomically(file, content).catch((error: unknown) => {
    throw unwritable('report', file, error);
  });
}

function detailsOf(folder: string, row: BenchmarkRow): RowDetails | null {
  try {
    return readRowDetails(folder, row);
  } catch {
    return null;
  }
}

function thumbnailsOf(details: RowDetails | null): SetThumbnails {
  if (details === null) return { selection: { categories: [], leftOut: 0 }, thumbnails: new Map() };
  return { selection: selectImages(details.evaluation), thumbnails: new Map(Object.entries(details.thumbnails ?? {})) };
}

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { writeRowDetails, type BenchmarkRow } from '../../../eval/benchmark/benchmark-results';
import { writeBenchmarkReport } from '../../../eval/report/write-benchmark-report';
import { readMarkup } from './markup';
import { benchmarkOf, paperMetrics, rowOf } from './sample-benchmark';
import { categoryOf, evaluationOf, WITHOUT_MASKS } from './sample-evaluation';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-benchmark-report-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

const headct = rowOf('crane', 'headct', paperMetrics(0.95, 0.96, 0.9, null, null, null));
const btad = rowOf('crane', 'btad', paperMetrics(0.95, 0.96, 0.9, 0.9, 0.8, 0.5));
const keep = (row: BenchmarkRow, masks: boolean): void => {
  const evaluation = evaluationOf([categoryOf('gear', [0.1, 0.2], [0.3, 0.4], { masks })], { dataset: row.name });
  writeRowDetails(path.join(folder, row.details), {
    schemaVersion: 1,
    recipe: row.recipe,
    title: row.title,
    evaluation,
    thumbnails: null,
  });
};

test('three files beside the results, from the same data', async () => {
  keep(headct, false);
  keep(btad, true);
  await writeBenchmarkReport(folder, benchmarkOf([headct, btad]));
  expect(fs.readdirSync(folder).sort()).toEqual(['report.csv', 'report.html', 'report.md', 'rows']);
  const page = readMarkup(fs.readFileSync(path.join(folder, 'report.html'), 'utf8'));
  expect(page.text).toContain(`Not in this table: HEADCT. T${WITHOUT_MASKS.slice(1)}.`);
  expect(page.text).toContain('None were made in this run.');
  expect(page.elements.filter((element) => element === 'figure').length).toBeGreaterThan(8);
  expect(fs.readFileSync(path.join(folder, 'report.md'), 'utf8')).toContain(
    `Not in this table: HEADCT (${WITHOUT_MASKS}).`,
  );
  expect(fs.readFileSync(path.join(folder, 'report.csv'), 'utf8')).toContain('crane,btad,,image/auroc,0.95,0.944\r\n');
});

test('details that are missing or torn cost their part of the page, not the report', async () => {
  keep(headct, false);
  fs.mkdirSync(path.dirname(path.join(folder, btad.details)), { recursive: true });
  fs.writeFileSync(path.join(folder, btad.details), '{"evaluation":');
  await writeBenchmarkReport(folder, benchmarkOf([headct, btad]));
  const { text } = readMarkup(fs.readFileSync(path.join(folder, 'report.html'), 'utf8'));
  expect(text).toContain('Its details (rows/crane/btad.json) cannot be read');
  expect(text).not.toContain('Its details (rows/crane/headct.json)');
});

test('a place that cannot be written is named', async () => {
  fs.mkdirSync(path.join(folder, 'report.md', 'full'), { recursive: true });
  await expect(writeBenchmarkReport(folder, benchmarkOf([]))).rejects.toMatchObject({
    code: 'results/unwritable',
    message: expect.stringContaining('report.md'),
  });
});

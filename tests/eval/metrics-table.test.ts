import { METRIC_IDS, type MetricValues } from '../../eval/metrics/metric-ids';
import { metricsLegend, METRIC_TITLES, metricsTable, percent } from '../../eval/metrics-table';
import type { DatasetResult } from '../../eval/results';

const values = (image: number, pixel: number | null): MetricValues =>
  Object.fromEntries(METRIC_IDS.map((id) => [id, id.startsWith('image/') ? image : pixel])) as MetricValues;

const result: DatasetResult = {
  name: 'parts',
  categories: [
    { name: 'bolt', images: 10, anomalous: 4, metrics: values(0.5, 0.12345) },
    { name: 'nut|washer', images: 6, anomalous: 3, metrics: values(1, null) },
  ],
  mean: values(0.75, 0.12345),
  groups: [
    {
      name: 'kinds seen',
      categories: [{ name: 'bolt', images: 8, anomalous: 2, metrics: values(0, 0) }],
      mean: values(0, 0),
    },
  ],
};

test('per cent with one decimal, and what is not defined', () => {
  expect([0, 1, 0.91249, null].map(percent)).toEqual(['0.0', '100.0', '91.2', 'n/a']);
});

test('a row a category, the mean with sums of images, then groups', () => {
  const lines = metricsTable(result)
    .split('\n')
    .map((line) => line.trim().split(/\s{2,}/));
  expect(lines.map((line) => line.slice(0, 4))).toEqual([
    ['category', 'images', 'anomalous', 'I-AUROC'],
    expect.arrayContaining([expect.stringMatching(/^─+$/)]),
    ['bolt', '10', '4', '50.0'],
    ['nut|washer', '6', '3', '100.0'],
    expect.arrayContaining([expect.stringMatching(/^─+$/)]),
    ['mean', '16', '7', '75.0'],
    ['kinds seen', '8', '2', '0.0'],
  ]);
  expect(lines[3]?.slice(-5)).toEqual(Array(5).fill('n/a'));
  expect(new Set(lines.map((line) => line.length))).toEqual(new Set([3 + METRIC_IDS.length]));
});

test('as Markdown every row has the same cells, whatever names hold', () => {
  const lines = metricsTable(result, 'markdown').split('\n');
  expect(lines).toHaveLength(6);
  expect(new Set(lines.map((line) => line.split(/(?<!\\)\|/).length))).toEqual(new Set([5 + METRIC_IDS.length]));
  expect(lines[3]).toContain('nut\\|washer');
});

test('a mean that counts what is not defined as 0 says so', () => {
  expect(metricsTable({ ...result, referenceMeans: true })).toMatch(/^mean \(n\/a as 0\) +16 /m);
  expect(metricsTable(result)).not.toContain('n/a as 0');
});

test('the legend names every metric by its id', () => {
  for (const id of METRIC_IDS) expect(metricsLegend()).toContain(`${METRIC_TITLES[id]} = ${id}`);
});

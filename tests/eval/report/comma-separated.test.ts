import * as fc from 'fast-check';
import { parseCsv } from '../../../datasets/csv';
import { benchmarkCsv, csvLine } from '../../../eval/report/comma-separated';
import { METRIC_IDS } from '../../../eval/metrics/metric-ids';
import { PUBLISHED_AVERAGES } from '../../../eval/published';
import { averageOf, benchmarkOf, paperMetrics, rowOf } from './sample-benchmark';

test('a line for each category, mean and average of a domain, and metric', () => {
  const row = rowOf('crane', 'mvtec', paperMetrics(0.94, 0.97, 0.9, null, 0.85, 0.4));
  const average = averageOf('crane', 'industrial', ['mvtec'], row.mean, PUBLISHED_AVERAGES.industrial.Crane);
  const text = benchmarkCsv(benchmarkOf([row], { averages: [average] }));
  const lines = text.split('\r\n');
  expect(lines).toHaveLength(1 + 3 * METRIC_IDS.length + 1);
  expect(lines[0]).toBe('recipe,set,category,metric,value,published');
  expect(lines).toContain('crane,mvtec,gear,image/auroc,0.94,');
  expect(lines).toContain('crane,mvtec,,image/auroc,0.94,0.938');
  expect(lines).toContain('crane,mvtec,,pixel/auroc,,0.913');
  expect(lines).toContain('crane,mvtec,,pixel/ap,,');
  expect(lines).toContain('crane,average of industrial,,image/auroc,0.94,0.926');
});

test.each([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ['two\nlines', '"two\nlines"'],
  [' edge', '" edge"'],
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  [' =1', "' =1"],
  ['=HYPERLINK("x","y")', '"\'=HYPERLINK(""x"",""y"")"'],
  ['漢字 é', '漢字 é'],
])('the name %j is written as %j', (name, written) => {
  expect(csvLine([name])).toBe(`${written}\r\n`);
});

test('whatever the names, a reader gets them back, and none begins as a formula does', () => {
  const name = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.constantFrom('=cmd()', 'a"b,c', '@x', '-', 'a\r\nb'),
  );
  fc.assert(
    fc.property(name, (word) => {
      const row = {
        ...rowOf('crane', 'x', paperMetrics(1, null, null, null, null, null)),
        categories: [{ name: word, images: 1, anomalous: 1, metrics: paperMetrics(1, null, null, null, null, null) }],
      };
      const read = parseCsv(benchmarkCsv(benchmarkOf([row]))).rows;
      expect(read).toHaveLength(2 * METRIC_IDS.length);
      const category = read[0]?.values['category'] as string;
      expect(category).not.toMatch(/^[=+\-@\t\r]/);
      expect(category.replace(/^'/, '').trim()).toBe(word.replace(/\0/g, '\ufffd').replace(/^'/, '').trim());
    }),
  );
});

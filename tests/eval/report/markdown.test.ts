import { benchmarkMarkdown, escapeMarkdown } from '../../../eval/report/markdown';
import { paperTable } from '../../../eval/report/paper-table';
import type { BenchmarkResults } from '../../../eval/benchmark/benchmark-results';
import { PUBLISHED_AVERAGES } from '../../../eval/published';
import { averageOf, benchmarkOf, metrics, paperMetrics, rowOf } from './sample-benchmark';

const textOf = (results: BenchmarkResults): string =>
  benchmarkMarkdown(
    results,
    paperTable(results, () => 'the set has no masks'),
  );
const mvtec = rowOf('crane', 'mvtec', paperMetrics(0.94, 0.97, 0.9, 0.9126, null, 0.4));

/** Cells of the rows of every table, unescaped bars only as separators. */
const cellsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split(/(?<!\\)(?:\\\\)*\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

test('the table of the paper: value, printed figure and difference in each cell, groups and average', () => {
  const average = averageOf('crane', 'industrial', ['mvtec', 'visa'], mvtec.mean);
  const text = textOf(
    benchmarkOf([mvtec, rowOf('crane', 'headct', paperMetrics(0.953, 0.957, 0.9, null, null, null))], {
      averages: [average],
    }),
  );
  const rows = cellsOf(text);
  expect(rows).toContainEqual(['MVTEC', '94.0 (93.8, +0.2)', '97.0 (97.5, −0.5)', '90.0 (93.8, −3.8)']);
  expect(rows).toContainEqual(['MVTEC', '91.3 (91.3, ±0.0)', 'n/a (84.6)', '40.0 (41.3, −1.3)']);
  expect(rows.map(([first]) => first)).toEqual(expect.arrayContaining(['**Industrial**', '**Medical**', 'average']));
  expect(text).toContain(
    'The industrial average is over 2 of 7 sets; in brackets: the mean of the printed figures of the same sets.',
  );
  expect(text).toContain('Not in this table: HEADCT (the set has no masks).');
  expect(text).toContain('P-AUROC = pixel/auroc');
});

test('every row of a table has as many cells as its head', () => {
  const text = textOf(benchmarkOf([mvtec, rowOf('crane-plus', 'btad', metrics(), { title: 'a|b <c> `d`' })]));
  for (const table of text.split('\n\n').filter((part) => part.startsWith('|'))) {
    const [head, ...rows] = cellsOf(table);
    for (const row of rows) expect(row).toHaveLength(head?.length ?? 0);
  }
});

test('what is wrong in print, what did not run, what is not comparable, and how to repeat it', () => {
  const average = averageOf('crane', 'industrial', ['mvtec', 'visa'], mvtec.mean, PUBLISHED_AVERAGES.industrial.Crane);
  const text = textOf(
    benchmarkOf([{ ...mvtec, comparable: false }], {
      averages: [average],
      leftOut: [{ recipe: 'crane', name: 'visa', reason: 'absent', message: 'no folder <visa>' }],
    }),
  );
  expect(text).toContain('(93.7†, +3.3)');
  expect(text).toContain(
    '- Crane, average of industrial, `image/ap`: printed 93.7, likely 93.8; the mean of its printed rows is 93.76',
  );
  expect(text).toContain('94.0\\* (93.8, +0.2)');
  expect(text).toContain('- VisA, by crane: no folder &lt;visa&gt;');
  expect(cellsOf(text)).toContainEqual(['VisA', 'not on disk', 'not on disk', 'not on disk']);
  expect(text).toContain('```sh\ncrane benchmark --datasets mvtec\n```');
  expect(textOf(benchmarkOf([mvtec], { run: { ...benchmarkOf([]).run, complete: false } }))).toContain(
    '**Incomplete**',
  );
});

test('costs, matrix and degraded pictures', () => {
  const text = textOf(
    benchmarkOf([mvtec], {
      matrix: {
        auxiliaries: ['a', 'b'],
        targets: ['a', 'b'],
        cells: [{ recipe: 'crane', auxiliary: 'a', target: 'b', mean: metrics({ 'image/auroc': 0.75 }) }],
        leftOut: [],
        epochs: 1,
        seed: 1,
      },
      corruptions: [0.1, 0.3].map((fall, place) => ({
        recipe: 'crane',
        name: `set${place}`,
        kind: 'noise',
        strength: 3,
        level: 20,
        mean: metrics(),
        change: metrics({ 'image/auroc': -fall }),
      })),
    }),
  );
  const rows = cellsOf(text);
  expect(rows).toContainEqual(['crane', 'MVTEC', '10', '70', '13.7', '658', '1.97', '7.88', '0.70']);
  expect(rows).toContainEqual(['a', '–', '75.0']);
  // The mean of 10 and 30 points.
  expect(rows).toContainEqual(['crane', 'noise', '3', '2', '−20.0', 'n/a', 'n/a']);
});

test.each([
  ['a|b', 'a|b'],
  ['<img src=x>', '&lt;img src=x&gt;'],
  ['*bold* _it_ `c`', '\\*bold\\* \\_it\\_ \\`c\\`'],
  ['[x](y)', '\\[x\\](y)'],
  ['# head', '\\# head'],
  ['- list', '\\- list'],
  ['1. list', '1\\. list'],
  ['1.97', '1.97'],
  ['-1', '-1'],
  ['two\nlines', 'two lines'],
  ['a & b', 'a &amp; b'],
])('the text %j is written as %j', (text, written) => {
  expect(escapeMarkdown(text)).toBe(written);
});

test('a command with backticks stays within its fence', () => {
  const results = benchmarkOf([mvtec]);
  expect(textOf({ ...results, run: { ...results.run, command: 'crane ```\n# no head' } })).toContain(
    '````sh\ncrane ```\n# no head\n````',
  );
});

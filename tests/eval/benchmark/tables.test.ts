import { stripVTControlCharacters } from 'node:util';
import type { BenchmarkResults, BenchmarkRow } from '../../../eval/benchmark/benchmark-results';
import type { RowState } from '../../../eval/benchmark/benchmark';
import { LiveTable } from '../../../eval/benchmark/live-table';
import { accuracyTables, corruptionTable, costTable, matrixTables, rowLine } from '../../../eval/benchmark/tables';
import { METRIC_IDS, type MetricValues } from '../../../eval/metrics/metric-ids';
import { publishedRow } from '../../../eval/published';

const values = (image: number | null, pixel: number | null): MetricValues =>
  Object.fromEntries(METRIC_IDS.map((id) => [id, id.startsWith('image/') ? image : pixel])) as MetricValues;

function row(name: string, mean: MetricValues, over: Partial<BenchmarkRow> = {}): BenchmarkRow {
  return {
    name,
    mean,
    recipe: 'crane',
    title: name,
    domain: 'industrial',
    images: 10,
    anomalous: 5,
    categories: [],
    seconds: 1,
    details: '',
    model: { spatial: null } as BenchmarkRow['model'],
    files: {} as BenchmarkRow['files'],
    published: publishedRow(name, 'Crane') ?? null,
    comparable: true,
    cost: {
      imagesPerSecond: 0.0874,
      peakMemoryBytes: 3.2e9,
      parameters: 427_987_201,
      bytes: 1_711_948_804,
      flop: { vision: 0, eattn: 0, dattn: 0, spatial: 0, text: 0, total: 1.3625e12 },
    },
    ...over,
  };
}

const recipes: BenchmarkResults['recipes'] = [
  { name: 'crane', method: 'Crane', about: 'plain', variantOf: null },
  { name: 'crane-plus', method: 'Crane+', about: 'guided', variantOf: null },
];
/** The cells of the line that begins with a word. */
const cells = (table: string, first: string): string[] =>
  (table.split('\n').find((line) => line.startsWith(first)) ?? '').trim().split(/ {2,}/);

test('figures stand beside their differences to the printed ones, where they should be equal', () => {
  const rows = [
    row('mvtec', values(0.938, 0.913)),
    row('tn3k', values(null, 0.5), { domain: 'medical' }),
    row('visa', values(0.8, 0.9), { comparable: false }),
  ];
  const text = accuracyTables({ datasets: rows, averages: [], recipes });
  // Printed: 93.8, 97.5, 93.8; 91.3, 84.6, 41.3.
  expect(cells(text, 'mvtec')).toEqual([
    'mvtec',
    '10',
    '93.8 ±0.0',
    '93.8 -3.7',
    '93.8 ±0.0',
    '91.3 ±0.0',
    '91.3 +6.7',
    '91.3 +50.0',
  ]);
  expect(cells(text, 'tn3k')).toEqual(['tn3k', '10', 'n/a', 'n/a', 'n/a', '50.0 -29.4', '50.0 +1.2', '50.0 +5.3']);
  expect(cells(text, 'visa')).toEqual(['visa', '10', '80.0', '80.0', '80.0', '90.0', '90.0', '90.0']);
  expect(text).toMatch(/^crane: plain\n/);
  expect(text).not.toContain('crane-plus');
});

test('means stand below a rule, of two sets or more; Crane+ without its second model says so', () => {
  const averages: BenchmarkResults['averages'] = [
    { recipe: 'crane-plus', domain: 'industrial', sets: ['mvtec', 'visa'], mean: values(0.5, 0.25), published: null },
    { recipe: 'crane-plus', domain: 'medical', sets: ['tn3k'], mean: values(1, 1), published: null },
  ];
  const text = accuracyTables({ datasets: [row('mvtec', values(0, 0), { recipe: 'crane-plus' })], averages, recipes });
  expect(cells(text, 'mean of 2 industrial')).toEqual([
    'mean of 2 industrial',
    '50.0',
    '50.0',
    '50.0',
    '25.0',
    '25.0',
    '25.0',
  ]);
  expect(text).not.toContain('medical');
  expect(text).toMatch(/^crane-plus: guided \(run without a second vision model\)\n/);
  // No rule is left at the end where no mean follows.
  expect(accuracyTables({ datasets: [row('mvtec', values(0, 0))], averages: [], recipes })).toMatch(/0\.0 \S+$/);
});

test('costs in the units that people use', () => {
  expect(cells(costTable([row('mvtec', values(1, 1))]), 'crane')).toEqual([
    'crane',
    'mvtec',
    '0.09',
    '3200',
    '428',
    '1712',
    '1363',
  ]);
  expect(
    costTable([row('mvtec', values(1, 1), { cost: { ...row('x', values(1, 1)).cost, imagesPerSecond: null } })]),
  ).toContain('n/a');
});

test('one line for a row', () => {
  expect(rowLine(row('tn3k', values(null, 0.5)))).toBe(
    'crane tn3k: P-AUROC 50.0 -29.4, AUPRO-paper 50.0 +1.2, P-F1max 50.0 +5.3 (0.09 images/s, peak 3200 MB)',
  );
  expect(rowLine(row('x', values(null, null)))).toMatch(/no metric is defined/);
});

test('degraded pictures: the mean change over sets, for each kind and strength', () => {
  const change = (
    name: string,
    strength: 1 | 3,
    image: number | null,
    pixel: number,
  ): NonNullable<BenchmarkResults['corruptions']>[number] => ({
    recipe: 'crane',
    name,
    kind: 'blur',
    strength,
    level: 2 * strength,
    mean: values(1, 1),
    change: values(image, pixel),
  });
  const text = corruptionTable([change('a', 1, -0.02, -0.1), change('b', 1, null, -0.3), change('a', 3, 0.011, -0.5)]);
  const lines = text
    .split('\n')
    .slice(2)
    .map((line) => line.trim().split(/ {2,}/));
  expect(lines).toEqual([
    ['crane', 'blur', '1', '2', '2', '-2.0', '-20.0', '-20.0'],
    ['crane', 'blur', '3', '6', '1', '+1.1', '-50.0', '-50.0'],
  ]);
});

test('a matrix has auxiliary sets down and targets across', () => {
  const study = {
    auxiliaries: ['a', 'b'],
    targets: ['a', 'b'],
    leftOut: [],
    epochs: 1,
    seed: 1,
    cells: [{ recipe: 'crane', auxiliary: 'b', target: 'a', mean: values(0.75, null) }],
  } as const;
  const text = matrixTables(study);
  expect(text).toMatch(/^crane, I-AUROC \(per cent\) on\n\ntrained on +a +b\n[─ ]+\nb +75\.0 +–/);
  expect(text).toMatch(/P-AUROC[^]*\nb +n\/a +–/);
});

describe('while it runs', () => {
  const states = (...of: RowState['status'][]): RowState[] =>
    of.map((status, place) => ({
      recipe: 'crane',
      name: `set${place}`,
      status,
      resumed: place,
      message: status === 'absent' ? 'SET is not here.\n  Get it' : null,
      row: status === 'done' ? row(`set${place}`, values(0.5, 0.25)) : null,
    }));

  test('in a pipe, a line for each row that ends, once', () => {
    let text = '';
    const live = new LiveTable({ write: (more) => (text += more) });
    live.onRows(states('running', 'waiting', 'waiting'));
    live.onRows(states('done', 'absent', 'running'));
    live.onProgress({ kind: 'start', task: 'crane set2', total: 4, unit: 'images' });
    live.onRows(states('done', 'absent', 'done'));
    live.close();
    expect(text.split('\n')).toEqual([
      expect.stringMatching(/^\[1 of 3\] crane set0: I-AUROC 50\.0.*MB\)$/),
      '[2 of 3] crane set1: missing. SET is not here.',
      'crane set2: 4 images',
      expect.stringMatching(/^\[3 of 3\] crane set2: .*, 2 of 0 categories from an earlier run$/),
      '',
    ]);
  });

  test('what was read of a set is a line of its own, and acts on no terminal', () => {
    let text = '';
    new LiveTable({ write: (more) => (text += more) }).onNotice('a\u001b[31m: mvtec layout: 3 images');
    expect(text).toBe('a\\x1b[31m: mvtec layout: 3 images\n');
  });

  test('on a terminal, a table in its place that never outgrows it, and nothing left at the end', () => {
    const writes: string[] = [];
    const live = new LiveTable({ isTTY: true, columns: 60, rows: 12, write: (more) => writes.push(more) });
    const many = states(
      ...Array.from({ length: 20 }, (_, place): RowState['status'] =>
        place < 10 ? 'done' : place === 10 ? 'running' : 'waiting',
      ),
    );
    live.onRows(many);
    live.onProgress({ kind: 'start', task: 'crane set10', total: 4, unit: 'images' });
    const last = writes.at(-1) as string;
    const lines = stripVTControlCharacters(last.replace('\r', '')).split('\n');
    expect(lines.length).toBeLessThan(12);
    for (const line of lines) expect(line.length).toBeLessThan(60);
    expect(lines.find((line) => line.includes('set10 '))).toMatch(/running/);
    expect(lines.at(-3)).toBe('10 of 20 rows are done');
    expect(lines.at(-1)).toMatch(/^crane set10.*0 of 4 images/);
    // The second drawing begins where the first began.
    expect(last.startsWith(`\r\u001b[${lines.length - 1}A`)).toBe(true);
    live.close();
    expect(writes.at(-1)).toBe(`\r\u001b[${lines.length - 1}A\u001b[J`);
  });

  test('on a terminal of very few lines, still the row that is running', () => {
    let last = '';
    const live = new LiveTable({ isTTY: true, columns: 60, rows: 4, write: (more) => (last = more) });
    live.onRows(states('done', 'done', 'done', 'done', 'running', 'waiting', 'waiting'));
    expect(last.split('\n').filter((line) => /set\d/.test(line))).toHaveLength(3);
    expect(last).toMatch(/set4 +running/);
  });
});

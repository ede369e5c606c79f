import * as fc from 'fast-check';
import type {
  BenchmarkResults,
  BenchmarkRow,
  CorruptionRow,
  MatrixStudy,
} from '../../../eval/benchmark/benchmark-results';
import { METRIC_IDS } from '../../../eval/metrics/metric-ids';
import { PUBLISHED_AVERAGES, PUBLISHED_DOUBTS } from '../../../eval/published';
import { benchmarkPage } from '../../../eval/report/benchmark-page';
import { paperTable } from '../../../eval/report/paper-table';
import type { Thumbnails } from '../../../eval/gallery/pictures';
import { SHOWN_KINDS, selectImages } from '../../../eval/gallery/selection';
import type { ReportedRow } from '../../../eval/report/set-sections';
import { readMarkup, type Markup } from './markup';
import { averageOf, benchmarkOf, metrics, paperMetrics, rowOf } from './sample-benchmark';
import { categoryOf, description, evaluationOf, WITHOUT_MASKS } from './sample-evaluation';

const DOT = 'data:image/webp;base64,AAAA';

/** A row as it is read from its files, with two categories. */
function reported(row: BenchmarkRow, { word = 'gear', masks = true, details = true } = {}): ReportedRow {
  const evaluation = evaluationOf(
    [
      categoryOf(word, [0.1, 0.2, 0.3], [0.25, 0.8], { masks }),
      categoryOf(`${word}-2`, [0.1, 0.4], [0.3, 0.9], { masks, defect: word }),
    ],
    { dataset: row.name },
  );
  const selection = selectImages(evaluation);
  const paths = selection.categories.flatMap(({ images }) =>
    SHOWN_KINDS.flatMap((kind) => images[kind].map(({ path }) => path)),
  );
  const thumbnails: [string, Thumbnails][] = paths.map((path) => [
    path,
    { original: DOT, overlay: DOT, width: 12, height: 9 },
  ]);
  return {
    row,
    details: details
      ? {
          schemaVersion: 1,
          recipe: row.recipe,
          title: row.title,
          evaluation,
          thumbnails: Object.fromEntries(thumbnails),
        }
      : null,
    shown: { selection, thumbnails: new Map(thumbnails) },
  };
}

function pageOf(results: BenchmarkResults, rows = results.datasets.map((row) => reported(row))): string {
  const reasonOf = (): string => WITHOUT_MASKS;
  return benchmarkPage({
    results,
    table: paperTable(results, reasonOf),
    rows,
    reasonOf,
    fitted: { ofEachKind: 2, side: null },
    colourBar: DOT,
  });
}

const full = paperMetrics(0.94, 0.97, 0.9, 0.9126, 0.85, 0.4);
const datasets = [
  rowOf('crane', 'mvtec', full),
  rowOf('crane', 'btad', full),
  rowOf('crane', 'sdd', full),
  rowOf('crane', 'headct', paperMetrics(0.953, 0.957, 0.9, null, null, null)),
  rowOf('crane-plus', 'mvtec', full),
  rowOf('crane-plus', 'btad', metrics()),
  rowOf('crane-plus', 'castings', full),
];
const corruptions: CorruptionRow[] = (['noise', 'blur'] as const).flatMap((kind) =>
  ([1, 3, 5] as const).map((strength) => ({
    recipe: 'crane' as const,
    name: 'btad',
    kind,
    strength,
    level: strength,
    mean: full,
    change: metrics({ 'image/auroc': -strength / 50, 'pixel/auroc': kind === 'blur' ? 0.01 : -0.02 }),
  })),
);
const matrix: MatrixStudy = {
  auxiliaries: ['mvtec', 'btad'],
  targets: ['mvtec', 'btad', 'sdd'],
  epochs: 5,
  seed: 111,
  cells: [
    { recipe: 'crane', auxiliary: 'mvtec', target: 'btad', mean: metrics({ 'image/auroc': 0.9 }) },
    { recipe: 'crane', auxiliary: 'mvtec', target: 'sdd', mean: metrics({ 'image/auroc': 0.8 }) },
    { recipe: 'crane', auxiliary: 'btad', target: 'mvtec', mean: metrics({ 'image/auroc': 0.7 }) },
    { recipe: 'crane', auxiliary: 'btad', target: 'sdd', mean: metrics() },
  ],
  leftOut: [{ recipe: 'crane', auxiliary: 'sdd', target: null, message: 'has no masks' }],
};
const results = benchmarkOf(datasets, {
  averages: [averageOf('crane', 'industrial', ['mvtec', 'btad', 'sdd'], full, PUBLISHED_AVERAGES.industrial.Crane)],
  leftOut: [
    { recipe: 'crane', name: 'visa', reason: 'absent', message: 'visa is not here' },
    { recipe: 'crane-plus', name: 'visa', reason: 'absent', message: 'visa is not here' },
  ],
  corruptions,
  matrix,
});
const page = pageOf(results);
const markup = readMarkup(page);

const attributesOf = ({ attributes }: Markup, element: string, name: string): string[] =>
  attributes.filter((attribute) => attribute.element === element && attribute.name === name).map(({ value }) => value);

test('the page holds the table, charts, costs, studies, sets, notes and the manifest, under one heading each', () => {
  expect([...page.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, title]) => title)).toEqual([
    'Table',
    'Charts',
    'Cost',
    'Degraded images',
    'Prompts trained on each set',
    'Set by set',
    'Notes',
    'Run',
  ]);
  for (const id of METRIC_IDS) expect(markup.text).toContain(id);
  for (const said of [
    'visa is not here',
    'crane benchmark --datasets mvtec',
    'ab'.repeat(32),
    'Some CPU',
    'has no masks',
    'qq+kk+vv',
    'gear',
  ])
    expect(markup.text).toContain(said);
  expect(markup.elements.filter((element) => element === 'h1')).toHaveLength(1);
});

test('headings never skip a level on the way down', () => {
  const levels = markup.elements.filter((element) => /^h[1-6]$/.test(element)).map((element) => Number(element[1]));
  const jumps = levels.filter((level, at) => at > 0 && level > (levels[at - 1] as number) + 1);
  expect(jumps).toEqual([]);
});

test('a cell holds the value, the printed figure with its mark, and the difference with its tone', () => {
  expect(page).toContain('<b>94.0</b><small>93.8 <span class="up">+0.2</span></small>');
  expect(page).toContain('<b>91.3</b><small>91.3 <span class="even">±0.0</span></small>');
  expect(page).toContain('<b>90.0</b><small>93.8 <span class="down">−3.8</span></small>');
  const doubt = PUBLISHED_DOUBTS.findIndex(
    ({ of, method, metric }) => of === 'average of industrial' && method === 'Crane' && metric === 'image/ap',
  );
  expect(page).toMatch(
    new RegExp(`93\\.7<a class="doubt" href="#doubt-${doubt}"[^>]*>†</a> <span class="up">\\+3\\.3</span>`),
  );
  expect(markup.text).toContain('Not in this table: HEADCT. The set has no masks.');
});

test('differences of rows that are not comparable are grey, and the page says why', () => {
  const nano = readMarkup(pageOf(benchmarkOf([{ ...(datasets[0] as BenchmarkRow), comparable: false }])));
  expect(attributesOf(nano, 'span', 'class').filter((name) => name === 'up' || name === 'down')).toEqual([]);
  expect(nano.text).toContain("These figures were not made with the paper's network");
  expect(markup.text).not.toContain("not made with the paper's network");
});

test('every printed figure that is known to be wrong is marked in the whole table and explained', () => {
  const marks = attributesOf(markup, 'a', 'href').filter((href) => href.startsWith('#doubt-'));
  expect(new Set(marks).size).toBe(PUBLISHED_DOUBTS.length);
  for (const { reason } of PUBLISHED_DOUBTS) expect(markup.text).toContain(reason);
});

test('nothing is loaded, every address leads to a place on the page, and no id is given twice', () => {
  const addresses = markup.attributes.filter(({ name }) =>
    ['src', 'href', 'srcset', 'action', 'data', 'poster'].includes(name),
  );
  expect(addresses.filter(({ value }) => !/^(data:|#)/.test(value))).toEqual([]);
  for (const text of markup.code) expect(text).not.toMatch(/url\(|@import|\/\/|fetch|import\(/);
  const ids = markup.attributes.filter(({ name }) => name === 'id').map(({ value }) => value);
  expect(new Set(ids).size).toBe(ids.length);
  const targets = markup.attributes
    .filter(({ name, value }) => name === 'for' || (name === 'href' && value.startsWith('#')))
    .map(({ value }) => value.replace('#', ''));
  expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
});

test('every number in a drawing is finite, and nothing undefined is written', () => {
  const drawn = markup.attributes.filter(({ name }) =>
    ['d', 'x', 'y', 'cx', 'cy', 'r', 'width', 'height', 'transform', 'viewBox', 'style'].includes(name),
  );
  expect(drawn.length).toBeGreaterThan(200);
  expect(drawn.filter(({ value }) => /NaN|Infinity|undefined|null/.test(value))).toEqual([]);
  expect(markup.text).not.toMatch(/NaN|undefined|\[object/);
});

test('pictures have texts and sizes, drawings names, tables that scroll can be reached by keyboard', () => {
  for (const name of ['alt', 'width', 'height']) {
    expect(
      markup.attributes.filter(
        (attribute) => attribute.element === 'img' && attribute.name === name && attribute.value !== '',
      ),
    ).toHaveLength(markup.elements.filter((element) => element === 'img').length);
  }
  expect(attributesOf(markup, 'svg', 'role').length).toBe(
    attributesOf(markup, 'svg', 'aria-label').filter((label) => label !== '').length,
  );
  const regions = markup.attributes.filter(({ name, value }) => name === 'class' && value === 'scrolling').length;
  expect(attributesOf(markup, 'div', 'tabindex')).toHaveLength(regions);
  expect(
    markup.elements.filter((element) => element === 'table').length -
      attributesOf(markup, 'table', 'class').filter((name) => name === 'confusion').length,
  ).toBe(regions);
});

test('the matrix: values, dashes where prompts met their own set, the highest deepest', () => {
  const heat = /<table class="heat">.*?<\/table>/s.exec(page)?.[0] ?? '';
  const cells = [...heat.matchAll(/<td( class="none")?(?: style="--v:([\d.]+)")?>([^<]*)<\/td>/g)].map(
    ([, , depth, text]) => [text, depth],
  );
  expect(cells).toEqual([
    ['–', undefined],
    ['90.0', '1.000'],
    ['80.0', '0.500'],
    ['70.0', '0.000'],
    ['–', undefined],
    ['n/a', undefined],
  ]);
});

test('degraded pictures: lines begin at no change and end at the change in points', () => {
  // I-AUROC: noise and blur both fall to -10 points; y from -10 (bottom, 224) to 0 (top, 24); x 46 to 310.
  expect(markup.text).toContain('noise 5: −10.0');
  expect(attributesOf(markup, 'path', 'd')).toContain('M46 24L98.8 64L204.4 144L310 224');
  expect(attributesOf(markup, 'svg', 'aria-label')).toContain(
    'Change of I-AUROC of crane at the heaviest strength: noise −10.0, blur −10.0',
  );
});

test('a benchmark without a row, one that is not complete, a row without its details', () => {
  const empty = readMarkup(pageOf(benchmarkOf([], { leftOut: results.leftOut })));
  expect(empty.text).toContain('No set was scored');
  expect(empty.text).toContain('visa is not here');
  expect(readMarkup(pageOf(benchmarkOf(datasets, { run: { ...results.run, complete: false } }))).text).toContain(
    'Incomplete',
  );
  const torn = readMarkup(
    pageOf(benchmarkOf([datasets[0] as BenchmarkRow]), [reported(datasets[0] as BenchmarkRow, { details: false })]),
  );
  expect(torn.text).toContain('Its details (rows/crane/mvtec.json) cannot be read');
});

test('names are text wherever they come from: nothing in them becomes markup', () => {
  const shape = (text: string): string =>
    readMarkup(text)
      .elements.filter((element) => element !== 'wbr')
      .join(' ');
  const make = (word: string): string => {
    const row = rowOf('crane', word, full, {
      title: word,
      model: { ...description, backbone: word, prompts: word, auxiliary: word, spatial: word, warnings: [word] },
      problems: [word],
      files: {
        backbone: { name: word, sha256: word },
        prompts: { name: word, sha256: `${word}2`, auxiliary: word },
        spatial: { name: word, sha256: word },
      },
      failures: [{ path: word, message: word }],
      details: word,
    });
    const study = benchmarkOf([row], {
      run: { ...results.run, command: word, machine: { cpu: word } },
      leftOut: [{ recipe: 'crane', name: `${word}3`, reason: 'failed', message: word }],
      corruptions: corruptions.map((of) => ({ ...of, name: word })),
      matrix: {
        ...matrix,
        auxiliaries: [word],
        targets: [`${word}2`],
        cells: [{ recipe: 'crane', auxiliary: word, target: `${word}2`, mean: full }],
        leftOut: [{ recipe: 'crane', auxiliary: word, target: word, message: word }],
      },
    });
    return pageOf(study, [reported(row, { word })]);
  };
  const plain = make('plain');
  const nasty = fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.constantFrom(
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      'O\'Brien & "sons" <a>',
      '</style><b>',
      '<h3>',
      'a|b,c',
      '${x}',
      'a\u0000b',
      '\ud800',
      '漢字',
    ),
  );
  fc.assert(
    fc.property(nasty, (word) => expect(shape(make(word))).toBe(shape(plain))),
    { numRuns: 40 },
  );
});

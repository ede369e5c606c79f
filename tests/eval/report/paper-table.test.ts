import {
  doubtOf,
  LEVELS,
  notInLevel,
  paperTable,
  signed,
  standsInLevel,
  type PaperEntry,
} from '../../../eval/report/paper-table';
import { PUBLISHED_AVERAGES } from '../../../eval/published';
import { averageOf, benchmarkOf, metrics, paperMetrics, rowOf } from './sample-benchmark';

const mvtec = rowOf('crane', 'mvtec', paperMetrics(0.94, 0.97, 0.9, 0.9126, 0.85, 0.4));
const btad = rowOf('crane', 'btad', paperMetrics(0.9, 0.9, 0.9, 0.95, 0.8, 0.5));
const headct = rowOf('crane', 'headct', paperMetrics(0.953, 0.95, 0.9, null, null, null));
const [IMAGE, PIXEL] = LEVELS;
const why = (): string => 'the set has no masks';
const cells = (entry: PaperEntry | undefined): Extract<PaperEntry, { row: unknown }>['cells'] => {
  if (!entry || !('row' in entry)) throw new Error('no figures');
  return entry.cells;
};

test('differences are points of per cent against the printed figure of the same method', () => {
  const plus = rowOf('crane-plus', 'mvtec', paperMetrics(0.93, null, null, null, null, null));
  const { groups } = paperTable(benchmarkOf([mvtec, plus]), why);
  const [line] = groups[0]?.sets ?? [];
  // Crane prints 93.8 and 91.3, Crane+ 93.9.
  expect(cells(line?.entries[0])['image/auroc']).toMatchObject({
    value: 0.94,
    published: 93.8,
    reason: null,
    doubt: null,
  });
  expect(cells(line?.entries[0])['image/auroc'].difference).toBeCloseTo(0.2, 9);
  expect(cells(line?.entries[0])['pixel/auroc'].difference).toBeCloseTo(-0.04, 9);
  expect(cells(line?.entries[1])['image/auroc'].difference).toBeCloseTo(-0.9, 9);
  expect(cells(line?.entries[1])['pixel/auroc']).toEqual({
    value: null,
    published: 91.2,
    difference: null,
    doubt: null,
    reason: 'the set has no masks',
  });
});

test('groups and sets stand in the order of the paper, others last and without an average', () => {
  const other = rowOf('crane', 'castings', paperMetrics(0.5, 0.5, 0.5, 0.5, 0.5, 0.5));
  const { groups } = paperTable(
    benchmarkOf([other, headct, btad, mvtec], {
      averages: [averageOf('crane', 'industrial', ['btad', 'mvtec'], mvtec.mean)],
    }),
    why,
  );
  expect(groups.map(({ title, sets }) => [title, sets.map(({ name }) => name)])).toEqual([
    ['Industrial', ['mvtec', 'btad']],
    ['Medical', ['headct']],
    ['Other sets', ['castings']],
  ]);
  expect(groups.map(({ average }) => average?.name)).toEqual(['average of industrial', undefined, undefined]);
  expect(cells(groups[2]?.sets[0]?.entries[0])['image/auroc']).toMatchObject({ published: null, difference: null });
});

test('the average of some sets is compared with the printed figures of these sets', () => {
  const average = averageOf('crane', 'industrial', ['mvtec', 'btad'], paperMetrics(0.92, 0.935, 0.9, 0.93, 0.82, 0.45));
  const { groups } = paperTable(benchmarkOf([mvtec, btad], { averages: [average] }), why);
  // (93.8 + 94.4) / 2 = 94.1
  const cell = cells(groups[0]?.average?.entries[0])['image/auroc'];
  expect(cell.published).toBeCloseTo(94.1, 9);
  expect(cell.difference).toBeCloseTo(-2.1, 9);
  expect(cell.doubt).toBeNull();
});

test('a single set has no average beside it', () => {
  expect(
    paperTable(benchmarkOf([mvtec], { averages: [averageOf('crane', 'industrial', ['mvtec'], mvtec.mean)] }), why)
      .groups[0]?.average,
  ).toBeNull();
});

test('an average over sets that the paper does not print has no printed figure', () => {
  const strange = { ...btad, published: null };
  const { groups } = paperTable(
    benchmarkOf([mvtec, strange], { averages: [averageOf('crane', 'industrial', ['mvtec', 'btad'], mvtec.mean)] }),
    why,
  );
  expect(cells(groups[0]?.average?.entries[0])['image/auroc'].published).toBeNull();
});

test('a complete average has the printed one, and says where that is wrong', () => {
  const average = averageOf(
    'crane',
    'industrial',
    ['mvtec', 'btad'],
    paperMetrics(0.92, 0.94, 0.9, 0.93, 0.82, 0.45),
    PUBLISHED_AVERAGES.industrial.Crane,
  );
  const cell = cells(
    paperTable(benchmarkOf([mvtec, btad], { averages: [average] }), why).groups[0]?.average?.entries[0],
  )['image/ap'];
  expect(cell.published).toBe(93.7);
  expect(cell.doubt).toMatchObject({ likely: 93.8 });
  expect(doubtOf('dtd', 'VAND', 'image/auroc')).toMatchObject({ printed: 94.6, likely: 86.4 });
  expect(doubtOf('dtd', 'VAND', 'image/ap')).toBeNull();
});

test('sets without figures stand with their reason; those with nothing on a level are named apart', () => {
  const table = paperTable(
    benchmarkOf([headct, btad], {
      leftOut: [{ recipe: 'crane', name: 'visa', reason: 'absent', message: 'not here' }],
    }),
    why,
  );
  const visa = table.groups[0]?.sets[0];
  expect(visa).toMatchObject({ name: 'visa', title: 'VisA', entries: [{ leftOut: { reason: 'absent' } }] });
  expect(standsInLevel(table.groups[1]?.sets[0] as never, IMAGE)).toBe(true);
  expect([...notInLevel(table, PIXEL)]).toEqual([['the set has no masks', ['HEADCT']]]);
  expect([...notInLevel(table, IMAGE)]).toEqual([]);
  // Not run at all: where the paper has it.
  const [away] =
    paperTable(
      benchmarkOf([btad], { leftOut: [{ recipe: 'crane', name: 'headct', reason: 'absent', message: 'not here' }] }),
      why,
    ).groups[1]?.sets ?? [];
  expect([IMAGE, PIXEL].map((level) => standsInLevel(away as never, level))).toEqual([true, false]);
  // Run by one recipe only: as that one says.
  const half = paperTable(benchmarkOf([headct, rowOf('crane-plus', 'btad', btad.mean)]), why);
  expect([...notInLevel(half, PIXEL)]).toEqual([['the set has no masks', ['HEADCT']]]);
  // Nothing measured, but printed: it stays.
  const empty = paperTable(benchmarkOf([rowOf('crane', 'mvtec', metrics())]), why).groups[0]?.sets[0];
  expect(standsInLevel(empty as never, PIXEL)).toBe(true);
});

test.each([
  [0.23, '+0.2'],
  [-0.96, '−1.0'],
  [0.04, '±0.0'],
  [-0.04, '±0.0'],
  [0, '±0.0'],
  [12, '+12.0'],
])('%d points are %s', (points, text) => {
  expect(signed(points)).toBe(text);
});

import { formatTable } from '../../terminal/table';
import { METRIC_TITLES, percent } from '../metrics-table';
import type { MetricValues } from '../metrics/metric-ids';
import { PUBLISHED_METRIC_IDS, type PublishedMetricId, type PublishedRow } from '../published';
import type { BenchmarkResults, BenchmarkRow, CorruptionRow, MatrixStudy } from './benchmark-results';
import { CORRUPTIONS } from './corruptions';

const right = { align: 'right' } as const;

/** A table for each recipe: the paper's metrics, with the difference from its figures where they should be equal. */
export function accuracyTables({
  datasets,
  averages,
  recipes,
}: Pick<BenchmarkResults, 'datasets' | 'averages' | 'recipes'>): string {
  return recipes
    .flatMap(({ name, about, method }) => {
      const rows = datasets.filter(({ recipe }) => recipe === name);
      if (rows.length === 0) return [];
      const table = formatTable(
        [
          { title: 'set' },
          { title: 'images', ...right },
          ...PUBLISHED_METRIC_IDS.map((id) => ({ title: METRIC_TITLES[id], ...right })),
        ],
        [
          ...rows.map((row) => [
            row.name,
            String(row.images),
            ...metricCells(row.mean, row.comparable ? row.published : null),
          ]),
          null,
          ...averages
            .filter(({ recipe, sets }) => recipe === name && sets.length > 1)
            .map(({ domain, sets, mean, published }) => [
              `mean of ${sets.length} ${domain}`,
              '',
              ...metricCells(mean, published),
            ]),
        ],
      );
      const unguided =
        method === 'Crane+' && rows.every(({ model }) => model.spatial === null)
          ? ' (run without a second vision model)'
          : '';
      return [`${name}: ${about}${unguided}\n\n${table.replace(/\n─[─ ]*$/, '')}`];
    })
    .join('\n\n');
}

/** Per cent, followed by the difference from the printed figure. */
function metricCells(mean: MetricValues, published: PublishedRow | null): string[] {
  return PUBLISHED_METRIC_IDS.map((id: PublishedMetricId) => {
    const [value, printed] = [mean[id], published?.[id] ?? null];
    return value === null || printed === null ? percent(value) : `${percent(value)} ${signed(100 * value - printed)}`;
  });
}

function signed(value: number): string {
  const text = value.toFixed(1);
  return /^-?0\.0$/.test(text) ? '±0.0' : value > 0 ? `+${text}` : text;
}

/** The cost of each row: a table over all recipes. */
export function costTable(rows: readonly BenchmarkRow[]): string {
  return formatTable(
    [
      { title: 'recipe' },
      { title: 'set' },
      { title: 'images/s', ...right },
      { title: 'peak MB', ...right },
      { title: 'M parameters', ...right },
      { title: 'model MB', ...right },
      { title: 'GFLOP/image', ...right },
    ],
    rows.map(({ recipe, name, cost }) => [
      recipe,
      name,
      speed(cost.imagesPerSecond),
      whole(cost.peakMemoryBytes / 1e6),
      small(cost.parameters / 1e6),
      small(cost.bytes / 1e6),
      small(cost.flop.total / 1e9),
    ]),
  );
}

function speed(imagesPerSecond: number | null): string {
  return imagesPerSecond === null ? 'n/a' : small(imagesPerSecond);
}

/** At least three significant digits. */
function small(value: number): string {
  return value >= 100 ? whole(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function whole(value: number): string {
  return value.toFixed(0);
}

/** One line for a finished row. */
export function rowLine({ recipe, name, mean, comparable, published, cost }: BenchmarkRow): string {
  const cells = metricCells(mean, comparable ? published : null);
  const metrics = PUBLISHED_METRIC_IDS.flatMap((id, place) =>
    mean[id] === null ? [] : [`${METRIC_TITLES[id]} ${cells[place]}`],
  );
  return `${recipe} ${name}: ${metrics.join(', ') || 'no metric is defined'} (${speed(cost.imagesPerSecond)} images/s, peak ${whole(cost.peakMemoryBytes / 1e6)} MB)`;
}

const STUDIED = ['image/auroc', 'pixel/auroc', 'pixel/aupro/paper200@0.3'] as const;

/** How metrics change with each kind and strength of degradation, in percentage points, mean over the sets. */
export function corruptionTable(rows: readonly CorruptionRow[]): string {
  const groups = new Map<string, CorruptionRow[]>();
  for (const row of rows) {
    const key = `${row.recipe} ${row.kind} ${row.strength}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return formatTable(
    [
      { title: 'recipe' },
      { title: 'degraded by' },
      { title: 'strength', ...right },
      { title: 'level', ...right },
      { title: 'sets', ...right },
      ...STUDIED.map((id) => ({ title: METRIC_TITLES[id], ...right })),
    ],
    [...groups.values()].map((of) => {
      const { recipe, kind, strength, level } = of[0] as CorruptionRow;
      const change = (id: (typeof STUDIED)[number]): string => {
        const values = of.map((row) => row.change[id]).filter((value) => value !== null);
        return values.length === 0
          ? 'n/a'
          : signed((100 * values.reduce((sum, value) => sum + value, 0)) / values.length);
      };
      return [recipe, kind, String(strength), String(level), String(of.length), ...STUDIED.map(change)];
    }),
  );
}

/** Explains the levels in the table above. */
export function corruptionLegend(): string {
  return `Change in percentage points from the original images. Levels: ${Object.entries(CORRUPTIONS)
    .map(([kind, { unit }]) => `${kind} = ${unit}`)
    .join('; ')}.`;
}

/** One table per recipe and metric: the prompts' auxiliary sets down, scored sets across. */
export function matrixTables({ cells, auxiliaries, targets }: MatrixStudy): string {
  const recipes = [...new Set(cells.map(({ recipe }) => recipe))];
  return recipes
    .flatMap((recipe) =>
      STUDIED.map((id) => {
        const value = (auxiliary: string, target: string): string => {
          const cell = cells.find(
            (item) => item.recipe === recipe && item.auxiliary === auxiliary && item.target === target,
          );
          return cell ? percent(cell.mean[id]) : '–';
        };
        const rows = auxiliaries.filter((auxiliary) =>
          cells.some((cell) => cell.recipe === recipe && cell.auxiliary === auxiliary),
        );
        const table = formatTable(
          [{ title: 'trained on' }, ...targets.map((title) => ({ title, ...right }))],
          rows.map((auxiliary) => [auxiliary, ...targets.map((target) => value(auxiliary, target))]),
        );
        return `${recipe}, ${METRIC_TITLES[id]} (per cent) on\n\n${table}`;
      }),
    )
    .join('\n\n');
}

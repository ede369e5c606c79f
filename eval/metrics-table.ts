import { formatTable, type TableStyle } from '../terminal/table';
import type { CategoryResult, DatasetResult } from './results';
import { METRIC_IDS, type MetricValues } from './metrics/metric-ids';

/** Short column headers; their metric ids are printed below the table. */
export const METRIC_TITLES: Readonly<Record<(typeof METRIC_IDS)[number], string>> = {
  'image/auroc': 'I-AUROC',
  'image/ap': 'I-AP',
  'image/f1max': 'I-F1max',
  'pixel/auroc': 'P-AUROC',
  'pixel/ap': 'P-AP',
  'pixel/f1max': 'P-F1max',
  'pixel/aupro/paper200@0.3': 'AUPRO-paper',
  'pixel/aupro/exact@0.3': 'AUPRO-exact',
};

/** Per cent with one decimal; "n/a" where a metric is not defined. */
export function percent(value: number | null): string {
  return value === null ? 'n/a' : (100 * value).toFixed(1);
}

/** The table of one set: a row per category, then the mean, in per cent. */
export function metricsTable(
  { categories, mean, referenceMeans = false, groups = [] }: DatasetResult,
  style: TableStyle = 'plain',
): string {
  const columns = [
    { title: 'category' },
    { title: 'images', align: 'right' as const },
    { title: 'anomalous', align: 'right' as const },
    ...METRIC_IDS.map((id) => ({ title: METRIC_TITLES[id], align: 'right' as const })),
  ];
  const cells = (metrics: MetricValues): string[] => METRIC_IDS.map((id) => percent(metrics[id]));
  const row = ({ name, images, anomalous, metrics }: CategoryResult): string[] => [
    name,
    String(images),
    String(anomalous),
    ...cells(metrics),
  ];
  const total = (of: readonly CategoryResult[], key: 'images' | 'anomalous'): string =>
    String(of.reduce((sum, category) => sum + category[key], 0));
  const meanRow = (name: string, of: readonly CategoryResult[], metrics: MetricValues): string[] => [
    name,
    total(of, 'images'),
    total(of, 'anomalous'),
    ...cells(metrics),
  ];
  return formatTable(
    columns,
    [
      ...categories.map(row),
      null,
      meanRow(referenceMeans ? 'mean (n/a as 0)' : 'mean', categories, mean),
      ...groups.map((group) => meanRow(`  ${group.name}`, group.categories, group.mean)),
    ],
    style,
  );
}

/** Says which metric each column is: AUPRO alone has two definitions. */
export function metricsLegend(ids: readonly (typeof METRIC_IDS)[number][] = METRIC_IDS): string {
  return `Per cent. Columns: ${ids.map((id) => `${METRIC_TITLES[id]} = ${id}`).join(', ')}.`;
}

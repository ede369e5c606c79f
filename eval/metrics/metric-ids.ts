/**
 * The names of the metrics in tables, JSON and reports. The name of AUPRO says which of its two definitions it is
 * and up to which false positive rate, because the definitions give different numbers for the same maps.
 */
export const IMAGE_METRIC_IDS = ['image/auroc', 'image/ap', 'image/f1max'] as const;
export const PIXEL_METRIC_IDS = [
  'pixel/auroc',
  'pixel/ap',
  'pixel/f1max',
  'pixel/aupro/paper200@0.3',
  'pixel/aupro/exact@0.3',
] as const;
export const METRIC_IDS = [...IMAGE_METRIC_IDS, ...PIXEL_METRIC_IDS] as const;

export type ImageMetricId = (typeof IMAGE_METRIC_IDS)[number];
export type PixelMetricId = (typeof PIXEL_METRIC_IDS)[number];
export type MetricId = (typeof METRIC_IDS)[number];

/** Fractions 0..1; null, never 0, where a metric is not defined. */
export type MetricValues<Id extends MetricId = MetricId> = Readonly<Record<Id, number | null>>;

/** A metric, or the reason why it is not defined. */
export type Measured = { readonly value: number } | { readonly value: null; readonly reason: string };

export interface MeanOptions {
  /** Count a metric that is null as 0 and average it in, as the reference program does. Default false. */
  readonly referenceMeans?: boolean;
}

/**
 * Mean over categories with equal weight (docs/method.md#metrics), each metric over the categories in which it is
 * defined; null where it is defined in none. The reference counts an undefined metric as 0 instead, see
 * docs/deviations.md.
 */
export function meanOverCategories(
  categories: readonly Partial<MetricValues>[],
  { referenceMeans = false }: MeanOptions = {},
): MetricValues {
  const mean = (id: MetricId): number | null => {
    const all = categories.map((category) => (category[id] === null && referenceMeans ? 0 : category[id]));
    const values = all.filter((value) => typeof value === 'number');
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return Object.fromEntries(METRIC_IDS.map((id) => [id, mean(id)])) as MetricValues;
}

import type { BenchmarkResults } from '../benchmark/benchmark-results';
import { METRIC_IDS, type MetricId, type MetricValues } from '../metrics/metric-ids';
import type { PublishedRow } from '../published';

const COLUMNS = ['recipe', 'set', 'category', 'metric', 'value', 'published'] as const;

/**
 * Every figure of a benchmark, one per line, for spreadsheets and data frames. Values and published figures are
 * fractions, empty where a metric is not defined or the paper does not print it. Lines without a category are the mean
 * of a set; those whose set is `average of …` are the mean over the sets of a domain.
 */
export function benchmarkCsv({ datasets, averages }: Pick<BenchmarkResults, 'datasets' | 'averages'>): string {
  const lines = (
    recipe: string,
    set: string,
    category: string,
    metrics: MetricValues,
    published: PublishedRow | null,
  ): string[] => METRIC_IDS.map((id) => csvLine([recipe, set, category, id, metrics[id], fraction(published, id)]));
  return [
    csvLine(COLUMNS),
    ...datasets.flatMap(({ recipe, name, categories, mean, published }) => [
      ...categories.flatMap((category) => lines(recipe, name, category.name, category.metrics, null)),
      ...lines(recipe, name, '', mean, published),
    ]),
    ...averages.flatMap(({ recipe, domain, mean, published }) =>
      lines(recipe, `average of ${domain}`, '', mean, published),
    ),
  ].join('');
}

/** The paper prints per cent with one decimal. */
function fraction(published: PublishedRow | null, id: MetricId): number | null {
  const printed = (published as Partial<Readonly<Record<MetricId, number | null>>> | null)?.[id] ?? null;
  return printed === null ? null : Number((printed / 100).toFixed(3));
}

/** RFC 4180, with CRLF. */
export function csvLine(fields: readonly (string | number | null)[]): string {
  return `${fields.map((field) => (typeof field === 'string' ? csvText(field) : String(field ?? ''))).join(',')}\r\n`;
}

/** Spreadsheets run text that begins like a formula; a leading apostrophe keeps it text. */
function csvText(text: string): string {
  const plain = text.replace(/\0/g, '\ufffd');
  const safe = /^\s*[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

import type { BenchmarkResults, BenchmarkRow, DomainAverage } from '../../../eval/benchmark/benchmark-results';
import { METRIC_IDS, type MetricValues } from '../../../eval/metrics/metric-ids';
import { paperDomain, publishedRow, type PublishedRow } from '../../../eval/published';
import type { RecipeName } from '../../../eval/recipes';
import { description } from './sample-evaluation';

/** Metrics by id; those not given are null. */
export function metrics(of: Partial<MetricValues> = {}): MetricValues {
  return Object.fromEntries(METRIC_IDS.map((id) => [id, of[id] ?? null])) as MetricValues;
}

/** The metrics that the paper prints, as fractions, in the order of its table. */
export function paperMetrics(
  auroc: number | null,
  ap: number | null,
  f1: number | null,
  pixelAuroc: number | null,
  aupro: number | null,
  pixelF1: number | null,
): MetricValues {
  return metrics({
    'image/auroc': auroc,
    'image/ap': ap,
    'image/f1max': f1,
    'pixel/auroc': pixelAuroc,
    'pixel/aupro/paper200@0.3': aupro,
    'pixel/f1max': pixelF1,
  });
}

const RECIPE_INFOS: BenchmarkResults['recipes'] = [
  { name: 'crane', method: 'Crane', about: 'E-Attn alone', variantOf: null },
  { name: 'crane-plus', method: 'Crane+', about: 'with D-Attn', variantOf: null },
];

export function rowOf(
  recipe: RecipeName,
  name: string,
  mean: MetricValues,
  of: Partial<BenchmarkRow> = {},
): BenchmarkRow {
  const method = RECIPE_INFOS.find((info) => info.name === recipe)?.method ?? 'Crane';
  return {
    recipe,
    name,
    title: name.toUpperCase(),
    domain: paperDomain(name),
    images: 10,
    anomalous: 6,
    mean,
    categories: [{ name: 'gear', images: 10, anomalous: 6, metrics: mean }],
    model: description,
    files: {
      backbone: { name: 'nano', sha256: 'ab'.repeat(32) },
      prompts: { name: 'nano-prompts', sha256: 'cd'.repeat(32), auxiliary: 'synthetic-auxiliary' },
      spatial: null,
    },
    published: publishedRow(name, method) ?? null,
    comparable: publishedRow(name, method) !== undefined,
    cost: {
      parameters: 1_970_000,
      bytes: 7_880_000,
      flop: { vision: 5e8, eattn: 2e8, dattn: 0, spatial: 0, text: 0, total: 7e8 },
      imagesPerSecond: 13.72,
      peakMemoryBytes: 658_400_000,
    },
    seconds: 4,
    details: `rows/${recipe}/${name}.json`,
    ...of,
  };
}

export function averageOf(
  recipe: RecipeName,
  domain: DomainAverage['domain'],
  sets: readonly string[],
  mean: MetricValues,
  published: PublishedRow | null = null,
): DomainAverage {
  return { recipe, domain, sets, mean, published };
}

export function benchmarkOf(datasets: readonly BenchmarkRow[], of: Partial<BenchmarkResults> = {}): BenchmarkResults {
  return {
    schemaVersion: 1,
    datasets,
    model: datasets[0]?.model ?? null,
    run: {
      version: '0.1.0',
      node: '20.20.2',
      command: 'crane benchmark --datasets mvtec',
      date: '2026-01-02T03:04:05.000Z',
      seconds: 61.5,
      machine: { cpu: 'Some CPU', cores: 2 },
      seed: 111,
      complete: true,
    },
    recipes: RECIPE_INFOS.filter(({ name }) => datasets.some(({ recipe }) => recipe === name) || datasets.length === 0),
    averages: [],
    leftOut: [],
    corruptions: null,
    matrix: null,
    ...of,
  };
}

import type { MetricId } from './metrics/metric-ids';

/** The methods of the paper's table, in its order. */
export const PUBLISHED_METHODS = ['WinCLIP', 'AnoVL', 'VAND', 'AnomalyCLIP', 'AdaCLIP', 'Crane', 'Crane+'] as const;
export type PublishedMethod = (typeof PUBLISHED_METHODS)[number];

/** The metrics that the paper prints. Its AUPRO is the one of 200 thresholds; pixel AP is not in its tables. */
export const PUBLISHED_METRIC_IDS = [
  'image/auroc',
  'image/ap',
  'image/f1max',
  'pixel/auroc',
  'pixel/aupro/paper200@0.3',
  'pixel/f1max',
] as const satisfies readonly MetricId[];
export type PublishedMetricId = (typeof PUBLISHED_METRIC_IDS)[number];

/** Per cent with one decimal, as printed; null where the set has no such figure: no masks, or no normal images. */
export type PublishedRow = Readonly<Record<PublishedMetricId, number | null>>;

type Three = readonly [number, number, number];

/** Image AUROC, AP, F1-max; pixel AUROC, AUPRO, F1-max. */
function row(image: Three | null, pixel: Three | null): PublishedRow {
  return {
    'image/auroc': image?.[0] ?? null,
    'image/ap': image?.[1] ?? null,
    'image/f1max': image?.[2] ?? null,
    'pixel/auroc': pixel?.[0] ?? null,
    'pixel/aupro/paper200@0.3': pixel?.[1] ?? null,
    'pixel/f1max': pixel?.[2] ?? null,
  };
}

/**
 * Table 1 of Crane (arXiv 2504.11055, version 2) by registered name of the set, in the table's order, read off the
 * image in the reference repository.
 */
export const PUBLISHED_RESULTS = {
  mvtec: {
    WinCLIP: row([91.8, 96.5, 92.9], [85.1, 64.6, 31.6]),
    AnoVL: row([92.5, 95.1, 93.2], [90.6, 77.8, 36.5]),
    VAND: row([86.1, 93.5, 88.9], [87.6, 44.0, 39.8]),
    AnomalyCLIP: row([91.5, 96.2, 92.7], [91.1, 81.4, 39.1]),
    AdaCLIP: row([89.2, 95.7, 90.6], [88.7, 37.8, 43.4]),
    Crane: row([93.8, 97.5, 93.8], [91.3, 84.6, 41.3]),
    'Crane+': row([93.9, 97.6, 93.6], [91.2, 88.1, 43.8]),
  },
  visa: {
    WinCLIP: row([78.1, 81.1, 80.7], [79.6, 56.8, 14.8]),
    AnoVL: row([79.2, 80.2, 79.7], [85.2, 60.5, 14.6]),
    VAND: row([78.0, 81.4, 80.7], [94.2, 86.8, 32.3]),
    AnomalyCLIP: row([82.1, 85.4, 80.4], [95.5, 87.0, 28.3]),
    AdaCLIP: row([85.8, 79.0, 83.1], [95.5, 72.9, 37.7]),
    Crane: row([85.3, 87.9, 82.6], [95.1, 87.5, 30.9]),
    'Crane+': row([83.6, 86.7, 81.2], [95.3, 90.6, 30.2]),
  },
  mpdd: {
    WinCLIP: row([63.6, 69.9, 77.5], [76.4, 48.9, 15.4]),
    AnoVL: row([72.7, 83.6, 88.3], [62.3, 38.3, 15.6]),
    VAND: row([73.0, 80.2, 76.0], [94.1, 83.2, 30.6]),
    AnomalyCLIP: row([77.0, 82.0, 80.4], [96.5, 88.7, 34.2]),
    AdaCLIP: row([76.0, 80.2, 82.5], [96.1, 62.8, 34.9]),
    Crane: row([81.4, 84.8, 81.6], [97.0, 89.3, 38.2]),
    'Crane+': row([81.0, 84.1, 83.0], [97.6, 93.2, 42.0]),
  },
  btad: {
    WinCLIP: row([68.2, 70.9, 67.6], [72.7, 27.3, 18.5]),
    AnoVL: row([80.3, 72.8, 73.0], [75.2, 40.9, 23.4]),
    VAND: row([73.6, 68.6, 82.0], [60.8, 25.0, 38.4]),
    AnomalyCLIP: row([88.3, 87.3, 83.8], [94.2, 74.8, 49.7]),
    AdaCLIP: row([88.6, 93.8, 88.2], [92.1, 20.3, 51.7]),
    Crane: row([94.4, 95.9, 91.7], [96.6, 81.3, 56.9]),
    'Crane+': row([96.3, 97.0, 93.7], [96.7, 86.8, 61.1]),
  },
  sdd: {
    WinCLIP: row([84.3, 77.4, 79.0], [68.8, 24.2, 21.3]),
    AnoVL: row([94.4, 90.8, 88.0], [97.1, 82.6, 23.1]),
    VAND: row([79.8, 71.4, 85.2], [79.8, 65.1, 56.2]),
    AnomalyCLIP: row([84.7, 80.0, 82.7], [90.6, 67.8, 51.3]),
    AdaCLIP: row([97.1, 89.6, 90.7], [97.7, 33.8, 54.5]),
    Crane: row([97.8, 94.3, 91.6], [97.9, 95.9, 60.2]),
    'Crane+': row([97.8, 94.5, 89.7], [99.2, 97.4, 62.4]),
  },
  dagm: {
    WinCLIP: row([91.8, 79.5, 87.6], [87.6, 65.7, 13.9]),
    AnoVL: row([89.7, 76.1, 74.7], [79.7, 56.0, 12.8]),
    VAND: row([94.4, 83.8, 91.8], [82.4, 66.2, 57.9]),
    AnomalyCLIP: row([97.5, 92.3, 90.1], [95.6, 91.0, 58.9]),
    AdaCLIP: row([99.1, 88.5, 97.5], [91.5, 50.6, 57.5]),
    Crane: row([99.2, 97.4, 95.8], [96.3, 91.2, 67.2]),
    'Crane+': row([98.9, 96.1, 94.7], [96.2, 93.8, 66.8]),
  },
  dtd: {
    WinCLIP: row([93.2, 92.6, 94.1], [83.9, 57.8, 16.1]),
    AnoVL: row([94.9, 93.3, 97.3], [97.7, 90.5, 46.8]),
    VAND: row([94.6, 95.0, 96.8], [95.3, 86.9, 72.7]),
    AnomalyCLIP: row([93.5, 97.0, 93.6], [97.9, 92.3, 62.2]),
    AdaCLIP: row([95.5, 97.3, 94.7], [97.9, 72.9, 71.6]),
    Crane: row([96.3, 98.5, 95.3], [98.3, 93.3, 68.8]),
    'Crane+': row([95.8, 98.2, 94.6], [98.8, 96.0, 71.8]),
  },
  headct: {
    WinCLIP: row([81.8, 80.2, 79.8], null),
    AnoVL: row([82.3, 81.2, 79.1], null),
    VAND: row([89.2, 89.5, 82.1], null),
    AnomalyCLIP: row([93.4, 91.6, 90.8], null),
    AdaCLIP: row([91.8, 90.6, 84.1], null),
    Crane: row([95.3, 95.7, 91.1], null),
    'Crane+': row([94.6, 95.4, 89.7], null),
  },
  brainmri: {
    WinCLIP: row([86.6, 91.5, 86.3], null),
    AnoVL: row([84.3, 89.2, 84.8], null),
    VAND: row([89.6, 91.0, 88.5], null),
    AnomalyCLIP: row([90.3, 92.2, 90.2], null),
    AdaCLIP: row([93.5, 95.6, 89.7], null),
    Crane: row([95.4, 96.1, 93.9], null),
    'Crane+': row([96.3, 97.4, 93.5], null),
  },
  br35h: {
    WinCLIP: row([80.5, 82.2, 74.4], null),
    AnoVL: row([80.0, 80.7, 75.2], null),
    VAND: row([91.4, 91.9, 84.2], null),
    AnomalyCLIP: row([94.6, 94.7, 89.1], null),
    AdaCLIP: row([92.3, 93.2, 85.3], null),
    Crane: row([96.3, 96.8, 91.7], null),
    'Crane+': row([96.4, 97.2, 91.0], null),
  },
  isic: {
    WinCLIP: row(null, [83.3, 55.1, 48.5]),
    AnoVL: row(null, [92.6, 82.2, 76.6]),
    VAND: row(null, [89.5, 77.8, 71.5]),
    AnomalyCLIP: row(null, [89.7, 78.4, 70.6]),
    AdaCLIP: row(null, [90.3, 54.7, 72.6]),
    Crane: row(null, [88.1, 75.3, 69.8]),
    'Crane+': row(null, [90.6, 83.2, 73.4]),
  },
  'cvc-colondb': {
    WinCLIP: row(null, [70.3, 32.5, 19.6]),
    AnoVL: row(null, [76.2, 44.1, 26.8]),
    VAND: row(null, [78.4, 64.6, 29.7]),
    AnomalyCLIP: row(null, [81.9, 71.3, 37.3]),
    AdaCLIP: row(null, [82.6, 66.0, 36.1]),
    Crane: row(null, [82.5, 73.0, 36.0]),
    'Crane+': row(null, [86.0, 78.6, 40.2]),
  },
  'cvc-clinicdb': {
    WinCLIP: row(null, [51.2, 13.8, 24.4]),
    AnoVL: row(null, [79.7, 51.4, 36.3]),
    VAND: row(null, [80.5, 60.7, 38.7]),
    AnomalyCLIP: row(null, [82.9, 67.8, 42.1]),
    AdaCLIP: row(null, [82.8, 66.4, 40.9]),
    Crane: row(null, [84.0, 69.3, 42.5]),
    'Crane+': row(null, [88.3, 74.5, 47.9]),
  },
  tn3k: {
    WinCLIP: row(null, [70.7, 39.8, 30.0]),
    AnoVL: row(null, [70.2, 34.4, 32.3]),
    VAND: row(null, [73.6, 37.8, 35.6]),
    AnomalyCLIP: row(null, [81.5, 50.4, 47.9]),
    AdaCLIP: row(null, [76.8, 34.0, 40.7]),
    Crane: row(null, [79.4, 48.8, 44.7]),
    'Crane+': row(null, [80.4, 51.7, 45.5]),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<PublishedMethod, PublishedRow>>>>;
export type PublishedSetName = keyof typeof PUBLISHED_RESULTS;

/** The fourteen sets of the paper, in the order of its table: industrial, then medical with image labels, then medical with masks. */
export const PAPER_SETS = Object.keys(PUBLISHED_RESULTS) as readonly PublishedSetName[];

export type PaperDomain = 'industrial' | 'medical';

/** The averages as printed, each over the sets of its domain that have the figure. */
export const PUBLISHED_AVERAGES: Readonly<Record<PaperDomain, Readonly<Record<PublishedMethod, PublishedRow>>>> = {
  industrial: {
    WinCLIP: row([81.6, 81.1, 82.8], [79.2, 49.3, 18.8]),
    AnoVL: row([86.2, 84.6, 84.9], [84.0, 63.8, 24.7]),
    VAND: row([81.6, 82.0, 85.9], [84.9, 65.3, 46.8]),
    AnomalyCLIP: row([87.8, 88.6, 87.2], [94.5, 83.3, 46.2]),
    AdaCLIP: row([90.2, 89.2, 89.6], [94.2, 50.1, 50.2]),
    Crane: row([92.6, 93.7, 90.3], [96.1, 89.0, 51.9]),
    'Crane+': row([92.5, 93.5, 90.1], [96.4, 92.3, 54.0]),
  },
  medical: {
    WinCLIP: row([83.0, 84.6, 80.2], [68.9, 35.3, 30.6]),
    AnoVL: row([82.2, 83.7, 79.7], [79.7, 53.0, 43.0]),
    VAND: row([90.1, 90.8, 84.9], [80.5, 60.2, 43.9]),
    AnomalyCLIP: row([92.8, 92.8, 90.0], [84.0, 67.0, 49.5]),
    AdaCLIP: row([92.5, 93.1, 86.4], [83.1, 55.3, 47.6]),
    Crane: row([95.7, 96.2, 92.2], [83.5, 66.6, 48.2]),
    'Crane+': row([95.7, 96.7, 91.4], [86.4, 72.0, 51.8]),
  },
};

/** A printed figure that cannot be right, or that another print contradicts. */
export interface PublishedDoubt {
  readonly method: PublishedMethod;
  /** A set, or the average of a domain. */
  readonly of: PublishedSetName | `average of ${PaperDomain}`;
  readonly metric: PublishedMetricId;
  /** Per cent, as printed. */
  readonly printed: number;
  /** What it should be, as far as that can be told; null where it cannot. */
  readonly likely: number | null;
  readonly reason: string;
}

/**
 * Figures that contradict others (docs/method.md#published-table), and each printed average that is more than rounding
 * away from the mean of its rows.
 */
export const PUBLISHED_DOUBTS: readonly PublishedDoubt[] = [
  {
    method: 'VAND',
    of: 'dtd',
    metric: 'image/auroc',
    printed: 94.6,
    likely: 86.4,
    reason: "AnomalyCLIP's table has 86.4, and the printed average of 81.6 only fits that",
  },
  {
    method: 'AnomalyCLIP',
    of: 'average of industrial',
    metric: 'image/f1max',
    printed: 87.2,
    likely: 86.2,
    reason: 'the mean of its printed rows is 86.24',
  },
  {
    method: 'WinCLIP',
    of: 'visa',
    metric: 'image/f1max',
    printed: 80.7,
    likely: 79.0,
    reason: 'the WinCLIP paper has 79.0; 80.7 is what the same column prints for VAND',
  },
  {
    method: 'WinCLIP',
    of: 'visa',
    metric: 'image/ap',
    printed: 81.1,
    likely: 81.2,
    reason: 'the WinCLIP paper has 81.2',
  },
  {
    method: 'Crane',
    of: 'average of industrial',
    metric: 'image/ap',
    printed: 93.7,
    likely: 93.8,
    reason: 'the mean of its printed rows is 93.76',
  },
  {
    method: 'Crane+',
    of: 'average of medical',
    metric: 'image/auroc',
    printed: 95.7,
    likely: 95.8,
    reason: 'the mean of its printed rows is 95.77, and version 1 of the paper prints 95.8',
  },
  {
    method: 'Crane+',
    of: 'average of medical',
    metric: 'pixel/auroc',
    printed: 86.4,
    likely: 86.3,
    reason: 'the mean of its printed rows is 86.33',
  },
  {
    method: 'AdaCLIP',
    of: 'average of industrial',
    metric: 'pixel/aupro/paper200@0.3',
    printed: 50.1,
    likely: 50.2,
    reason: 'the mean of its printed rows is 50.16',
  },
];

/** The printed figures of a method on a set; undefined where the table has no such set. */
export function publishedRow(set: string, method: PublishedMethod): PublishedRow | undefined {
  return isPaperSet(set) ? PUBLISHED_RESULTS[set][method] : undefined;
}

/** The part of the table that a set stands in; null for sets that are not the paper's. */
export function paperDomain(name: string): PaperDomain | null {
  if (!isPaperSet(name)) return null;
  return INDUSTRIAL_SETS.has(name) ? 'industrial' : 'medical';
}

const INDUSTRIAL_SETS: ReadonlySet<PublishedSetName> = new Set(['mvtec', 'visa', 'mpdd', 'btad', 'sdd', 'dagm', 'dtd']);

/** Whether a name is that of one of the paper's fourteen sets. */
export function isPaperSet(name: string): name is PublishedSetName {
  return Object.hasOwn(PUBLISHED_RESULTS, name);
}

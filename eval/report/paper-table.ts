import { findRegisteredDataset } from '../../datasets/registry';
import type { BenchmarkResults, BenchmarkRow, DomainAverage, LeftOut } from '../benchmark/benchmark-results';
import {
  PAPER_SETS,
  paperDomain,
  publishedRow,
  PUBLISHED_DOUBTS,
  type PaperDomain,
  type PublishedDoubt,
  type PublishedMethod,
  type PublishedMetricId,
} from '../published';

/** The two halves of the paper's table. */
export const LEVELS = [
  {
    name: 'image',
    title: 'Image level',
    question: 'which images are anomalous',
    metrics: ['image/auroc', 'image/ap', 'image/f1max'],
  },
  {
    name: 'pixel',
    title: 'Pixel level',
    question: 'where the defect is',
    metrics: ['pixel/auroc', 'pixel/aupro/paper200@0.3', 'pixel/f1max'],
  },
] as const satisfies readonly {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly metrics: readonly PublishedMetricId[];
}[];
export type Level = (typeof LEVELS)[number];

export interface PaperCell {
  /** 0..1; null where the metric is not defined. */
  readonly value: number | null;
  /** Why there is no value; null where there is one. */
  readonly reason: string | null;
  /** Per cent, as printed; null where the paper has no such figure. */
  readonly published: number | null;
  /** Percentage points, value minus published; null where either is missing. */
  readonly difference: number | null;
  /** A known error in the printed figure. */
  readonly doubt: PublishedDoubt | null;
}

/** A recipe's figures on a set, or why it has none. */
export type PaperEntry =
  | {
      readonly row: BenchmarkRow | DomainAverage;
      readonly cells: Readonly<Record<PublishedMetricId, PaperCell>>;
      readonly comparable: boolean;
    }
  | { readonly leftOut: LeftOut | null };

export interface PaperLine {
  readonly name: string;
  readonly title: string;
  /** In the order of the recipes. */
  readonly entries: readonly PaperEntry[];
}

export interface PaperGroup {
  /** Null for sets that are not the paper's. */
  readonly domain: PaperDomain | null;
  readonly title: string;
  readonly sets: readonly PaperLine[];
  /** Null where no recipe has scored two sets of the group, or the paper has no such average. */
  readonly average: PaperLine | null;
}

export interface PaperTable {
  readonly recipes: BenchmarkResults['recipes'];
  readonly groups: readonly PaperGroup[];
}

type Content = Pick<BenchmarkResults, 'datasets' | 'recipes' | 'averages' | 'leftOut'>;
/** Why a metric of a row is not defined. */
export type ReasonOf = (row: BenchmarkRow, metric: PublishedMetricId) => string;

const GROUPS = [
  { domain: 'industrial', title: 'Industrial' },
  { domain: 'medical', title: 'Medical' },
  { domain: null, title: 'Other sets' },
] as const;

/** The results arranged as in the paper: sets by domain with their averages, recipes side by side. */
export function paperTable({ datasets, recipes, averages, leftOut }: Content, reasonOf: ReasonOf): PaperTable {
  const named = [...new Set([...datasets, ...leftOut].map(({ name }) => name))];
  const names = [
    ...PAPER_SETS.filter((name) => named.includes(name)),
    ...named.filter((name) => paperDomain(name) === null),
  ];
  const groups = GROUPS.flatMap(({ domain, title }): PaperGroup[] => {
    const sets = names
      .filter((name) => paperDomain(name) === domain)
      .map((name): PaperLine => ({
        name,
        title: datasets.find((row) => row.name === name)?.title ?? findRegisteredDataset(name)?.title ?? name,
        entries: recipes.map(({ name: recipe, method }) => {
          const row = datasets.find((candidate) => candidate.name === name && candidate.recipe === recipe);
          if (!row)
            return {
              leftOut: leftOut.find((candidate) => candidate.name === name && candidate.recipe === recipe) ?? null,
            };
          return { row, cells: cellsOf((id) => setCell(row, id, method, reasonOf)), comparable: row.comparable };
        }),
      }));
    if (sets.length === 0) return [];
    const entries = recipes.map(({ name: recipe, method }): PaperEntry => {
      const average = averages.find((candidate) => candidate.recipe === recipe && candidate.domain === domain);
      if (!average) return { leftOut: null };
      const of = datasets.filter((row) => row.recipe === recipe && row.domain === domain);
      return {
        row: average,
        cells: cellsOf((id) => averageCell(average, id, method, of)),
        comparable: of.every(({ comparable }) => comparable),
      };
    });
    const average = averages.some((candidate) => candidate.domain === domain && candidate.sets.length > 1)
      ? { name: `average of ${domain}`, title: 'average', entries }
      : null;
    return [{ domain, title, sets, average }];
  });
  return { recipes, groups };
}

function cellsOf(cell: (id: PublishedMetricId) => PaperCell): Readonly<Record<PublishedMetricId, PaperCell>> {
  return Object.fromEntries(LEVELS.flatMap(({ metrics }) => metrics.map((id) => [id, cell(id)]))) as Record<
    PublishedMetricId,
    PaperCell
  >;
}

function setCell(row: BenchmarkRow, id: PublishedMetricId, method: PublishedMethod, reasonOf: ReasonOf): PaperCell {
  const value = row.mean[id];
  const published = row.published?.[id] ?? null;
  return {
    value,
    published,
    difference: difference(value, published),
    doubt: published === null ? null : doubtOf(row.name, method, id),
    reason: value === null ? reasonOf(row, id) : null,
  };
}

function averageCell(
  average: DomainAverage,
  id: PublishedMetricId,
  method: PublishedMethod,
  of: readonly BenchmarkRow[],
): PaperCell {
  const value = average.mean[id];
  const printed = average.published?.[id] ?? null;
  const published = value === null ? null : (printed ?? meanOfPrinted(of, id));
  const doubt = printed === null ? null : doubtOf(`average of ${average.domain}`, method, id);
  return {
    value,
    published,
    difference: difference(value, published),
    doubt,
    reason: value === null ? 'not defined on any of these sets' : null,
  };
}

/** The paper's average over only the sets that were scored; null where one of them has no printed figure. */
function meanOfPrinted(of: readonly BenchmarkRow[], id: PublishedMetricId): number | null {
  const printed = of.filter(({ mean }) => mean[id] !== null).map(({ published }) => published?.[id] ?? null);
  return printed.includes(null) || printed.length === 0
    ? null
    : printed.reduce<number>((sum, figure) => sum + (figure ?? 0), 0) / printed.length;
}

function difference(value: number | null, published: number | null): number | null {
  return value === null || published === null ? null : 100 * value - published;
}

/** A known error in a printed figure; null where none is known. */
export function doubtOf(of: string, method: PublishedMethod, metric: PublishedMetricId): PublishedDoubt | null {
  return (
    PUBLISHED_DOUBTS.find((doubt) => doubt.of === of && doubt.method === method && doubt.metric === metric) ?? null
  );
}

/**
 * Whether a half of the table has anything on a set, measured or printed: the paper leaves out sets without masks, or
 * without normal images. Sets that no recipe was run on are listed where the paper has them.
 */
export function standsInLevel({ name, entries }: PaperLine, { metrics }: Level): boolean {
  const run = entries.flatMap((entry) => ('row' in entry ? [entry.cells] : []));
  if (run.length > 0)
    return run.some((cells) => metrics.some((id) => cells[id].value !== null || cells[id].published !== null));
  const printed = publishedRow(name, 'Crane');
  return printed === undefined || metrics.some((id) => printed[id] !== null);
}

/** Sets that one half of the table leaves out, by the reason why nothing is defined on them. */
export function notInLevel({ groups }: PaperTable, level: Level): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>();
  for (const line of groups.flatMap(({ sets }) => sets)) {
    const given = line.entries.flatMap((entry) => ('row' in entry ? [entry.cells[level.metrics[0]].reason] : []));
    if (given.length === 0 || standsInLevel(line, level)) continue;
    const reason = given.find((text) => text !== null) ?? 'not defined';
    reasons.set(reason, [...(reasons.get(reason) ?? []), line.title]);
  }
  return reasons;
}

/** Percentage points with their sign, or ± where the difference rounds to zero. */
export function signed(points: number): string {
  const text = Math.abs(points).toFixed(1);
  return text === '0.0' ? '±0.0' : `${points > 0 ? '+' : '−'}${text}`;
}

/** Why a recipe has no figures on a set, in a word or two. */
export function leftOutWord({ leftOut }: Extract<PaperEntry, { readonly leftOut: unknown }>): string {
  const words: Readonly<Record<LeftOut['reason'], string>> = {
    absent: 'not on disk',
    auxiliary: 'trained on it',
    failed: 'failed',
  };
  return leftOut === null ? 'not run' : words[leftOut.reason];
}

/** How many of the paper's sets are in a domain. */
export function domainSize(domain: PaperDomain): number {
  return PAPER_SETS.filter((name) => paperDomain(name) === domain).length;
}

import type { OnProgress } from '../../lib/progress';
import type { TableColumn } from '../../terminal/table';

export interface BenchOptions {
  /** How often each thing is measured; medians are shown. */
  readonly runs: number;
  /** Maps of the whole set whose pixel metrics are measured; 0 for none. */
  readonly maps: number;
  /** Shapes so small that all takes seconds; the ratios are then unreliable. */
  readonly small: boolean;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** What one part of `crane bench` found. */
export interface BenchReport {
  /** One line above the table: what was measured, at which shapes. */
  readonly title: string;
  readonly columns: readonly TableColumn[];
  /** As `formatTable` takes them. */
  readonly rows: readonly (readonly string[] | null)[];
  /** The same for programs: plain numbers with their units in the names, such as `stepSeconds`. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** One thing that `crane bench` measures, asked for by a flag of its name. */
export interface BenchPart {
  run(options: BenchOptions): Promise<BenchReport>;
}

/** The middle of some numbers; of an even count, the mean of the two in the middle. NaN where there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

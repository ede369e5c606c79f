import { setImmediate } from 'node:timers/promises';
import type { OnProgress } from '../../lib/progress';
import { formatTable } from '../../terminal/table';

export interface BenchOptions {
  /** How often each item is measured; medians are shown. */
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
  /** What was measured, at which shapes, and a table. */
  readonly text: string;
  /** The same for programs: plain numbers with their units in the names, such as `stepSeconds`. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** One thing that `crane bench` measures, asked for by a flag of its name. */
export type BenchPart = (options: BenchOptions) => Promise<BenchReport>;

/** A table whose first column is of words and whose others are of numbers; null draws a rule. */
export function tableOf(titles: readonly string[], rows: readonly (readonly string[] | null)[]): string {
  const columns = titles.map((title, index) => ({
    title,
    align: index === 0 ? ('left' as const) : ('right' as const),
  }));
  return formatTable(columns, rows);
}

/** Counts from 0 through so many steps, showing how far it is and letting other events in between, until it is stopped. */
export async function* steps(
  task: string,
  total: number,
  { onProgress, signal }: Pick<BenchOptions, 'onProgress' | 'signal'>,
  unit: 'steps' | 'images' = 'steps',
): AsyncGenerator<number> {
  onProgress({ kind: 'start', task, total, unit });
  for (let done = 0; done < total; done++) {
    await setImmediate();
    signal.throwIfAborted();
    yield done;
    onProgress({ kind: 'advance', task, done: done + 1, total });
  }
  onProgress({ kind: 'done', task });
}

export async function timed<T>(run: () => T | Promise<T>): Promise<[result: T, seconds: number]> {
  const began = performance.now();
  const result = await run();
  return [result, (performance.now() - began) / 1000];
}

/** Without a detour through a promise, for what takes little time. */
export function secondsOf(work: () => unknown): number {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1000;
}

/** The middle of some numbers; of an even count, the mean of the two in the middle. NaN where there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

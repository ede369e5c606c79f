import type { OnProgress, Progress } from '../lib/progress';
import { displayWidth, formatBytes } from './table';
import { jsonText, shownInLine } from './terminal-text';

/** What a reporter needs from a stream, such as `process.stderr`. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressReporterOptions {
  /** Write one JSON object per line instead, as given to the reporter. Default false. */
  readonly json?: boolean;
  /** Clock in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

/** Redraws of the bar, and lines in a pipe, are at least this far apart, in milliseconds. */
const redrawInterval = 100;
const lineInterval = 1000;
const longestSilence = 5000;

/**
 * Shows progress: on a terminal, a bar; in a pipe, one line at the start, about every tenth, and at the end; with
 * `json`, one object per line at the same pace. Use the error stream, so that standard output holds only results.
 */
export function createProgressReporter(stream: ProgressStream, options: ProgressReporterOptions = {}): OnProgress {
  const now = options.now ?? Date.now;
  const runs = new Map<string, Run>();
  return (progress) => {
    const time = now();
    if (progress.kind === 'start') {
      const run: Run = {
        unit: progress.unit,
        total: progress.total,
        started: time,
        done: 0,
        before: progress.done ?? 0,
        shownAt: time,
        shownTenth: 0,
      };
      runs.set(progress.task, run);
    }
    const run = runs.get(progress.task);
    if (run === undefined) return;
    if (progress.kind === 'advance') {
      run.firstDone ??= progress.done;
      run.done = progress.done;
      run.total = progress.total;
      if (progress.values) run.values = progress.values;
    }
    if (progress.kind === 'done') runs.delete(progress.task);
    if (options.json) return showJson(stream, progress, run, time);
    const show = stream.isTTY ? showBar : showLine;
    show(stream, { ...progress, task: shownInLine(progress.task) }, run, time);
  };
}

interface Run {
  readonly unit: 'bytes' | 'images' | 'steps';
  readonly started: number;
  total: number;
  done: number;
  /** Done at the first report: what a resumed download already has must not count towards speed. */
  firstDone?: number;
  /** Done before the start, which must not count towards speed either. */
  readonly before: number;
  values?: Readonly<Record<string, number>>;
  shownAt: number;
  shownTenth: number;
}

function showJson(stream: ProgressStream, progress: Progress, run: Run, time: number): void {
  if (progress.kind === 'advance' && !isDue(run, time)) return;
  stream.write(`${jsonText(progress)}\n`);
}

function showLine(stream: ProgressStream, progress: Progress, run: Run, time: number): void {
  if (progress.kind === 'start') stream.write(`${progress.task}: ${amount(run.total, run.unit)}\n`);
  else if (progress.kind === 'done')
    stream.write(`${progress.task}: done in ${duration(time - run.started)}${values(run)}\n`);
  else if (isDue(run, time)) stream.write(`${progress.task}: ${fraction(run)}${values(run)}\n`);
}

/** At every further tenth, but not in bursts; and every few seconds where a tenth takes long. */
function isDue(run: Run, time: number): boolean {
  const tenth = run.total > 0 ? Math.floor((run.done / run.total) * 10) : 0;
  if (time - run.shownAt < (tenth > run.shownTenth ? lineInterval : longestSilence)) return false;
  run.shownTenth = tenth;
  run.shownAt = time;
  return true;
}

function showBar(stream: ProgressStream, progress: Progress, run: Run, time: number): void {
  if (progress.kind === 'done') {
    stream.write(`\r\u001b[K${progress.task}: done in ${duration(time - run.started)}${values(run)}\n`);
    return;
  }
  if (progress.kind === 'advance' && time - run.shownAt < redrawInterval) return;
  run.shownAt = time;
  stream.write(`\r\u001b[K${barLine(progress.task, run, time, stream.columns || 80)}`);
}

function barLine(task: string, run: Run, time: number, columns: number): string {
  const tail = ` ${fraction(run)}${remaining(run, time)}${values(run)}`;
  const room = columns - 1 - displayWidth(task) - 1 - displayWidth(tail) - 2;
  const width = Math.min(30, room);
  // A line wider than the terminal would scroll at every redraw.
  if (width < 5 || run.total <= 0) return [...`${task}${tail}`].slice(0, columns - 1).join('');
  const filled = Math.min(width, Math.round((run.done / run.total) * width));
  return `${task} [${'█'.repeat(filled)}${'░'.repeat(width - filled)}]${tail}`;
}

function fraction(run: Run): string {
  if (run.total <= 0) return amount(run.done, run.unit);
  const percent = `${Math.floor((run.done / run.total) * 100)} %`;
  const counts =
    run.unit === 'bytes'
      ? `${formatBytes(run.done)} of ${formatBytes(run.total)}`
      : `${run.done} of ${amount(run.total, run.unit)}`;
  return `${percent}, ${counts}`;
}

function remaining(run: Run, time: number): string {
  const elapsed = time - run.started;
  const gained = run.done - (run.unit === 'bytes' ? (run.firstDone ?? 0) : run.before);
  if (gained <= 0 || elapsed < 1000 || run.done >= run.total) return '';
  return `, ${duration(((run.total - run.done) / gained) * elapsed)} left`;
}

function amount(count: number, unit: Run['unit']): string {
  if (unit === 'bytes') return count > 0 ? formatBytes(count) : 'unknown length';
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`;
}

function values(run: Run): string {
  const shown = Object.entries(run.values ?? {}).map(
    ([name, value]) => `${name} ${Number.isFinite(value) ? Number(value.toPrecision(4)) : value}`,
  );
  return shown.length > 0 ? `  ${shown.join('  ')}` : '';
}

/** Milliseconds as `0.4 s`, `12 s`, `3 min 05 s` or `2 h 10 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}

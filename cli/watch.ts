import { Crane, type CraneOptions } from '../lib/crane';
import { WatchedFolder } from '../lib/image/watched-folder';
import { PICTURE_BYTES } from '../lib/memory-budget';
import { failedRow, formsFrom, savedRow, savingBytes, type Row, type SavingArguments } from './detection-row';
import { imageSizeCost } from './image-size-cost';
import { interruptible } from '../terminal/interrupt';
import { MirroredMapFiles } from './map-files';
import { openJsonLines, prepareFile, prepareFolder, print, say } from '../terminal/output';
import { shownInLine, withNamesInLine } from '../terminal/terminal-text';
import { createProgressReporter } from '../terminal/progress-bar';
import { SideTasks } from './side-tasks';

export interface WatchArguments extends SavingArguments {
  watch: string;
  newOnly?: boolean | undefined;
  json?: string | undefined;
}

/** A row of `--json`, with what only watched folders have. */
interface WatchedRow extends Row {
  /** Time from first seeing the complete file to saving the result; null for images that were there at the start. */
  readonly latency: number | null;
}

/** How many latencies are kept, so that memory stays bounded even after months. */
const LATENCIES_KEPT = 10_000;
/** Results that are rendered and written while the next images are scored. */
export const SAVES_AT_ONCE = 8;

/**
 * Scores images as they arrive in a folder, until Ctrl-C or SIGTERM.
 * @returns exit code: 0, or 1 where images failed
 */
export async function watch(args: WatchArguments, options: CraneOptions): Promise<number> {
  const { watch: folder, newOnly = false, out, json } = args;
  const forms = formsFrom(args);
  const watched = new WatchedFolder(folder, { newOnly, ...(out === undefined ? {} : { except: [out] }) });
  const names = out === undefined ? undefined : new MirroredMapFiles(folder, out, forms);
  if (json !== undefined && json !== '-') prepareFile('--json', json);
  if (out !== undefined) prepareFolder('--out', out);
  return interruptible(
    async (signal) => {
      signal.addEventListener('abort', () => watched.stop());
      const crane = await Crane.load({
        ...options,
        classNames: [],
        onProgress: createProgressReporter(process.stderr),
        signal,
      });
      const lines = json === undefined ? undefined : openJsonLines('--json', json);
      const account = new Account((row) => {
        lines?.write(row);
        if (json !== '-') print(lineOf(row));
        if (row.error !== undefined) say(withNamesInLine(row.error, [row.path]));
      });
      try {
        crane.description.warnings.forEach((warning) => say(warning));
        const cost = await imageSizeCost(crane.description);
        if (cost !== undefined) say(cost);
        say(`Watching ${folder}${newOnly ? ' for new images' : ''}; Ctrl-C ends.`);
        await scoreArrivals(crane, watched, account, { args, names, signal });
      } finally {
        watched.stop();
        lines?.close();
        crane.dispose();
      }
      say(account.summary(watched.waiting));
      return account.failed > 0 ? 1 : 0;
    },
    ['SIGTERM'],
  );
}

interface Scoring {
  readonly args: WatchArguments;
  /** Undefined without `--out`. */
  readonly names: MirroredMapFiles | undefined;
  readonly signal: AbortSignal;
}

async function scoreArrivals(
  crane: Crane,
  watched: WatchedFolder,
  account: Account,
  { args, names, signal }: Scoring,
): Promise<void> {
  const saves = new SideTasks(SAVES_AT_ONCE, PICTURE_BYTES);
  const stream = crane.stream(watched, {
    keepPictures: names !== undefined,
    onFailure: ({ input, error }) => {
      const file = input as string;
      // Files that vanished or are still being written are not failures; the latter come again.
      if (watched.afterFailure(file) === 'broken') account.add({ ...failedRow(file, error.message), latency: null });
    },
  });
  for await (const detection of stream) {
    const { source } = detection;
    const age = watched.ageOf(source);
    const scored = performance.now();
    await saves.start(
      source,
      async () => {
        const row = await savedRow(detection, names?.filesOf(source) ?? [], args);
        account.add({ ...row, latency: age === undefined ? null : (age + performance.now() - scored) / 1000 });
      },
      savingBytes(detection),
    );
    if (signal.aborted) break;
  }
  await saves.finish();
}

/** A summary of the work so far. */
class Account {
  failed = 0;
  private scored = 0;
  private readonly latencies: number[] = [];

  constructor(private readonly tell: (row: WatchedRow) => void) {}

  add(row: WatchedRow): void {
    if (row.error === undefined) this.scored++;
    else this.failed++;
    if (row.latency !== null) this.latencies.push(row.latency);
    if (this.latencies.length > LATENCIES_KEPT) this.latencies.shift();
    this.tell(row);
  }

  summary(waiting: number): string {
    const { scored, failed, latencies } = this;
    const parts = [`Stopped after ${scored} image${scored === 1 ? '' : 's'}`];
    if (failed > 0) parts.push(`${failed} failed`);
    if (waiting > 0) parts.push(`${waiting} still waiting in the folder`);
    if (latencies.length > 0)
      parts.push(
        `from arrival to result ${milliseconds(quantile(latencies, 0.5))} (p50), ${milliseconds(quantile(latencies, 0.95))} (p95)`,
      );
    return `${parts.join('; ')}.`;
  }
}

/** The smallest value that the given share of values does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] as number;
}

function lineOf({ path: source, score, width, height, seconds, latency }: WatchedRow): string {
  if (score === null) return `failed  ${shownInLine(source)}`;
  const arrival = latency === null ? '' : `, ${milliseconds(latency)} after arrival`;
  return `${score.toFixed(4)}  ${shownInLine(source)}  ${width}x${height}, ${milliseconds(seconds ?? 0)}${arrival}`;
}

function milliseconds(seconds: number): string {
  return `${Math.round(seconds * 1000)} ms`;
}

import { formatTable } from '../../terminal/table';
import { shownInLine } from '../../terminal/terminal-text';
import { createProgressReporter, type ProgressStream } from '../../terminal/progress-bar';
import type { OnProgress } from '../../lib/progress';
import { percent } from '../metrics-table';
import type { RowState } from './benchmark';
import { rowLine } from './tables';

/** What the live table needs from a stream, such as `process.stderr`. */
export interface TableStream extends ProgressStream {
  readonly rows?: number;
}

const SIGNS: Readonly<Record<RowState['status'], string>> = {
  waiting: '',
  running: 'running',
  done: 'done',
  absent: 'missing',
  auxiliary: 'trained on',
  failed: 'failed',
};

/**
 * Shows the progress of a benchmark: on a terminal, a table that is redrawn in place, with the progress of the running
 * row below it; in a pipe, a line for each finished row, and the usual lines of progress.
 */
export class LiveTable {
  readonly onProgress: OnProgress;
  private states: readonly RowState[] = [];
  private shown = new Set<string>();
  private progress = '';
  private linesDrawn = 0;

  constructor(private readonly stream: TableStream) {
    // A separate reporter draws the bar on the line below the table.
    const line: ProgressStream = {
      isTTY: true,
      columns: stream.columns ?? 80,
      write: (text: string) => this.showProgress(text),
    };
    this.onProgress = createProgressReporter(stream.isTTY ? line : stream);
  }

  readonly onRows = (states: readonly RowState[]): void => {
    this.states = states;
    if (this.stream.isTTY) this.draw();
    else this.writeNewLines();
  };

  /** A line that stays, above the table. */
  readonly onNotice = (message: string): void => {
    this.close();
    this.stream.write(`${shownInLine(message)}\n`);
    if (this.stream.isTTY && this.states.length > 0) this.draw();
  };

  /** Leaves the terminal as a plain command would: the table is cleared, since the final tables follow. */
  close(): void {
    if (this.linesDrawn > 0) this.stream.write(`${this.toTop()}\u001b[J`);
    this.linesDrawn = 0;
  }

  private showProgress(text: string): void {
    // eslint-disable-next-line no-control-regex
    this.progress = text.replace(/\r|\n|\u001b\[K/g, '');
    if (this.states.length > 0) this.draw();
    else this.stream.write(text);
  }

  private draw(): void {
    const lines = [...this.tableLines(), '', this.progress];
    // Overwritten in one write, so that nothing flickers.
    this.stream.write(`${this.toTop()}${lines.map((line) => `${line}\u001b[K`).join('\n')}\u001b[J`);
    this.linesDrawn = lines.length;
  }

  /** Moves to the first column of the first line that was drawn. */
  private toTop(): string {
    return this.linesDrawn > 1 ? `\r\u001b[${this.linesDrawn - 1}A` : '\r';
  }

  /** As many rows as fit, around the running one: a region taller than the terminal could not be redrawn. */
  private tableLines(): string[] {
    const lines = formatTable(
      [
        { title: 'recipe' },
        { title: 'set' },
        { title: 'state' },
        { title: 'I-AUROC', align: 'right' },
        { title: 'P-AUROC', align: 'right' },
        { title: 'AUPRO', align: 'right' },
        { title: 'images/s', align: 'right' },
        { title: 'peak MB', align: 'right' },
      ],
      this.states.map(({ recipe, name, status, row }) => [
        recipe,
        name,
        SIGNS[status],
        ...(row
          ? [
              percent(row.mean['image/auroc']),
              percent(row.mean['pixel/auroc']),
              percent(row.mean['pixel/aupro/paper200@0.3']),
              row.cost.imagesPerSecond?.toFixed(2) ?? 'n/a',
              (row.cost.peakMemoryBytes / 1e6).toFixed(0),
            ]
          : []),
      ]),
    )
      .split('\n')
      .map((line) => [...line].slice(0, (this.stream.columns ?? 80) - 1).join(''));
    const [head, body] = [lines.slice(0, 2), lines.slice(2)];
    const room = Math.max(3, (this.stream.rows ?? 24) - 6);
    if (body.length <= room) return lines;
    const finished = this.states.filter(({ status }) => status !== 'waiting' && status !== 'running').length;
    // Rows run in order, so the running one is the first that is not finished.
    const first = Math.max(0, Math.min(body.length - room, finished - Math.floor(room / 2)));
    return [...head, ...body.slice(first, first + room), `${finished} of ${this.states.length} rows are done`];
  }

  private writeNewLines(): void {
    for (const [place, { recipe, name, status, row, resumed, message }] of this.states.entries()) {
      const key = `${place}`;
      if (status === 'waiting' || status === 'running' || this.shown.has(key)) continue;
      this.shown.add(key);
      const count = `[${this.shown.size} of ${this.states.length}]`;
      if (row)
        this.stream.write(
          `${count} ${shownInLine(rowLine(row))}${resumed > 0 ? `, ${resumed} of ${row.categories.length} categories from an earlier run` : ''}\n`,
        );
      else
        this.stream.write(
          `${count} ${recipe} ${shownInLine(`${name}: ${SIGNS[status]}. ${message?.split('\n')[0] ?? ''}`)}\n`,
        );
    }
  }
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ChildMessage, Job, JobResult } from './job';
import { makeScratch } from './workspace';

/** The heap of the process that reads, in MiB: more than any reader may take, so that one that grows is seen to grow. */
const HEAP_LIMIT = 512;

/** How a job ended: with a result, or with the process that read, at the mutant that is told. */
export type Outcome =
  | ({ readonly kind: 'done' } & JobResult)
  | { readonly kind: 'dead'; readonly index: number; readonly hung: boolean; readonly message: string };

/** A process that reads mutants, watched from outside. */
export class ReaderProcess {
  private stopped = false;
  /** However this program ends, nothing of the other one is left. */
  private readonly atExit = (): void => this.stop();

  private constructor(
    private readonly child: ChildProcess,
    private readonly scratch: string,
    private readonly patience: number,
  ) {
    process.on('exit', this.atExit);
  }

  /**
   * @param patience seconds without a sign of life after which it hangs
   * @throws Error where it does not start, or a target refuses its own seeds
   */
  static async start(targets: readonly string[], patience: number): Promise<ReaderProcess> {
    const scratch = makeScratch();
    const child = fork(path.join(__dirname, 'start.js'), ['serve', scratch, ...targets], {
      execArgv: [`--max-old-space-size=${HEAP_LIMIT}`, '--max-semi-space-size=8', '--expose-gc'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const reader = new ReaderProcess(child, scratch, patience);
    let said = '';
    child.stderr?.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
    const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [
      ChildMessage | number | null,
    ];
    if (typeof message === 'object' && message?.kind === 'ready') return reader;
    reader.stop();
    throw new Error(
      typeof message === 'object' && message?.kind === 'refused-seed'
        ? message.message
        : `the process that reads did not start: ${said}`,
    );
  }

  /** Whether it may be given another job. */
  get alive(): boolean {
    return !this.stopped && this.child.connected && this.child.exitCode === null && this.child.signalCode === null;
  }

  async run(job: Job): Promise<Outcome> {
    let said = '';
    const listen = (text: Buffer): void => {
      said = (said + text.toString()).slice(-4000);
    };
    this.child.stderr?.on('data', listen);
    let hung = false;
    let [beat, since] = [-1, performance.now()];
    const watch = setInterval(() => {
      const now = this.lastBeat();
      if (now !== beat) [beat, since] = [now, performance.now()];
      else if (performance.now() - since > 1000 * this.patience) {
        hung = true;
        this.child.kill('SIGKILL');
      }
    }, 250);
    const ended = new AbortController();
    const { signal } = ended;
    try {
      this.child.send(job);
      const first = await Promise.race([
        once(this.child, 'message', { signal }).then(([message]) => message as ChildMessage),
        once(this.child, 'exit', { signal }).then(([code, name]) => ({
          kind: 'exit' as const,
          message: `code ${String(code)}, signal ${String(name)}`,
        })),
      ]);
      if (first.kind === 'done') return first;
      const why = hung
        ? `no sign of life for ${this.patience} s`
        : `${first.kind === 'exit' ? first.message : first.kind}: ${lastWords(said)}`;
      return { kind: 'dead', index: this.lastBeat(), hung, message: why };
    } finally {
      ended.abort();
      clearInterval(watch);
      this.child.stderr?.off('data', listen);
    }
  }

  stop(): void {
    this.stopped = true;
    process.off('exit', this.atExit);
    this.child.kill('SIGKILL');
    fs.rmSync(this.scratch, { recursive: true, force: true });
  }

  private lastBeat(): number {
    const bytes = fs.readFileSync(path.join(this.scratch, 'heartbeat'));
    return bytes.length < 8 ? -1 : bytes.readDoubleLE(0);
  }
}

/** The line that says why, of what V8 prints when it gives up. */
function lastWords(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return (lines.find((line) => /FATAL ERROR|Error:/.test(line)) ?? lines[0] ?? 'without a word').slice(0, 300);
}

import { fork } from 'node:child_process';
import * as path from 'node:path';
import { CraneError, UsageError } from '../../lib/errors';
import { packageFolder } from '../../lib/files/package-folder';
import { measureForward, type ForwardFigures, type ForwardJob } from './forward-measurement';

/** What a measuring process says to the one that started it: that the first heatmap is saved, then all figures. */
type Message = 'first result' | ForwardFigures;

export interface ProcessFigures extends ForwardFigures {
  /** From the start of the process, the program `crane`, to its first saved heatmap. */
  readonly firstResultSeconds: number;
}

/**
 * Measures one case in a process of its own, so that cases do not see each other's memory and the start is a real one.
 * @throws CraneError `backend/bench` where that process fails; what the signal was aborted with
 */
export async function measureInProcess(job: ForwardJob, signal: AbortSignal): Promise<ProcessFigures> {
  signal.throwIfAborted();
  const began = performance.now();
  const child = fork(path.join(packageFolder(), 'bin', 'crane.js'), ['bench', `--job=${JSON.stringify(job)}`], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [],
  });
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop);
  let [errors, firstResultSeconds] = ['', NaN];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  try {
    return await new Promise<ProcessFigures>((resolve, reject) => {
      const fail = (what: string): void =>
        reject(new CraneError('backend/bench', `measuring ${job.backbone} failed: ${what}`, { job }));
      child.on('message', (message: Message) => {
        if (message === 'first result') firstResultSeconds = (performance.now() - began) / 1000;
        else resolve({ ...message, firstResultSeconds });
      });
      child.on('error', (error) => fail(error.message));
      child.on('close', (code, killedBy) => {
        if (signal.aborted) reject(signal.reason as Error);
        else
          fail(
            `${killedBy === null ? `it ended with ${code}` : `it was ended by ${killedBy}, perhaps for want of memory`}\n${lastLines(errors)}`,
          );
      });
    });
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  }
}

/**
 * The other side: measures what it was told to and reports to the process that started it.
 * @throws UsageError where a person calls it
 */
export async function runJob(job: string): Promise<void> {
  const send = (message: Message): void => void process.send?.(message);
  if (process.send === undefined)
    throw new UsageError('usage/job', '--job is for processes that `crane bench` starts itself; leave it out', {});
  // Without a reader there is nothing to measure for.
  process.once('disconnect', () => process.exit(1));
  try {
    const figures = await measureForward(JSON.parse(job) as ForwardJob, { onFirstResult: () => send('first result') });
    send(figures);
  } finally {
    // The channel would keep the process alive; what was sent is delivered first.
    process.removeAllListeners('disconnect').disconnect?.();
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join('\n');
}

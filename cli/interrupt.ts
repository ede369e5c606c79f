import { CraneError } from '../lib/errors';

/** Code of the error that says that a person stopped a command. The commands exit with 130 then, as shells expect. */
export const INTERRUPTED = 'cli/interrupted';

/**
 * Runs work that Ctrl-C stops at its next step instead of in the middle of a file. A second Ctrl-C ends the process at
 * once.
 */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort(new CraneError(INTERRUPTED, 'Stopped.'));
  process.once('SIGINT', interrupt);
  try {
    return await run(controller.signal);
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

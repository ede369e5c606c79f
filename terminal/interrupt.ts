import { CraneError } from '../lib/errors';

/** Code of the error raised when the user stops a command. Commands then exit with 130, as shells expect. */
export const INTERRUPTED = 'cli/interrupted';

/**
 * Runs work that Ctrl-C stops at its next step instead of in the middle of a file. A second Ctrl-C ends the process at
 * once.
 * @param signals other signals that stop it; services are stopped by SIGTERM
 */
export async function interruptible<T>(
  run: (signal: AbortSignal) => Promise<T>,
  signals: readonly NodeJS.Signals[] = [],
): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort(new CraneError(INTERRUPTED, 'Stopped.'));
  const heard: NodeJS.Signals[] = ['SIGINT', ...signals];
  heard.forEach((name) => process.once(name, interrupt));
  try {
    return await run(controller.signal);
  } finally {
    heard.forEach((name) => process.removeListener(name, interrupt));
  }
}

/**
 * What a promise gives, or a rejection as soon as the signal is aborted. Listens to the signal no longer than it waits, so that a
 * signal that outlives many calls keeps nothing of them.
 * @throws the signal's reason; what the promise rejects with
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * Runs a task with a signal of its own, which is aborted after so many milliseconds, and with `outer`.
 * @throws a `TimeoutError`, or the reason of `outer`, once the task was aborted; else what it throws
 */
export async function withTimeout<T>(
  milliseconds: number,
  outer: AbortSignal | undefined,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(outer?.reason);
  const timer = setTimeout(
    () => controller.abort(new DOMException(`not done within ${milliseconds} ms`, 'TimeoutError')),
    milliseconds,
  );
  if (outer?.aborted) stop();
  else outer?.addEventListener('abort', stop, { once: true });
  try {
    return await task(controller.signal);
  } catch (error) {
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', stop);
  }
}

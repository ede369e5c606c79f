import type { TrainingResult } from './run';
import type { TrainOptions } from './run-options';
import type { StepReport } from './training-loop';

/** A run in progress. */
export interface TrainingRun {
  /** Settles when the run ends. */
  readonly result: Promise<TrainingResult>;
  /**
   * The steps, from the run's current position when the loop starts. The run waits for the loop before each next step; after
   * the loop is left, the run continues on its own. If the run fails, this throws too.
   */
  steps(): AsyncGenerator<StepReport, void>;
}

/** Called after each step; the run waits for the returned promise. */
type StepListener = (step: StepReport) => Promise<void>;

/**
 * Trains prompts on auxiliary sets; see `TrainOptions` for the choices. The run starts at once.
 *
 *     const run = train({ auxiliary: 'visa', training: { epochs: 5 } });
 *     for await (const { step, steps, total } of run.steps()) console.log(step, steps, total);
 *     const { prompts } = await run.result;
 */
export function train(options: TrainOptions): TrainingRun {
  const listeners = new Set<StepListener>();
  const onStep = async (step: StepReport): Promise<void> => {
    await options.onStep?.(step);
    await Promise.all([...listeners].map((listener) => listener(step)));
  };
  // Loaded on first use, so that programs that only detect need not wait for it.
  const result = import('./run').then(({ runTraining }) => runTraining({ ...options, onStep }));
  return { result, steps: () => stepsOf(listeners, result) };
}

async function* stepsOf(listeners: Set<StepListener>, result: Promise<unknown>): AsyncGenerator<StepReport, void> {
  let goOn: (() => void) | undefined;
  let deliver: (step: StepReport | undefined) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  let outcome: { readonly error?: unknown } | undefined;
  const listener: StepListener = (step) => {
    deliver(step);
    return new Promise((resolve) => {
      goOn = resolve;
    });
  };
  listeners.add(listener);
  result.then(
    () => {
      outcome = {};
      deliver(undefined);
    },
    (error: unknown) => {
      outcome = { error };
      fail(error);
    },
  );
  try {
    for (;;) {
      if (outcome?.error !== undefined) throw outcome.error;
      const next = new Promise<StepReport | undefined>((resolve, reject) => {
        deliver = resolve;
        fail = reject;
      });
      goOn?.();
      goOn = undefined;
      const step = outcome === undefined ? await next : undefined;
      if (step === undefined) return;
      yield step;
    }
  } finally {
    listeners.delete(listener);
    goOn?.();
  }
}

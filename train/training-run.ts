import type { TrainingResult } from './run';
import type { TrainOptions } from './run-options';
import type { StepReport } from './training-loop';

/** A run that is under way. */
export interface TrainingRun {
  /** Settles when the run ends. */
  readonly result: Promise<TrainingResult>;
  /**
   * The steps, from where the run stands when the loop begins. The run waits for the loop before each next step; leaving
   * the loop lets it go on by itself. A run that fails throws here too.
   */
  steps(): AsyncGenerator<StepReport, void>;
}

/** Called after each step; the run waits for what it returns. */
type StepListener = (step: StepReport) => Promise<void>;

/**
 * Trains prompts on auxiliary sets; see `TrainOptions` for what there is to choose. The run begins at once.
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
  // Loaded when it is called, so that those who only detect do not wait for it.
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

import { STAGES as STAGES_OF_LIBRARY, type RunStage, type Stage as StageOfLibrary } from '../../lib/stage';
import { median } from './part';

/** The library's stages, the last of them with the overlay and its file, and what is left from file to file. */
export const STAGES = [...STAGES_OF_LIBRARY, 'other'] as const;
export type Stage = (typeof STAGES)[number];

const AROUND_THE_MODEL: readonly Stage[] = ['decode', 'resize', 'heatmap', 'other'];
/** Those between a network input and its map and score. */
export const MODEL_STAGES = STAGES.filter((stage) => !AROUND_THE_MODEL.includes(stage));

export type StageSeconds = Readonly<Record<Stage, number>>;

export function perStage<T>(of: (stage: Stage) => T): Record<Stage, T> {
  return Object.fromEntries(STAGES.map((stage) => [stage, of(stage)])) as Record<Stage, T>;
}

/**
 * Divides wall time among stages, each moment to one: to the innermost stage that computes, else to one that waits (for a
 * decoder's thread, or for a file), else to `other`. So the stages' sum is the time that has passed.
 */
export class StageClock {
  private readonly computing: Stage[] = [];
  private readonly waiting: Stage[] = [];
  private readonly totals = new Map<Stage, number>();
  private since: number;

  /** @param now clock in milliseconds */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.since = now();
  }

  /** Counts a call for a stage; what it returns as a promise is waited for in that stage. */
  readonly run: RunStage = <T>(stage: StageOfLibrary, call: () => T): T => {
    const leave = this.enter(this.computing, stage);
    let result: T;
    try {
      result = call();
    } finally {
      leave();
    }
    return result instanceof Promise ? (result.finally(this.enter(this.waiting, stage)) as T) : result;
  };

  /** Seconds since the last call, or since the clock was made, by stage. */
  lap(): StageSeconds {
    this.settle();
    const seconds = perStage((stage) => (this.totals.get(stage) ?? 0) / 1000);
    this.totals.clear();
    return seconds;
  }

  private enter(stack: Stage[], stage: Stage): () => void {
    this.settle();
    stack.push(stage);
    return () => {
      this.settle();
      stack.splice(stack.indexOf(stage), 1);
    };
  }

  private settle(): void {
    const time = this.now();
    // A file that is written is the later of two that wait.
    const stage = this.computing.at(-1) ?? this.waiting.at(-1) ?? 'other';
    this.totals.set(stage, (this.totals.get(stage) ?? 0) + time - this.since);
    this.since = time;
  }
}

/** One run: seconds by stage, and of the whole. */
export interface Lap {
  readonly stages: StageSeconds;
  readonly whole: number;
}

/**
 * What several runs say about each stage: medians, all in the one proportion that makes them add up to the median of the
 * whole, which medians of parts do not do by themselves.
 */
export function typicalStages(laps: readonly Lap[]): StageSeconds {
  const medians = perStage((stage) => median(laps.map(({ stages }) => stages[stage])));
  const sum = Object.values(medians).reduce((total, seconds) => total + seconds, 0);
  const proportion = median(laps.map(({ whole }) => whole)) / sum;
  return perStage((stage) => medians[stage] * proportion);
}

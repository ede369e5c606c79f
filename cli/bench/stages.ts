import { Crane } from '../../lib/crane';
import { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../../lib/encoders/clip-vision';
import * as preprocessing from '../../lib/image/preprocess';
import { BranchingBlock } from '../../lib/layers/branching-block';
import { DualPathBlock } from '../../lib/layers/dual-path-block';
import { Mlp } from '../../lib/layers/mlp';
import { PatchEmbedding } from '../../lib/layers/patch-embedding';
import { ResidualBlock } from '../../lib/layers/residual-block';
import { CraneModel } from '../../lib/methods/crane/model';
import { LearnablePrompts } from '../../lib/prompts/learnable-prompts';
import { MapFusion } from '../../lib/scoring/fusion';
import { GaussianFilter } from '../../lib/scoring/gaussian';
import { ScorePooling } from '../../lib/scoring/score-pooling';
import { Similarity } from '../../lib/scoring/similarity';
import { median } from './part';

/**
 * What an image goes through, in order. `attention` is all of a block but its MLP half; `projection` the way into the space
 * that images and texts share; `modelOther` what else the model does, such as the norm before the blocks; `heatmap` the map at
 * the picture's size, the overlay and its file; `other` what is left from file to file.
 */
export const STAGES = [
  'decode',
  'resize',
  'patchEmbedding',
  'attention',
  'mlp',
  'projection',
  'text',
  'scoring',
  'gaussian',
  'modelOther',
  'heatmap',
  'other',
] as const;
export type Stage = (typeof STAGES)[number];

/** Those between a network input and its map and score. */
export const MODEL_STAGES = [
  'patchEmbedding',
  'attention',
  'mlp',
  'projection',
  'text',
  'scoring',
  'gaussian',
  'modelOther',
] as const satisfies readonly Stage[];

export type StageSeconds = Readonly<Record<Stage, number>>;

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
  run<T>(stage: Stage, call: () => T): T {
    this.settle();
    this.computing.push(this.innermost(stage));
    let result: T;
    try {
      result = call();
    } finally {
      this.settle();
      this.computing.pop();
    }
    return result instanceof Promise ? (this.wait(stage, result) as T) : result;
  }

  private async wait<T>(stage: Stage, promise: Promise<T>): Promise<T> {
    this.settle();
    this.waiting.push(stage);
    try {
      return await promise;
    } finally {
      this.settle();
      this.waiting.splice(this.waiting.indexOf(stage), 1);
    }
  }

  /** Seconds since the last call, or since the clock was made, by stage. */
  lap(): StageSeconds {
    this.settle();
    const seconds = Object.fromEntries(STAGES.map((stage) => [stage, (this.totals.get(stage) ?? 0) / 1000])) as Record<
      Stage,
      number
    >;
    this.totals.clear();
    return seconds;
  }

  /** A stage stays itself whatever it calls, but blocks have an MLP, the model has stages, and waiting has none. */
  private innermost(stage: Stage): Stage {
    const around = this.computing.at(-1);
    const isOpen =
      around === undefined ||
      around === 'modelOther' ||
      (around === 'attention' && stage === 'mlp') ||
      (around === 'decode' && stage === 'resize');
    return isOpen ? stage : around;
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
  const medians = STAGES.map((stage) => median(laps.map(({ stages }) => stages[stage])));
  const proportion = median(laps.map(({ whole }) => whole)) / medians.reduce((sum, seconds) => sum + seconds, 0);
  return Object.fromEntries(STAGES.map((stage, index) => [stage, (medians[index] as number) * proportion])) as Record<
    Stage,
    number
  >;
}

/** A thing with functions: a class's prototype, or a module. */
type Functions = Record<string, unknown>;

interface Hook {
  readonly of: object;
  /** Stage by name of function; those that are not there are left alone. */
  readonly stages: Readonly<Record<string, Stage>>;
  /** Stage of all other functions. */
  readonly rest?: Stage;
}

/** Which functions belong to which stage. Inner ones count for the stage they are called in. */
const HOOKS: readonly Hook[] = [
  { of: Crane.prototype, stages: { prepare: 'decode', detection: 'heatmap' } },
  { of: preprocessing, stages: { preprocessImage: 'resize' } },
  {
    of: CraneModel.prototype,
    stages: { encodePrompts: 'text', score: 'scoring', smooth: 'gaussian' },
    rest: 'modelOther',
  },
  { of: PatchEmbedding.prototype, stages: {}, rest: 'patchEmbedding' },
  { of: ClipVisionEncoder.prototype, stages: { project: 'projection' } },
  ...[ResidualBlock, DualPathBlock, BranchingBlock].map(
    (block) => ({ of: block.prototype, stages: { feedForward: 'mlp' }, rest: 'attention' }) as const,
  ),
  { of: Mlp.prototype, stages: {}, rest: 'mlp' },
  { of: LearnablePrompts.prototype, stages: {}, rest: 'text' },
  { of: ClipTextEncoder.prototype, stages: {}, rest: 'text' },
  ...[MapFusion, ScorePooling, Similarity].map(
    (layer) => ({ of: layer.prototype, stages: {}, rest: 'scoring' }) as const,
  ),
  { of: GaussianFilter.prototype, stages: {}, rest: 'gaussian' },
];

/** Said once, when something is made, and no part of an image's way. */
const LEFT_ALONE = new Set(['constructor', 'getConfig', 'computeOutputShape', 'dispose']);

/**
 * Has the library's functions tell a clock when they run, from outside. A backend that answers before it has computed (a GPU)
 * cannot be timed like this.
 * @returns puts everything back
 */
export function timeStages(clock: StageClock): () => void {
  return hook(clock, HOOKS);
}

/** The same for nothing but the encoding of prompts, which belongs to no image where they are the same for all. */
export function timePrompts(clock: StageClock): () => void {
  return hook(clock, [{ of: CraneModel.prototype, stages: { encodePrompts: 'text' } }]);
}

function hook(clock: StageClock, hooks: readonly Hook[]): () => void {
  const undo: (() => void)[] = [];
  for (const { of, stages, rest } of hooks) {
    const owner = of as Functions;
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      const original: unknown = descriptor.value;
      const stage = Object.hasOwn(stages, name) ? stages[name] : LEFT_ALONE.has(name) ? undefined : rest;
      if (stage === undefined || typeof original !== 'function') continue;
      owner[name] = function (this: unknown, ...args: unknown[]): unknown {
        return clock.run(stage, () => original.apply(this, args) as unknown);
      };
      undo.push(() => Object.defineProperty(owner, name, descriptor));
    }
  }
  return () => undo.forEach((put) => put());
}

import type { FaultKind } from './oracle';

/** A run of mutants of one target, asked of the process that reads them. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  /** Number of the first mutant. */
  readonly from: number;
  readonly count: number;
  /** The process has read nothing before, so that what the first mutant takes is its own, and each is looked at. */
  readonly alone: boolean;
}

export interface JobFault {
  readonly index: number;
  readonly kind: FaultKind;
  readonly message: string;
}

export interface JobResult {
  readonly ran: number;
  readonly accepted: number;
  /** How many were refused with each code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly faults: readonly JobFault[];
  /**
   * Mutants after which memory stood too high, by one of them or by their forerunners' garbage, or the one that took too
   * long, by itself or by what else the machine does; nothing was read after them.
   */
  readonly suspects: { readonly from: number; readonly count: number } | undefined;
  /** Highest memory above the start of the process, in bytes. */
  readonly growth: number;
  readonly milliseconds: number;
}

export type ChildMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused-seed'; readonly message: string }
  | ({ readonly kind: 'done' } & JobResult);

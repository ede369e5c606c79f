import * as fs from 'node:fs';
import { peakResidentBytes } from '../../eval/benchmark/peak-memory';
import { CraneError } from '../../lib/errors';
import { Breach, type Files, type Target } from './target';
import type { Workspace } from './workspace';

export type FaultKind = 'foreign-error' | 'hang' | 'memory' | 'leak' | 'breach' | 'prototype' | 'handle' | 'crash';

/** What a reader must not do. */
export interface Fault {
  readonly kind: FaultKind;
  readonly message: string;
}

export interface Verdict {
  /** The code of the refusal; undefined where the mutant was read. */
  readonly code: string | undefined;
  readonly faults: readonly Fault[];
  readonly milliseconds: number;
}

/** Reads mutants as their target does, and judges what comes of it; time and memory apart. */
export class Judge {
  private firstFree = firstFreeDescriptor();

  constructor(
    private readonly target: Target,
    private readonly workspace: Workspace,
  ) {}

  /** Files that are open now are no fault of the mutants that follow. */
  settle(): void {
    this.firstFree = firstFreeDescriptor();
  }

  async read(files: Files): Promise<Verdict> {
    this.workspace.place(files);
    const start = performance.now();
    const faults: Fault[] = [];
    let code: string | undefined;
    try {
      const reading = this.target.read(this.workspace.folder);
      if (reading) await reading;
    } catch (error) {
      if (error instanceof CraneError) code = error.code;
      else faults.push(faultOf(error));
      if (code !== undefined && !/^[a-z]+\/[a-z0-9-]+$/.test(code))
        faults.push({ kind: 'foreign-error', message: `the code ${JSON.stringify(code)} is of another form` });
    }
    const milliseconds = performance.now() - start;
    const polluted = pollution();
    if (polluted !== undefined) faults.push({ kind: 'prototype', message: `Object.prototype has got ${polluted}` });
    const firstFree = firstFreeDescriptor();
    if (firstFree > this.firstFree) faults.push({ kind: 'handle', message: 'a file stays open' });
    this.firstFree = firstFree;
    return { code, faults, milliseconds };
  }
}

function faultOf(error: unknown): Fault {
  if (error instanceof Breach) return { kind: 'breach', message: error.message };
  const said = error instanceof Error ? `${error.name}: ${error.message}` : `${typeof error} thrown`;
  const place =
    error instanceof Error ? /\(?((?:lib|eval|datasets|train)\/[\w./-]+:\d+)/.exec(error.stack ?? '')?.[1] : undefined;
  return { kind: 'foreign-error', message: `${said.slice(0, 300)}${place === undefined ? '' : ` (${place})`}` };
}

/** What a polluted prototype has got; it is cleaned, so that the next mutant is judged on its own. */
function pollution(): string | undefined {
  const prototype = Object.prototype as object;
  const found: string[] = [];
  for (const key in {}) found.push(key);
  for (const key of found) Reflect.deleteProperty(prototype, key);
  return found.length === 0 ? undefined : found.join(', ');
}

/** The system gives the least number that is free, so one that stays taken raises it. */
function firstFreeDescriptor(): number {
  const descriptor = fs.openSync(__filename, 'r');
  fs.closeSync(descriptor);
  return descriptor;
}

/** A mutant that takes longer hangs. */
export const LONGEST_MILLISECONDS = 2000;
export const MOST_GROWTH = 200 << 20;

/**
 * Memory above the start, of which the system keeps the highest mark, so that no moment is missed. The mark of `getrusage`
 * would begin with that of the process that started this one, which may be much higher.
 */
export class MemoryWatch {
  private start: number;
  private readonly kept: number;

  constructor() {
    collectGarbage();
    forgetHighest();
    this.start = peakResidentBytes();
    this.kept = inUse();
  }

  /** The highest mark above the start, in bytes. */
  growth(): number {
    return peakResidentBytes() - this.start;
  }

  /** Bytes in use above the start once garbage is collected. */
  keptGrowth(): number {
    collectGarbage();
    return inUse() - this.kept;
  }
}

function inUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function collectGarbage(): void {
  for (let round = 0; round < 3; round++) globalThis.gc?.();
}

/** Where the system can, it begins to measure anew; elsewhere the start is as high as loading has been. */
function forgetHighest(): void {
  try {
    fs.writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed.
  }
}

import { mutantOf } from './child';
import { faultKey, minimise, saveFinding, type Finding } from './findings';
import type { JobResult } from './job';
import { ReaderProcess } from './reader-process';
import type { Target } from './target';

export interface CampaignOptions {
  readonly targets: readonly Target[];
  readonly seed: number;
  /** Mutants of all targets together, shared out evenly. Default: no end but the time's. */
  readonly mutants?: number;
  /** Default: no end but the mutants'. */
  readonly minutes?: number;
  /** Only this mutant of each target, each in a process of its own. */
  readonly mutant?: number;
  /** Seconds without a sign of life after which a mutant hangs. Default 20. */
  readonly patience?: number;
  /** Where findings are saved. Default: nowhere. */
  readonly out?: string;
  readonly onFinding?: (finding: Finding, file: string | undefined) => void;
  /** Called now and then with how many mutants were read. */
  readonly onProgress?: (mutants: number) => void;
}

/** What was done to a target. */
export interface Tally {
  readonly target: Target;
  mutants: number;
  accepted: number;
  readonly refused: Map<string, number>;
  milliseconds: number;
}

export interface CampaignResult {
  readonly tallies: readonly Tally[];
  /** One of each kind of fault. */
  readonly findings: readonly Finding[];
  /** How many mutants showed a fault. */
  readonly faults: number;
  /** Highest memory above the start of a process that read, in bytes, beyond what was found to be one mutant's. */
  readonly growth: number;
  readonly seconds: number;
}

/** Faults of different kinds after which a campaign ends: then the reader is to be mended first. */
const MOST_FINDINGS = 40;
/** Milliseconds that one job should take, so that the end comes in time. */
const JOB_MILLISECONDS = 1500;

/** Reads mutants of each target in turn until their number or the time is reached. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  return new Campaign(options).run();
}

class Campaign {
  private readonly start = performance.now();
  private readonly tallies: Tally[];
  private readonly findings = new Map<string, Finding>();
  private faults = 0;
  private growth = 0;
  private reader: ReaderProcess | undefined;

  constructor(private readonly options: CampaignOptions) {
    this.tallies = options.targets.map((target) => ({
      target,
      mutants: 0,
      accepted: 0,
      refused: new Map(),
      milliseconds: 0,
    }));
  }

  async run(): Promise<CampaignResult> {
    const { mutant } = this.options;
    try {
      if (mutant !== undefined)
        for (const tally of this.tallies) await this.alone(tally, { from: mutant, count: 1 }, true);
      else while (await this.round());
    } finally {
      this.reader?.stop();
    }
    const { tallies, findings, faults, growth } = this;
    return { tallies, findings: [...findings.values()], faults, growth, seconds: this.seconds() };
  }

  private seconds = (): number => (performance.now() - this.start) / 1000;

  /** One job of each target. @returns whether there is more to do */
  private async round(): Promise<boolean> {
    const { mutants = Infinity, minutes = Infinity } = this.options;
    let any = false;
    for (const [place, tally] of this.tallies.entries()) {
      if (this.seconds() >= 60 * minutes || this.findings.size >= MOST_FINDINGS) return false;
      const share =
        mutants === Infinity
          ? Infinity
          : Math.floor(mutants / this.tallies.length) + (place < mutants % this.tallies.length ? 1 : 0);
      const usual =
        tally.mutants === 0 ? 100 : Math.ceil((JOB_MILLISECONDS * tally.mutants) / Math.max(tally.milliseconds, 1));
      const count = Math.min(share - tally.mutants, Math.max(20, Math.min(usual, 10_000)));
      if (count <= 0) continue;
      await this.job(tally, count);
      any = true;
      this.options.onProgress?.(this.tallies.reduce((sum, each) => sum + each.mutants, 0));
    }
    return any;
  }

  private async job(tally: Tally, count: number): Promise<void> {
    const { targets, seed, patience = 20 } = this.options;
    if (this.reader?.alive !== true) {
      this.reader?.stop();
      this.reader = await ReaderProcess.start(
        targets.map(({ name }) => name),
        patience,
      );
    }
    const from = tally.mutants;
    const outcome = await this.reader.run({ target: tally.target.name, seed, from, count, alone: false });
    if (outcome.kind === 'dead') {
      // What the others of this job gave is lost with the process.
      tally.mutants = Math.max(outcome.index, from) + 1;
      this.reader.stop();
      // On a busy machine one that is slow looks like one that hangs, and what it does at last is told then.
      if (outcome.hung) await this.alone(tally, { from: outcome.index, count: 1 }, false);
      else
        await this.found(
          { target: tally.target.name, seed, index: outcome.index, kind: 'crash', message: outcome.message },
          tally.target,
        );
      return;
    }
    await this.count(tally, outcome);
    if (outcome.suspects === undefined) {
      this.growth = Math.max(this.growth, outcome.growth);
      return;
    }
    // The mark of memory stays high, so that the next ones are read by a new process.
    this.reader.stop();
    if (!outcome.faults.some(({ kind }) => kind === 'leak')) await this.alone(tally, outcome.suspects, false);
  }

  /** Reads mutants again in a process of their own, at last the one that shows a fault by itself. */
  private async alone(
    tally: Tally,
    { from, count }: { readonly from: number; readonly count: number },
    counted: boolean,
  ): Promise<void> {
    const { seed, patience = 20 } = this.options;
    const reader = await ReaderProcess.start([tally.target.name], counted ? patience : 3 * patience);
    try {
      const outcome = await reader.run({ target: tally.target.name, seed, from, count, alone: true });
      if (outcome.kind === 'dead') {
        if (counted) tally.mutants++;
        await this.found(
          {
            target: tally.target.name,
            seed,
            index: outcome.index,
            kind: outcome.hung ? 'hang' : 'crash',
            message: outcome.message,
          },
          tally.target,
        );
      } else {
        // Other faults were told when the mutant was read first.
        const { suspects, faults } = outcome;
        const own = counted
          ? faults
          : faults.filter(({ kind }) => kind === 'memory' || kind === 'hang' || kind === 'leak');
        await this.count(counted ? tally : { ...tally, refused: new Map() }, { ...outcome, faults: own });
        if (suspects === undefined) this.growth = Math.max(this.growth, outcome.growth);
        else if (count > 1) await this.alone(tally, { from: from + outcome.ran - 1, count: 1 }, false);
      }
    } finally {
      reader.stop();
    }
  }

  private async count(tally: Tally, { ran, accepted, refused, faults, milliseconds }: JobResult): Promise<void> {
    tally.mutants += ran;
    tally.accepted += accepted;
    tally.milliseconds += milliseconds;
    for (const [code, times] of Object.entries(refused))
      tally.refused.set(code, (tally.refused.get(code) ?? 0) + times);
    for (const fault of faults)
      await this.found({ target: tally.target.name, seed: this.options.seed, ...fault }, tally.target);
  }

  private async found(finding: Finding, target: Target): Promise<void> {
    this.faults++;
    const key = faultKey(finding);
    if (this.findings.has(key)) return;
    this.findings.set(key, finding);
    const { out, onFinding } = this.options;
    const file =
      out === undefined
        ? undefined
        : saveFinding(
            out,
            target,
            finding,
            await minimise(target, finding, mutantOf(target, finding.seed, finding.index)),
          );
    onFinding?.(finding, file);
  }
}

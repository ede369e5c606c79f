import { CompensatedSum } from './compensated-sum';
import { sweep, type ClassCounts, type Ranking, type Sweep, type Threshold } from './ranking';

/**
 * Area under the ROC curve: the probability that an anomalous sample scores higher than a normal one, with ties
 * counting one half. Pairs are counted, and the count is divided once.
 *
 * @returns 0..1; needs both classes
 */
export function auroc(ranking: Ranking): number {
  return sweep(ranking, new AurocSweep(ranking));
}

export class AurocSweep implements Sweep<number> {
  /** Integers, but beyond 2^53 for hundreds of millions of pixels. */
  private readonly twiceTheWins = new CompensatedSum();
  private foundBefore = 0;

  constructor(private readonly counts: ClassCounts) {}

  at({ truePositives, falsePositives, normalsAbove }: Threshold): void {
    const twiceTheBeaten = 2 * this.counts.normals - falsePositives - normalsAbove;
    this.twiceTheWins.add((truePositives - this.foundBefore) * twiceTheBeaten);
    this.foundBefore = truePositives;
  }

  result(): number {
    return this.twiceTheWins.value / 2 / (this.counts.normals * this.counts.anomalous);
  }
}

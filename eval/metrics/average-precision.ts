import { CompensatedSum } from './compensated-sum';
import { sweep, type ClassCounts, type Ranking, type Sweep, type Threshold } from './ranking';

/**
 * Average precision: the precision at every threshold, weighted by the recall gained there, without interpolation
 * (as scikit-learn; not the trapezoid area under the precision-recall curve).
 *
 * @returns 0..1; needs an anomalous sample
 */
export function averagePrecision(ranking: Ranking): number {
  return sweep(ranking, new AveragePrecisionSweep(ranking));
}

export class AveragePrecisionSweep implements Sweep<number> {
  private readonly sum = new CompensatedSum();
  private foundBefore = 0;

  constructor(private readonly counts: ClassCounts) {}

  at({ truePositives, falsePositives }: Threshold): void {
    const precision = truePositives / (truePositives + falsePositives);
    this.sum.add((truePositives - this.foundBefore) * precision);
    this.foundBefore = truePositives;
  }

  result(): number {
    return this.sum.value / this.counts.anomalous;
  }
}

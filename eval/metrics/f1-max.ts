import { sweep, type Ranking, type Sweep, type Threshold } from './ranking';

/** The best F1, and the score at or above which samples are called anomalous to reach it. */
export interface BestF1 {
  /** 0..1 */
  readonly f1: number;
  /** In the units of the scores; the highest of those that reach the best F1. */
  readonly threshold: number;
}

/** Largest F1 over all thresholds: harmonic mean of precision and recall. Needs an anomalous sample. */
export function bestF1(ranking: Ranking): BestF1 {
  return sweep(ranking, new BestF1Sweep(ranking));
}

export class BestF1Sweep implements Sweep<BestF1> {
  private f1 = -1;
  private key = 0;

  constructor(private readonly ranking: Omit<Ranking, 'forEachThreshold'>) {}

  at({ key, truePositives, falsePositives }: Threshold): void {
    const candidate = (2 * truePositives) / (this.ranking.anomalous + truePositives + falsePositives);
    if (candidate > this.f1) {
      this.f1 = candidate;
      this.key = key;
    }
  }

  result(): BestF1 {
    return { f1: this.f1, threshold: this.ranking.scoreOfKey(this.key) };
  }
}

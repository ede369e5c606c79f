import { visitThresholds, type RankedScores } from './ranking';

/** The best F1 and the score from which on (inclusive) samples are called anomalous to reach it. */
export interface BestF1 {
  /** 0..1 */
  readonly f1: number;
  /** In the units of the scores; the highest of those that reach the best F1. */
  readonly threshold: number;
}

/** Largest F1 over all thresholds: harmonic mean of precision and recall. Needs an anomalous sample. */
export function bestF1(ranked: RankedScores): BestF1 {
  const anomalous = ranked.anomalous.length;
  let f1 = -1;
  let bestKey = NaN;
  visitThresholds(ranked, (truePositives, falsePositives, _, key) => {
    const candidate = (2 * truePositives) / (anomalous + truePositives + falsePositives);
    if (candidate > f1) {
      f1 = candidate;
      bestKey = key;
    }
  });
  return { f1, threshold: ranked.scoreOfKey(bestKey) };
}

import type { Ranking } from './ranking';

/** The best F1 and the score from which on (inclusive) samples are called anomalous to reach it. */
export interface BestF1 {
  /** 0..1 */
  readonly f1: number;
  /** In the units of the scores; the highest of those that reach the best F1. */
  readonly threshold: number;
}

/** Largest F1 over all thresholds: harmonic mean of precision and recall. Needs an anomalous sample. */
export function bestF1(ranking: Ranking): BestF1 {
  const { anomalous, truePositives, falsePositives } = ranking;
  let f1 = -1;
  let best = -1;
  for (let at = 0; at < truePositives.length; at++) {
    const found = truePositives[at] as number;
    const candidate = (2 * found) / (anomalous + found + (falsePositives[at] as number));
    if (candidate > f1) {
      f1 = candidate;
      best = at;
    }
  }
  return { f1, threshold: ranking.scoreAt(best) };
}

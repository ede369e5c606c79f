import type { Ranking } from './ranking';

/**
 * Average precision: the precision at every threshold, weighted by the recall gained there, without interpolation
 * (as scikit-learn; not the trapezoid area under the precision-recall curve).
 *
 * @returns 0..1; needs an anomalous sample
 */
export function averagePrecision({ anomalous, truePositives, falsePositives }: Ranking): number {
  let sum = 0;
  let foundBefore = 0;
  for (let at = 0; at < truePositives.length; at++) {
    const found = truePositives[at] as number;
    sum += (found - foundBefore) * (found / (found + (falsePositives[at] as number)));
    foundBefore = found;
  }
  return sum / anomalous;
}

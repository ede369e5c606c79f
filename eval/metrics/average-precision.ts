import { visitThresholds, type RankedScores } from './ranking';

/**
 * Average precision: the precision at every threshold, weighted by the recall gained there, without interpolation
 * (as scikit-learn; not the trapezoid area under the precision-recall curve).
 *
 * @returns 0..1; needs an anomalous sample
 */
export function averagePrecision(ranked: RankedScores): number {
  let sum = 0;
  let truePositivesBefore = 0;
  visitThresholds(ranked, (truePositives, falsePositives) => {
    sum += (truePositives - truePositivesBefore) * (truePositives / (truePositives + falsePositives));
    truePositivesBefore = truePositives;
  });
  return sum / ranked.anomalous.length;
}

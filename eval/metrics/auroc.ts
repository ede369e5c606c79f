import { visitThresholds, type RankedScores } from './ranking';

/**
 * Area under the ROC curve: the chance that an anomalous sample scores higher than a normal one, equal scores counting
 * one half. Exact: counted in whole numbers (to 2^53, which is 190 million samples), divided once.
 *
 * @returns 0..1; needs both classes
 */
export function auroc(ranked: RankedScores): number {
  const normals = ranked.normal.length;
  let twiceTheWins = 0;
  let truePositivesBefore = 0;
  visitThresholds(ranked, (truePositives, falsePositives, normalsAbove) => {
    twiceTheWins += (truePositives - truePositivesBefore) * (2 * normals - falsePositives - normalsAbove);
    truePositivesBefore = truePositives;
  });
  return twiceTheWins / 2 / (normals * ranked.anomalous.length);
}

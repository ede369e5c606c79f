import type { Ranking } from './ranking';

/**
 * Area under the ROC curve: the chance that an anomalous sample scores higher than a normal one, equal scores counting
 * one half. Exact: counted in whole numbers (to 2^53, which is 190 million samples), divided once.
 *
 * @returns 0..1; needs both classes
 */
export function auroc({ normals, anomalous, truePositives, falsePositives, normalsAbove }: Ranking): number {
  let twiceTheWins = 0;
  let foundBefore = 0;
  for (let at = 0; at < truePositives.length; at++) {
    const found = truePositives[at] as number;
    const twiceTheBeaten = 2 * normals - (falsePositives[at] as number) - (normalsAbove[at] as number);
    twiceTheWins += (found - foundBefore) * twiceTheBeaten;
    foundBefore = found;
  }
  return twiceTheWins / 2 / (normals * anomalous);
}

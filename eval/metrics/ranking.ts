/** Scores in ascending order, or numbers in the same order as scores. */
export type SortedKeys = Float64Array | Uint32Array;

/**
 * The thresholds of a list of scores and what each finds: all that a metric of ranking needs. Sorted once, read by
 * every metric.
 *
 * The thresholds are the different scores of anomalous samples, from the highest down; everything at or above one is
 * called anomalous. Scores that only normal samples have are left out: no metric here changes its form there (recall
 * stays, precision and F1 fall, the ROC and PRO curves run level), so these tell the whole curve.
 */
export interface Ranking {
  /** Number of normal samples. */
  readonly normals: number;
  /** Number of anomalous samples. */
  readonly anomalous: number;
  /** Anomalous samples at or above each threshold. [thresholds] */
  readonly truePositives: Uint32Array;
  /** Normal samples at or above each threshold. [thresholds] */
  readonly falsePositives: Uint32Array;
  /** Normal samples above each threshold; the others of `falsePositives` have the same score. [thresholds] */
  readonly normalsAbove: Uint32Array;
  /** The score of a threshold, by its index. */
  readonly scoreAt: (threshold: number) => number;
}

/**
 * Ranks samples that are sorted already.
 *
 * @param normal keys of the normal samples, ascending
 * @param anomalous keys of the anomalous samples, ascending
 * @param scoreOfKey the score that a key stands for
 */
export function rankSorted(normal: SortedKeys, anomalous: SortedKeys, scoreOfKey: (key: number) => number): Ranking {
  const thresholds = countDistinct(anomalous);
  const truePositives = new Uint32Array(thresholds);
  const falsePositives = new Uint32Array(thresholds);
  const normalsAbove = new Uint32Array(thresholds);
  let nextAnomalous = anomalous.length - 1;
  let nextNormal = normal.length - 1;
  for (let threshold = 0; threshold < thresholds; threshold++) {
    const key = anomalous[nextAnomalous] as number;
    while (nextAnomalous >= 0 && anomalous[nextAnomalous] === key) nextAnomalous--;
    while (nextNormal >= 0 && (normal[nextNormal] as number) > key) nextNormal--;
    normalsAbove[threshold] = normal.length - 1 - nextNormal;
    while (nextNormal >= 0 && normal[nextNormal] === key) nextNormal--;
    falsePositives[threshold] = normal.length - 1 - nextNormal;
    truePositives[threshold] = anomalous.length - 1 - nextAnomalous;
  }
  return {
    normals: normal.length,
    anomalous: anomalous.length,
    truePositives,
    falsePositives,
    normalsAbove,
    scoreAt: (threshold) =>
      scoreOfKey(anomalous[anomalous.length - (truePositives[threshold] as number)] as number),
  };
}

/** Ranks a short list of scores, such as one per image. */
export function rankScores(normal: readonly number[], anomalous: readonly number[]): Ranking {
  return rankSorted(Float64Array.from(normal).sort(), Float64Array.from(anomalous).sort(), (score) => score);
}

/** Why no metric of ranking is defined for these samples, if so. */
export function undefinedReason({ normals, anomalous }: Ranking, sample: 'image' | 'pixel'): string | undefined {
  if (normals + anomalous === 0) return `no ${sample} was scored`;
  if (anomalous === 0) return `all ${normals} ${sample}s are normal, so there is nothing to find`;
  if (normals === 0) return `all ${anomalous} ${sample}s are anomalous, so there is nothing to tell them from`;
  return undefined;
}

function countDistinct(sorted: SortedKeys): number {
  let count = sorted.length > 0 ? 1 : 0;
  for (let at = 1; at < sorted.length; at++) if (sorted[at] !== sorted[at - 1]) count++;
  return count;
}

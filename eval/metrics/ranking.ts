/**
 * The scores of the two classes in sorted order: all that a metric of ranking needs. Keys are any numbers in the same
 * order as the scores; equal scores have equal keys. Sorted once, read by every metric.
 */
export interface RankedScores {
  /** Keys of normal samples, ascending. */
  readonly normal: Float64Array | Uint32Array;
  /** Keys of anomalous samples, ascending. */
  readonly anomalous: Float64Array | Uint32Array;
  /** The score that a key stands for. */
  readonly scoreOfKey: (key: number) => number;
}

/**
 * A threshold at a score that at least one anomalous sample has; everything at or above it is called anomalous.
 *
 * @param truePositives anomalous samples at or above the threshold
 * @param falsePositives normal samples at or above it
 * @param normalsAbove normal samples strictly above it: the others of `falsePositives` have the same score
 * @param key the threshold's key
 */
export type ThresholdVisitor = (
  truePositives: number,
  falsePositives: number,
  normalsAbove: number,
  key: number,
) => void;

/**
 * Visits the thresholds from the highest score to the lowest, samples of equal score together. Scores that only normal
 * samples have are passed over: no metric here changes its form there (recall stays, precision and F1 fall, the ROC and
 * PRO curves run level), so the visits tell the whole curve.
 */
export function visitThresholds({ normal, anomalous }: RankedScores, visit: ThresholdVisitor): void {
  let truePositives = 0;
  let nextAnomalous = anomalous.length - 1;
  let nextNormal = normal.length - 1;
  while (nextAnomalous >= 0) {
    const key = anomalous[nextAnomalous] as number;
    while (nextAnomalous >= 0 && anomalous[nextAnomalous] === key) {
      nextAnomalous--;
      truePositives++;
    }
    while (nextNormal >= 0 && (normal[nextNormal] as number) > key) nextNormal--;
    const normalsAbove = normal.length - 1 - nextNormal;
    while (nextNormal >= 0 && normal[nextNormal] === key) nextNormal--;
    visit(truePositives, normal.length - 1 - nextNormal, normalsAbove, key);
  }
}

/** Ranks a short list of scores, such as one per image. */
export function rankScores(normal: readonly number[], anomalous: readonly number[]): RankedScores {
  return {
    normal: Float64Array.from(normal).sort(),
    anomalous: Float64Array.from(anomalous).sort(),
    scoreOfKey: (key) => key,
  };
}

/** Why no metric of ranking is defined for these scores, if so. */
export function undefinedReason({ normal, anomalous }: RankedScores, sample: 'image' | 'pixel'): string | undefined {
  if (normal.length + anomalous.length === 0) return `no ${sample} was scored`;
  if (anomalous.length === 0) return `all ${normal.length} ${sample}s are normal, so there is nothing to find`;
  if (normal.length === 0) return `all ${anomalous.length} ${sample}s are anomalous, so there is nothing to confuse them with`;
  return undefined;
}

/** How many samples there are of each class. */
export interface ClassCounts {
  readonly normals: number;
  readonly anomalous: number;
}

/** One threshold and what it finds: every sample at or above it is called anomalous. */
export interface Threshold {
  /** Encodes the score; `Ranking.scoreOfKey` decodes it. */
  readonly key: number;
  /** Anomalous samples at or above the threshold. */
  readonly truePositives: number;
  /** Normal samples at or above the threshold. */
  readonly falsePositives: number;
  /** Normal samples above the threshold; the others of `falsePositives` have the same score. */
  readonly normalsAbove: number;
}

/**
 * Ranked scores, visited threshold by threshold. Ranking metrics need no more than that, and no list of the scores,
 * which for the pixels of a large set would take more memory than the pixels.
 *
 * The thresholds are the distinct scores of anomalous samples, from the highest down. Scores that only normal samples
 * have are left out: they give no metric anything new (recall stays, precision and F1 fall, the ROC and PRO curves
 * run level), so the others define the whole curve.
 */
export interface Ranking<Step extends Threshold = Threshold> extends ClassCounts {
  /** @param visit gets the same object every time, valid only until it returns */
  forEachThreshold(visit: (threshold: Step) => void): void;
  scoreOfKey(key: number): number;
}

/** A computation along the thresholds; one run serves several. */
export interface Sweep<Result, Step extends Threshold = Threshold> {
  /** Takes the next threshold, from the highest score down. */
  at(threshold: Step): void;
  /** The result for the thresholds so far. */
  result(): Result;
}

/** Runs one computation through all thresholds. */
export function sweep<Result, Step extends Threshold>(
  ranking: Ranking<Step>,
  computation: Sweep<Result, Step>,
): Result {
  ranking.forEachThreshold((threshold) => computation.at(threshold));
  return computation.result();
}

/** Ranks a short list of scores, such as one per image. */
export function rankScores(normal: readonly number[], anomalous: readonly number[]): Ranking {
  return new SortedScores(Float64Array.from(normal).sort(), Float64Array.from(anomalous).sort());
}

class SortedScores implements Ranking {
  readonly normals: number;
  readonly anomalous: number;

  /** Both ascending. */
  constructor(
    private readonly normalScores: Float64Array,
    private readonly anomalousScores: Float64Array,
  ) {
    this.normals = normalScores.length;
    this.anomalous = anomalousScores.length;
  }

  forEachThreshold(visit: (threshold: Threshold) => void): void {
    const { normalScores, anomalousScores } = this;
    const threshold = { key: 0, truePositives: 0, falsePositives: 0, normalsAbove: 0 };
    let nextNormal = this.normals - 1;
    for (let next = this.anomalous - 1; next >= 0;) {
      const score = anomalousScores[next] as number;
      while (next >= 0 && anomalousScores[next] === score) next--;
      while (nextNormal >= 0 && (normalScores[nextNormal] as number) > score) nextNormal--;
      threshold.normalsAbove = this.normals - 1 - nextNormal;
      while (nextNormal >= 0 && normalScores[nextNormal] === score) nextNormal--;
      threshold.falsePositives = this.normals - 1 - nextNormal;
      threshold.truePositives = this.anomalous - 1 - next;
      threshold.key = score;
      visit(threshold);
    }
  }

  scoreOfKey(key: number): number {
    return key;
  }
}

/** Why ranking metrics are not defined for these samples; undefined where they are. */
export function undefinedReason({ normals, anomalous }: ClassCounts, sample: 'image' | 'pixel'): string | undefined {
  if (normals + anomalous === 0) return `no ${sample} was scored`;
  if (anomalous === 0) return `all ${normals} ${sample}s are normal, so there is nothing to find`;
  if (normals === 0) return `all ${anomalous} ${sample}s are anomalous, so there is nothing to tell them from`;
  return undefined;
}

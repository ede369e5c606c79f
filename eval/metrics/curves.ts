import type { RankedRegions } from './aupro';
import type { Ranking } from './ranking';

/** Points of a curve for drawing, in the order of falling thresholds. All three arrays have the same length. */
export interface Curve {
  /** 0..1 */
  readonly x: readonly number[];
  /** 0..1 */
  readonly y: readonly number[];
  /**
   * Score at or above which a sample is called anomalous, infinite where none or every one is; where a level stretch
   * ends, the score that comes next.
   */
  readonly thresholds: readonly number[];
}

/** Enough for a curve of a few hundred pixels' width. */
const DRAWN_POINTS = 200;

/**
 * ROC curve: x the false positive rate, y the true positive rate. Needs both classes.
 *
 * @param maxPoints 3 or more; every point kept is one of the exact curve, and those left out are nearer than
 *   `2 / (maxPoints - 2)` to one kept
 */
export function rocCurve(ranking: Ranking, maxPoints = DRAWN_POINTS): Curve {
  const { truePositives, anomalous } = ranking;
  return risingCurve(ranking, (at) => (truePositives[at] as number) / anomalous, maxPoints);
}

/**
 * Precision-recall curve: x the recall, y the precision, from (0, 1) as scikit-learn has it to a recall of 1. Needs an
 * anomalous sample.
 *
 * @param maxPoints 3 or more; kept are exact points at nearly even steps of recall
 */
export function precisionRecallCurve(ranking: Ranking, maxPoints = DRAWN_POINTS): Curve {
  const { anomalous, truePositives, falsePositives } = ranking;
  const curve = new ThinnedCurve(ranking, maxPoints, 1, (x) => x);
  curve.start(0, 1);
  for (let at = 0; at < truePositives.length; at++) {
    const found = truePositives[at] as number;
    curve.add(found / anomalous, found / (found + (falsePositives[at] as number)), at);
  }
  const last = truePositives.length - 1;
  return curve.finish(1, anomalous / (anomalous + (falsePositives[last] as number)), ranking.scoreAt(last));
}

/** PRO curve: x the false positive rate, y the mean overlap of the regions. Needs normal and anomalous pixels. */
export function proCurve({ ranking, overlaps }: RankedRegions, maxPoints = DRAWN_POINTS): Curve {
  return risingCurve(ranking, (at) => overlaps[at] as number, maxPoints);
}

/** A curve over the false positive rate, from (0, 0) to (1, 1), with `heightAt` reached at each threshold. */
function risingCurve(ranking: Ranking, heightAt: (threshold: number) => number, maxPoints: number): Curve {
  const { normals, falsePositives, normalsAbove } = ranking;
  const curve = new ThinnedCurve(ranking, maxPoints, 2, (x, y) => x + y);
  curve.start(0, 0);
  let height = 0;
  for (let at = 0; at < falsePositives.length; at++) {
    curve.add((normalsAbove[at] as number) / normals, height, at);
    height = heightAt(at);
    curve.add((falsePositives[at] as number) / normals, height, at);
  }
  return curve.finish(1, 1, -Infinity);
}

/** Keeps the first point, the last, and one whenever a further step of the way is done. */
class ThinnedCurve {
  private readonly x: number[] = [];
  private readonly y: number[] = [];
  private readonly thresholds: number[] = [];
  private readonly stepsPerWay: number;
  private stepsDone = 0;

  constructor(
    private readonly ranking: Ranking,
    maxPoints: number,
    way: number,
    private readonly wayDone: (x: number, y: number) => number,
  ) {
    this.stepsPerWay = Math.max(1, maxPoints - 2) / way;
  }

  /** The point where nothing is called anomalous. */
  start(x: number, y: number): void {
    this.keep(x, y, Infinity);
  }

  add(x: number, y: number, threshold: number): void {
    const steps = Math.floor(this.wayDone(x, y) * this.stepsPerWay);
    if (steps <= this.stepsDone) return;
    this.stepsDone = steps;
    this.keep(x, y, this.ranking.scoreAt(threshold));
  }

  finish(x: number, y: number, score: number): Curve {
    if (this.x.at(-1) !== x || this.y.at(-1) !== y) this.keep(x, y, score);
    return { x: this.x, y: this.y, thresholds: this.thresholds };
  }

  private keep(x: number, y: number, score: number): void {
    this.x.push(x);
    this.y.push(y);
    this.thresholds.push(score);
  }
}

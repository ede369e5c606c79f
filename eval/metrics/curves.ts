import { visitOverlaps, type RankedRegions } from './aupro';
import { visitThresholds, type RankedScores } from './ranking';

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
export function rocCurve(ranked: RankedScores, maxPoints = DRAWN_POINTS): Curve {
  const curve = new ThinnedCurve(maxPoints, 2, ({ x, y }) => x + y);
  curve.add(0, 0, Infinity);
  visitThresholds(ranked, (truePositives, falsePositives, normalsAbove, key) => {
    const score = ranked.scoreOfKey(key);
    curve.add(normalsAbove / ranked.normal.length, curve.lastY, score);
    curve.add(falsePositives / ranked.normal.length, truePositives / ranked.anomalous.length, score);
  });
  return curve.finish(1, 1, -Infinity);
}

/**
 * Precision-recall curve: x the recall, y the precision, from (0, 1) as scikit-learn has it to a recall of 1. Needs an
 * anomalous sample.
 *
 * @param maxPoints 3 or more; kept are exact points at nearly even steps of recall
 */
export function precisionRecallCurve(ranked: RankedScores, maxPoints = DRAWN_POINTS): Curve {
  const curve = new ThinnedCurve(maxPoints, 1, ({ x }) => x);
  curve.add(0, 1, Infinity);
  visitThresholds(ranked, (truePositives, falsePositives, _, key) => {
    curve.add(truePositives / ranked.anomalous.length, truePositives / (truePositives + falsePositives), ranked.scoreOfKey(key));
  });
  return curve.finish();
}

/** PRO curve: x the false positive rate, y the mean overlap of the regions. Needs normal and anomalous pixels. */
export function proCurve(ranked: RankedRegions, maxPoints = DRAWN_POINTS): Curve {
  const curve = new ThinnedCurve(maxPoints, 2, ({ x, y }) => x + y);
  curve.add(0, 0, Infinity);
  visitOverlaps(ranked, (overlap, falsePositives, normalsAbove, key) => {
    const score = ranked.scoreOfKey(key);
    curve.add(normalsAbove / ranked.normal.length, curve.lastY, score);
    curve.add(falsePositives / ranked.normal.length, overlap, score);
  });
  return curve.finish(1, 1, -Infinity);
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Keeps the first point, the last, and one whenever a further step of the way is done. */
class ThinnedCurve {
  private readonly x: number[] = [];
  private readonly y: number[] = [];
  private readonly thresholds: number[] = [];
  private readonly stepsPerWay: number;
  private stepsDone = -1;
  private last: readonly [number, number, number] = [NaN, NaN, NaN];

  constructor(
    maxPoints: number,
    way: number,
    private readonly wayDone: (point: Point) => number,
  ) {
    this.stepsPerWay = Math.max(1, maxPoints - 2) / way;
  }

  get lastY(): number {
    return this.last[1];
  }

  add(x: number, y: number, threshold: number): void {
    this.last = [x, y, threshold];
    const steps = Math.floor(this.wayDone({ x, y }) * this.stepsPerWay);
    if (steps > this.stepsDone) {
      this.stepsDone = steps;
      this.keep(x, y, threshold);
    }
  }

  /** Closes with the last point added, or with a given one. */
  finish(x = this.last[0], y = this.last[1], threshold = this.last[2]): Curve {
    if (this.x.at(-1) !== x || this.y.at(-1) !== y) this.keep(x, y, threshold);
    return { x: this.x, y: this.y, thresholds: this.thresholds };
  }

  private keep(x: number, y: number, threshold: number): void {
    this.x.push(x);
    this.y.push(y);
    this.thresholds.push(threshold);
  }
}

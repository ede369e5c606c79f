import type { PixelThreshold } from './pixel-ranking';
import type { Ranking, Threshold } from './ranking';

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
  return risingCurve(ranking, ({ truePositives }) => truePositives / ranking.anomalous, maxPoints);
}

/**
 * Precision-recall curve: x the recall, y the precision, from (0, 1) as scikit-learn has it to a recall of 1. Needs an
 * anomalous sample.
 *
 * @param maxPoints 3 or more; kept are exact points at nearly even steps of recall
 */
export function precisionRecallCurve(ranking: Ranking, maxPoints = DRAWN_POINTS): Curve {
  const { anomalous } = ranking;
  const curve = new ThinnedCurve(ranking, maxPoints, 1, (x) => x);
  let last = { precision: 1, key: 0 };
  curve.start(0, 1);
  ranking.forEachThreshold(({ key, truePositives, falsePositives }) => {
    const precision = truePositives / (truePositives + falsePositives);
    curve.add(truePositives / anomalous, precision, key);
    if (truePositives === anomalous) last = { precision, key };
  });
  return curve.finish(1, last.precision, ranking.scoreOfKey(last.key));
}

/** PRO curve: x the false positive rate, y the mean overlap of the regions. Needs normal and anomalous pixels. */
export function proCurve(ranking: Ranking<PixelThreshold>, maxPoints = DRAWN_POINTS): Curve {
  return risingCurve(ranking, ({ overlap }) => overlap, maxPoints);
}

/** A curve over the false positive rate, from (0, 0) to (1, 1), with `heightOf` reached at each threshold. */
function risingCurve<Step extends Threshold>(ranking: Ranking<Step>, heightOf: (threshold: Step) => number, maxPoints: number): Curve {
  const { normals } = ranking;
  const curve = new ThinnedCurve(ranking, maxPoints, 2, (x, y) => x + y);
  curve.start(0, 0);
  let height = 0;
  ranking.forEachThreshold((threshold) => {
    const { key, normalsAbove, falsePositives } = threshold;
    curve.add(normalsAbove / normals, height, key);
    height = heightOf(threshold);
    curve.add(falsePositives / normals, height, key);
  });
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
    private readonly ranking: Pick<Ranking, 'scoreOfKey'>,
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

  add(x: number, y: number, key: number): void {
    const steps = Math.floor(this.wayDone(x, y) * this.stepsPerWay);
    if (steps <= this.stepsDone) return;
    this.stepsDone = steps;
    this.keep(x, y, this.ranking.scoreOfKey(key));
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

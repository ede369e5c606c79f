import type { PixelThreshold } from './pixel-ranking';
import { sweep, type Ranking, type Sweep, type Threshold } from './ranking';

/** Points of a curve for drawing, with thresholds descending. All three arrays have the same length. */
export interface Curve {
  /** 0..1 */
  readonly x: readonly number[];
  /** 0..1 */
  readonly y: readonly number[];
  /**
   * Score at or above which a sample is called anomalous; infinite where none or all are. At the end of a level
   * stretch, the next score.
   */
  readonly thresholds: readonly number[];
}

/** Enough for a curve a few hundred pixels wide. */
const DRAWN_POINTS = 200;

/**
 * ROC curve: x the false positive rate, y the true positive rate. Needs both classes.
 *
 * @param maxPoints 3 or more; every point kept is on the exact curve, and those left out are nearer than
 *   `2 / (maxPoints - 2)` to one kept
 */
export function rocCurve(ranking: Ranking, maxPoints?: number): Curve {
  return sweep(ranking, rocSweep(ranking, maxPoints));
}

export function rocSweep(ranking: Ranking, maxPoints = DRAWN_POINTS): Sweep<Curve> {
  return new RisingCurve(ranking, ({ truePositives }) => truePositives / ranking.anomalous, maxPoints);
}

/** PRO curve: x the false positive rate, y the mean overlap of the regions. Needs normal and anomalous pixels. */
export function proCurve(ranking: Ranking<PixelThreshold>, maxPoints?: number): Curve {
  return sweep(ranking, proSweep(ranking, maxPoints));
}

export function proSweep(ranking: Ranking<PixelThreshold>, maxPoints = DRAWN_POINTS): Sweep<Curve, PixelThreshold> {
  return new RisingCurve(ranking, ({ overlap }) => overlap, maxPoints);
}

/**
 * Precision-recall curve: x the recall, y the precision, from (0, 1) as scikit-learn has it to a recall of 1. Needs an
 * anomalous sample.
 *
 * @param maxPoints 3 or more; kept are exact points at nearly even steps of recall
 */
export function precisionRecallCurve(ranking: Ranking, maxPoints?: number): Curve {
  return sweep(ranking, new PrecisionRecallSweep(ranking, maxPoints));
}

export class PrecisionRecallSweep implements Sweep<Curve> {
  private readonly curve: ThinnedCurve;
  private key = 0;
  private precision = 1;

  constructor(
    private readonly ranking: Ranking,
    maxPoints = DRAWN_POINTS,
  ) {
    this.curve = new ThinnedCurve(ranking, maxPoints, 1);
    this.curve.start(0, 1);
  }

  at({ key, truePositives, falsePositives }: Threshold): void {
    const recall = truePositives / this.ranking.anomalous;
    this.key = key;
    this.precision = truePositives / (truePositives + falsePositives);
    this.curve.add(recall, recall, this.precision, key);
  }

  result(): Curve {
    return this.curve.finish(1, this.precision, this.ranking.scoreOfKey(this.key));
  }
}

/** A curve over the false positive rate, from (0, 0) to (1, 1), with `heightOf` reached at each threshold. */
class RisingCurve<Step extends Threshold> implements Sweep<Curve, Step> {
  private readonly curve: ThinnedCurve;
  private height = 0;

  constructor(
    private readonly ranking: Ranking<Step>,
    private readonly heightOf: (threshold: Step) => number,
    maxPoints: number,
  ) {
    this.curve = new ThinnedCurve(ranking, maxPoints, 2);
    this.curve.start(0, 0);
  }

  at(threshold: Step): void {
    const { key, normalsAbove, falsePositives } = threshold;
    const [from, to] = [normalsAbove / this.ranking.normals, falsePositives / this.ranking.normals];
    this.curve.add(from + this.height, from, this.height, key);
    this.height = this.heightOf(threshold);
    this.curve.add(to + this.height, to, this.height, key);
  }

  result(): Curve {
    return this.curve.finish(1, 1, -Infinity);
  }
}

/** Keeps the first point, the last, and one at each step along the way. */
class ThinnedCurve {
  private readonly x: number[] = [];
  private readonly y: number[] = [];
  private readonly thresholds: number[] = [];
  private readonly stepsPerWay: number;
  private stepsDone = 0;

  /** @param way length of the whole curve */
  constructor(
    private readonly ranking: Pick<Ranking, 'scoreOfKey'>,
    maxPoints: number,
    way: number,
  ) {
    this.stepsPerWay = Math.max(1, maxPoints - 2) / way;
  }

  /** The point where nothing is called anomalous. */
  start(x: number, y: number): void {
    this.keep(x, y, Infinity);
  }

  /** @param wayDone from the start to this point */
  add(wayDone: number, x: number, y: number, key: number): void {
    const steps = wayDone * this.stepsPerWay;
    if (steps < this.stepsDone + 1) return;
    this.stepsDone = Math.floor(steps);
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

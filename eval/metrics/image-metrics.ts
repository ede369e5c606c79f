import { MetricError } from '../../lib/errors';
import { auroc } from './auroc';
import { averagePrecision } from './average-precision';
import { rocCurve, type Curve } from './curves';
import { bestF1, type BestF1 } from './f1-max';
import { IMAGE_METRIC_IDS, type ImageMetricId, type MetricValues } from './metric-ids';
import { rankScores, undefinedReason, type Ranking } from './ranking';

/** Collects one score per image of a category, and gives the image metrics of docs/method.md#metrics. */
export class ImageMetrics {
  private readonly normal: number[] = [];
  private readonly anomalous: number[] = [];
  private ranked: Ranking | undefined;

  /**
   * @param score any finite number; larger is more anomalous
   * @param isAnomalous the true label
   * @throws MetricError when the score is NaN or infinite
   */
  add(score: number, isAnomalous: boolean): void {
    if (!Number.isFinite(score)) {
      throw new MetricError(
        'metric/not-finite',
        `image score ${score} cannot be ranked; check the model and its weights`,
        { score },
      );
    }
    this.ranked = undefined;
    (isAnomalous ? this.anomalous : this.normal).push(score);
  }

  /** Adds everything that another has collected. */
  include(other: ImageMetrics): void {
    this.ranked = undefined;
    other.normal.forEach((score) => this.normal.push(score));
    other.anomalous.forEach((score) => this.anomalous.push(score));
  }

  /** Fractions; all null with images of one class only. */
  value(): MetricValues<ImageMetricId> {
    const ranked = this.ranking();
    if (undefinedReason(ranked, 'image') !== undefined) {
      return { 'image/auroc': null, 'image/ap': null, 'image/f1max': null };
    }
    return { 'image/auroc': auroc(ranked), 'image/ap': averagePrecision(ranked), 'image/f1max': bestF1(ranked).f1 };
  }

  /** For each metric that is null, why. */
  reasons(): Partial<Record<ImageMetricId, string>> {
    const reason = undefinedReason(this.ranking(), 'image');
    return reason === undefined ? {} : Object.fromEntries(IMAGE_METRIC_IDS.map((id) => [id, reason]));
  }

  /** The threshold with the best F1 on these images; null with images of one class only. */
  bestF1Threshold(): BestF1 | null {
    return this.ifDefined(bestF1);
  }

  /** Null with images of one class only. */
  rocCurve(maxPoints?: number): Curve | null {
    return this.ifDefined((ranking) => rocCurve(ranking, maxPoints));
  }

  private ranking(): Ranking {
    this.ranked ??= rankScores(this.normal, this.anomalous);
    return this.ranked;
  }

  private ifDefined<Result>(compute: (ranking: Ranking) => Result): Result | null {
    const ranked = this.ranking();
    return undefinedReason(ranked, 'image') === undefined ? compute(ranked) : null;
  }
}

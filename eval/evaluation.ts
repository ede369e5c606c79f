import type { Curve } from './metrics/curves';
import type { MetricId, MetricValues } from './metrics/metric-ids';

/** One scored image, without its map. */
export interface ScoredImage {
  readonly path: string;
  readonly defect: string;
  readonly anomalous: boolean;
  readonly maskPath: string | null;
  readonly score: number;
}

export interface CurvesOfCategory {
  readonly imageRoc: Curve | null;
  readonly pixelRoc: Curve | null;
  readonly pixelPrecisionRecall: Curve | null;
  readonly pixelPro: Curve | null;
}

export interface CategoryEvaluation {
  readonly name: string;
  readonly images: number;
  readonly anomalous: number;
  /** Fractions 0 to 1; null where a metric is not defined. */
  readonly metrics: MetricValues;
  /** Why a metric is null. */
  readonly reasons: Readonly<Partial<Record<MetricId, string>>>;
  readonly scores: readonly ScoredImage[];
  /** From file to map, of all images together; without masks and metrics. */
  readonly detectionSeconds: number;
  readonly curves: CurvesOfCategory;
  /** Pixel threshold with the best F1; null where F1 is not defined. */
  readonly bestThreshold: number | null;
}

/** Metrics over part of the defects: the normal images and those whose defect is in the group. */
export interface GroupEvaluation {
  readonly name: string;
  readonly categories: readonly {
    readonly name: string;
    readonly images: number;
    readonly anomalous: number;
    readonly metrics: MetricValues;
  }[];
  readonly mean: MetricValues;
}

export interface Evaluation {
  readonly dataset: string;
  readonly root: string;
  readonly categories: readonly CategoryEvaluation[];
  readonly mean: MetricValues;
  readonly groups: readonly GroupEvaluation[];
  /** Whether the means count metrics that are not defined as 0. */
  readonly referenceMeans?: boolean;
  /** Images that could not be read; they are excluded from all figures. */
  readonly failures: readonly { readonly path: string; readonly message: string }[];
  readonly seconds: number;
}

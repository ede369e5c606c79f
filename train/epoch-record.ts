import type { MetricValues } from '../eval/metrics/metric-ids';
import type { StepLosses } from './trainer';

/** One epoch of a run: losses are means over its images. */
export interface EpochRecord extends StepLosses {
  readonly epoch: number;
  /** File name in the run folder of the prompts at the end of the epoch; null if the save frequency skipped them. */
  readonly file: string | null;
  /** Metrics on the held-out images, means over categories; null if there are none. */
  readonly validation: MetricValues | null;
}

/** Which epoch's prompts are the best, and by which measure. */
export interface BestEpoch {
  readonly epoch: number;
  /**
   * `validation`: mean of image and pixel AUROC, higher is better. `loss`: used if no images were held out, lower is
   * better.
   */
  readonly by: 'validation' | 'loss';
  readonly value: number;
}

/** The best of some epochs, the first of equals; undefined for an empty list. */
export function bestEpoch(epochs: readonly EpochRecord[]): BestEpoch | undefined {
  let best: BestEpoch | undefined;
  for (const record of epochs) {
    const candidate = merit(record);
    const isBetter =
      best === undefined ||
      (candidate.by === 'validation' ? candidate.value > best.value : candidate.value < best.value);
    if (isBetter) best = candidate;
  }
  return best;
}

function merit({ epoch, total, validation }: EpochRecord): BestEpoch {
  const values = [validation?.['image/auroc'], validation?.['pixel/auroc']].filter(
    (value) => typeof value === 'number',
  );
  if (values.length === 0) return { epoch, by: 'loss', value: total };
  return { epoch, by: 'validation', value: values.reduce((sum, value) => sum + value, 0) / values.length };
}

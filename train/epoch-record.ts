import type { MetricValues } from '../eval/metrics/metric-ids';
import type { StepLosses } from './trainer';

/** One epoch of a run: losses are means over its images. */
export interface EpochRecord extends StepLosses {
  readonly epoch: number;
  /** Name in the run folder of the prompts as they were at its end; null where the save frequency left them out. */
  readonly file: string | null;
  /** Metrics on the images that were held back, means over categories; null where none were. */
  readonly validation: MetricValues | null;
}

/** Which epoch's prompts are the best, and what says so. */
export interface BestEpoch {
  readonly epoch: number;
  /** `validation`: mean of image and pixel AUROC, higher is better. `loss`: where nothing was held back, lower is better. */
  readonly by: 'validation' | 'loss';
  readonly value: number;
}

/** The best of some epochs, the first of equals; undefined where there is none. */
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

import * as tf from '@tensorflow/tfjs';
import { ImageMetrics } from '../eval/metrics/image-metrics';
import {
  meanOverCategories,
  PIXEL_METRIC_IDS,
  type MetricValues,
  type PixelMetricId,
} from '../eval/metrics/metric-ids';
import { PixelMetrics } from '../eval/metrics/pixel-metrics';
import type { Sample } from '../datasets/dataset';
import type { AnomalyModel, FeatureEncoder } from '../lib/methods/method';
import { disposeBatch, type FeatureStore } from './feature-store';

/** Images scored together. */
const BATCH = 4;
const NO_PIXEL_METRICS = Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, null])) as MetricValues<PixelMetricId>;

/** What metrics are computed over: one category of one set. */
export interface ValidationGroup {
  readonly name: string;
  /** False where labels are all that is known; pixel metrics are null then. */
  readonly hasMasks: boolean;
}

/**
 * Scores the images that were held back with the prompts as they are now, as `crane eval` would: smoothed maps at the size
 * of the network input, exact metrics per category, then the mean over categories.
 * @param features of the held-back images, with masks of pixels (`bilinear`)
 */
export async function measureHeldBack(
  model: Pick<AnomalyModel, 'options' | 'features'>,
  features: FeatureStore,
  groupOf: (sample: Sample) => ValidationGroup,
): Promise<MetricValues> {
  const { imageSize } = model.options;
  const groups = new Map<string, ValidationGroup & { readonly image: ImageMetrics; readonly pixel: PixelMetrics }>();
  const scorer = (model.features as FeatureEncoder).scorer();
  try {
    for (let from = 0; from < features.size; from += BATCH) {
      const places = Array.from({ length: Math.min(BATCH, features.size - from) }, (_, index) => from + index);
      const batch = await features.batch(places);
      const { scores, maps } = scorer.score(batch);
      try {
        const [ofImages, ofPixels, masks] = (await Promise.all([scores.data(), maps.data(), batch.masks.data()])) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        for (const [index, place] of places.entries()) {
          const sample = features.samples[place] as Sample;
          const group = groupOf(sample);
          const metrics = groups.get(group.name) ?? { ...group, image: new ImageMetrics(), pixel: new PixelMetrics() };
          groups.set(group.name, metrics);
          metrics.image.add(ofImages[index] as number, sample.anomalous);
          const [begin, end] = [index * imageSize ** 2, (index + 1) * imageSize ** 2];
          if (group.hasMasks)
            metrics.pixel.add(
              ofPixels.subarray(begin, end),
              Uint8Array.from(masks.subarray(begin, end)),
              imageSize,
              imageSize,
            );
        }
      } finally {
        disposeBatch(batch);
        tf.dispose([scores, maps]);
      }
    }
  } finally {
    scorer.dispose();
  }
  return meanOverCategories(
    [...groups.values()].map(({ image, pixel, hasMasks }) => ({
      ...image.value(),
      ...(hasMasks ? pixel.value() : NO_PIXEL_METRICS),
    })),
  );
}

import * as tf from '@tensorflow/tfjs';
import { Measures } from '../eval/metrics/measures';
import { meanOverCategories, type MetricValues } from '../eval/metrics/metric-ids';
import type { Dataset, Sample } from '../datasets/dataset';
import type { AnomalyModel, FeatureEncoder } from '../lib/methods/method';
import { disposeBatch } from './encoded-image';
import type { FeatureStore } from './feature-store';

/** Images scored together. */
const BATCH = 4;

/** A group that metrics are computed over: one category of one set. */
export interface ValidationGroup {
  readonly name: string;
  /** False if there are only image labels; pixel metrics are then null. */
  readonly hasMasks: boolean;
}

/** The group of each image of the sets. */
export function validationGroups(datasets: readonly Dataset[]): Map<Sample, ValidationGroup> {
  return new Map(
    datasets.flatMap(({ name, hasMasks, categories }) =>
      categories.flatMap((category) =>
        category.samples.map((sample) => [sample, { name: `${name}/${category.name}`, hasMasks }] as const),
      ),
    ),
  );
}

/**
 * Scores the held-out images with the current prompts, as `crane eval` would: smoothed maps at the size of the network
 * input, exact metrics per category, then the mean over categories.
 * @param features of the held-out images, with pixel masks (`bilinear`)
 */
export async function measureHeldBack(
  model: Pick<AnomalyModel, 'options' | 'features'>,
  features: FeatureStore,
  groupOf: (sample: Sample) => ValidationGroup,
): Promise<MetricValues> {
  const { imageSize } = model.options;
  const groups = new Map<string, Measures>();
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
          const { name, hasMasks } = groupOf(sample);
          const measures = groups.get(name) ?? new Measures();
          groups.set(name, measures);
          const [begin, end] = [index * imageSize ** 2, (index + 1) * imageSize ** 2];
          measures.add({
            anomalous: sample.anomalous,
            score: ofImages[index] as number,
            map: { data: ofPixels.subarray(begin, end), width: imageSize, height: imageSize },
            mask: hasMasks ? Uint8Array.from(masks.subarray(begin, end)) : null,
          });
        }
      } finally {
        disposeBatch(batch);
        tf.dispose([scores, maps]);
      }
    }
  } finally {
    scorer.dispose();
  }
  return meanOverCategories([...groups.values()].map((measures) => measures.values()));
}

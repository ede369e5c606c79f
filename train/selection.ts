import { seededUniform } from '../lib/weights/seeded';
import type { Sample } from '../datasets/dataset';
import { shuffled } from './shuffle';
import type { TrainingOptions } from './options';

/** The normal or the anomalous samples of one category of one set; samples are chosen from each stratum separately. */
export interface Stratum {
  /** Set, category and label, such as `visa/candle/anomalous`: names the stratum's random stream. */
  readonly name: string;
  readonly anomalous: boolean;
  readonly samples: readonly Sample[];
}

export interface Selection {
  readonly training: readonly Sample[];
  /** Held out to choose the best prompts; empty by default. */
  readonly validation: readonly Sample[];
}

/**
 * Chooses the training samples: from every stratum, half of `kShot` images or a `portion` of them, as the reference does;
 * then holds out a share of these for validation. Determined by the seed alone; the order of the samples is kept.
 *
 * A share above 0 holds out at least one image of a stratum and leaves at least one; a stratum of one image is used for
 * training.
 */
export function selectSamples(
  strata: readonly Stratum[],
  { seed, kShot, portion, validate }: Pick<TrainingOptions, 'seed' | 'kShot' | 'portion' | 'validate'>,
): Selection {
  const training: Sample[] = [];
  const validation: Sample[] = [];
  for (const { name, samples } of strata) {
    const wanted =
      kShot > 0 ? Math.min(Math.floor(kShot / 2), samples.length) : Math.floor(samples.length * portion + 1e-9);
    const chosen = inOrder(shuffled(samples, seededUniform(`${seed}/portion/${name}`)).slice(0, wanted), samples);
    const held = validate === 0 ? 0 : Math.min(chosen.length - 1, Math.max(1, Math.round(chosen.length * validate)));
    const heldBack = new Set(
      held > 0 ? shuffled(chosen, seededUniform(`${seed}/validation/${name}`)).slice(0, held) : [],
    );
    for (const sample of chosen) (heldBack.has(sample) ? validation : training).push(sample);
  }
  return { training, validation };
}

function inOrder(chosen: readonly Sample[], all: readonly Sample[]): readonly Sample[] {
  if (chosen.length === all.length) return all;
  const kept = new Set(chosen);
  return all.filter((sample) => kept.has(sample));
}

import type { AnomalyModel, CommonOptions } from '../lib/methods/method';
import { openWeights, type OpenWeights } from '../lib/methods/open-model';
import { completeTrainingOptions, learningOf, type TrainingOptions } from './options';
import type { TrainOptions } from './run-options';

/** The open weights that a run starts from, and the options completed with them. */
export interface RunWeights extends Omit<OpenWeights, 'checkpoint'> {
  /** What training starts from; undefined for fresh values. */
  readonly start: OpenWeights['checkpoint'];
  readonly options: CommonOptions;
  readonly training: TrainingOptions;
}

/**
 * Opens what a run starts from. Options left out come from the checkpoint to start from, else from the method.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function openRunWeights(given: TrainOptions): Promise<RunWeights> {
  const { checkpoint: start, ...weights } = await openWeights({
    ...given,
    choice: given,
    options: given.model ?? {},
    fresh: true,
  });
  try {
    const { method, options } = weights;
    const training = completeTrainingOptions(given.training ?? {}, options, method, start?.learned);
    learningOf(method).check({ ...weights, learned: start?.learned }, training);
    return { ...weights, start, training };
  } catch (error) {
    weights.close();
    throw error;
  }
}

/** The one place where training builds its model. */
export function buildModel({ method, start, training, ...weights }: RunWeights): AnomalyModel {
  return learningOf(method).build({ ...weights, learned: start?.learned }, training);
}

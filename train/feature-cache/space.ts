import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import type { BackendInfo } from '../../lib/backend';
import { roundingCircumstances } from '../../lib/backend/cpu-flags';
import type { Preprocessing } from '../../lib/image/preprocess';
import type { FeatureEncoder } from '../../lib/methods/method';
import { packageVersion } from '../../lib/files/version';

/** Counted up whenever the encoder, or what a record holds, changes within a version of the package. */
const FEATURE_FORMAT = 2;

/** Everything besides the picture that decides its features. */
export interface FeatureSource {
  readonly features: FeatureEncoder;
  readonly preprocessing: Preprocessing;
  /** sha256 of the backbone's weights. */
  readonly backbone: string;
  /** sha256 of the weights of the second vision model; null without one. */
  readonly spatial: string | null;
  readonly backend: BackendInfo;
}

/** All features that one encoder gives: equal pictures have equal features in it. */
export interface FeatureSpace {
  /** 32 hexadecimal digits; the name of its folder. */
  readonly id: string;
  /** What went into the id, for people who look into the folder. */
  readonly description: Readonly<Record<string, unknown>>;
}

/**
 * The space that a model's features are of. Backend, processor, threads and versions count as well, since features differ
 * between them in their last bits, and equal runs are to give equal bytes.
 */
export function featureSpace({ features, preprocessing, backbone, spatial, backend }: FeatureSource): FeatureSpace {
  const description = {
    format: FEATURE_FORMAT,
    crane: packageVersion(),
    backbone,
    spatial,
    ...features.key,
    preprocessing: {
      resize: preprocessing.resize,
      mean: preprocessing.mean,
      std: preprocessing.std,
      reference: preprocessing.reference,
    },
    backend: [
      backend.name,
      backend.tensorflowVersion ?? tf.version_core,
      backend.gpu ? (backend.device ?? 'gpu') : 'cpu',
      ...(backend.name === 'tensorflow' ? [roundingCircumstances(backend.threads)] : []),
      ...(backend.kernels?.own ? [backend.kernels.instructions] : []),
    ],
  };
  return { id: createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 32), description };
}

/**
 * The key of one network input in a space.
 * @param recipe what is made of the files; empty for a picture as it is
 * @param hashes sha256 of the bytes of each file that it is made from, in hexadecimal; null for one that is not there
 */
export function featureKey({ id }: FeatureSpace, recipe: string, hashes: readonly (string | null)[]): string {
  return createHash('sha256')
    .update(JSON.stringify([id, recipe, hashes]))
    .digest('hex');
}

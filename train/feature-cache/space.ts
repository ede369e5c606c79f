import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import type { BackendInfo } from '../../lib/backend';
import { roundingCircumstances } from '../../lib/backend/cpu-flags';
import type { Preprocessing } from '../../lib/image/preprocess';
import type { FeatureEncoder } from '../../lib/methods/method';
import { packageVersion } from '../../lib/files/version';

/** Incremented whenever the encoder or the content of a record changes within a version of the package. */
const FEATURE_FORMAT = 2;

/** Everything besides the image that determines its features. */
export interface FeatureSource {
  readonly features: FeatureEncoder;
  readonly preprocessing: Preprocessing;
  /** sha256 of the backbone's weights. */
  readonly backbone: string;
  /** sha256 of the weights of the second vision model; null without one. */
  readonly spatial: string | null;
  readonly backend: BackendInfo;
}

/** All features from one encoder: within a space, equal images have equal features. */
export interface FeatureSpace {
  /** 32 hexadecimal digits, also the name of its folder. */
  readonly id: string;
  /** What went into the id, for people who look at the folder. */
  readonly description: Readonly<Record<string, unknown>>;
}

/**
 * The space of a model's features. Backend, processor, threads and versions count as well: features differ between them in
 * their last bits, and equal runs must give equal bytes.
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
 * @param recipe how the input is made from the files; empty for an unchanged image
 * @param hashes sha256 of each file that it is made from, in hexadecimal; null for a missing file
 */
export function featureKey({ id }: FeatureSpace, recipe: string, hashes: readonly (string | null)[]): string {
  return createHash('sha256')
    .update(JSON.stringify([id, recipe, hashes]))
    .digest('hex');
}

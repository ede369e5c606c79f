import type * as tf from '@tensorflow/tfjs';
import type { SpatialFamily } from '../../config';
import type { SpatialEncoder } from '../../encoders/spatial-encoder';

/** The open weights of a second vision model. */
export interface SpatialWeights {
  readonly family: SpatialFamily;
  /** As it was asked for: a registered name, or the file's or folder's name. */
  readonly name: string;
  readonly path: string;
  /** Builds the encoder. @throws WeightsError where the weights are not complete */
  build(onParameter?: (parameter: tf.LayerVariable) => void): SpatialEncoder;
  /** sha256 of the weights, in hexadecimal; of a folder, of its weight files together. */
  sha256(): Promise<string>;
  close(): void;
}

import { WeightsError } from '../errors';
import type { TensorSource } from './tensor-source';

/** Metadata under which our own safetensors of a second vision model keep what the tensors do not determine. */
export const SPATIAL_METADATA = {
  family: 'crane.spatial.family',
  heads: 'crane.spatial.heads',
  epsilon: 'crane.spatial.epsilon',
} as const;

/** Of the layer norms; undefined where nothing is stored. @throws WeightsError `weights/config` for anything but a number above 0 */
export function storedEpsilon({ metadata, path: file }: TensorSource): number | undefined {
  const text = metadata[SPATIAL_METADATA.epsilon];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new WeightsError(
    'weights/config',
    `${file}: its metadata ${SPATIAL_METADATA.epsilon} is ${JSON.stringify(text)}; expected a number above 0`,
    { path: file },
  );
}

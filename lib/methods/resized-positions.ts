import * as tf from '@tensorflow/tfjs';
import { bicubicWeights } from '../layers/bicubic';
import type { ParameterSource } from '../layers/crane-layer';
import { applyToAxes } from '../layers/interpolation';

const POSITIONS = 'visual.positional_embedding';

/**
 * A backbone's parameters with its position embedding for another grid, as open_clip resizes it: bicubic with
 * antialiasing; the
 * class token's row is unchanged (docs/method.md#position-embedding).
 * @param from side of the grid that the embedding was trained on
 * @param to side of the requested grid
 */
export function withResizedPositions(parameters: ParameterSource, from: number, to: number): ParameterSource {
  if (from === to) return parameters;
  const resized = (path: string, shape: number[]): tf.Tensor =>
    path === POSITIONS ? resizePositions(parameters, from, to, shape[1] as number) : parameters(path, shape);
  return Object.assign(resized, parameters.transposed === undefined ? {} : { transposed: parameters.transposed });
}

function resizePositions(parameters: ParameterSource, from: number, to: number, width: number): tf.Tensor {
  return tf.tidy(() => {
    const trained = parameters(POSITIONS, [1 + from * from, width]);
    const [ofClass, ofPatches] = tf.split(trained, [1, from * from], 0) as [tf.Tensor2D, tf.Tensor2D];
    const weights = tf.tensor2d(bicubicWeights(from, to, { antialias: true }), [to, from]);
    const planes = tf.reshape(ofPatches, [1, from, from, width]) as tf.Tensor4D;
    return tf.concat([ofClass, tf.reshape(applyToAxes(planes, weights, weights), [to * to, width])], 0);
  });
}

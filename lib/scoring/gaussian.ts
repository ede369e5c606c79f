import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';
import { CraneLayer, single, type CraneLayerConfig } from '../layers/crane-layer';
import type { Axes } from '../layers/input-shapes';
import { applyToAxes } from '../layers/interpolation';

export interface GaussianFilterConfig extends CraneLayerConfig {
  /** Standard deviation in pixels of the map, 0 or more. */
  sigma: number;
}

/** How many standard deviations the kernel reaches, as scipy's `gaussian_filter` has it. */
const TRUNCATE = 4;

/**
 * Gaussian smoothing of anomaly maps, equal to scipy's `gaussian_filter` (truncate 4, mirrored borders; docs/method.md#gaussian).
 * `[B, H, W]` in and out. A sigma of 0 leaves the maps as they are; one below 0, NaN or infinite is refused with
 * `usage/sigma`.
 */
export class GaussianFilter extends CraneLayer {
  static readonly className = 'GaussianFilter';
  private readonly sigma: number;

  constructor(config: GaussianFilterConfig) {
    const { sigma } = config;
    if (!Number.isFinite(sigma) || sigma < 0) {
      throw new UsageError('usage/sigma', `\`sigma\` is ${sigma}; it must be 0 or a positive number of pixels`, {
        found: sigma,
      });
    }
    super(config);
    this.sigma = sigma;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const maps = single(inputs) as tf.Tensor3D;
      if (this.sigma === 0) return tf.clone(maps);
      const [, height, width] = maps.shape;
      const vertical = tf.tensor2d(smoothingWeights(height, this.sigma), [height, height]);
      const horizontal = width === height ? vertical : tf.tensor2d(smoothingWeights(width, this.sigma), [width, width]);
      return tf.squeeze(applyToAxes(tf.expandDims(maps, 3) as tf.Tensor4D, vertical, horizontal), [3]);
    });
  }

  protected override takes(): readonly Axes[] {
    return [['B', 'H', 'W']];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), sigma: this.sigma };
  }
}
tf.serialization.registerClass(GaussianFilter, 'crane');

/**
 * The filter along an axis of `length` samples as a matrix: row i holds the share of every sample in output i, with
 * samples beyond the border mirrored (`d c b a | a b c d | d c b a`).
 * @returns row-major `[length, length]`
 */
export function smoothingWeights(length: number, sigma: number): Float32Array {
  const radius = Math.floor(TRUNCATE * sigma + 0.5);
  const kernel = Array.from({ length: 2 * radius + 1 }, (_, index) => Math.exp(-0.5 * ((index - radius) / sigma) ** 2));
  const total = kernel.reduce((sum, value) => sum + value, 0);
  const weights = new Float64Array(length * length);
  for (let row = 0; row < length; row++) {
    kernel.forEach((value, index) => {
      const at = row * length + mirrored(row + index - radius, length);
      weights[at] = (weights[at] as number) + value / total;
    });
  }
  return Float32Array.from(weights);
}

function mirrored(index: number, length: number): number {
  const period = 2 * length;
  const wrapped = ((index % period) + period) % period;
  return wrapped < length ? wrapped : period - 1 - wrapped;
}

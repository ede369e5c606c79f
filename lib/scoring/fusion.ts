import * as tf from '@tensorflow/tfjs';

import { CraneLayer, type CraneLayerConfig } from '../layers/crane-layer';
import type { Axes } from '../layers/input-shapes';
import { applyToAxes, axisWeights, type Interpolation } from '../layers/interpolation';
import { anomalousProbability, logitDifference } from './similarity';

/** `soft` averages probability maps, `logit` averages similarity maps before the softmax (docs/method.md#fusion). */
export const FUSIONS = ['soft', 'logit'] as const;
/** One of {@link FUSIONS}. */
export type Fusion = (typeof FUSIONS)[number];

export interface MapFusionConfig extends CraneLayerConfig {
  fusion: Fusion;
  /** Height and width of the resulting map, in pixels. */
  size: readonly [number, number];
  /** Patch grid of the logits, rows and columns. */
  grid: readonly [number, number];
  /** How often each feature set counts; once without it. */
  copies?: readonly number[];
}

/**
 * Patch logits of all feature sets to one anomaly map (docs/method.md#fusion): `soft` enlarges each set's probabilities and averages
 * them; `logit` enlarges and averages the logits and takes the softmax last. Enlarged bilinearly.
 * Input: logits `[B, N, 2]`, one tensor per feature set, as many as `copies` has entries, with N the patches of `grid`.
 * Output `[B, H, W]`, 0 to 1.
 */
export class MapFusion extends CraneLayer {
  static readonly className = 'MapFusion';

  constructor(private readonly config: MapFusionConfig) {
    super(config);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const sets = Array.isArray(inputs) ? inputs : [inputs];
      const { fusion, grid, size, copies } = this.config;
      switch (fusion) {
        case 'soft':
          return upsampleGrid(mean(sets.map(anomalousProbability), copies), grid, size);
        case 'logit':
          return tf.sigmoid(upsampleGrid(mean(sets.map(logitDifference), copies), grid, size));
      }
    });
  }

  protected override takes(found: readonly tf.Shape[]): readonly Axes[] {
    const { grid, copies } = this.config;
    return Array.from({ length: copies?.length ?? Math.max(1, found.length) }, () => ['B', grid[0] * grid[1], 2]);
  }

  protected override gives([logits = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    return [[logits[0] ?? null, ...this.config.size]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { fusion, size, grid, copies } = this.config;
    return {
      ...super.getConfig(),
      fusion,
      size: [...size],
      grid: [...grid],
      ...(copies ? { copies: [...copies] } : {}),
    };
  }
}
tf.serialization.registerClass(MapFusion, 'crane');

/** Element-wise mean of tensors of one shape, each counted as often as `copies` says. */
export function mean<T extends tf.Tensor>(tensors: readonly T[], copies: readonly number[] = tensors.map(() => 1)): T {
  if (tensors.length === 1) return tf.clone(tensors[0] as T);
  const total = copies.reduce((sum, count) => sum + count, 0);
  return tf.tidy(() => tf.addN(tensors.map((tensor, index) => tf.mul(tensor, (copies[index] as number) / total))) as T);
}

/**
 * Enlarges per-patch values to pixels, `[B, R·C]` to `[B, H, W]`, as PyTorch's `interpolate` does.
 * @param mode `bilinear` when scoring, `nearest` when training (docs/method.md#temperatures)
 */
export function upsampleGrid(
  values: tf.Tensor,
  [rows, columns]: readonly [number, number],
  [height, width]: readonly [number, number],
  mode: Interpolation = 'bilinear',
): tf.Tensor3D {
  return tf.tidy(() => {
    const planes = tf.reshape(values, [-1, rows, columns, 1]) as tf.Tensor4D;
    const vertical = tf.tensor2d(axisWeights(rows, height, mode), [height, rows]);
    const horizontal = tf.tensor2d(axisWeights(columns, width, mode), [width, columns]);
    return tf.squeeze(applyToAxes(planes, vertical, horizontal), [3]) as tf.Tensor3D;
  });
}

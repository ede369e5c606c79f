import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../errors';

/**
 * The losses that methods are trained with (docs/method.md#losses). All are differentiable on every backend.
 *
 * Pixel losses are given per *cell*: a cell is one pixel, or one patch of the grid. With nearest upsampling all pixels of
 * a patch have one probability, so a patch's share of anomalous pixels says everything about its mask, and the loss over
 * 37 x 37 cells equals the one over 518 x 518 pixels.
 */

/** Keeps the logarithm finite, and softens the targets. */
const FOCAL_SMOOTHING = 1e-5;

/**
 * Focal loss with gamma 2, the mean over all pixels of `-(1 - p)² log p` with p the probability of the true class.
 * @param probabilities normal and anomalous, `[…, 2]`, each 0 to 1
 * @param anomalous share of each cell's pixels that are anomalous, `[…]`, 0 to 1; all cells are of one size
 */
export function focalLoss(probabilities: tf.Tensor, anomalous: tf.Tensor): tf.Scalar {
  return tf.tidy(() => {
    const last = probabilities.rank - 1;
    const [normal, defect] = tf.split(probabilities, 2, last).map((channel) => tf.squeeze(channel, [last])) as [
      tf.Tensor,
      tf.Tensor,
    ];
    const whereAnomalous = focalTerm(defect, normal);
    const whereNormal = focalTerm(normal, defect);
    return tf.mean(tf.add(tf.mul(anomalous, whereAnomalous), tf.mul(tf.sub(1, anomalous), whereNormal)));
  });
}

function focalTerm(probability: tf.Tensor, other: tf.Tensor): tf.Tensor {
  const softened = tf.add(tf.mul(probability, 1 - FOCAL_SMOOTHING), tf.mul(other, FOCAL_SMOOTHING));
  const p = tf.add(softened, FOCAL_SMOOTHING);
  return tf.neg(tf.mul(tf.square(tf.sub(1, p)), tf.log(p)));
}

/**
 * Dice loss, `1 - mean over images of (2 Σ p g + 1) / (Σ p + Σ g + 1)`, sums over pixels.
 *
 * The batch axis stays also where the batch is one image. The reference squeezes it away there and averages over the
 * image's rows instead (`docs/deviations.md`); rows given as images reproduce that.
 * @param probability of anomalous, `[B, …]`, 0 to 1
 * @param anomalous share of each cell's pixels that are anomalous, same shape
 * @param pixelsPerCell how many pixels a cell stands for
 */
export function diceLoss(probability: tf.Tensor, anomalous: tf.Tensor, pixelsPerCell = 1): tf.Scalar {
  return tf.tidy(() => {
    const images = probability.shape[0] as number;
    const p = tf.reshape(probability, [images, -1]);
    const g = tf.reshape(anomalous, [images, -1]);
    const overlap = tf.mul(tf.sum(tf.mul(p, g), 1), pixelsPerCell); // [B]
    const total = tf.mul(tf.add(tf.sum(p, 1), tf.sum(g, 1)), pixelsPerCell); // [B]
    const dice = tf.div(tf.add(tf.mul(overlap, 2), 1), tf.add(total, 1));
    return tf.sub(1, tf.mean(dice));
  });
}

/**
 * Cross-entropy of image logits, the mean over the batch.
 * @param logits normal and anomalous, `[B, 2]`
 * @param labels 1 where the image is anomalous, else 0, `[B]`
 */
export function imageCrossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => {
    const [normal, anomalous] = tf.split(logits, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
    const difference = tf.squeeze(tf.sub(anomalous, normal), [1]); // [B]
    return tf.mean(tf.sub(tf.softplus(difference), tf.mul(difference, tf.cast(labels, 'float32'))));
  });
}

/**
 * Whether the pixel losses need only each patch's share of anomalous pixels: with nearest interpolation, where all patches
 * cover equally many. The 64 x 64 features that SAM and DINO give beside 518 pixels do not.
 */
export function lossPerPatch(
  grid: readonly [number, number],
  imageSize: number,
  interpolation: 'nearest' | 'bilinear',
): boolean {
  return interpolation === 'nearest' && grid.every((patches) => imageSize % patches === 0);
}

/** Masks of pixels as the share of anomalous ones in each patch, `[B, S, S]` to `[B, R, C]`; those of patches as they are. */
export function patchShares(masks: tf.Tensor3D, [rows, columns]: readonly [number, number]): tf.Tensor3D {
  const [, height, width] = masks.shape;
  if (height === rows && width === columns) return masks;
  if (height % rows !== 0 || width % columns !== 0) {
    throw new TrainingError(
      'training/mask-size',
      `masks of ${height} x ${width} do not divide into ${rows} x ${columns} patches`,
      { found: [height, width], expected: [rows, columns] },
    );
  }
  return tf.tidy(() => {
    const patch: [number, number] = [height / rows, width / columns];
    return tf.squeeze(tf.avgPool(tf.expandDims(masks, 3) as tf.Tensor4D, patch, patch, 'valid'), [3]) as tf.Tensor3D;
  });
}

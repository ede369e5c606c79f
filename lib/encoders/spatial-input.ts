import * as tf from '@tensorflow/tfjs';
import { IMAGENET_MEAN, IMAGENET_STD, type Normalisation } from '../image/normalisation';
import { resizeGrid } from '../layers/interpolation';

/**
 * Converts a CLIP input to the input of a second vision model (docs/method.md#second-models): undoes CLIP's
 * normalisation, cut to 0..1 (bicubic
 * resizing overshoots), the second model's normalisation, and, for a model with a size of its own, a bilinear resize.
 * @param images `[B, S, S, 3]`
 * @param normalisation mean and standard deviation that `images` were normalised with, per colour
 * @param side of the square wanted, in pixels
 * @param wanted mean and standard deviation of the second model; ImageNet's by default
 * @returns `[B, side, side, 3]`
 */
export function spatialInput(
  images: tf.Tensor4D,
  { mean, std }: { readonly mean: readonly number[]; readonly std: readonly number[] },
  side: number,
  wanted: Normalisation = { mean: IMAGENET_MEAN, std: IMAGENET_STD },
): tf.Tensor4D {
  return tf.tidy(() => {
    const colours = tf.clipByValue(tf.add(tf.mul(images, [...std]), [...mean]), 0, 1);
    return resizeGrid(tf.div(tf.sub(colours, [...wanted.mean]), [...wanted.std]), [side, side]);
  });
}

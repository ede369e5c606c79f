import type * as tf from '@tensorflow/tfjs';
import type { AnomalyMap } from './anomaly-map';
import type { ImageFrame } from './image/decoded-image';
import type { ImageInput } from './image/input';

/** An image in any form that `detect` accepts: any `ImageInput`, or a tensor `[H, W, 3]` (int32 0 to 255, or float32 0
 * to 1). */
export type DetectInput = ImageInput | tf.Tensor3D;

/** What Crane found in one image. */
export interface Detection extends ImageFrame {
  /** The input as it was given. */
  readonly input: DetectInput;
  /** Its place in the list or stream that it came from, 0 for the first. */
  readonly index: number;
  /** Where the image came from: its path or URL, or a description such as "a buffer of 5120 bytes". */
  readonly source: string;
  /** How anomalous the image as a whole is, 0 to 1. Comparable between images scored with the same model. */
  readonly score: number;
  /** How anomalous each pixel is, 0 to 1, `[height, width]` at the image's own size. */
  readonly map: AnomalyMap;
  /**
   * Time spent on this image, from file to map; in a batch, an equal share of the batch's time. Decoding that ran while
   * earlier images were scored is not counted.
   */
  readonly seconds: number;
  /** How many images the file holds, if more than one: pages of TIFF, frames of GIF and WebP. The first was scored. */
  readonly pages?: number;
}

import type { AnomalyMap } from './anomaly-map';

/** What Crane found in one image. */
export interface Detection {
  /** Where the image came from: its path or URL, or what it was, such as "a buffer of 5120 bytes". */
  readonly source: string;
  /** How anomalous the image as a whole is, 0 to 1. Comparable between images scored with the same model. */
  readonly score: number;
  /** How anomalous each pixel is, 0 to 1, `[height, width]` at the image's own size. */
  readonly map: AnomalyMap;
  /** The image's own size in pixels. */
  readonly width: number;
  readonly height: number;
  /**
   * Time spent on this image, from its file to its map; in a batch, an equal share of the batch's. Decoding that ran
   * while earlier images were scored is not counted again.
   */
  readonly seconds: number;
  /** How many images the file holds, if more than one: pages of TIFF, frames of GIF and WebP. The first was scored. */
  readonly pages?: number;
}

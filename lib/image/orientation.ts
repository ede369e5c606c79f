/** A binary mask: uint8 [height, width], 1 where the image is anomalous. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * Turns a mask as an image with an EXIF orientation is turned: 2 mirrored, 3 upside down, 4 both, 5 to 8 with rows and columns
 * exchanged, 6 a quarter turn clockwise, 8 one back. Source: EXIF 2.32, tag 274.
 *
 * @param orientation 1 to 8
 * @returns a new mask, or the same where there is nothing to turn
 */
export function turn(mask: Mask, orientation: number): Mask {
  if (orientation === 1) return mask;
  const { width, height, data } = mask;
  const exchanged = orientation > 4;
  const [toWidth, toHeight] = exchanged ? [height, width] : [width, height];
  // Which way the file's columns and rows run; where they are exchanged, of the file and not of the shown image.
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBelow = [3, 4, 6, 7].includes(orientation);
  const out = new Uint8Array(data.length);
  for (let row = 0, write = 0; row < toHeight; row++) {
    for (let column = 0; column < toWidth; column++) {
      const [x, y] = exchanged ? [row, column] : [column, row];
      out[write++] = data[(fromBelow ? height - 1 - y : y) * width + (fromRight ? width - 1 - x : x)] as number;
    }
  }
  return { width: toWidth, height: toHeight, data: out };
}

/** The orientation that undoes one: the quarter turns undo each other, all others themselves. */
export function inverseOrientation(orientation: number): number {
  return orientation === 6 ? 8 : orientation === 8 ? 6 : orientation;
}

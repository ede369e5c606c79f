import type { Contour } from './contour';
import type { RgbImage } from './decoded-image';

/** One stroke of an outline: `width` in pixels, `opacity` 0..1. */
export interface Stroke {
  readonly width: number;
  readonly colour: readonly [red: number, green: number, blue: number];
  readonly opacity: number;
}

/**
 * Draws closed lines onto an image, in place, with smooth edges. By hand and not by SVG, whose renderer takes minutes over
 * the outline of a noisy map.
 *
 * @param image uint8 [height, width, 3], changed
 * @param contours in image coordinates
 * @param strokes drawn one over the other along the same lines, the widest first
 */
export function drawOutline(image: RgbImage, contours: readonly Contour[], strokes: readonly Stroke[]): void {
  const reach = Math.max(0, ...strokes.map(({ width }) => width / 2)) + 0.5;
  const distances = distancesTo(contours, image.width, image.height, reach);
  for (const { width, colour, opacity } of strokes) {
    for (let pixel = 0; pixel < distances.length; pixel++) {
      const distance = distances[pixel] as number;
      if (distance >= width / 2 + 0.5) continue;
      const cover = width / 2 + 0.5 - distance;
      const share = cover > 1 ? opacity : cover * opacity;
      for (let channel = 0; channel < 3; channel++) {
        const under = image.data[pixel * 3 + channel] as number;
        image.data[pixel * 3 + channel] = Math.round(under + ((colour[channel] as number) - under) * share);
      }
    }
  }
}

/** Distance of each pixel's centre to the nearest line, [height, width]; Infinity where it is further than `reach`. */
function distancesTo(contours: readonly Contour[], width: number, height: number, reach: number): Float32Array {
  const squared = new Float32Array(width * height).fill(Infinity);
  for (const contour of contours) {
    for (let at = 0; at < contour.length; at += 2) {
      const next = (at + 2) % contour.length;
      const x1 = contour[at] as number;
      const y1 = contour[at + 1] as number;
      const dx = (contour[next] as number) - x1;
      const dy = (contour[next + 1] as number) - y1;
      const length = dx * dx + dy * dy;
      const left = Math.max(0, Math.floor(Math.min(x1, x1 + dx) - reach));
      const right = Math.min(width - 1, Math.ceil(Math.max(x1, x1 + dx) + reach));
      const top = Math.max(0, Math.floor(Math.min(y1, y1 + dy) - reach));
      const bottom = Math.min(height - 1, Math.ceil(Math.max(y1, y1 + dy) + reach));
      for (let y = top; y <= bottom; y++) {
        const py = y + 0.5 - y1;
        for (let x = left; x <= right; x++) {
          const px = x + 0.5 - x1;
          const share = length === 0 ? 0 : (px * dx + py * dy) / length;
          const along = share < 0 ? 0 : share > 1 ? 1 : share;
          const awayX = px - along * dx;
          const awayY = py - along * dy;
          const away = awayX * awayX + awayY * awayY;
          const pixel = y * width + x;
          if (away < (squared[pixel] as number)) squared[pixel] = away;
        }
      }
    }
  }
  return squared.map((value) => (value <= reach * reach ? Math.sqrt(value) : Infinity));
}

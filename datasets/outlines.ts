import type { Mask } from '../lib/image/preprocess';

/** Where something is in an image. */
export type Outline =
  /** x, y, x, y, … in pixels from the upper left corner of the upper left pixel. */
  | { readonly kind: 'polygon'; readonly points: readonly number[] }
  /** Lengths of runs of unmarked and marked pixels in turn, down the columns from the left one to the right one. */
  | { readonly kind: 'runs'; readonly counts: readonly number[] };

/**
 * Marks what a polygon covers: a pixel whose centre lies inside by the even-odd rule, where a centre exactly on an edge is
 * inside at left and upper edges and outside at right and lower ones, so that polygons which share an edge share no pixel.
 * A polygon too thin or small to cover any centre marks the pixels that its corners lie in, or a fine crack would be lost.
 *
 * @param mask uint8 [height, width], written to; what lies outside of it is cut off
 * @param points at least three, as x, y pairs; the last is joined to the first
 */
export function fillPolygon(mask: Mask, points: readonly number[]): void {
  const { width, height, data } = mask;
  const crossings = new Map<number, number[]>();
  let coversCentre = false;
  for (let at = 0; at < points.length; at += 2) {
    const next = (at + 2) % points.length;
    const [fromX, fromY, toX, toY] = [points[at], points[at + 1], points[next], points[next + 1]] as [
      number,
      number,
      number,
      number,
    ];
    const [x, y, endX, endY] = fromY <= toY ? [fromX, fromY, toX, toY] : [toX, toY, fromX, fromY];
    for (let row = Math.max(0, firstCentre(y)); row < Math.min(height, firstCentre(endY)); row++) {
      const crossing = x + ((row + 0.5 - y) * (endX - x)) / (endY - y);
      const known = crossings.get(row);
      if (known) known.push(crossing);
      else crossings.set(row, [crossing]);
    }
  }
  for (const [row, places] of crossings) {
    places.sort((a, b) => a - b);
    for (let at = 0; at + 1 < places.length; at += 2) {
      const [from, to] = [firstCentre(places[at] as number), firstCentre(places[at + 1] as number)];
      if (from < to) coversCentre = true;
      data.fill(1, row * width + Math.min(Math.max(from, 0), width), row * width + Math.min(Math.max(to, 0), width));
    }
  }
  if (coversCentre) return;
  for (let at = 0; at < points.length; at += 2) {
    const [column, row] = [Math.floor(points[at] as number), Math.floor(points[at + 1] as number)];
    if (column >= 0 && column < width && row >= 0 && row < height) data[row * width + column] = 1;
  }
}

/** The first pixel whose centre is not before a place. */
function firstCentre(place: number): number {
  return Math.ceil(place - 0.5);
}

/** Marks runs of pixels, down the columns; their lengths add up to the size of the mask. */
export function fillRuns({ width, height, data }: Mask, counts: readonly number[]): void {
  let place = 0;
  counts.forEach((count, turn) => {
    const end = place + count;
    for (; place < end; place++) if (turn % 2 === 1) data[(place % height) * width + Math.floor(place / height)] = 1;
  });
}

/**
 * Lengths of runs from the text that COCO's tools pack them into: five bits a character from `0` on, the sixth says that
 * more follow, and from the fourth run on differences to the one but one before.
 * @returns undefined where the text is not such a list
 */
export function unpackRuns(text: string): number[] | undefined {
  const counts: number[] = [];
  for (let at = 0; at < text.length;) {
    let value = 0;
    let bits = 0;
    let more = true;
    while (more) {
      const part = text.charCodeAt(at++) - 48;
      // Six parts hold any run of any image.
      if (!(part >= 0 && part < 64) || bits > 30) return undefined;
      value += (part & 0x1f) * 2 ** bits;
      bits += 5;
      more = (part & 0x20) !== 0;
      if (!more && (part & 0x10) !== 0) value -= 2 ** bits;
    }
    counts.push(counts.length > 2 ? value + (counts[counts.length - 2] as number) : value);
  }
  return counts.every((count) => count >= 0) ? counts : undefined;
}

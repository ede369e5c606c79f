import { ImageError } from '../errors';

/** A closed line in image coordinates: x and y alternating, pixel (0, 0) reaching from 0 to 1. */
export type Contour = readonly number[];

/**
 * The lines along which a field crosses a level (marching squares with linear interpolation between pixel centres). Every
 * line is closed: the field counts as lower than the level outside the image, and lines run along its border there.
 * Where four pixels form a saddle, their mean decides which of them join.
 *
 * @param field values [height, width]: an anomaly map, or a mask of 0 and 1 with the level 0.5
 * @returns contours in no particular order; pixels at or above the level lie inside
 * @throws ImageError `map/shape` where the field does not have `width * height` values
 */
export function findContours(field: ArrayLike<number>, width: number, height: number, level: number): Contour[] {
  if (field.length !== width * height) {
    throw new ImageError('map/shape', `a field of ${width} x ${height} values expected, found ${field.length}`, {
      width,
      height,
      found: field.length,
    });
  }
  const segments = new Segments(field, width, height, level);
  // Cells lie between pixel centres; one more ring of them reaches over the border.
  for (let row = -1; row < height; row++) {
    for (let column = -1; column < width; column++) segments.addCell(column, row);
  }
  return segments.link();
}

/** A mask of bytes at one half. */
export function maskContours(mask: {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}): Contour[] {
  return findContours(
    mask.data.map((value) => (value > 0 ? 1 : 0)),
    mask.width,
    mask.height,
    0.5,
  );
}

const NONE = -1;

/**
 * Directed pieces of line, each from one edge of the grid of pixel centres to another, with the inside on the left. An
 * edge is numbered by its upper or left pixel (border ring included) and its direction, so that pieces can be linked.
 */
class Segments {
  /** For each edge the one that its line goes on to, or NONE. A plain array: a map of millions of edges takes minutes. */
  private readonly next: Int32Array;
  private readonly ring: number;

  constructor(
    private readonly field: ArrayLike<number>,
    private readonly width: number,
    private readonly height: number,
    private readonly level: number,
  ) {
    this.ring = width + 2;
    this.next = new Int32Array(this.ring * (height + 2) * 2).fill(NONE);
  }

  /** The cell whose upper left corner is the centre of the pixel (column, row). */
  addCell(column: number, row: number): void {
    const upperLeft = this.inside(column, row);
    const upperRight = this.inside(column + 1, row);
    const lowerRight = this.inside(column + 1, row + 1);
    const lowerLeft = this.inside(column, row + 1);
    const kind = (upperLeft ? 8 : 0) | (upperRight ? 4 : 0) | (lowerRight ? 2 : 0) | (lowerLeft ? 1 : 0);
    if (kind === 0 || kind === 15) return;
    const top = this.edge(column, row, 0);
    const bottom = this.edge(column, row + 1, 0);
    const left = this.edge(column, row, 1);
    const right = this.edge(column + 1, row, 1);
    const join = (from: number, to: number): void => {
      this.next[from] = to;
    };
    switch (kind) {
      case 1:
        return join(bottom, left);
      case 2:
        return join(right, bottom);
      case 3:
        return join(right, left);
      case 4:
        return join(top, right);
      case 6:
        return join(top, bottom);
      case 7:
        return join(top, left);
      case 8:
        return join(left, top);
      case 9:
        return join(bottom, top);
      case 11:
        return join(right, top);
      case 12:
        return join(left, right);
      case 13:
        return join(bottom, right);
      case 14:
        return join(left, bottom);
      case 5:
        if (this.middleInside(column, row)) {
          join(top, left);
          join(bottom, right);
        } else {
          join(top, right);
          join(bottom, left);
        }
        return;
      default:
        if (this.middleInside(column, row)) {
          join(right, top);
          join(left, bottom);
        } else {
          join(left, top);
          join(right, bottom);
        }
    }
  }

  /** Follows the pieces round until each line closes. */
  link(): Contour[] {
    const contours: Contour[] = [];
    for (let start = 0; start < this.next.length; start++) {
      if (this.next[start] === NONE) continue;
      const contour: number[] = [];
      let edge = start;
      while (this.next[edge] !== NONE) {
        this.pushCrossing(edge, contour);
        const following = this.next[edge] as number;
        this.next[edge] = NONE;
        edge = following;
      }
      if (contour.length >= 6) contours.push(contour);
    }
    return contours;
  }

  private outside(column: number, row: number): boolean {
    return column < 0 || row < 0 || column >= this.width || row >= this.height;
  }

  private value(column: number, row: number): number {
    return this.field[row * this.width + column] as number;
  }

  private inside(column: number, row: number): boolean {
    return !this.outside(column, row) && this.value(column, row) >= this.level;
  }

  /** Only called where two of the four corners are inside; corners over the border count as far below the level. */
  private middleInside(column: number, row: number): boolean {
    let sum = 0;
    for (const [x, y] of [
      [column, row],
      [column + 1, row],
      [column, row + 1],
      [column + 1, row + 1],
    ] as const) {
      if (this.outside(x, y)) return false;
      sum += this.value(x, y);
    }
    return sum / 4 >= this.level;
  }

  private edge(column: number, row: number, direction: 0 | 1): number {
    return ((row + 1) * this.ring + column + 1) * 2 + direction;
  }

  /** Where the field crosses the level on an edge: between two centres, or on the border of the image. */
  private pushCrossing(edge: number, contour: number[]): void {
    const direction = edge % 2;
    const place = (edge - direction) / 2;
    const column = (place % this.ring) - 1;
    const row = Math.floor(place / this.ring) - 1;
    const nextColumn = direction === 0 ? column + 1 : column;
    const nextRow = direction === 0 ? row : row + 1;
    let fraction = 0.5;
    if (!this.outside(column, row) && !this.outside(nextColumn, nextRow)) {
      const here = this.value(column, row);
      const between = (this.level - here) / (this.value(nextColumn, nextRow) - here);
      // Infinite values and NaN give no place between the two.
      if (between >= 0 && between <= 1) fraction = between;
    }
    if (direction === 0) contour.push(column + 0.5 + fraction, row + 0.5);
    else contour.push(column + 0.5, row + 0.5 + fraction);
  }
}

import { atan2, cos, length, sin } from './arithmetic';

const { PI, abs, max, min, sqrt } = Math;

/** x0, y0, x1, y1. */
export type Box = readonly [number, number, number, number];
export type Point = readonly [number, number];

/**
 * A shape by its signed distance: negative inside, about the true distance near the edge. `box` holds it. In image
 * coordinates (0 to 1, y down), or in the unit coordinates of a frame before it is placed.
 */
export interface Shape {
  readonly box: Box;
  readonly distance: (x: number, y: number) => number;
}

export function circle(cx: number, cy: number, radius: number): Shape {
  return {
    box: [cx - radius, cy - radius, cx + radius, cy + radius],
    distance: (x, y) => length(x - cx, y - cy) - radius,
  };
}

/** An ellipse with its axes along x and y. */
export function ellipse(cx: number, cy: number, rx: number, ry: number): Shape {
  return {
    box: [cx - rx, cy - ry, cx + rx, cy + ry],
    distance: (x, y) => {
      const u = (x - cx) / rx;
      const v = (y - cy) / ry;
      const value = length(u, v);
      const slope = length(u / rx, v / ry);
      return slope < 1e-9 ? -min(rx, ry) : (value * (value - 1)) / slope;
    },
  };
}

/** A rectangle by centre and half sides, its corners rounded. */
export function rectangle(cx: number, cy: number, halfWidth: number, halfHeight: number, corner = 0): Shape {
  return {
    box: [cx - halfWidth, cy - halfHeight, cx + halfWidth, cy + halfHeight],
    distance: (x, y) => {
      const u = abs(x - cx) - halfWidth + corner;
      const v = abs(y - cy) - halfHeight + corner;
      return (u > 0 && v > 0 ? length(u, v) : max(u, v)) - corner;
    },
  };
}

/** Square of the distance from (x, y) to the segment from a to b. */
function segmentSquare(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const dx = bx - ax;
  const dy = by - ay;
  const square = dx * dx + dy * dy;
  let t = square > 0 ? ((x - ax) * dx + (y - ay) * dy) / square : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  const ox = x - ax - t * dx;
  const oy = y - ay - t * dy;
  return ox * ox + oy * oy;
}

function boxOf(points: readonly Point[], margin: number): Box {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    x0 = min(x0, x);
    y0 = min(y0, y);
    x1 = max(x1, x);
    y1 = max(y1, y);
  }
  return [x0 - margin, y0 - margin, x1 + margin, y1 + margin];
}

/** A line through points with round ends; the half width may change along it (given t, 0 to 1). */
export function line(points: readonly Point[], halfWidth: number | ((t: number) => number)): Shape {
  const widths = points.map((_, i) =>
    typeof halfWidth === 'number' ? halfWidth : halfWidth(i / max(1, points.length - 1)),
  );
  const flat = Float64Array.from(points.flat());
  const halves = Float64Array.from(widths.slice(1), (width, i) => (widths[i]! + width) / 2);
  return {
    box: boxOf(points, max(...widths)),
    distance: (x, y) => {
      let least = Infinity;
      for (let i = 0; i < halves.length; i++) {
        const d =
          sqrt(segmentSquare(x, y, flat[2 * i]!, flat[2 * i + 1]!, flat[2 * i + 2]!, flat[2 * i + 3]!)) - halves[i]!;
        if (d < least) least = d;
      }
      return least;
    },
  };
}

/** A closed polygon, convex or not. */
export function polygon(points: readonly Point[]): Shape {
  const flat = Float64Array.from([...points, points[0]!].flat());
  return {
    box: boxOf(points, 0),
    distance: (x, y) => {
      let least = Infinity;
      let inside = false;
      for (let i = 0; i + 3 < flat.length; i += 2) {
        const ax = flat[i]!;
        const ay = flat[i + 1]!;
        const bx = flat[i + 2]!;
        const by = flat[i + 3]!;
        const square = segmentSquare(x, y, ax, ay, bx, by);
        if (square < least) least = square;
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      }
      return inside ? -sqrt(least) : sqrt(least);
    },
  };
}

/** A shape round a centre whose radius depends on the angle (radians, -pi to pi), never more than `most`. */
export function polar(cx: number, cy: number, most: number, radiusAt: (angle: number) => number): Shape {
  return {
    box: [cx - most, cy - most, cx + most, cy + most],
    distance: (x, y) => {
      const u = x - cx;
      const v = y - cy;
      return length(u, v) - radiusAt(atan2(v, u));
    },
  };
}

/** A polygon with n equal sides, one corner at `angle`. */
export function regular(cx: number, cy: number, radius: number, sides: number, angle = 0): Shape {
  return polygon(
    Array.from({ length: sides }, (_, i): Point => {
      const a = angle + (2 * PI * i) / sides;
      return [cx + radius * cos(a), cy + radius * sin(a)];
    }),
  );
}

export function union(...shapes: readonly Shape[]): Shape {
  return {
    box: boxOf(
      shapes.flatMap(({ box }): Point[] => [
        [box[0], box[1]],
        [box[2], box[3]],
      ]),
      0,
    ),
    distance: (x, y) => {
      let least = Infinity;
      for (const shape of shapes) least = min(least, shape.distance(x, y));
      return least;
    },
  };
}

/** The first shape without the others. */
export function without(shape: Shape, ...holes: readonly Shape[]): Shape {
  return {
    box: shape.box,
    distance: (x, y) => {
      let most = shape.distance(x, y);
      for (const hole of holes) most = max(most, -hole.distance(x, y));
      return most;
    },
  };
}

export function intersection(a: Shape, b: Shape): Shape {
  return { box: a.box, distance: (x, y) => max(a.distance(x, y), b.distance(x, y)) };
}

/** Where unit coordinates lie in the image: centre, turn in radians, and the length of one unit. */
export class Frame {
  private readonly c: number;
  private readonly s: number;

  constructor(
    readonly x: number,
    readonly y: number,
    readonly angle: number,
    readonly unit: number,
  ) {
    this.c = cos(angle);
    this.s = sin(angle);
  }

  /** A point of the frame, in image coordinates. */
  point(u: number, v: number): Point {
    return [this.x + this.unit * (u * this.c - v * this.s), this.y + this.unit * (u * this.s + v * this.c)];
  }

  /** A point of the image, in the frame's coordinates. */
  local(x: number, y: number): Point {
    const dx = (x - this.x) / this.unit;
    const dy = (y - this.y) / this.unit;
    return [dx * this.c + dy * this.s, dy * this.c - dx * this.s];
  }

  /** A shape given in the frame's coordinates, put into the image. */
  place(shape: Shape): Shape {
    const [x0, y0, x1, y1] = shape.box;
    const { x: cx, y: cy, c, s, unit } = this;
    return {
      box: boxOf([this.point(x0, y0), this.point(x1, y0), this.point(x0, y1), this.point(x1, y1)], 0),
      distance: (x, y) => {
        const dx = (x - cx) / unit;
        const dy = (y - cy) / unit;
        return unit * shape.distance(dx * c + dy * s, dy * c - dx * s);
      },
    };
  }
}

import { cos, sin } from '../arithmetic';
import type { Canvas } from '../canvas';
import { against, hsv, luminance, scaled, type Colour } from '../colours';
import type { Layout } from '../layout';
import { Noise } from '../noise';
import type { Random } from '../random';
import { polar, type Point, type Shape } from '../shapes';

const { abs, floor, max, min } = Math;

/** How strong and how large a defect is drawn: 1 is usual; more when an earlier try could not be seen. */
export interface Vigour {
  readonly contrast: number;
  readonly extent: number;
}

/** Paints damage over a clean drawing. The mask is found afterwards, from what really changed. */
export type DrawDefect = (canvas: Canvas, layout: Layout, random: Random, vigour: Vigour) => void;

/** Coverage by the object at a place, 0 to 1; 0 outside the image. */
export function onThing(canvas: Canvas, layout: Layout): (x: number, y: number) => number {
  const n = canvas.size;
  return (x, y) => {
    const column = floor(x * n);
    const row = floor(y * n);
    return column < 0 || row < 0 || column >= n || row >= n ? 0 : layout.object[row * n + column]!;
  };
}

/** A place on the object, not at its very edge and not at the border of the image. */
export function spotOn(canvas: Canvas, layout: Layout, random: Random, margin = 0.02): Point {
  const on = onThing(canvas, layout);
  const [x0, y0, x1, y1] = layout.box;
  let found: Point = [(x0 + x1) / 2, (y0 + y1) / 2];
  for (let attempt = 0; attempt < 60; attempt++) {
    const x = random.range(max(0.08, x0), min(0.92, x1));
    const y = random.range(max(0.08, y0), min(0.92, y1));
    if (on(x, y) < 0.95) continue;
    found = [x, y];
    if (on(x - margin, y) > 0.5 && on(x + margin, y) > 0.5 && on(x, y - margin) > 0.5 && on(x, y + margin) > 0.5) break;
  }
  return found;
}

/** A colour that shows on what is at a place, of a hue in the range given (0 to 1, may exceed 1). */
export function inkAt(
  canvas: Canvas,
  [x, y]: Point,
  random: Random,
  vigour: Vigour,
  {
    hue = [0, 1],
    saturation = [0.1, 0.8],
    contrast = [0.22, 0.5],
    reach = 0.05,
  }: {
    hue?: readonly [number, number];
    saturation?: readonly [number, number];
    contrast?: readonly [number, number];
    reach?: number;
  } = {},
): Colour {
  const { mean, spread } = canvas.around(x, y, reach);
  return against(
    mean,
    random.range(...contrast) * vigour.contrast + 0.9 * spread,
    hsv(random.range(...hue), random.range(...saturation), 0.6),
  );
}

/** What is seen through a gap: the layout's colour beneath, or a shade that differs more from what is around. */
export function depthAt(canvas: Canvas, layout: Layout, [x, y]: Point, vigour: Vigour): Colour {
  const { mean, spread } = canvas.around(x, y, 0.05);
  const least = 0.2 * vigour.contrast + 0.7 * spread;
  if (abs(luminance(layout.beneath) - luminance(mean)) >= least) return layout.beneath;
  return against(mean, least + 0.08, scaled(layout.beneath, 0.8));
}

/** A round patch with an uneven edge; `rough` 0 (a circle) to 1. */
export function blob([x, y]: Point, radius: number, rough: number, random: Random): Shape {
  const noise = new Noise(random);
  const stretch = random.range(0, 0.35);
  const lean = random.angle();
  return polar(x, y, radius * (1.4 + rough), (angle) => {
    const c = cos(angle);
    const s = sin(angle);
    return (
      radius *
      (1 +
        stretch * cos(2 * (angle - lean)) +
        rough * (0.7 * noise.at(c * 1.3 + 5, s * 1.3 + 5) + 0.45 * noise.at(c * 3.1 + 9, s * 3.1 + 9)))
    );
  });
}

/** A path of a length (image units) that starts in a direction and turns by chance, `wander` radians per step. */
export function path(
  [x, y]: Point,
  direction: number,
  reach: number,
  steps: number,
  wander: number,
  random: Random,
): Point[] {
  const points: Point[] = [[x, y]];
  let bend = 0;
  for (let i = 0; i < steps; i++) {
    bend = 0.6 * bend + wander * random.normal();
    direction += bend;
    x += (cos(direction) * reach) / steps;
    y += (sin(direction) * reach) / steps;
    points.push([x, y]);
  }
  return points;
}

/** A path centred on a place instead of starting there. */
export function pathThrough(
  centre: Point,
  direction: number,
  reach: number,
  steps: number,
  wander: number,
  random: Random,
): Point[] {
  const points = path(centre, direction, reach, steps, wander, random);
  const [mx, my] = points[floor(points.length / 2)]!;
  return points.map(([x, y]): Point => [x - mx + centre[0], y - my + centre[1]]);
}

import type { Canvas } from './canvas';
import type { Colour } from './colours';
import type { Random } from './random';
import type { Box, Shape } from './shapes';

/** One of the equal parts of an object, such as a tooth, a pad or a dot: a circle that holds it, in image units. */
export interface Part {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** What shows where this part is missing; the layout's `beneath` by default. */
  readonly reveals?: Colour;
}

/** What a defect has to know about the object that it damages. */
export interface Layout {
  /** Coverage by the object, 0 to 1: all 1 for a texture. */
  readonly object: Float32Array; // [size, size]
  readonly box: Box;
  /** A texture fills the image; an object lies on a background. */
  readonly texture: boolean;
  /** Repeated parts, if there are any. */
  readonly parts: readonly Part[];
  /** What shows where something is gone. */
  readonly beneath: Colour;
}

/** Draws an object onto an empty canvas. The same random stream gives the same object at every size. */
export type DrawFamily = (canvas: Canvas, random: Random) => Layout;

/** The layout of a texture. `beneath` is what is behind it. */
export function textureLayout(canvas: Canvas, beneath: Colour, parts: readonly Part[] = []): Layout {
  return {
    object: new Float32Array(canvas.size * canvas.size).fill(1),
    box: [0, 0, 1, 1],
    texture: true,
    parts: seen(parts),
    beneath,
  };
}

/** The layout of an object with the outline given. */
export function objectLayout(canvas: Canvas, outline: Shape, beneath: Colour, parts: readonly Part[] = []): Layout {
  return { object: canvas.coverage(outline), box: outline.box, texture: false, parts: seen(parts), beneath };
}

const seen = (parts: readonly Part[]): readonly Part[] =>
  parts.filter(
    ({ x, y, radius }) => x > radius * 0.5 && y > radius * 0.5 && x < 1 - radius * 0.5 && y < 1 - radius * 0.5,
  );

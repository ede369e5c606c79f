/*
 * Sine, cosine and arc tangent from sums and products alone: engines round their own differently in the last bit, and
 * a synthetic set has to have the same bytes everywhere. Square roots are exact by IEEE 754 and are used directly.
 *
 * Math is taken apart once per file, here and in all of this folder: in the sandbox that tests run in, each look at a
 * global is so slow that drawing takes fifteen times as long.
 */
const { PI, abs, floor, max, min, sqrt } = Math;

/** A whole turn, in radians. */
export const TURN = 2 * PI;
/** Sine of an angle in radians, to 1e-7. */
export function sin(angle: number): number {
  let x = angle - TURN * floor(angle / TURN + 0.5);
  if (x > PI / 2) x = PI - x;
  else if (x < -PI / 2) x = -PI - x;
  const s = x * x;
  return x * (1 + s * (-1 / 6 + s * (1 / 120 + s * (-1 / 5040 + s * (1 / 362880 - s / 39916800)))));
}

/** Cosine of an angle in radians, to 1e-7. */
export function cos(angle: number): number {
  return sin(angle + PI / 2);
}

/** Angle of the point (x, y) in radians, -pi to pi, to 2e-5; 0 at the origin. */
export function atan2(y: number, x: number): number {
  const ax = abs(x);
  const ay = abs(y);
  const larger = max(ax, ay);
  if (larger === 0) return 0;
  const t = min(ax, ay) / larger;
  const s = t * t;
  let angle = t * (0.999866 + s * (-0.3302995 + s * (0.180141 + s * (-0.085133 + s * 0.0208351))));
  if (ay > ax) angle = PI / 2 - angle;
  if (x < 0) angle = PI - angle;
  return y < 0 ? -angle : angle;
}

/** Distance of (x, y) from the origin. */
export function length(x: number, y: number): number {
  return sqrt(x * x + y * y);
}

/** The value kept within 0 and 1. */
export function clamp(value: number): number {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

/** From a (at t = 0) to b (at t = 1). */
export function mix(a: number, b: number, t: number): number {
  return a + (b - a) * t;
}

/** 0 up to `from`, 1 beyond `to`, a smooth step between them; `from` may be larger than `to`. */
export function smoothstep(from: number, to: number, value: number): number {
  const t = clamp((value - from) / (to - from));
  return t * t * (3 - 2 * t);
}

/** The part behind the point, 0 to 1, also of negative numbers. */
export function fraction(value: number): number {
  return value - floor(value);
}

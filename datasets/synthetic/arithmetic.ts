/**
 * Sine, cosine and arc tangent from sums and products alone: engines round their own differently in the last bit, and
 * a drawn set has to have the same bytes everywhere. Square roots are exact by IEEE 754 and are used directly.
 */
export const TURN = 2 * Math.PI;

/** Sine of an angle in radians, to 1e-7. */
export function sin(angle: number): number {
  let x = angle - TURN * Math.floor(angle / TURN + 0.5);
  if (x > Math.PI / 2) x = Math.PI - x;
  else if (x < -Math.PI / 2) x = -Math.PI - x;
  const s = x * x;
  return x * (1 + s * (-1 / 6 + s * (1 / 120 + s * (-1 / 5040 + s * (1 / 362880 - s / 39916800)))));
}

/** Cosine of an angle in radians, to 1e-7. */
export function cos(angle: number): number {
  return sin(angle + Math.PI / 2);
}

/** Angle of the point (x, y) in radians, -pi to pi, to 2e-5; 0 at the origin. */
export function atan2(y: number, x: number): number {
  const ax = Math.abs(x);
  const ay = Math.abs(y);
  const larger = Math.max(ax, ay);
  if (larger === 0) return 0;
  const t = Math.min(ax, ay) / larger;
  const s = t * t;
  let angle = t * (0.9998660 + s * (-0.3302995 + s * (0.1801410 + s * (-0.0851330 + s * 0.0208351))));
  if (ay > ax) angle = Math.PI / 2 - angle;
  if (x < 0) angle = Math.PI - angle;
  return y < 0 ? -angle : angle;
}

/** Distance of (x, y) from the origin. */
export function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
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
  return value - Math.floor(value);
}

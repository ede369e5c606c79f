import type { Canvas } from '../canvas';
import { anyColour, grey, luminance, varied, type Colour } from '../colours';
import { Noise } from '../noise';
import type { Random } from '../random';
import { Frame, type Shape } from '../shapes';

const { PI, abs } = Math;

export interface Setting {
  /** Colour of what the object lies on. */
  readonly ground: Colour;
  /** One unit of the frame is half the object's length. */
  readonly frame: Frame;
}

/** Draws what an object lies on, and says where the object goes. `reach` is half its length in image units. */
export function lay(
  canvas: Canvas,
  random: Random,
  { reach = [0.3, 0.41], turn = PI }: { reach?: readonly [number, number]; turn?: number } = {},
): Setting {
  const kind = random.next();
  const ground =
    kind < 0.35
      ? grey(random.range(0.03, 0.25))
      : kind < 0.65
        ? grey(random.range(0.7, 0.97))
        : anyColour(random, [0.05, 0.6], [0.2, 0.9]);
  const noise = new Noise(random);
  const cloudy = random.range(0, 0.12);
  const grainy = random.chance(0.4) ? random.range(0.03, 0.1) : 0.01;
  canvas.paint((x, y) => {
    const shade = 1 + cloudy * noise.at(x * 3, y * 3) + grainy * noise.grain(x * 100, y * 100);
    return [ground[0] * shade, ground[1] * shade, ground[2] * shade];
  });
  const frame = new Frame(
    0.5 + random.range(-0.05, 0.05),
    0.5 + random.range(-0.05, 0.05),
    random.range(-turn, turn),
    random.range(...reach),
  );
  return { ground, frame };
}

/** A colour of the object that stands out from its ground. */
export function standingOut(ground: Colour, draw: () => Colour): Colour {
  let best = draw();
  const difference = (colour: Colour): number =>
    abs(luminance(colour) - luminance(ground)) + 0.3 * abs(colour[0] - colour[2] - ground[0] + ground[2]);
  for (let attempt = 0; attempt < 8 && difference(best) < 0.22; attempt++) {
    const next = draw();
    if (difference(next) > difference(best)) best = next;
  }
  return best;
}

/** A grey or yellowish metal that stands out from the ground. */
export function metalOn(ground: Colour, random: Random): Colour {
  return standingOut(ground, () => {
    const tone = random.range(0.35, 0.85);
    const kind = random.next();
    const base: Colour =
      kind < 0.6
        ? [tone, tone, tone * 1.03]
        : kind < 0.85
          ? [tone, tone * 0.86, tone * 0.55]
          : [tone, tone * 0.7, tone * 0.55];
    return varied(base, random, 0.02);
  });
}

/** A shader that gives a colour a soft grain and a gradient across the frame. */
export function surface(
  colour: Colour,
  random: Random,
  { grain = 0.04, clouds = 0.08, slope = 0.15 }: { grain?: number; clouds?: number; slope?: number } = {},
): (x: number, y: number) => Colour {
  const noise = new Noise(random);
  const [sx, sy] = [random.range(-slope, slope), random.range(-slope, slope)];
  return (x, y) => {
    const shade =
      1 +
      grain * noise.grain(x * 100, y * 100) +
      clouds * noise.at(x * 5, y * 5) +
      (x - 0.5) * sx * 2 +
      (y - 0.5) * sy * 2;
    return [colour[0] * shade, colour[1] * shade, colour[2] * shade];
  };
}

/** Shadow and body in one go: how nearly every object starts. */
export function body(
  canvas: Canvas,
  shape: Shape,
  colour: Colour | ((x: number, y: number) => Colour),
  {
    bevel = 0.02,
    relief = 0.35,
    shadow = 0.35,
    reach = 0.018,
  }: { bevel?: number; relief?: number; shadow?: number; reach?: number } = {},
): void {
  canvas.shadow(shape, reach, shadow);
  canvas.fill(shape, colour, { bevel, relief });
}

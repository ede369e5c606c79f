import { clamp, fraction } from './arithmetic';
import type { Random } from './random';

const { max, min } = Math;

/** Red, green and blue, each 0 to 1, as shown on a screen (sRGB). */
export type Colour = readonly [number, number, number];

/** Hue, saturation and value, each 0 to 1 (hue wraps). */
export function hsv(hue: number, saturation: number, value: number): Colour {
  const channel = (shift: number): number => {
    const k = fraction((shift + fraction(hue) * 6) / 6) * 6;
    return clamp(value - value * saturation * max(0, min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

export function grey(value: number): Colour {
  return [clamp(value), clamp(value), clamp(value)];
}

/** How bright a colour looks, 0 to 1 (Rec. 601 weights). */
export function luminance(colour: Colour): number {
  return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
}

export function mixed(a: Colour, b: Colour, t: number): Colour {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

export function scaled(colour: Colour, factor: number): Colour {
  return [clamp(colour[0] * factor), clamp(colour[1] * factor), clamp(colour[2] * factor)];
}

/** The colour with each channel moved a little, as between two pieces of one lot. */
export function varied(colour: Colour, random: Random, amount = 0.05): Colour {
  const all = random.normal() * amount;
  return [
    clamp(colour[0] + all + random.normal() * amount * 0.5),
    clamp(colour[1] + all + random.normal() * amount * 0.5),
    clamp(colour[2] + all + random.normal() * amount * 0.5),
  ];
}

/** Any colour an object may have, within the bounds given. */
export function anyColour(
  random: Random,
  saturation: readonly [number, number] = [0.1, 0.75],
  value: readonly [number, number] = [0.3, 0.9],
): Colour {
  return hsv(random.next(), random.range(...saturation), random.range(...value));
}

/**
 * A colour that differs in brightness from what it is put on by about `contrast` (0 to 1): darker on bright, brighter
 * on dark, so that a stain shows on every surface.
 */
export function against(beneath: Colour, contrast: number, hue: Colour): Colour {
  const level = luminance(beneath);
  const goal = level > 0.42 ? max(0.02, level - contrast) : min(0.98, level + contrast);
  const own = max(0.02, luminance(hue));
  const factor = goal / own;
  const stretched: Colour = [hue[0] * factor, hue[1] * factor, hue[2] * factor];
  const peak = max(...stretched);
  if (peak <= 1) return stretched;
  // A saturated hue cannot be that bright: what is cut off goes into all channels alike.
  const fitted: Colour = [stretched[0] / peak, stretched[1] / peak, stretched[2] / peak];
  const reached = luminance(fitted);
  return mixed(fitted, [1, 1, 1], clamp((goal - reached) / max(1e-6, 1 - reached)));
}

/** Colours for 256 levels: uint8 [256, 3], from low to high. */
export type Colormap = Uint8Array;

/** Google's Turbo, or MATLAB's Jet as most papers on anomaly detection print it. */
export type ColormapName = 'turbo' | 'jet';

/** Builds a table from a function of 0..1 that gives red, green and blue in 0..1. */
function table(colour: (level: number) => readonly [number, number, number]): Colormap {
  const out = new Uint8Array(256 * 3);
  for (let level = 0; level < 256; level++) {
    const components = colour(level / 255);
    for (let channel = 0; channel < 3; channel++) {
      out[level * 3 + channel] = Math.round(255 * Math.min(1, Math.max(0, components[channel] as number)));
    }
  }
  return out;
}

function polynomial(factors: readonly number[], x: number): number {
  return factors.reduceRight((sum, factor) => sum * x + factor, 0);
}

/**
 * Turbo, by the polynomial that its author A. Mikhailov published for use without a table (2019): from dark blue through
 * green to dark red, with an even rise of lightness to its middle. Jet's order without jet's false edges. Up to 32 levels from
 * his table at the dark ends, a few elsewhere.
 */
const turbo = table((x) => [
  polynomial([0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943], x),
  polynomial([0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604], x),
  polynomial([0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973], x),
]);

/** Jet, as most papers on anomaly detection print it: four straight ramps. */
const jet = table((x) => [1.5 - Math.abs(4 * x - 3), 1.5 - Math.abs(4 * x - 2), 1.5 - Math.abs(4 * x - 1)]);

export const COLORMAPS: Readonly<Record<ColormapName, Colormap>> = { turbo, jet };

/** Values between which the colours run. */
export interface Scale {
  readonly low: number;
  readonly high: number;
}

/** The level 0..255 of a value; values outside the scale take the colour of its end, NaN that of the low end. */
export function level(value: number, scale: Scale): number {
  const place = (value - scale.low) / (scale.high - scale.low);
  return place >= 1 ? 255 : place > 0 ? (place * 255 + 0.5) | 0 : 0;
}

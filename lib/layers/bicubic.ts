/**
 * Bicubic interpolation as matrices, equal to PyTorch's `interpolate` with half-pixel centres. PyTorch has two kernels:
 * without antialias, Keys' cubic with a = -0.75, edges repeated; with antialias, a = -0.5, widened when the grid
 * shrinks, with values outside the grid left out of the mean.
 */

export interface BicubicOptions {
  readonly antialias?: boolean;
  /** Inputs per output; `from / to` by default. PyTorch uses 1 / scale_factor when called with one. */
  readonly scale?: number;
}

/**
 * Weights of one axis: row i says how output i mixes the inputs. Rows sum to 1.
 * @returns row-major `[to, from]`
 */
export function bicubicWeights(
  from: number,
  to: number,
  { antialias = false, scale = from / to }: BicubicOptions = {},
): Float32Array {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const row = weights.subarray(i * from, (i + 1) * from);
    const centre = scale * (i + 0.5);
    if (antialias) fillAntialiased(row, centre, scale);
    else fillClamped(row, centre - 0.5);
  }
  return weights;
}

/** The four neighbours of a position; those beyond an edge count for the edge. */
function fillClamped(row: Float32Array, place: number): void {
  const low = Math.floor(place);
  for (let tap = low - 1; tap <= low + 2; tap++) {
    const at = Math.min(row.length - 1, Math.max(0, tap));
    row[at] = (row[at] as number) + keys(tap - place, -0.75);
  }
}

/** All inputs under the kernel, which spans at least four of them. */
function fillAntialiased(row: Float32Array, centre: number, scale: number): void {
  const stretch = Math.max(1, scale);
  const first = Math.max(0, Math.trunc(centre - 2 * stretch + 0.5));
  const end = Math.min(row.length, Math.trunc(centre + 2 * stretch + 0.5));
  let total = 0;
  for (let at = first; at < end; at++) total += keys((at + 0.5 - centre) / stretch, -0.5);
  for (let at = first; at < end; at++) row[at] = keys((at + 0.5 - centre) / stretch, -0.5) / total;
}

/** Keys' cubic convolution kernel. */
function keys(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

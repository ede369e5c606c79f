import { ImageError, UsageError } from '../errors';

/**
 * Brings an anomaly map to another size: bilinear with half-pixel centres, edges repeated, no antialias, as
 * `torch.nn.functional.interpolate(mode='bilinear', align_corners=False)` and TensorFlow's `halfPixelCenters`.
 *
 * @param map values [height, width], any range
 * @returns a new array [toHeight, toWidth] of the map's own precision; its values stay within the range of the input's
 * @throws UsageError `map/size` for a size that is not a positive integer; ImageError `map/shape` where size and map do not fit
 */
export function resizeMap(
  map: Float32Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array<ArrayBuffer>;
export function resizeMap(
  map: Float32Array | Float64Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;
export function resizeMap(
  map: Float32Array | Float64Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> {
  for (const [name, value] of Object.entries({ width, height, toWidth, toHeight })) {
    if (!Number.isInteger(value) || value < 1)
      throw new UsageError('map/size', `${name} must be a positive integer, found ${value}`, { [name]: value });
  }
  if (map.length !== width * height) {
    throw new ImageError('map/shape', `a map of ${width} x ${height} values expected, found ${map.length} values`, {
      width,
      height,
      found: map.length,
    });
  }
  const columns = neighbours(width, toWidth);
  const rows = neighbours(height, toHeight);
  const out = map.BYTES_PER_ELEMENT === 8 ? new Float64Array(toWidth * toHeight) : new Float32Array(toWidth * toHeight);
  // Enlarged, many rows lie between the same two; in float64, so that nothing is rounded on the way.
  let [above, below] = [new Float64Array(toWidth), new Float64Array(toWidth)];
  let [upper, lower] = [-1, -1];
  for (let row = 0; row < toHeight; row++) {
    const first = rows.first[row] as number;
    const second = rows.second[row] as number;
    if (first !== upper && first === lower) [above, below, upper, lower] = [below, above, lower, upper];
    if (first !== upper) stretchRow(map, first, columns, above);
    if (second !== lower) stretchRow(map, second, columns, below);
    [upper, lower] = [first, second];
    blendRows(above, below, rows.fraction[row] as number, out, row * toWidth);
  }
  return out;
}

interface Neighbours {
  readonly from: number;
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly fraction: Float64Array;
}

/** One row of the map at the width of the output. */
function stretchRow(
  map: Float32Array | Float64Array,
  row: number,
  { from, first, second, fraction }: Neighbours,
  out: Float64Array,
): void {
  const start = row * from;
  for (let column = 0; column < out.length; column++) {
    const left = map[start + (first[column] as number)] as number;
    out[column] = left + ((map[start + (second[column] as number)] as number) - left) * (fraction[column] as number);
  }
}

/** One row of the output. */
function blendRows(
  above: Float64Array,
  below: Float64Array,
  down: number,
  out: Float32Array | Float64Array,
  write: number,
): void {
  for (let column = 0; column < above.length; column++) {
    const top = above[column] as number;
    out[write + column] = top + ((below[column] as number) - top) * down;
  }
}

/** For each output position the two input samples it lies between, and how far it is towards the second. */
function neighbours(from: number, to: number): Neighbours {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const fraction = new Float64Array(to);
  const scale = from / to;
  for (let position = 0; position < to; position++) {
    const place = Math.min(from - 1, Math.max(0, (position + 0.5) * scale - 0.5));
    const floor = Math.trunc(place);
    first[position] = floor;
    second[position] = Math.min(from - 1, floor + 1);
    fraction[position] = place - floor;
  }
  return { from, first, second, fraction };
}

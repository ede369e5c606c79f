import { ImageError, UsageError } from '../errors';

/**
 * Brings an anomaly map to another size: bilinear with half-pixel centres, edges repeated, no antialias, as
 * `torch.nn.functional.interpolate(mode='bilinear', align_corners=False)` and TensorFlow's `halfPixelCenters`.
 *
 * @param map values [height, width], any range
 * @returns a new array [toHeight, toWidth]; its values stay within the range of the input's
 * @throws UsageError `map/size` for a size that is no positive integer; ImageError `map/shape` where size and map do not fit
 */
export function resizeMap(
  map: Float32Array, width: number, height: number, toWidth: number, toHeight: number,
): Float32Array<ArrayBuffer> {
  for (const [name, value] of Object.entries({ width, height, toWidth, toHeight })) {
    if (!Number.isInteger(value) || value < 1) throw new UsageError('map/size', `${name} must be a positive integer, found ${value}`, { [name]: value });
  }
  if (map.length !== width * height) {
    throw new ImageError('map/shape', `a map of ${width} x ${height} values expected, found ${map.length} values`, { width, height, found: map.length });
  }
  const columns = neighbours(width, toWidth);
  const rows = neighbours(height, toHeight);
  const out = new Float32Array(toWidth * toHeight);
  let write = 0;
  for (let row = 0; row < toHeight; row++) {
    const upper = (rows.first[row] as number) * width;
    const lower = (rows.second[row] as number) * width;
    const down = rows.fraction[row] as number;
    for (let column = 0; column < toWidth; column++) {
      const left = columns.first[column] as number;
      const right = columns.second[column] as number;
      const across = columns.fraction[column] as number;
      const topLeft = map[upper + left] as number;
      const bottomLeft = map[lower + left] as number;
      const top = topLeft + ((map[upper + right] as number) - topLeft) * across;
      const bottom = bottomLeft + ((map[lower + right] as number) - bottomLeft) * across;
      out[write++] = top + (bottom - top) * down;
    }
  }
  return out;
}

/** For each output position the two input samples it lies between, and how far it is towards the second. */
function neighbours(from: number, to: number): { first: Int32Array; second: Int32Array; fraction: Float64Array } {
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
  return { first, second, fraction };
}

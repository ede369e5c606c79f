/**
 * Half precision (IEEE binary16) and bfloat16 to and from float32, in bulk.
 *
 * tfjs computes in float32 only, while CLIP is published in float16; widening is exact, narrowing rounds to the nearest
 * value and to even on a tie, as PyTorch does.
 */

/** Float32 bit patterns of all 65536 half precision values. */
const FLOAT32_BITS_OF_HALF = Uint32Array.from({ length: 65536 }, (_, bits) => float32BitsOfHalf(bits));

function float32BitsOfHalf(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // A subnormal half is a normal float32: shift the leading one up to the implicit place.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Widens halves, given as bit patterns, into `target` from index `at` on. */
export function widenHalf(halves: Uint16Array, target: Float32Array, at = 0): void {
  const bits = bitsOf(target);
  for (let index = 0; index < halves.length; index++) {
    bits[at + index] = FLOAT32_BITS_OF_HALF[halves[index] as number] as number;
  }
}

/** Widens bfloat16 bit patterns, the upper halves of float32, into `target` from index `at` on. */
export function widenBrainFloat(values: Uint16Array, target: Float32Array, at = 0): void {
  const bits = bitsOf(target);
  for (let index = 0; index < values.length; index++) bits[at + index] = (values[index] as number) << 16;
}

/** The largest value of each type, and the magnitude from which on the nearest one is infinity. */
const RANGE = {
  float16: { largest: 65504, tooLarge: 65520 },
  bfloat16: { largest: 2 ** 128 - 2 ** 120, tooLarge: 2 ** 128 - 2 ** 119 },
} as const;

/** A finite value that a narrower type cannot hold. */
export interface Overflow {
  readonly index: number;
  readonly value: number;
  /** The largest value of the narrower type. */
  readonly largest: number;
}

/** The first finite value that narrowing would make infinite; undefined where there is none. */
export function overflowOf(values: Float32Array, dtype: 'float16' | 'bfloat16'): Overflow | undefined {
  const { largest, tooLarge } = RANGE[dtype];
  const index = values.findIndex((value) => Math.abs(value) >= tooLarge && Number.isFinite(value));
  return index < 0 ? undefined : { index, value: values[index] as number, largest };
}

/** Bit patterns of the nearest halves; see `overflowOf` for values beyond them. Beyond 65519 the result is infinite. */
export function narrowToHalf(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const halves = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) halves[index] = halfOfFloat32Bits(bits[index] as number);
  return halves;
}

function halfOfFloat32Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Adding just under half a unit, plus the kept last bit, rounds to nearest even; a carry reaches the exponent.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
  }
  if (magnitude <= 0x33000000) return sign;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >> 23);
  const kept = significand >> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept);
}

/** Bit patterns of the nearest bfloat16 values. */
export function narrowToBrainFloat(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const narrow = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) {
    const value = bits[index] as number;
    const isNan = (value & 0x7fffffff) > 0x7f800000;
    narrow[index] = isNan ? (value >>> 16) | 0x40 : (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
  return narrow;
}

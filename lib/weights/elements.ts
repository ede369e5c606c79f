import { WeightsError } from '../errors';
import { widenBrainFloat, widenHalf } from '../files/half';
import type { ElementType } from './tensor-source';

export const BYTES_PER_ELEMENT: Readonly<Record<ElementType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

export const isInteger = (dtype: ElementType): boolean => !/float/.test(dtype);

/** How many values a shape holds; 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/**
 * Whether `shape` is made of sizes that are whole, not negative, and whose product can still be counted exactly.
 * Weight files have at most a handful of axes; 32 is PyTorch's own limit for saving.
 */
export function isShape(shape: readonly unknown[]): shape is readonly number[] {
  const sizes = shape.every((size) => typeof size === 'number' && Number.isSafeInteger(size) && size >= 0);
  if (!sizes || shape.length > 32) return false;
  // Zero sizes must not hide others that overflow.
  const product = (shape as readonly number[]).reduce((total, size) => total * Math.max(size, 1), 1);
  return Number.isSafeInteger(product);
}

type Numbers = Float32Array | Float64Array;

/** Little-endian elements as a typed array over the same memory; `bytes` must start at a multiple of 8. */
function elementsOf(
  bytes: Uint8Array,
  dtype: ElementType,
): ArrayLike<number> | BigInt64Array | BigUint64Array | Uint16Array {
  const { buffer, byteOffset } = bytes;
  const length = bytes.byteLength / BYTES_PER_ELEMENT[dtype];
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer, byteOffset, length);
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, length);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length);
    case 'uint64':
      return new BigUint64Array(buffer, byteOffset, length);
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, length);
    case 'int32':
      return new Int32Array(buffer, byteOffset, length);
    case 'int16':
      return new Int16Array(buffer, byteOffset, length);
    case 'int8':
      return new Int8Array(buffer, byteOffset, length);
    case 'uint8':
    case 'bool':
      return bytes;
  }
}

/** Largest magnitude below which float32, or float64, holds every integer. */
const EXACT_INTEGERS = { single: 2 ** 24, double: 2 ** 53 } as const;

/**
 * Converts little-endian elements to float32 or float64, into `target` from index `at` on.
 * @throws WeightsError `weights/range` for integers that `target` cannot hold exactly, and for float64 beyond all float32
 */
export function decodeNumbers(bytes: Uint8Array, dtype: ElementType, target: Numbers, at: number, name: string): void {
  const elements = elementsOf(bytes, dtype);
  const isSingle = target instanceof Float32Array;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const widen = dtype === 'float16' ? widenHalf : widenBrainFloat;
    if (isSingle) {
      widen(elements as Uint16Array, target, at);
    } else {
      const single = new Float32Array(elements.length);
      widen(elements as Uint16Array, single);
      target.set(single, at);
    }
    return;
  }
  if (elements instanceof BigInt64Array || elements instanceof BigUint64Array) {
    for (let index = 0; index < elements.length; index++) target[at + index] = Number(elements[index]);
  } else {
    target.set(elements as ArrayLike<number>, at);
  }
  if (dtype === 'float64' && isSingle) refuseOverflow(elements as Float64Array, target, at, name);
  if (/64$|32$/.test(dtype) && isInteger(dtype)) refuseRounded(elements, target, at, name);
}

function refuseOverflow(elements: Float64Array, target: Numbers, at: number, name: string): void {
  const index = elements.findIndex((value, place) => Number.isFinite(value) && !Number.isFinite(target[at + place]));
  if (index < 0) return;
  throw new WeightsError(
    'weights/range',
    `${name}: ${elements[index]} at element ${at + index} is outside the range of float32 (largest 3.4e38), in which everything is computed`,
    { tensor: name, element: at + index, value: elements[index] },
  );
}

function refuseRounded(
  elements: ArrayLike<number> | BigInt64Array | BigUint64Array,
  target: Numbers,
  at: number,
  name: string,
): void {
  const [exact, type] =
    target instanceof Float32Array ? [EXACT_INTEGERS.single, 'float32'] : [EXACT_INTEGERS.double, 'float64'];
  for (let index = 0; index < elements.length; index++) {
    const held = target[at + index] as number;
    // Multiples of large powers of two are exact beyond the bound too.
    if (Math.abs(held) < exact || BigInt(held) === BigInt(elements[index] as number | bigint)) continue;
    throw new WeightsError(
      'weights/range',
      `${name}: the integer ${elements[index]} at element ${at + index} cannot be represented as ${type}`,
      { tensor: name, element: at + index, value: String(elements[index]) },
    );
  }
}

/**
 * Converts little-endian elements of an integer type into `target` from index `at` on.
 * @throws WeightsError where one does not fit 32 bits with a sign
 */
export function decodeIntegers(
  bytes: Uint8Array,
  dtype: ElementType,
  target: Int32Array,
  at: number,
  name: string,
): void {
  const elements = elementsOf(bytes, dtype);
  if (!/64$|^uint32$/.test(dtype)) {
    target.set(elements as ArrayLike<number>, at);
    return;
  }
  for (let index = 0; index < elements.length; index++) {
    const value = Number(elements[index]);
    if (value !== (value | 0)) {
      throw new WeightsError(
        'weights/range',
        `${name}: ${elements[index]} at element ${at + index} does not fit a 32-bit integer`,
        { tensor: name, element: at + index },
      );
    }
    target[at + index] = value;
  }
}

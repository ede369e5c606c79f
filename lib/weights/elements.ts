import { WeightsError } from '../errors';
import { widenBrainFloat, widenHalf } from './half';
import type { ElementType } from './tensor-source';

export const BYTES_PER_ELEMENT: Readonly<Record<ElementType, number>> = {
  float64: 8, float32: 4, float16: 2, bfloat16: 2,
  int64: 8, int32: 4, int16: 2, int8: 1, uint8: 1, bool: 1,
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
function elementsOf(bytes: Uint8Array, dtype: ElementType): ArrayLike<number> | BigInt64Array | Uint16Array {
  const { buffer, byteOffset } = bytes;
  const length = bytes.byteLength / BYTES_PER_ELEMENT[dtype];
  switch (dtype) {
    case 'float64': return new Float64Array(buffer, byteOffset, length);
    case 'float32': return new Float32Array(buffer, byteOffset, length);
    case 'float16': case 'bfloat16': return new Uint16Array(buffer, byteOffset, length);
    case 'int64': return new BigInt64Array(buffer, byteOffset, length);
    case 'int32': return new Int32Array(buffer, byteOffset, length);
    case 'int16': return new Int16Array(buffer, byteOffset, length);
    case 'int8': return new Int8Array(buffer, byteOffset, length);
    case 'uint8': case 'bool': return bytes;
  }
}

/**
 * Converts little-endian elements to float32 (or float64, in which every type but int64 is exact) into `target` from
 * index `at` on.
 */
export function decodeNumbers(bytes: Uint8Array, dtype: ElementType, target: Numbers, at: number): void {
  const elements = elementsOf(bytes, dtype);
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const widen = dtype === 'float16' ? widenHalf : widenBrainFloat;
    if (target instanceof Float32Array) {
      widen(elements as Uint16Array, target, at);
    } else {
      const single = new Float32Array(elements.length);
      widen(elements as Uint16Array, single);
      target.set(single, at);
    }
  } else if (elements instanceof BigInt64Array) {
    for (let index = 0; index < elements.length; index++) target[at + index] = Number(elements[index]);
  } else {
    target.set(elements as ArrayLike<number>, at);
  }
}

/**
 * Converts little-endian elements of an integer type into `target` from index `at` on.
 * @throws WeightsError where an int64 does not fit 32 bits
 */
export function decodeIntegers(bytes: Uint8Array, dtype: ElementType, target: Int32Array, at: number, name: string): void {
  const elements = elementsOf(bytes, dtype);
  if (!(elements instanceof BigInt64Array)) {
    target.set(elements as ArrayLike<number>, at);
    return;
  }
  for (let index = 0; index < elements.length; index++) {
    const value = Number(elements[index]);
    if (value !== (value | 0)) {
      throw new WeightsError('weights/range', `${name}: ${elements[index]} at element ${at + index} does not fit a 32-bit integer`, {
        tensor: name,
        element: at + index,
      });
    }
    target[at + index] = value;
  }
}

import * as zlib from 'node:zlib';
import { WeightsError } from '../errors';
import { type ByteSection, readBytes } from './byte-section';
import { BYTES_PER_ELEMENT, decodeIntegers, decodeNumbers, elementCount, isInteger } from './elements';
import type { ElementType, TensorEntry, TensorSource } from './tensor-source';

/** A tensor and where its elements lie: a view over a storage, with strides and offset counted in elements. */
export interface LocatedTensor extends TensorEntry {
  readonly storage: ByteSection;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Strides of a row-major tensor without gaps. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * Math.max(shape[axis + 1] as number, 1);
  }
  return strides;
}

/** Largest element index that a view reaches, relative to its offset; strides of axes of size one play no part. */
export function reach(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, size, axis) => last + (size > 1 ? (size - 1) * (strides[axis] as number) : 0), 0);
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const dense = rowMajorStrides(shape);
  return shape.every((size, axis) => size <= 1 || strides[axis] === dense[axis]);
}

/** Bytes converted at a time, so that a float16 tensor is not held twice. */
const CHUNK_BYTES = 1 << 20;
/** Expanded views hold more values than their storage; more than this is taken for an attack. */
const LARGEST_EXPANDED_VIEW = 1 << 24;

/**
 * The part that all formats share: each tensor has a place in a storage, and is converted when it is asked for.
 */
export class LocatedTensorSource implements TensorSource {
  readonly entries: ReadonlyMap<string, TensorEntry>;

  constructor(
    readonly path: string,
    readonly format: TensorSource['format'],
    private readonly tensors: ReadonlyMap<string, LocatedTensor>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly closeFile: () => void,
  ) {
    this.entries = tensors;
  }

  read(name: string): Float32Array {
    return this.convert(name, (count) => new Float32Array(count), decodeNumbers);
  }

  readDoubles(name: string): Float64Array {
    return this.convert(name, (count) => new Float64Array(count), decodeNumbers);
  }

  readIntegers(name: string): Int32Array {
    const { dtype } = this.find(name);
    if (!isInteger(dtype)) {
      throw new WeightsError('weights/dtype', `${this.path}: ${name} holds ${dtype} values, but integers were asked for`, { tensor: name, dtype });
    }
    return this.convert(
      name,
      (count) => new Int32Array(count),
      (bytes, type, target, at) => decodeIntegers(bytes, type, target, at, name),
    );
  }

  close(): void {
    this.closeFile();
  }

  private find(name: string): LocatedTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new WeightsError('weights/missing', `${this.path} has no tensor named ${name}`, { path: this.path, tensor: name });
  }

  private convert<T extends Float32Array | Float64Array | Int32Array>(
    name: string,
    allocate: (count: number) => T,
    decode: (bytes: Uint8Array, dtype: ElementType, target: T, at: number) => void,
  ): T {
    const tensor = this.find(name);
    const { dtype, shape, strides, storage } = tensor;
    const width = BYTES_PER_ELEMENT[dtype];
    const count = elementCount(shape);
    if (count === 0) return allocate(0);
    if (count > Math.max(storage.size / width, LARGEST_EXPANDED_VIEW)) {
      throw new WeightsError(
        'weights/limit',
        `${this.path}: ${name} spreads ${storage.size / width} stored values over ${count}; save it as a plain tensor`,
        { tensor: name, shape, strides },
      );
    }
    const contiguous = isRowMajor(shape, strides);
    const spanned = contiguous ? count : reach(shape, strides) + 1;
    const values = allocate(spanned);
    const start = tensor.offset * width;
    // A checksum covers a whole storage, so it can be checked only when all of it passes by.
    const expected = spanned * width === storage.size ? storage.checksum : undefined;
    const include = (bytes: Uint8Array, sum: number): number => (expected === undefined ? 0 : zlib.crc32(bytes, sum));
    let checksum = 0;
    if (values instanceof Float32Array && dtype === 'float32') {
      const bytes = new Uint8Array(values.buffer);
      storage.readInto(start, bytes);
      checksum = include(bytes, checksum);
    } else {
      const step = CHUNK_BYTES / width;
      for (let at = 0; at < spanned; at += step) {
        const bytes = readBytes(storage, start + at * width, Math.min(step, spanned - at) * width);
        decode(bytes, dtype, values, at);
        checksum = include(bytes, checksum);
      }
    }
    if (expected !== undefined && checksum !== expected) {
      throw new WeightsError('weights/checksum', `${this.path}: the values of ${name} do not match their checksum; the file is damaged`, {
        path: this.path,
        tensor: name,
      });
    }
    return contiguous ? values : gather(values, shape, strides, allocate(count));
  }
}

/** Copies a strided view into row-major order. */
function gather<T extends Float32Array | Float64Array | Int32Array>(
  values: T,
  shape: readonly number[],
  strides: readonly number[],
  target: T,
): T {
  const inner = shape.length - 1;
  const innerSize = shape[inner] as number;
  const innerStride = strides[inner] as number;
  const position = new Array<number>(inner).fill(0);
  for (let at = 0, from = 0; at < target.length; ) {
    for (let index = 0; index < innerSize; index++) target[at++] = values[from + index * innerStride] as number;
    // Advance the outer axes like an odometer.
    for (let axis = inner - 1; axis >= 0; axis--) {
      const stride = strides[axis] as number;
      position[axis] = (position[axis] as number) + 1;
      from += stride;
      if ((position[axis] as number) < (shape[axis] as number)) break;
      from -= stride * (shape[axis] as number);
      position[axis] = 0;
    }
  }
  return target;
}

import * as zlib from 'node:zlib';
import { WeightsError } from '../errors';
import type { ByteSection } from '../files/byte-section';
import { BYTES_PER_ELEMENT, decodeIntegers, decodeNumbers, elementCount, isInteger } from './elements';
import { ReusedBytes } from './reused-bytes';
import { shownName } from '../files/shown-name';
import { describeLeftOut, type ElementType, type LeftOut, type TensorEntry, type TensorSource } from './tensor-source';

/** A tensor and the place of its elements: a view over a storage, with strides and offset counted in elements. */
export interface LocatedTensor extends TensorEntry {
  readonly storage: ByteSection;
  readonly offset: number;
  readonly strides: readonly number[];
  /** Whether its values are those stored with the other sign; of floating point types only. */
  readonly negated?: boolean;
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

/** Bytes read and converted at a time: few enough to be in the processor's cache for the checksum and the conversion. */
const CHUNK_BYTES = 1 << 20;
/** Expanded views hold more values than their storage; more than this is taken for an attack. */
const LARGEST_EXPANDED_VIEW = 1 << 24;

/** No tensor of any network here has more; a file of holes could ask for terabytes. */
const LARGEST_TENSOR = 2 ** 29;

/**
 * The part that all formats share: each tensor has a place in a storage, and is converted on request.
 */
export class LocatedTensorSource implements TensorSource {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  private readonly chunk = new ReusedBytes('conversion');

  constructor(
    readonly path: string,
    readonly format: TensorSource['format'],
    private readonly tensors: ReadonlyMap<string, LocatedTensor>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly closeFile: () => void,
    readonly leftOut: ReadonlyMap<string, LeftOut> = new Map(),
  ) {
    this.entries = tensors;
    if (tensors.size > 0 || leftOut.size === 0) return;
    const found = [...leftOut.values()].slice(0, 8);
    const object = found.find(({ isTensor }) => !isTensor);
    throw new WeightsError(
      object ? 'weights/unsafe-pickle' : 'weights/dtype',
      `${path} holds no tensor that can be read, but ${describeLeftOut(leftOut)}` +
        (object
          ? '; making objects as Python does could run code. Save a plain state dict, such as model.state_dict(), or convert it to safetensors'
          : '; only plain tensors of floating point numbers and integers are read'),
      { path, leftOut: found, ...(object && { global: object.kind }) },
    );
  }

  read(name: string): Float32Array {
    return this.convert(name, (count) => new Float32Array(count), decodeNumbers);
  }

  readRows(name: string, rows: readonly number[]): Float32Array {
    const { dtype, shape, strides, storage, offset, negated = false } = this.find(name);
    const [count = 0, columns = 0] = shape;
    if (shape.length !== 2 || rows.some((row) => !Number.isInteger(row) || row < 0 || row >= count)) {
      throw new WeightsError(
        'weights/shape',
        `${this.place(name)} of shape [${shape.join(', ')}] does not have the rows ${rows.join(', ')}`,
        { tensor: name, shape, rows },
      );
    }
    if (rows.length * columns > LARGEST_TENSOR) throw this.tooLarge(name);
    if (negated || !isRowMajor(shape, strides)) {
      const all = this.read(name);
      return Float32Array.from(
        { length: rows.length * columns },
        (_, at) => all[(rows[Math.floor(at / columns)] as number) * columns + (at % columns)] as number,
      );
    }
    const width = BYTES_PER_ELEMENT[dtype];
    const length = columns * width;
    const stored = new Uint8Array(rows.length * length);
    if (storage.checksum === undefined) {
      rows.forEach((row, at) =>
        storage.readInto(offset * width + row * length, stored.subarray(at * length, (at + 1) * length)),
      );
    } else {
      // All bytes are read for the checksum; of each piece, what belongs to the rows is kept.
      const piece = (_: number, bytes: number): Uint8Array => this.chunk.take(bytes);
      this.readChecked(name, offset * width, count * length, piece, (bytes, start) => {
        rows.forEach((row, at) => {
          const [first, end] = [Math.max(row * length, start), Math.min((row + 1) * length, start + bytes.length)];
          if (first < end) stored.set(bytes.subarray(first - start, end - start), at * length + first - row * length);
        });
      });
    }
    const values = new Float32Array(rows.length * columns);
    decodeNumbers(stored, dtype, values, 0, this.place(name));
    return values;
  }

  readDoubles(name: string): Float64Array {
    return this.convert(name, (count) => new Float64Array(count), decodeNumbers);
  }

  readIntegers(name: string): Int32Array {
    const { dtype } = this.find(name);
    if (!isInteger(dtype)) {
      throw new WeightsError(
        'weights/dtype',
        `${this.place(name)} holds ${dtype} values, but integers were asked for`,
        { tensor: name, dtype },
      );
    }
    return this.convert(name, (count) => new Int32Array(count), decodeIntegers);
  }

  readStored(name: string, target: ReusedBytes): Uint8Array | undefined {
    const { dtype, shape, strides, storage, offset, negated = false } = this.find(name);
    const width = BYTES_PER_ELEMENT[dtype];
    const length = elementCount(shape) * width;
    // A view over more than is stored is refused with an explanation where it is converted.
    if (
      negated ||
      length === 0 ||
      length > storage.size ||
      length / width > LARGEST_TENSOR ||
      !isRowMajor(shape, strides)
    )
      return undefined;
    const bytes = target.take(length);
    this.readChecked(name, offset * width, length, (start, count) => bytes.subarray(start, start + count));
    return bytes;
  }

  close(): void {
    this.closeFile();
  }

  private find(name: string): LocatedTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    const left = this.leftOut.get(name);
    if (left)
      throw new WeightsError(
        'weights/dtype',
        `${this.path}: ${shownName(name)} is there but not read (${left.kind}); save it as a plain tensor of numbers`,
        { path: this.path, tensor: name, kind: left.kind },
      );
    throw new WeightsError('weights/missing', `${this.path} has no tensor named ${shownName(name)}`, {
      path: this.path,
      tensor: name,
    });
  }

  private tooLarge(name: string): WeightsError {
    const { shape, strides } = this.find(name);
    return new WeightsError(
      'weights/limit',
      `${this.place(name)} of shape [${shape.join(', ')}] has more than ${LARGEST_TENSOR} values, more than any network here needs`,
      { tensor: name, shape, strides },
    );
  }

  /** The tensor and its file, for a message. */
  private place(name: string): string {
    return `${this.path}: ${shownName(name)}`;
  }

  private convert<T extends Float32Array | Float64Array | Int32Array>(
    name: string,
    allocate: (count: number) => T,
    decode: (bytes: Uint8Array, dtype: ElementType, target: T, at: number, place: string) => void,
  ): T {
    const tensor = this.find(name);
    const { dtype, shape, strides, storage } = tensor;
    const width = BYTES_PER_ELEMENT[dtype];
    const count = elementCount(shape);
    if (count === 0) return allocate(0);
    if (count > Math.max(storage.size / width, LARGEST_EXPANDED_VIEW)) {
      throw new WeightsError(
        'weights/limit',
        `${this.place(name)} spreads ${storage.size / width} stored values over ${count}; save it as a plain tensor`,
        { tensor: name, shape, strides },
      );
    }
    if (count > LARGEST_TENSOR || reach(shape, strides) >= LARGEST_TENSOR) {
      throw this.tooLarge(name);
    }
    const contiguous = isRowMajor(shape, strides);
    const spanned = contiguous ? count : reach(shape, strides) + 1;
    const values = allocate(spanned);
    if (values instanceof Float32Array && dtype === 'float32') {
      const bytes = new Uint8Array(values.buffer);
      this.readChecked(name, tensor.offset * width, bytes.length, (start, length) =>
        bytes.subarray(start, start + length),
      );
    } else {
      const piece = (_: number, length: number): Uint8Array => this.chunk.take(length);
      this.readChecked(name, tensor.offset * width, spanned * width, piece, (bytes, start) =>
        decode(bytes, dtype, values, start / width, this.place(name)),
      );
    }
    if (tensor.negated) for (let index = 0; index < values.length; index++) values[index] = -(values[index] as number);
    return contiguous ? values : gather(values, shape, strides, allocate(count));
  }

  /**
   * Reads bytes of a tensor's storage piece by piece, and verifies the checksum where the whole storage is read.
   * @param memory where to put the piece of `length` bytes that begins `start` bytes after the first
   * @param use called with each piece as soon as it is there
   */
  private readChecked(
    name: string,
    offset: number,
    count: number,
    memory: (start: number, length: number) => Uint8Array,
    use: (bytes: Uint8Array, start: number) => void = () => undefined,
  ): void {
    const { storage } = this.find(name);
    const expected = count === storage.size ? storage.checksum : undefined;
    let checksum = 0;
    for (let start = 0; start < count; start += CHUNK_BYTES) {
      const bytes = memory(start, Math.min(CHUNK_BYTES, count - start));
      storage.readInto(offset + start, bytes);
      if (expected !== undefined) checksum = zlib.crc32(bytes, checksum);
      use(bytes, start);
    }
    if (expected === undefined || checksum === expected) return;
    throw new WeightsError(
      'weights/checksum',
      `${this.path}: the values of ${shownName(name)} do not match their checksum; the file is damaged`,
      { path: this.path, tensor: name },
    );
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
  for (let at = 0, from = 0; at < target.length;) {
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

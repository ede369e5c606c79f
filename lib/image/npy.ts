import * as fs from 'node:fs/promises';
import { ImageError, UsageError } from '../errors';
import { widenHalf } from '../files/half';

/** Element types of NPY files that are read and, but for float16, written, by NumPy's names. */
export type NpyType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | 'bool';

export type NpyData =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array;

export interface NpyArray {
  readonly dtype: NpyType;
  readonly shape: readonly number[];
  /** Values in row-major order; booleans as a Uint8Array of 0 and 1, halves as a Float32Array. */
  readonly data: NpyData;
}

interface ElementKind {
  readonly code: string;
  readonly bytes: number;
  readonly make: (buffer: ArrayBuffer) => NpyData;
}

const KINDS: Readonly<Record<NpyType, ElementKind>> = {
  float16: { code: 'f2', bytes: 2, make: (buffer) => widened(new Uint16Array(buffer)) },
  float32: { code: 'f4', bytes: 4, make: (buffer) => new Float32Array(buffer) },
  float64: { code: 'f8', bytes: 8, make: (buffer) => new Float64Array(buffer) },
  uint8: { code: 'u1', bytes: 1, make: (buffer) => new Uint8Array(buffer) },
  int8: { code: 'i1', bytes: 1, make: (buffer) => new Int8Array(buffer) },
  uint16: { code: 'u2', bytes: 2, make: (buffer) => new Uint16Array(buffer) },
  int16: { code: 'i2', bytes: 2, make: (buffer) => new Int16Array(buffer) },
  uint32: { code: 'u4', bytes: 4, make: (buffer) => new Uint32Array(buffer) },
  int32: { code: 'i4', bytes: 4, make: (buffer) => new Int32Array(buffer) },
  uint64: { code: 'u8', bytes: 8, make: (buffer) => new BigUint64Array(buffer) },
  int64: { code: 'i8', bytes: 8, make: (buffer) => new BigInt64Array(buffer) },
  bool: { code: 'b1', bytes: 1, make: (buffer) => new Uint8Array(buffer) },
};

const MAGIC = '\x93NUMPY';

/**
 * An array as the bytes of an NPY file (version 1.0, little-endian, C order).
 *
 * @param data values in row-major order, as many as the shape says
 * @param dtype taken from the array's type when not given; give 'bool' for a Uint8Array of 0 and 1
 * @throws UsageError `npy/shape` when shape and data do not fit
 */
export function encodeNpy(data: NpyData, shape: readonly number[], dtype: NpyType = typeOf(data)): Buffer {
  const count = shape.reduce((product, n) => product * n, 1);
  const { code, bytes } = KINDS[dtype];
  if (count !== data.length || data.BYTES_PER_ELEMENT !== bytes) {
    throw new UsageError(
      'npy/shape',
      `an array [${shape.join(', ')}] of ${dtype} expected, found ${data.length} values of ${data.BYTES_PER_ELEMENT} bytes`,
      { shape, dtype, found: data.length },
    );
  }
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const order = bytes === 1 ? '|' : '<';
  const header = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // NumPy wants the data to begin at a multiple of 64, the header to end in a line feed.
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const prefix = Buffer.from(`${MAGIC}\x01\x00\0\0`, 'latin1');
  prefix.writeUInt16LE(padded.length, 8);
  return Buffer.concat([
    prefix,
    Buffer.from(padded, 'latin1'),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ]);
}

/**
 * Reads an NPY file of version 1, 2 or 3: numbers and booleans, either byte order, C or Fortran order (returned in C
 * order). Arrays of Python objects are refused: they are pickles, which could run code.
 *
 * @throws ImageError `npy/not-found`, `npy/corrupt`, `npy/unsupported`
 */
export async function readNpy(path: string): Promise<NpyArray> {
  const bytes = await fs.readFile(path).catch((error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ENOENT';
    throw new ImageError(
      missing ? 'npy/not-found' : 'npy/unreadable',
      `${path}: ${missing ? 'no such file' : `cannot be read (${error.code})`}. Check the path and the file's permissions.`,
      { path },
      { cause: error },
    );
  });
  return decodeNpy(bytes, path);
}

/** {@link readNpy} from bytes; `source` names them in messages. */
export function decodeNpy(bytes: Uint8Array, source: string): NpyArray {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 12 || buffer.toString('latin1', 0, 6) !== MAGIC) {
    throw new ImageError(
      'npy/corrupt',
      `${source}: not an NPY file, it begins with ${buffer.toString('hex', 0, 6) || 'nothing'}. Save it with numpy.save.`,
      { source },
    );
  }
  const version = buffer[6] as number;
  if (version < 1 || version > 3)
    throw new ImageError('npy/unsupported', `${source}: NPY version ${version}; 1 to 3 are read`, { source, version });
  const headerStart = version === 1 ? 10 : 12;
  const headerLength = version === 1 ? buffer.readUInt16LE(8) : buffer.readUInt32LE(8);
  const start = headerStart + headerLength;
  if (start > buffer.length)
    throw corrupt(source, `its header claims ${headerLength} bytes, the file has ${buffer.length}`);
  const { descr, fortran, shape } = parseHeader(buffer.toString('latin1', headerStart, start), source);

  const dtype = (Object.keys(KINDS) as NpyType[]).find((name) => KINDS[name].code === descr.slice(1));
  if (dtype === undefined || !'<>|='.includes(descr[0] ?? '')) {
    const objects = descr.includes('O') ? ' (Python objects, which are never unpickled)' : '';
    throw new ImageError(
      'npy/unsupported',
      `${source}: values of type "${descr}"${objects}. Save it as one of ${Object.keys(KINDS).join(', ')}.`,
      { source, descr },
    );
  }
  const { bytes: size, make } = KINDS[dtype];
  const count = shape.reduce((product, n) => product * n, 1);
  if (buffer.length - start !== count * size) {
    throw corrupt(
      source,
      `${count * size} bytes expected for [${shape.join(', ')}] of ${dtype}, found ${buffer.length - start}`,
    );
  }
  const values = new ArrayBuffer(count * size);
  const copy = Buffer.from(values);
  buffer.copy(copy, 0, start);
  if (descr.startsWith('>') && size > 1) {
    if (size === 2) copy.swap16();
    else if (size === 4) copy.swap32();
    else copy.swap64();
  }
  const data = make(values);
  return { dtype, shape, data: fortran ? toRowMajor(data, shape) : data };
}

/**
 * The header is a Python literal of three keys. Only what NumPy writes is understood.
 */
function parseHeader(header: string, source: string): { descr: string; fortran: boolean; shape: number[] } {
  const descr = /["']descr["']\s*:\s*(?:["']([^"']*)["']|(\[))/.exec(header);
  const fortran = /["']fortran_order["']\s*:\s*(True|False)/.exec(header)?.[1];
  const tuple = /["']shape["']\s*:\s*\(([\d\s,L]*)\)/.exec(header)?.[1];
  if (descr?.[2] !== undefined) {
    throw new ImageError('npy/unsupported', `${source}: a structured array; save its columns as plain arrays`, {
      source,
    });
  }
  if (descr?.[1] === undefined || fortran === undefined || tuple === undefined) {
    throw corrupt(source, `its header is ${JSON.stringify(header.slice(0, 80))}`);
  }
  const shape = tuple
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseInt(part, 10));
  if (!Number.isSafeInteger(shape.reduce((product, n) => product * n, 1)))
    throw corrupt(source, `its shape is (${tuple})`);
  return { descr: descr[1], fortran: fortran === 'True', shape };
}

function toRowMajor(data: NpyData, shape: readonly number[]): NpyData {
  const out = data.slice();
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, n) => product * n, 1));
  for (let write = 0; write < out.length; write++) {
    out[write] = data[index.reduce((at, n, axis) => at + n * (strides[axis] as number), 0)] as never;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return out;
}

function widened(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  widenHalf(halves, values);
  return values;
}

/** By name, since under jest arrays from native code belong to another realm. Subclasses report the name of their base. */
function typeOf(data: NpyData): NpyType {
  const base = Object.getOwnPropertyDescriptor(
    Object.getPrototypeOf(Uint8Array.prototype),
    Symbol.toStringTag,
  )?.get?.call(data) as string;
  const name = base.replace('Array', '').replace('Big', '').toLowerCase();
  return (name === 'uint8clamped' ? 'uint8' : name) as NpyType;
}

function corrupt(source: string, found: string): ImageError {
  return new ImageError('npy/corrupt', `${source}: a damaged NPY file: ${found}. Save or copy it again.`, { source });
}

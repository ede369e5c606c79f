import { writeFileAtomicallySync, type Append } from '../atomic-file';
import { WeightsError } from '../errors';
import { RandomAccessFile, readBytes, subsection } from './byte-section';
import { BYTES_PER_ELEMENT, elementCount, isShape } from './elements';
import { narrowToBrainFloat, narrowToHalf } from './half';
import { LocatedTensorSource, type LocatedTensor, rowMajorStrides } from './located-tensors';
import type { ElementType, TensorSource } from './tensor-source';

/**
 * safetensors: eight bytes of header length, a JSON header that gives each tensor its type, shape and byte range, then
 * the ranges without gaps (https://huggingface.co/docs/safetensors).
 */
const ELEMENT_TYPES: ReadonlyMap<unknown, ElementType> = new Map([
  ['F64', 'float64'], ['F32', 'float32'], ['F16', 'float16'], ['BF16', 'bfloat16'],
  ['I64', 'int64'], ['I32', 'int32'], ['I16', 'int16'], ['I8', 'int8'], ['U8', 'uint8'], ['BOOL', 'bool'],
]);

/** A header of this size would describe hundreds of thousands of tensors. */
const LARGEST_HEADER = 25_000_000;

interface Range {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** Opens a safetensors file. @throws WeightsError where the header does not describe the file exactly */
export function openSafetensors(file: RandomAccessFile): TensorSource {
  const invalid = (reason: string, data: Readonly<Record<string, unknown>> = {}): WeightsError =>
    new WeightsError('weights/format', `${file.path} is not a valid safetensors file: ${reason}`, { path: file.path, ...data });

  if (file.size < 8) throw invalid(`it has ${file.size} bytes, and the header length alone takes 8`);
  const headerLength = Number(Buffer.from(readBytes(file, 0, 8)).readBigUInt64LE(0));
  if (headerLength > LARGEST_HEADER) throw invalid(`its header claims ${headerLength} bytes; at most ${LARGEST_HEADER} are read`);
  if (headerLength > file.size - 8) {
    throw invalid(`its header claims ${headerLength} bytes, but only ${file.size - 8} follow; the file is truncated`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(readBytes(file, 8, headerLength)));
  } catch {
    throw invalid('its header is not JSON');
  }
  if (!isRecord(header)) throw invalid('its header is not a JSON object');

  const dataStart = 8 + headerLength;
  const dataLength = file.size - dataStart;
  const tensors = new Map<string, LocatedTensor>();
  const ranges: Range[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (!isRecord(entry)) throw invalid(`tensor ${name} is not described by an object`, { tensor: name });
    const dtype = ELEMENT_TYPES.get(entry['dtype']);
    if (!dtype) {
      throw invalid(`tensor ${name} has the type ${JSON.stringify(entry['dtype'])}; read are ${[...ELEMENT_TYPES.keys()].join(', ')}`, { tensor: name });
    }
    const shape = entry['shape'];
    if (!Array.isArray(shape) || !isShape(shape)) throw invalid(`tensor ${name} has a shape that cannot be`, { tensor: name, shape });
    const offsets = entry['data_offsets'];
    const [begin, end] = (Array.isArray(offsets) && offsets.length === 2 ? offsets : []) as readonly unknown[];
    if (!isOffset(begin) || !isOffset(end)) throw invalid(`tensor ${name} has byte offsets that cannot be`, { tensor: name });
    const needed = elementCount(shape) * BYTES_PER_ELEMENT[dtype];
    if (end - begin !== needed) {
      throw invalid(`tensor ${name} of shape [${shape.join(', ')}] and type ${dtype} takes ${needed} bytes, but ${end - begin} are given`, { tensor: name });
    }
    if (end > dataLength) {
      throw invalid(`tensor ${name} ends at byte ${end}, but only ${dataLength} bytes of data are there; the file is truncated`, { tensor: name });
    }
    ranges.push({ name, begin, end });
    tensors.set(name, { name, dtype, shape, storage: subsection(file, dataStart + begin, end - begin), offset: 0, strides: rowMajorStrides(shape) });
  }
  refuseOverlapsAndHoles(ranges, dataLength, invalid);
  return new LocatedTensorSource(file.path, 'safetensors', tensors, metadataOf(header, invalid), () => file.close());
}

function refuseOverlapsAndHoles(ranges: Range[], dataLength: number, invalid: (reason: string) => WeightsError): void {
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const { name, begin, end } of ranges) {
    if (begin < reached) throw invalid(`tensor ${name} overlaps another one at byte ${begin}`);
    if (begin > reached) throw invalid(`${begin - reached} bytes before tensor ${name} belong to no tensor`);
    reached = end;
  }
  if (reached !== dataLength) throw invalid(`${dataLength - reached} bytes at the end belong to no tensor`);
}

function metadataOf(header: Readonly<Record<string, unknown>>, invalid: (reason: string) => WeightsError): Record<string, string> {
  const found = header['__metadata__'] ?? {};
  if (!isRecord(found)) throw invalid('its metadata is not an object of strings');
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(found)) {
    if (typeof value !== 'string') throw invalid(`its metadata entry ${key} is not a string`);
    metadata[key] = value;
  }
  return metadata;
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A tensor to be written: float values are stored as `dtype` says, integers as int32. */
export type TensorToWrite =
  | { readonly dtype: 'float32' | 'float16' | 'bfloat16'; readonly shape: readonly number[]; readonly data: Lazy<Float32Array> }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Lazy<Int32Array> };

/** Values, or how to get them when their turn comes, so that a large file is converted tensor by tensor. */
export type Lazy<T> = T | (() => T);

const TYPE_NAMES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16', int32: 'I32' } as const;

/**
 * Writes a safetensors file. It appears at `target` complete or not at all: it is written beside, flushed, and renamed.
 * @param metadata strings kept in the header, such as model options and how the weights were made
 * @throws WeightsError where a tensor's data does not fill its shape, or the file cannot be written
 */
export function writeSafetensors(
  target: string,
  tensors: Readonly<Record<string, TensorToWrite>>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  // Wide types first keeps every tensor aligned to its own width, as the format's own library does.
  const ordered = Object.entries(tensors).sort(
    ([nameA, a], [nameB, b]) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype] || (nameA < nameB ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let end = 0;
  for (const [name, { dtype, shape }] of ordered) {
    const begin = end;
    end += elementCount(shape) * BYTES_PER_ELEMENT[dtype];
    header[name] = { dtype: TYPE_NAMES[dtype], shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + length, ' ');
  head.writeBigUInt64LE(BigInt(length), 0);
  json.copy(head, 8);

  writeWeightsFile(target, (write) => {
    write(head);
    for (const [name, tensor] of ordered) write(encode(name, tensor));
  });
}

function encode(name: string, tensor: TensorToWrite): Uint8Array {
  const values = typeof tensor.data === 'function' ? tensor.data() : tensor.data;
  const wanted = elementCount(tensor.shape);
  if (values.length !== wanted) {
    throw new WeightsError('weights/shape', `${name}: ${values.length} values given for shape [${tensor.shape.join(', ')}], which holds ${wanted}`, { tensor: name });
  }
  const stored =
    tensor.dtype === 'float16' ? narrowToHalf(values as Float32Array)
    : tensor.dtype === 'bfloat16' ? narrowToBrainFloat(values as Float32Array)
    : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

/**
 * Writes a file of weights whole or not at all, see `writeFileAtomicallySync`.
 * @throws WeightsError `weights/not-written`
 */
export function writeWeightsFile(target: string, body: (append: Append) => void): void {
  try {
    writeFileAtomicallySync(target, body);
  } catch (cause) {
    if (cause instanceof WeightsError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WeightsError('weights/not-written', `cannot write ${target}: ${reason}`, { path: target }, { cause });
  }
}

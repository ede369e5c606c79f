import { writeFileAtomicallySync, type Append } from '../files/atomic-file';
import { WeightsError } from '../errors';
import { RandomAccessFile, readBytes, subsection } from '../files/byte-section';
import { BYTES_PER_ELEMENT, elementCount, isShape } from './elements';
import { narrowToBrainFloat, narrowToHalf, overflowOf } from '../files/half';
import { LARGEST_JSON, parseJson } from './json-file';
import { LocatedTensorSource, type LocatedTensor, rowMajorStrides } from './located-tensors';
import { shownName } from '../files/shown-name';
import type { ElementType, LeftOut, TensorSource } from './tensor-source';

/**
 * safetensors: eight bytes of header length, a JSON header that gives each tensor its type, shape and byte range, then
 * the ranges without gaps (https://huggingface.co/docs/safetensors).
 */
const ELEMENT_TYPES: ReadonlyMap<unknown, ElementType> = new Map([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** Enough for a message to tell types by. */
const LONGEST_TYPE = 40;

interface Range {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** Opens a safetensors file. @throws WeightsError where the header does not describe the file exactly */
export function openSafetensors(file: RandomAccessFile): TensorSource {
  const invalid = (reason: string, data: Readonly<Record<string, unknown>> = {}): WeightsError =>
    new WeightsError('weights/format', `${file.path} is not a valid safetensors file: ${reason}`, {
      path: file.path,
      ...data,
    });

  if (file.size < 8) throw invalid(`it has ${file.size} bytes, and the header length alone takes 8`);
  const headerLength = Number(Buffer.from(readBytes(file, 0, 8)).readBigUInt64LE(0));
  if (headerLength > LARGEST_JSON)
    throw invalid(`its header claims ${headerLength} bytes; at most ${LARGEST_JSON} are read`);
  if (headerLength > file.size - 8) {
    throw invalid(`its header claims ${headerLength} bytes, but only ${file.size - 8} follow; the file is truncated`);
  }
  const header = parseJson(readBytes(file, 8, headerLength), (reason) => invalid(`its header ${reason}`));
  if (!isRecord(header)) throw invalid('its header is not a JSON object');

  const dataStart = 8 + headerLength;
  const dataLength = file.size - dataStart;
  const tensors = new Map<string, LocatedTensor>();
  const leftOut = new Map<string, LeftOut>();
  const ranges: Range[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const wrong = (reason: string, data: Readonly<Record<string, unknown>> = {}): WeightsError =>
      invalid(`tensor ${shownName(name)} ${reason}`, { tensor: name, ...data });
    if (!isRecord(entry)) throw wrong('is not described by an object');
    const type = entry['dtype'];
    if (typeof type !== 'string')
      throw wrong(
        `has the type ${shownName(JSON.stringify(type) ?? 'undefined')}; supported are ${[...ELEMENT_TYPES.keys()].join(', ')}`,
      );
    const shape = entry['shape'];
    if (!Array.isArray(shape) || !isShape(shape)) throw wrong('has an impossible shape', { shape });
    const offsets = entry['data_offsets'];
    const [begin, end] = (Array.isArray(offsets) && offsets.length === 2 ? offsets : []) as readonly unknown[];
    if (!isOffset(begin) || !isOffset(end)) throw wrong('has impossible byte offsets');
    const dtype = ELEMENT_TYPES.get(type);
    const needed = dtype === undefined ? end - begin : elementCount(shape) * BYTES_PER_ELEMENT[dtype];
    if (end - begin !== needed || needed < 0)
      throw wrong(
        `of shape [${shape.join(', ')}] and type ${dtype ?? shownName(type)} takes ${needed} bytes, but ${end - begin} are given`,
      );
    if (end > dataLength)
      throw wrong(`ends at byte ${end}, but only ${dataLength} bytes of data are there; the file is truncated`);
    ranges.push({ name: shownName(name), begin, end });
    if (dtype === undefined) {
      leftOut.set(name, {
        name,
        kind: `tensor of type ${JSON.stringify(type.slice(0, LONGEST_TYPE))}`,
        isTensor: true,
      });
      continue;
    }
    tensors.set(name, {
      name,
      dtype,
      shape,
      storage: subsection(file, dataStart + begin, end - begin),
      offset: 0,
      strides: rowMajorStrides(shape),
    });
  }
  refuseOverlapsAndHoles(ranges, dataLength, invalid);
  return new LocatedTensorSource(
    file.path,
    'safetensors',
    tensors,
    metadataOf(header, invalid),
    () => file.close(),
    leftOut,
  );
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

function metadataOf(
  header: Readonly<Record<string, unknown>>,
  invalid: (reason: string) => WeightsError,
): Record<string, string> {
  const found = header['__metadata__'] ?? {};
  if (!isRecord(found)) throw invalid('its metadata is not an object of strings');
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(found)) {
    if (typeof value !== 'string') throw invalid(`its metadata entry ${shownName(key)} is not a string`);
    metadata[key] = value;
  }
  return metadata;
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A tensor to be written: float values are stored as `dtype` says, integers as int32. */
export type TensorToWrite =
  | {
      readonly dtype: 'float32' | 'float16' | 'bfloat16';
      readonly shape: readonly number[];
      readonly data: Lazy<Float32Array>;
    }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Lazy<Int32Array> };

/** Values, or how to get them when their turn comes, so that a large file is converted tensor by tensor. */
export type Lazy<T> = T | (() => T);

/** Where the format keeps texts, among the names of the tensors. */
const METADATA = '__metadata__';

const TYPE_NAMES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16', int32: 'I32' } as const;

/**
 * Writes a safetensors file. It appears at `target` complete or not at all: it is written beside, flushed, and renamed.
 * @param metadata strings kept in the header, such as model options and how the weights were made
 * @throws WeightsError where a tensor's data does not fill its shape, a finite value would become infinite in the type that
 *   it is stored in, a name is the format's own, or the file cannot be written
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
  // Without a prototype, so that any name is only a name.
  const header = Object.create(null) as Record<string, unknown>;
  if (Object.hasOwn(tensors, METADATA))
    throw new WeightsError(
      'weights/name',
      `a tensor named ${METADATA} cannot be stored: safetensors keeps its metadata there`,
      { tensor: METADATA },
    );
  if (Object.keys(metadata).length > 0) header[METADATA] = metadata;
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
    throw new WeightsError(
      'weights/shape',
      `${shownName(name)}: ${values.length} values given for shape [${tensor.shape.join(', ')}], which holds ${wanted}`,
      { tensor: name },
    );
  }
  if (tensor.dtype === 'float16' || tensor.dtype === 'bfloat16') {
    const overflow = overflowOf(values as Float32Array, tensor.dtype);
    if (overflow) {
      throw new WeightsError(
        'weights/range',
        `${shownName(name)}: the value ${overflow.value} at element ${overflow.index} is outside the range of ${tensor.dtype} (largest ${overflow.largest}) and would become infinite; ` +
          `store it as float32${tensor.dtype === 'float16' ? ' or bfloat16' : ''}`,
        { tensor: name, element: overflow.index, value: overflow.value, dtype: tensor.dtype },
      );
    }
  }
  const stored =
    tensor.dtype === 'float16'
      ? narrowToHalf(values as Float32Array)
      : tensor.dtype === 'bfloat16'
        ? narrowToBrainFloat(values as Float32Array)
        : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

/**
 * Writes a file of weights completely or not at all, see `writeFileAtomicallySync`.
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

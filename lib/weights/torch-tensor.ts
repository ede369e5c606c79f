import { WeightsError } from '../errors';
import type { ByteSection } from '../files/byte-section';
import { BYTES_PER_ELEMENT, elementCount, isInteger, isShape } from './elements';
import { type LocatedTensor, reach } from './located-tensors';
import { PickleDict, PickleForeign, PickleGlobal, PickleOpaque, type PickleValue } from './pickle-values';
import { shownName } from '../files/shown-name';
import type { ElementType } from './tensor-source';

/** Source of names and arguments: torch/storage.py, torch/_utils.py, torch/serialization.py. */
const STORAGE_TYPES: ReadonlyMap<string, ElementType> = new Map([
  ['DoubleStorage', 'float64'],
  ['FloatStorage', 'float32'],
  ['HalfStorage', 'float16'],
  ['BFloat16Storage', 'bfloat16'],
  ['LongStorage', 'int64'],
  ['IntStorage', 'int32'],
  ['ShortStorage', 'int16'],
  ['CharStorage', 'int8'],
  ['ByteStorage', 'uint8'],
  ['BoolStorage', 'bool'],
]);

/** Storages whose tensors are not read: what they hold, and bytes per element, since before PyTorch 1.6 others follow them. */
const OTHER_STORAGES: ReadonlyMap<string, { readonly dtype: string; readonly width: number }> = new Map([
  ['ComplexDoubleStorage', { dtype: 'complex128', width: 16 }],
  ['ComplexFloatStorage', { dtype: 'complex64', width: 8 }],
  ['QInt32Storage', { dtype: 'qint32', width: 4 }],
  ['QInt8Storage', { dtype: 'qint8', width: 1 }],
  ['QUInt8Storage', { dtype: 'quint8', width: 1 }],
  ['QUInt4x2Storage', { dtype: 'quint4x2', width: 1 }],
  ['QUInt2x4Storage', { dtype: 'quint2x4', width: 1 }],
  ['UntypedStorage', { dtype: 'untyped', width: 1 }],
]);

/** PyTorch's dtypes by name, the unsigned ones included that have no storage type of their own. */
const DTYPES: ReadonlyMap<string, ElementType> = new Map(
  [...STORAGE_TYPES.values(), 'uint16' as const, 'uint32' as const, 'uint64' as const].map(
    (dtype) => [`torch.${dtype}`, dtype] as const,
  ),
);

/** A storage by its key in the archive, with how many elements the pickle says that it has. */
export class TorchStorage extends PickleForeign {
  /** Undefined where tensors over it are not read, or their type stands with them. */
  readonly dtype: ElementType | undefined;
  /** How many bytes it takes; undefined for an unknown type. */
  readonly bytes: number | undefined;

  constructor(
    readonly key: string,
    readonly type: string,
    readonly count: number,
  ) {
    super();
    this.dtype = STORAGE_TYPES.get(type);
    const width = this.dtype === undefined ? OTHER_STORAGES.get(type)?.width : BYTES_PER_ELEMENT[this.dtype];
    this.bytes = width === undefined ? undefined : count * width;
  }
}

/** A tensor before its name and its bytes are known: a view over a storage, checked to lie inside it. */
export class TorchTensor extends PickleForeign {
  constructor(
    readonly storage: TorchStorage,
    readonly dtype: ElementType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    /** Whether its values are those stored with the other sign. */
    readonly negated: boolean,
  ) {
    super();
  }

  /** Binds the tensor to a name and to the bytes of its storage. @throws WeightsError where these are too few */
  locate(name: string, bytes: ByteSection | undefined): LocatedTensor {
    const { key, count, type, bytes: needed } = this.storage;
    if (!bytes || bytes.size !== needed) {
      throw new WeightsError(
        'weights/truncated',
        `${shownName(name)}: its storage ${shownName(key)} holds ${bytes ? `${bytes.size} bytes` : 'nothing'}, but ${count} values of ${this.storage.dtype ?? type} take ${needed}`,
        { tensor: name, storage: key, found: bytes?.size, expected: needed },
      );
    }
    const { dtype, shape, strides, offset, negated } = this;
    return { name, dtype, shape, strides, offset, storage: bytes, ...(negated && { negated }) };
  }
}

export function invalid(reason: string): WeightsError {
  return new WeightsError('weights/format', `the checkpoint contains an impossible tensor: ${reason}`);
}

/** What stands for a tensor that is known and not read. */
export const unreadTensor = (kind: string): PickleOpaque => new PickleOpaque(kind, true);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata)`, of which the first version has four. */
export function rebuildTensor(args: readonly PickleValue[]): PickleValue {
  return rebuild(args, undefined, args[6]);
}

/** `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata)`: a type over plain bytes. */
export function rebuildTypedTensor(args: readonly PickleValue[]): PickleValue {
  const type = args[6];
  if (!(type instanceof PickleGlobal)) throw invalid('it has no type');
  return rebuild(args, type.name, args[7]);
}

/** `_rebuild_from_type_v2(function, type, args, state)`: a tensor with attributes of its own, or of a class of its own. */
export function rebuildSubclass(args: readonly PickleValue[]): PickleValue {
  const [rebuilt, type, inner] = args;
  if (!(rebuilt instanceof PickleGlobal) || !rebuilt.call || !(type instanceof PickleGlobal) || !Array.isArray(inner))
    throw invalid('it is made of nothing');
  if (!PLAIN_CLASSES.has(type.name)) return unreadTensor(`${shownName(type.name)}, a tensor of a class of its own`);
  return rebuilt.call(inner as readonly PickleValue[]);
}

const PLAIN_CLASSES = new Set([
  'torch.Tensor',
  'torch._tensor.Tensor',
  'torch.nn.parameter.Parameter',
  'torch.nn.parameter.Buffer',
]);

function rebuild(
  args: readonly PickleValue[],
  type: string | undefined,
  metadata: PickleValue | undefined,
): PickleValue {
  const [storage, offset, shape, strides] = args;
  if (storage instanceof PickleOpaque) return unreadTensor(`tensor over ${storage.what}`);
  if (!(storage instanceof TorchStorage)) throw invalid('it has no storage');
  const dtype = type === undefined ? storage.dtype : DTYPES.get(type);
  if (dtype === undefined)
    return unreadTensor(
      `${shownName(type?.replace(/^torch\./, '') ?? OTHER_STORAGES.get(storage.type)?.dtype ?? storage.type)} tensor`,
    );
  if (!isCount(offset)) throw invalid(`its offset is ${describe(offset)}`);
  if (!Array.isArray(shape) || !isShape(shape)) throw invalid(`its shape is ${describe(shape)}`);
  if (!Array.isArray(strides) || strides.length !== shape.length || !strides.every(isCount)) {
    throw invalid(`its strides are ${describe(strides)} for shape ${describe(shape)}`);
  }
  const last = offset + reach(shape, strides);
  const stored = Math.floor((storage.bytes ?? 0) / BYTES_PER_ELEMENT[dtype]);
  if (elementCount(shape) > 0 && !(last < stored)) {
    throw invalid(
      `shape ${describe(shape)} with strides ${describe(strides)} from ${offset} reaches value ${last} of a storage of ${stored}`,
    );
  }
  const bits =
    metadata instanceof PickleDict
      ? [...metadata].flatMap(([bit, isSet]) => (isSet === false ? [] : [describe(bit)]))
      : [];
  const negated = bits.length === 1 && bits[0] === 'neg' && !isInteger(dtype);
  if (bits.length > 0 && !negated) return unreadTensor(`${dtype} tensor with the ${bits.join(' and ')} bit set`);
  return new TorchTensor(storage, dtype, offset, shape, strides, negated);
}

function describe(value: PickleValue | undefined): string {
  if (Array.isArray(value))
    return `[${value
      .slice(0, 32)
      .map((item: unknown) => (typeof item === 'object' ? '?' : shownName(String(item))))
      .join(', ')}]`;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
    ? shownName(String(value))
    : typeof value;
}

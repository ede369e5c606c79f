import { WeightsError } from '../errors';
import type { ByteSection } from './byte-section';
import { BYTES_PER_ELEMENT, elementCount, isShape } from './elements';
import { type LocatedTensor, reach } from './located-tensors';
import { PickleDict, PickleForeign, PickleGlobal, PickleInstance, type PickleValue, type PickleWorld } from './pickle';
import type { ElementType } from './tensor-source';

/**
 * What the pickles inside PyTorch checkpoints may name: tensors, their storages, and the containers around them.
 * Source: torch/_utils.py, torch/serialization.py.
 */
const STORAGE_TYPES: Readonly<Record<string, ElementType>> = {
  DoubleStorage: 'float64', FloatStorage: 'float32', HalfStorage: 'float16', BFloat16Storage: 'bfloat16',
  LongStorage: 'int64', IntStorage: 'int32', ShortStorage: 'int16', CharStorage: 'int8', ByteStorage: 'uint8', BoolStorage: 'bool',
};

/** A storage by its key in the archive, with how many elements the pickle says that it has. */
export class TorchStorage extends PickleForeign {
  constructor(readonly key: string, readonly dtype: ElementType, readonly count: number) {
    super();
  }
}

/** A tensor before its name and its bytes are known: a view over a storage, checked to lie inside it. */
export class TorchTensor extends PickleForeign {
  constructor(
    readonly storage: TorchStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }

  /** Binds the tensor to a name and to the bytes of its storage. @throws WeightsError where these are too few */
  locate(name: string, bytes: ByteSection | undefined): LocatedTensor {
    const { key, dtype, count } = this.storage;
    const needed = count * BYTES_PER_ELEMENT[dtype];
    if (!bytes || bytes.size !== needed) {
      throw new WeightsError(
        'weights/truncated',
        `${name}: its storage ${key} holds ${bytes ? `${bytes.size} bytes` : 'nothing'}, but ${count} values of ${dtype} take ${needed}`,
        { tensor: name, storage: key, found: bytes?.size, expected: needed },
      );
    }
    return { name, dtype, shape: this.shape, strides: this.strides, offset: this.offset, storage: bytes };
  }
}

function invalid(reason: string): WeightsError {
  return new WeightsError('weights/format', `the checkpoint holds a tensor that cannot be: ${reason}`);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** `_rebuild_tensor_v2(storage, offset, size, stride, …)`; what follows concerns gradients only. */
function rebuildTensor(args: readonly PickleValue[]): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof TorchStorage)) throw invalid('it has no storage');
  if (!isCount(offset)) throw invalid(`its offset is ${String(offset)}`);
  if (!Array.isArray(shape) || !isShape(shape)) throw invalid(`its shape is ${describe(shape)}`);
  if (!Array.isArray(strides) || strides.length !== shape.length || !strides.every(isCount)) {
    throw invalid(`its strides are ${describe(strides)} for shape ${describe(shape)}`);
  }
  const last = offset + reach(shape, strides);
  if (elementCount(shape) > 0 && !(last < storage.count)) {
    throw invalid(`shape ${describe(shape)} with strides ${describe(strides)} from ${offset} reaches value ${last} of a storage of ${storage.count}`);
  }
  return new TorchTensor(storage, offset, shape, strides);
}

const describe = (value: PickleValue | undefined): string =>
  Array.isArray(value) ? `[${value.slice(0, 32).map((item) => (typeof item === 'object' ? '?' : String(item))).join(', ')}]` : typeof value;

function orderedDict(args: readonly PickleValue[]): PickleDict {
  const pairs = args[0] ?? [];
  if (!Array.isArray(pairs)) throw invalid('an OrderedDict from something that is not a list');
  const dict = new PickleDict();
  for (const pair of pairs as readonly PickleValue[]) {
    const [key, value] = Array.isArray(pair) ? (pair as readonly PickleValue[]) : [];
    if (typeof key !== 'string' || value === undefined) throw invalid('an OrderedDict with an entry that is not a pair');
    dict.set(key, value);
  }
  return dict;
}

const first = (args: readonly PickleValue[]): PickleValue => args[0] ?? null;

const CALLS: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': orderedDict,
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': first,
  'torch._utils._rebuild_parameter_with_state': first,
  'torch.Size': first,
  'torch.device': (args) => args.filter((arg) => arg !== null).join(':'),
  'torch.jit._pickle.build_intlist': first,
  'torch.jit._pickle.build_doublelist': first,
  'torch.jit._pickle.build_boollist': first,
  'torch.jit._pickle.build_tensorlist': first,
  'torch.jit._pickle.restore_type_tag': first,
  // Learning rates and the like in training checkpoints: said to be numbers, and not looked at.
  'numpy.core.multiarray.scalar': () => null,
  'numpy._core.multiarray.scalar': () => null,
  'numpy.dtype': () => new PickleDict(),
  '_codecs.encode': () => null,
};

const GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map([
  // The options that a program was started with, as attributes.
  ['argparse.Namespace', new PickleGlobal('argparse.Namespace', undefined, true)] as const,
  ...Object.entries(CALLS).map(([name, call]) => [name, new PickleGlobal(name, call)] as const),
  ...Object.keys(STORAGE_TYPES).flatMap((type) =>
    [`torch.${type}`, `torch.cuda.${type}`].map((name) => [name, new PickleGlobal(name)] as const),
  ),
  ...['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'].map(
    (type) => [`torch.${type}`, new PickleGlobal(`torch.${type}`)] as const,
  ),
]);

/** `('storage', type, key, device, count, …)`: where the tensor lived does not matter here. */
function persistentStorage(id: PickleValue): TorchStorage {
  if (!Array.isArray(id)) throw invalid('its storage has no address');
  const [kind, type, key, , count, view] = id as readonly PickleValue[];
  const dtype = type instanceof PickleGlobal ? STORAGE_TYPES[type.name.slice(type.name.lastIndexOf('.') + 1)] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isCount(count)) throw invalid('its storage has an address of an unknown kind');
  if (Array.isArray(view)) throw invalid('its storage is itself a view; save it again with a current PyTorch');
  return new TorchStorage(key, dtype, count);
}

/** The allowed globals. TorchScript's own classes are let in as bags of attributes; their code is never looked at. */
export function torchWorld(options: { readonly scriptClasses: boolean }): PickleWorld {
  return {
    global: (name) => {
      if (options.scriptClasses && name.startsWith('__torch__.')) return new PickleGlobal(name, undefined, true);
      return GLOBALS.get(name);
    },
    persistent: persistentStorage,
  };
}

/** A value of a checkpoint that is not a tensor, such as an epoch or a name. */
export type PlainValue = null | boolean | number | bigint | string | readonly PlainValue[] | { readonly [key: string]: PlainValue };

const DEEPEST = 64;
const MOST_VALUES = 1_000_000;

export interface Checkpoint {
  /** Tensors by their keys joined with dots, such as `prompt_learner.ctx_pos`. */
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Everything else, under the same kind of name for whole values that hold no tensor: `meta` or `state.step`. */
  readonly plain: ReadonlyMap<string, PlainValue>;
}

/** Flattens nested dictionaries, lists and module objects. @throws WeightsError where they nest without end */
export function flattenCheckpoint(root: PickleValue): Checkpoint {
  const tensors = new Map<string, TorchTensor>();
  const plain = new Map<string, PlainValue>();
  let visited = 0;

  /** Returns the value where it holds no tensor; else files what it holds and returns undefined. */
  const visit = (value: PickleValue, name: string, depth: number): PlainValue | undefined => {
    // Shared references can spell out exponentially many values, and cycles infinitely many.
    if (++visited > MOST_VALUES || depth > DEEPEST) {
      throw new WeightsError('weights/limit', `the checkpoint nests deeper than ${DEEPEST} levels or holds more than ${MOST_VALUES} values`);
    }
    if (value instanceof TorchTensor) {
      if (tensors.has(name)) throw invalid(`two tensors are named ${name}`);
      tensors.set(name, value);
      return undefined;
    }
    const members = membersOf(value);
    if (!members) return isPlain(value) ? value : null;
    const kept = members.map(([key, member]) => [key, visit(member, name === '' ? key : `${name}.${key}`, depth + 1)] as const);
    if (kept.every((pair): pair is readonly [string, PlainValue] => pair[1] !== undefined)) {
      return Array.isArray(value) ? kept.map(([, member]) => member) : Object.fromEntries(kept);
    }
    for (const [key, member] of kept) if (member !== undefined) plain.set(name === '' ? key : `${name}.${key}`, member);
    return undefined;
  };

  const whole = visit(root, '', 0);
  if (whole !== undefined) plain.set('', whole);
  return { tensors, plain };
}

function membersOf(value: PickleValue): (readonly [string, PickleValue])[] | undefined {
  if (Array.isArray(value)) return (value as readonly PickleValue[]).map((item, index) => [String(index), item] as const);
  const dict = value instanceof PickleInstance ? value.attributes : value;
  return dict instanceof PickleDict ? [...dict].map(([key, item]) => [String(key), item] as const) : undefined;
}

const isPlain = (value: PickleValue): value is null | boolean | number | bigint | string =>
  value === null || typeof value !== 'object';

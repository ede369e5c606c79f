import { WeightsError } from '../errors';
import { PickleDict, PickleGlobal, PickleInstance, PickleOpaque, type PickleValue } from './pickle-values';
import { shownName } from '../files/shown-name';
import type { LeftOut } from './tensor-source';
import { invalid, TorchStorage, TorchTensor } from './torch-tensor';

const DEEPEST = 64;
/** Containers, tensors and whatever else is not plain, each as often as it is referred to. */
const MOST_ENTRIES = 100_000;
/** Characters of all names together: a long key is part of the name of all that is below it. */
const MOST_CHARACTERS = 16_000_000;

export interface Checkpoint {
  /** Tensors by their keys joined with dots, such as `prompt_learner.ctx_pos`. */
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Whole values that hold neither tensors nor what is left out, under the same kind of name: `meta` or `state.step`. */
  readonly plain: ReadonlyMap<string, PickleValue>;
  /** What is neither, such as objects of other programs and tensors that are not read. */
  readonly leftOut: ReadonlyMap<string, LeftOut>;
}

/** Flattens nested dictionaries, lists and module objects. @throws WeightsError where they nest without end */
export function flattenCheckpoint(root: PickleValue): Checkpoint {
  return new Flattener().flatten(root);
}

class Flattener {
  private readonly tensors = new Map<string, TorchTensor>();
  private readonly plain = new Map<string, PickleValue>();
  private readonly leftOut = new Map<string, LeftOut>();
  /** Containers that were found to hold plain values only; each is inspected once, however often it is referred to. */
  private readonly plainContainers = new Set<PickleValue>();
  private visited = 0;
  private characters = 0;

  flatten(root: PickleValue): Checkpoint {
    this.visit(root, '', 0);
    if (this.isPlain(root)) this.plain.set('', root);
    return { tensors: this.tensors, plain: this.plain, leftOut: this.leftOut };
  }

  /** Sorts in what a value holds, unless it is plain throughout. */
  private visit(value: PickleValue, name: string, depth: number): void {
    if (this.isPlain(value)) return;
    this.count(depth);
    if (value instanceof TorchTensor) {
      if (this.tensors.has(this.named(name))) throw invalid(`two tensors are named ${shownName(name)}`);
      this.tensors.set(name, value);
      return;
    }
    if (!isContainer(value)) {
      this.leftOut.set(this.named(name), leftOutOf(value, name));
      return;
    }
    let plain = true;
    for (const [key, member] of membersOf(value)) {
      if (this.isPlain(member)) continue;
      this.visit(member, below(name, key), depth + 1);
      plain &&= this.isPlain(member);
    }
    if (plain) this.plainContainers.add(value);
    else for (const [key, member] of membersOf(value)) this.keep(member, below(name, key), depth);
  }

  /** Sorts in a plain value that has no plain container around it. */
  private keep(value: PickleValue, name: string, depth: number): void {
    if (!this.isPlain(value)) return;
    this.count(depth);
    this.plain.set(this.named(name), value);
  }

  private isPlain(value: PickleValue): boolean {
    return (
      value === null || typeof value !== 'object' || value instanceof PickleGlobal || this.plainContainers.has(value)
    );
  }

  /** Shared references can spell out exponentially many entries, and cycles infinitely many. */
  private count(depth: number): void {
    if (++this.visited <= MOST_ENTRIES && depth <= DEEPEST) return;
    throw new WeightsError(
      'weights/limit',
      `the checkpoint nests deeper than ${DEEPEST} levels or holds more than ${MOST_ENTRIES} entries; save the state dict alone`,
    );
  }

  private named(name: string): string {
    this.characters += name.length;
    if (this.characters <= MOST_CHARACTERS) return name;
    throw new WeightsError(
      'weights/limit',
      `the names of the checkpoint's entries have more than ${MOST_CHARACTERS} characters together; ${shownName(name)} is one of them`,
    );
  }
}

const below = (name: string, key: string): string => (name === '' ? key : `${name}.${key}`);

type Container = readonly PickleValue[] | PickleDict | PickleInstance;

const isContainer = (value: PickleValue): value is Container =>
  Array.isArray(value) || value instanceof PickleDict || value instanceof PickleInstance;

function* membersOf(value: Container): Generator<readonly [string, PickleValue]> {
  let index = 0;
  if (value instanceof PickleDict || value instanceof PickleInstance) {
    for (const [key, member] of value instanceof PickleDict ? value : value.attributes)
      yield [keyOf(key, index++), member];
  } else {
    for (const member of value) yield [String(index++), member];
  }
}

/** Keys that are neither texts nor numbers, such as tuples, are only told apart. */
function keyOf(key: PickleValue, index: number): string {
  if (key instanceof Uint8Array) return Buffer.from(key).toString('latin1');
  return typeof key === 'object' && key !== null ? `(${index})` : String(key);
}

function leftOutOf(value: PickleValue, name: string): LeftOut {
  const kind =
    value instanceof PickleOpaque ? value.what : value instanceof TorchStorage ? 'storage without a tensor' : 'bytes';
  return { name, kind, isTensor: value instanceof PickleOpaque && value.isTensor };
}

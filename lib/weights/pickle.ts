import type { WeightsErrorCode } from '../error-codes';
import { WeightsError } from '../errors';
import { PickleBudget } from './pickle-budget';
import { PickleDict, PickleGlobal, PickleInstance, PickleOpaque, type PickleValue } from './pickle-values';
import { shownName } from '../files/shown-name';

/**
 * A reader of Python pickles that runs nothing. It keeps the stack and the memo of Python's own machine, but knows only
 * the opcodes that build plain values, and hands every global, call and persistent id to a caller that decides by name.
 * Source: Python's Lib/pickletools.py, protocols 2 to 5.
 */
export interface PickleWorld {
  /** The meaning of a global, or undefined to refuse it. */
  readonly global: (name: string) => PickleGlobal | undefined;
  readonly persistent: (id: PickleValue) => PickleValue;
}

const MOST_STEPS = 20_000_000;
const LARGEST_STACK = 1_000_000;
/** How many keys of nested dictionaries a message gives. */
const DEEPEST_SHOWN = 8;
/** More than any computation counts to; as long as those that torch.save's own loader takes. */
const LONGEST_INTEGER = 255;

/**
 * Reads one pickle from `bytes`.
 * @param start where it begins
 * @param budget what its values may take; pickles of one file share one
 * @returns its value and where it ended
 * @throws WeightsError naming the faulty entry, where that is known
 */
export function readPickle(
  bytes: Uint8Array,
  world: PickleWorld,
  start = 0,
  budget = new PickleBudget(),
): { value: PickleValue; end: number } {
  return new PickleReader(bytes, world, start, budget).run();
}

class PickleReader {
  private readonly view: DataView;
  private stack: PickleValue[] = [];
  /** Stacks that were set aside by MARK. */
  private readonly marks: PickleValue[][] = [];
  private readonly memo = new Map<number, PickleValue>();
  /** How many values are on the stacks set aside. */
  private parked = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly world: PickleWorld,
    private at: number,
    private readonly budget: PickleBudget,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): { value: PickleValue; end: number } {
    for (let step = 0; step < MOST_STEPS; step++) {
      const opcode = this.view.getUint8(this.advance(1));
      if (opcode === 0x2e) {
        const value = this.pop();
        if (this.stack.length > 0 || this.marks.length > 0) throw this.invalid('it ends with values left over');
        return { value, end: this.at };
      }
      this.executeAt(opcode);
      if (this.stack.length + this.parked + this.marks.length > LARGEST_STACK)
        throw this.invalid('its stack grows without end', 'weights/limit');
    }
    throw this.invalid(`it takes more than ${MOST_STEPS} steps`, 'weights/limit');
  }

  private executeAt(opcode: number): void {
    try {
      this.execute(opcode);
    } catch (error) {
      const entry = error instanceof WeightsError && error.data['entry'] === undefined ? this.entry() : '';
      if (!(error instanceof WeightsError) || entry === '') throw error;
      throw new WeightsError(
        error.code,
        `${shownName(entry)}: ${error.message}`,
        { ...error.data, entry },
        { cause: error },
      );
    }
  }

  private execute(opcode: number): void {
    switch (opcode) {
      case 0x80: {
        // PROTO
        const protocol = this.unsigned(1);
        if (protocol < 2 || protocol > 5) throw this.invalid(`protocol ${protocol}; 2 to 5 are read`);
        return;
      }
      case 0x95: // FRAME
        this.length(8);
        return;
      case 0x28: // MARK
        this.budget.list(0);
        this.marks.push(this.stack);
        this.parked += this.stack.length;
        this.stack = [];
        return;
      case 0x30: // POP
        if (this.stack.length > 0) this.stack.pop();
        else this.popMark();
        return;
      case 0x31:
        this.popMark();
        return; // POP_MARK
      case 0x32:
        this.push(this.top());
        return; // DUP

      case 0x4e:
        this.push(null);
        return; // NONE
      case 0x88:
        this.push(true);
        return; // NEWTRUE
      case 0x89:
        this.push(false);
        return; // NEWFALSE
      case 0x4a:
        this.push(this.view.getInt32(this.advance(4), true));
        return; // BININT
      case 0x4b:
        this.push(this.unsigned(1));
        return; // BININT1
      case 0x4d:
        this.push(this.unsigned(2));
        return; // BININT2
      case 0x8a:
        this.push(this.long(this.unsigned(1)));
        return; // LONG1
      case 0x8b:
        this.push(this.long(this.length(4)));
        return; // LONG4
      case 0x47:
        this.push(this.double());
        return; // BINFLOAT

      case 0x58:
        this.push(this.text(this.length(4)));
        return; // BINUNICODE
      case 0x8c:
        this.push(this.text(this.unsigned(1)));
        return; // SHORT_BINUNICODE
      case 0x8d:
        this.push(this.text(this.length(8)));
        return; // BINUNICODE8
      case 0x54:
        this.push(this.text(this.length(4)));
        return; // BINSTRING
      case 0x55:
        this.push(this.text(this.unsigned(1)));
        return; // SHORT_BINSTRING
      case 0x42:
        this.push(this.raw(this.length(4)));
        return; // BINBYTES
      case 0x43:
        this.push(this.raw(this.unsigned(1)));
        return; // SHORT_BINBYTES
      case 0x8e:
        this.push(this.raw(this.length(8)));
        return; // BINBYTES8
      case 0x96:
        this.push(this.raw(this.length(8)));
        return; // BYTEARRAY8

      case 0x5d:
        this.push(this.list([]));
        return; // EMPTY_LIST
      case 0x61:
        this.append([this.pop()]);
        return; // APPEND
      case 0x65:
        this.append(this.popMark());
        return; // APPENDS
      case 0x6c:
        this.push(this.list(this.popMark()));
        return; // LIST
      case 0x29:
        this.push(this.list([]));
        return; // EMPTY_TUPLE
      case 0x74:
        this.push(this.list(this.popMark()));
        return; // TUPLE
      case 0x85:
        this.push(this.list([this.pop()]));
        return; // TUPLE1
      case 0x86:
        this.push(this.list(this.popMany(2)));
        return; // TUPLE2
      case 0x87:
        this.push(this.list(this.popMany(3)));
        return; // TUPLE3
      case 0x7d:
        this.push(this.dict());
        return; // EMPTY_DICT
      case 0x64: {
        const pairs = this.popMark();
        this.push(this.fill(this.dict(), pairs));
        return;
      } // DICT
      case 0x73: {
        const pair = this.popMany(2);
        this.fill(this.top(), pair);
        return;
      } // SETITEM
      case 0x75: {
        const pairs = this.popMark();
        this.fill(this.top(), pairs);
        return;
      } // SETITEMS
      // No tensor is in a set, since tensors are compared by identity.
      case 0x8f:
        this.push(this.opaque('set'));
        return; // EMPTY_SET
      case 0x90: {
        const items = this.popMark();
        this.append(items);
        return;
      } // ADDITEMS
      case 0x91: {
        this.popMark();
        this.push(this.opaque('frozenset'));
        return;
      } // FROZENSET

      case 0x71:
        this.memorize(this.unsigned(1));
        return; // BINPUT
      case 0x72:
        this.memorize(this.unsigned(4));
        return; // LONG_BINPUT
      case 0x94:
        this.memorize(this.memo.size);
        return; // MEMOIZE
      case 0x68:
        this.recall(this.unsigned(1));
        return; // BINGET
      case 0x6a:
        this.recall(this.unsigned(4));
        return; // LONG_BINGET

      case 0x63:
        this.global(`${this.line()}.${this.line()}`);
        return; // GLOBAL
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw this.invalid('a global without a name');
        this.global(`${module}.${name}`);
        return;
      }
      case 0x52: {
        const [callee, args] = this.popMany(2);
        this.reduce(callee, args);
        return;
      } // REDUCE
      case 0x81: {
        const [callee, args] = this.popMany(2);
        this.construct(callee, args);
        return;
      } // NEWOBJ
      case 0x92: {
        const [callee, args] = this.popMany(3);
        this.construct(callee, args);
        return;
      } // NEWOBJ_EX
      case 0x62: {
        const state = this.pop();
        this.build(this.top(), state);
        return;
      } // BUILD
      case 0x51:
        this.push(this.persistent(this.pop()));
        return; // BINPERSID
      default:
        throw this.invalid(
          `it uses opcode 0x${opcode.toString(16).padStart(2, '0')}, which torch.save does not write with its default protocol`,
          'weights/unsafe-pickle',
        );
    }
  }

  private global(name: string): void {
    this.budget.dict();
    const found = this.world.global(name);
    if (!found) {
      throw new WeightsError(
        'weights/unsafe-pickle',
        `the checkpoint refers to ${shownName(name)}, which is refused: loading it as Python does could run code. ` +
          'Save a plain state dict (names to tensors) or convert it to safetensors',
        { global: name },
      );
    }
    this.push(found);
  }

  private reduce(callee: PickleValue | undefined, args: PickleValue | undefined): void {
    if (!(callee instanceof PickleGlobal) || !callee.call || !Array.isArray(args))
      throw this.invalid('a call of something that cannot be called');
    this.budget.dict();
    const value = callee.call(args as readonly PickleValue[]);
    if (value instanceof PickleDict) this.budget.items(value.size);
    this.push(value);
  }

  private construct(callee: PickleValue | undefined, args: PickleValue | undefined): void {
    this.budget.dict();
    if (callee instanceof PickleGlobal && callee.isClass) this.push(new PickleInstance(callee.name));
    else this.reduce(callee, args);
  }

  private build(target: PickleValue, state: PickleValue): void {
    if (target instanceof PickleInstance) {
      if (!(state instanceof PickleDict))
        throw this.invalid(`the state of ${target.className} is not a set of attributes`);
      this.budget.items(state.size);
      for (const [key, value] of state) target.attributes.set(key, value);
    } else if (!(target instanceof PickleDict || target instanceof PickleOpaque)) {
      // An OrderedDict carries attributes such as `_metadata`, which say nothing about tensors.
      throw this.invalid('a state for a value that has none');
    }
  }

  private append(values: readonly PickleValue[]): void {
    const list = this.top();
    if (list instanceof PickleOpaque) return;
    this.budget.list(values.length);
    if (!Array.isArray(list)) throw this.invalid('an append to something that is not a list');
    for (const value of values) (list as PickleValue[]).push(value);
  }

  private fill(target: PickleValue, pairs: readonly PickleValue[]): PickleValue {
    if (target instanceof PickleOpaque) return target;
    if (!(target instanceof PickleDict) || pairs.length % 2 !== 0)
      throw this.invalid('an item set on something that is not a dictionary');
    this.budget.items(pairs.length / 2);
    for (let index = 0; index < pairs.length; index += 2)
      target.set(pairs[index] as PickleValue, pairs[index + 1] as PickleValue);
    return target;
  }

  private memorize(key: number): void {
    this.budget.memo();
    this.memo.set(key, this.top());
  }

  private recall(key: number): void {
    const value = this.memo.get(key);
    if (value === undefined) throw this.invalid(`it recalls value ${key} before there is one`);
    this.push(value);
  }

  /** A method, so that the value is computed before the stack is looked up: closing a mark swaps stacks. */
  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  private list(values: PickleValue[]): PickleValue[] {
    this.budget.list(values.length);
    return values;
  }

  private dict(): PickleDict {
    this.budget.dict();
    return new PickleDict();
  }

  private opaque(what: string): PickleOpaque {
    this.budget.list(0);
    return new PickleOpaque(what);
  }

  private persistent(id: PickleValue): PickleValue {
    this.budget.dict();
    return this.world.persistent(id);
  }

  private double(): number {
    this.budget.number();
    return this.view.getFloat64(this.advance(8), false);
  }

  private top(): PickleValue {
    const value = this.stack[this.stack.length - 1];
    if (value === undefined) throw this.invalid('it takes a value from an empty stack');
    return value;
  }

  private pop(): PickleValue {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): PickleValue[] {
    if (this.stack.length < count) throw this.invalid('it takes a value from an empty stack');
    return this.stack.splice(this.stack.length - count, count);
  }

  private popMark(): PickleValue[] {
    const below = this.marks.pop();
    if (!below) throw this.invalid('it closes a mark that was not set');
    const values = this.stack;
    this.stack = below;
    this.parked -= below.length;
    return values;
  }

  private unsigned(width: 1 | 2 | 4): number {
    const at = this.advance(width);
    return width === 1
      ? this.view.getUint8(at)
      : width === 2
        ? this.view.getUint16(at, true)
        : this.view.getUint32(at, true);
  }

  private length(width: 4 | 8): number {
    return width === 4 ? this.unsigned(4) : Number(this.view.getBigUint64(this.advance(8), true));
  }

  /** A two's complement integer, as a plain number where that is exact. */
  private long(length: number): number | bigint {
    if (length > LONGEST_INTEGER) throw this.invalid(`an integer of ${length} bytes`, 'weights/limit');
    const start = this.advance(length);
    if (length === 0) return 0;
    // Beside its bytes, what is made on the way.
    this.budget.dict();
    const digits = Buffer.from(this.bytes.subarray(start, start + length))
      .reverse()
      .toString('hex');
    const value = BigInt.asIntN(8 * length, BigInt(`0x${digits}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  private text(length: number): string {
    const start = this.advance(length);
    this.budget.bytes(2 * length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString('utf8');
  }

  /** Shares the memory of the pickle. */
  private raw(length: number): Uint8Array {
    const start = this.advance(length);
    this.budget.dict();
    return this.bytes.subarray(start, start + length);
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0 || end - this.at > 1000) throw this.invalid('a name without an end');
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  private advance(length: number): number {
    const start = this.at;
    if (!(start + length <= this.bytes.byteLength)) {
      throw this.invalid(`it breaks off at byte ${this.bytes.byteLength}`, 'weights/truncated');
    }
    this.at = start + length;
    return start;
  }

  /** The keys of the open dictionaries, joined with dots: the entry that is being read, as far as the stack tells. */
  private entry(): string {
    const levels = [...this.marks, this.stack];
    const keys = levels.flatMap((level, index) => {
      // A dictionary of a single item is filled without a mark, its key on top of it.
      const single = level.findIndex(
        (value, at) => value instanceof PickleDict && value.size === 0 && typeof level[at + 1] === 'string',
      );
      const outer = single < 0 ? level : level.slice(0, single);
      const marked = levels[index - 1]?.at(-1) instanceof PickleDict;
      // Behind the mark keys and values alternate.
      return [
        marked ? outer.findLast((value, at) => at % 2 === 0 && typeof value === 'string') : undefined,
        level[single + 1],
      ].slice(0, single < 0 ? 1 : 2);
    });
    return keys
      .filter((key) => typeof key === 'string')
      .slice(-DEEPEST_SHOWN)
      .join('.');
  }

  private invalid(reason: string, code: WeightsErrorCode = 'weights/format'): WeightsError {
    return new WeightsError(code, `the checkpoint's pickle cannot be read: ${reason} (at byte ${this.at})`, {
      at: this.at,
    });
  }
}

import { WeightsError } from '../errors';

/**
 * A reader of Python pickles that runs nothing. It keeps the stack and the memo of Python's own machine, but knows only
 * the opcodes that build plain values, and hands every global, call and persistent id to a caller that decides by name.
 * Source: Python's Lib/pickletools.py, protocols 2 to 5.
 */
export type PickleValue =
  | null | boolean | number | bigint | string | Uint8Array
  | readonly PickleValue[]
  | PickleDict
  | PickleGlobal
  | PickleInstance
  | PickleForeign;

export type PickleKey = string | number | bigint | boolean | null;
export class PickleDict extends Map<PickleKey, PickleValue> {}

/** A name that the pickle refers to, allowed by the caller. Calling it never leaves this library. */
export class PickleGlobal {
  constructor(
    readonly name: string,
    /** What `name(*args)` stands for; absent where only the name itself means something. */
    readonly call?: (args: readonly PickleValue[]) => PickleValue,
    /** True for classes whose instances are a bag of attributes, as in TorchScript archives. */
    readonly isClass = false,
  ) {}
}

/** An object of an allowed class: its attributes, none of its behaviour. */
export class PickleInstance {
  readonly attributes = new PickleDict();
  constructor(readonly className: string) {}
}

/** Base of values that a caller makes from persistent ids and calls, such as tensors. */
export abstract class PickleForeign {}

export interface PickleWorld {
  /** The meaning of a global, or undefined to refuse it. */
  readonly global: (name: string) => PickleGlobal | undefined;
  readonly persistent: (id: PickleValue) => PickleValue;
}

const MOST_STEPS = 20_000_000;
const LARGEST_STACK = 1_000_000;
const LARGEST_MEMO = 2_000_000;

/** Reads one pickle from `bytes`. @returns its value and where it ended @throws WeightsError */
export function readPickle(bytes: Uint8Array, world: PickleWorld, start = 0): { value: PickleValue; end: number } {
  return new PickleReader(bytes, world, start).run();
}

class PickleReader {
  private readonly view: DataView;
  private stack: PickleValue[] = [];
  /** Stacks that were set aside by MARK. */
  private readonly marks: PickleValue[][] = [];
  private readonly memo = new Map<number, PickleValue>();
  /** How many values stand on the stacks set aside. */
  private parked = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly world: PickleWorld,
    private at: number,
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
      this.execute(opcode);
      if (this.stack.length + this.parked + this.marks.length > LARGEST_STACK) throw this.invalid('its stack grows without end', 'weights/limit');
    }
    throw this.invalid(`it takes more than ${MOST_STEPS} steps`, 'weights/limit');
  }

  private execute(opcode: number): void {
    switch (opcode) {
      case 0x80: { // PROTO
        const protocol = this.unsigned(1);
        if (protocol < 2 || protocol > 5) throw this.invalid(`protocol ${protocol}; 2 to 5 are read`);
        return;
      }
      case 0x95: // FRAME
        this.length(8);
        return;
      case 0x28: // MARK
        this.marks.push(this.stack);
        this.parked += this.stack.length;
        this.stack = [];
        return;
      case 0x30: // POP
        if (this.stack.length > 0) this.stack.pop();
        else this.popMark();
        return;
      case 0x31: this.popMark(); return; // POP_MARK
      case 0x32: this.push(this.top()); return; // DUP

      case 0x4e: this.push(null); return; // NONE
      case 0x88: this.push(true); return; // NEWTRUE
      case 0x89: this.push(false); return; // NEWFALSE
      case 0x4a: this.push(this.view.getInt32(this.advance(4), true)); return; // BININT
      case 0x4b: this.push(this.unsigned(1)); return; // BININT1
      case 0x4d: this.push(this.unsigned(2)); return; // BININT2
      case 0x8a: this.push(this.long(this.unsigned(1))); return; // LONG1
      case 0x8b: this.push(this.long(this.length(4))); return; // LONG4
      case 0x47: this.push(this.view.getFloat64(this.advance(8), false)); return; // BINFLOAT

      case 0x58: this.push(this.text(this.length(4))); return; // BINUNICODE
      case 0x8c: this.push(this.text(this.unsigned(1))); return; // SHORT_BINUNICODE
      case 0x8d: this.push(this.text(this.length(8))); return; // BINUNICODE8
      case 0x54: this.push(this.text(this.length(4))); return; // BINSTRING
      case 0x55: this.push(this.text(this.unsigned(1))); return; // SHORT_BINSTRING
      case 0x42: this.push(this.raw(this.length(4))); return; // BINBYTES
      case 0x43: this.push(this.raw(this.unsigned(1))); return; // SHORT_BINBYTES
      case 0x8e: this.push(this.raw(this.length(8))); return; // BINBYTES8

      case 0x5d: this.push([]); return; // EMPTY_LIST
      case 0x61: this.append([this.pop()]); return; // APPEND
      case 0x65: this.append(this.popMark()); return; // APPENDS
      case 0x6c: this.push(this.popMark()); return; // LIST
      case 0x29: this.push([]); return; // EMPTY_TUPLE
      case 0x74: this.push(this.popMark()); return; // TUPLE
      case 0x85: this.push([this.pop()]); return; // TUPLE1
      case 0x86: this.push(this.popMany(2)); return; // TUPLE2
      case 0x87: this.push(this.popMany(3)); return; // TUPLE3
      case 0x7d: this.push(new PickleDict()); return; // EMPTY_DICT
      case 0x64: this.push(this.fill(new PickleDict(), this.popMark())); return; // DICT
      case 0x73: { const pair = this.popMany(2); this.fill(this.top(), pair); return; } // SETITEM
      case 0x75: { const pairs = this.popMark(); this.fill(this.top(), pairs); return; } // SETITEMS

      case 0x71: this.memorize(this.unsigned(1)); return; // BINPUT
      case 0x72: this.memorize(this.unsigned(4)); return; // LONG_BINPUT
      case 0x94: this.memorize(this.memo.size); return; // MEMOIZE
      case 0x68: this.recall(this.unsigned(1)); return; // BINGET
      case 0x6a: this.recall(this.unsigned(4)); return; // LONG_BINGET

      case 0x63: this.global(`${this.line()}.${this.line()}`); return; // GLOBAL
      case 0x93: { // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw this.invalid('a global without a name');
        this.global(`${module}.${name}`);
        return;
      }
      case 0x52: { const [callee, args] = this.popMany(2); this.reduce(callee, args); return; } // REDUCE
      case 0x81: { const [callee, args] = this.popMany(2); this.construct(callee, args); return; } // NEWOBJ
      case 0x62: { const state = this.pop(); this.build(this.top(), state); return; } // BUILD
      case 0x51: this.push(this.world.persistent(this.pop())); return; // BINPERSID
      default:
        throw this.invalid(`it uses opcode 0x${opcode.toString(16).padStart(2, '0')}, which no plain checkpoint needs`, 'weights/unsafe-pickle');
    }
  }

  private global(name: string): void {
    const found = this.world.global(name);
    if (!found) {
      throw new WeightsError(
        'weights/unsafe-pickle',
        `the checkpoint refers to ${name}, which is refused: loading it as Python does could run code. ` +
          'Save a plain state dict (names to tensors) or convert it to safetensors',
        { global: name },
      );
    }
    this.push(found);
  }

  private reduce(callee: PickleValue | undefined, args: PickleValue | undefined): void {
    if (!(callee instanceof PickleGlobal) || !callee.call || !Array.isArray(args)) throw this.invalid('a call of something that cannot be called');
    this.push(callee.call(args as readonly PickleValue[]));
  }

  private construct(callee: PickleValue | undefined, args: PickleValue | undefined): void {
    if (callee instanceof PickleGlobal && callee.isClass) this.push(new PickleInstance(callee.name));
    else this.reduce(callee, args);
  }

  private build(target: PickleValue, state: PickleValue): void {
    if (target instanceof PickleInstance) {
      if (!(state instanceof PickleDict)) throw this.invalid(`the state of ${target.className} is not a set of attributes`);
      for (const [key, value] of state) target.attributes.set(key, value);
    } else if (!(target instanceof PickleDict)) {
      // An OrderedDict carries attributes such as `_metadata`, which say nothing about tensors.
      throw this.invalid('a state for a value that has none');
    }
  }

  private append(values: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.invalid('an append to something that is not a list');
    for (const value of values) (list as PickleValue[]).push(value);
  }

  private fill(target: PickleValue, pairs: readonly PickleValue[]): PickleValue {
    if (!(target instanceof PickleDict) || pairs.length % 2 !== 0) throw this.invalid('an item set on something that is not a dictionary');
    for (let index = 0; index < pairs.length; index += 2) {
      const key = pairs[index] as PickleValue;
      if (typeof key === 'object' && key !== null) throw this.invalid('a dictionary key that is neither text nor a number');
      target.set(key, pairs[index + 1] as PickleValue);
    }
    return target;
  }

  private memorize(key: number): void {
    if (this.memo.size >= LARGEST_MEMO) throw this.invalid(`it memorizes more than ${LARGEST_MEMO} values`, 'weights/limit');
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
    return width === 1 ? this.view.getUint8(at) : width === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
  }

  private length(width: 4 | 8): number {
    return width === 4 ? this.unsigned(4) : Number(this.view.getBigUint64(this.advance(8), true));
  }

  /** A two's complement integer, as a plain number where that is exact. */
  private long(length: number): number | bigint {
    if (length > 1024) throw this.invalid(`an integer of ${length} bytes`, 'weights/limit');
    const start = this.advance(length);
    let value = 0n;
    for (let index = length - 1; index >= 0; index--) value = (value << 8n) | BigInt(this.bytes[start + index] as number);
    if (length > 0) value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  private text(length: number): string {
    const start = this.advance(length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString('utf8');
  }

  private raw(length: number): Uint8Array {
    const start = this.advance(length);
    return this.bytes.slice(start, start + length);
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

  private invalid(reason: string, code = 'weights/format'): WeightsError {
    return new WeightsError(code, `the checkpoint's pickle cannot be read: ${reason} (at byte ${this.at})`, { at: this.at });
  }
}

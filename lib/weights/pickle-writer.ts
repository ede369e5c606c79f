/**
 * Writes the pickle inside a `.pth` file for one nested state dict, opcode for opcode as Python's pickler does at
 * protocol 2, including which values it memorizes. Source: Lib/pickle.py, torch/serialization.py.
 */
export interface PickledTensor {
  readonly name: string;
  /** Key of the storage in the archive, the file `data/<key>`. */
  readonly storage: string;
  /** PyTorch's class of the storage. */
  readonly storageType: 'FloatStorage' | 'HalfStorage' | 'IntStorage';
  readonly storageCount: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

export interface StateDictToPickle {
  /** The key of the state dict, `{ [key]: OrderedDict(…) }`. */
  readonly key: string;
  readonly tensors: readonly PickledTensor[];
  /** Modules that the state dict's `_metadata` lists, each at version 1; the empty name is the module itself. Without any, there is none. */
  readonly modules: readonly string[];
  /** Where the tensors live; with any other than `cpu`, readers need `map_location` on machines without it. */
  readonly device: string;
}

/** The pickle of `{ key: OrderedDict(name -> tensor) }`. */
export function pickleStateDict(state: StateDictToPickle): Uint8Array {
  return new PickleWriter().stateDict(state);
}

class PickleWriter {
  private readonly chunks: Buffer[] = [Buffer.of(0x80, 2)];
  private readonly memo = new Map<string, number>();
  private memorized = 0;

  stateDict({ key, tensors, modules, device }: StateDictToPickle): Uint8Array {
    this.op('}').put();
    this.text(key);
    this.orderedDict();
    this.items(tensors.length, () => tensors.forEach((tensor) => this.tensor(tensor, device)));
    if (modules.length > 0) this.attributes(modules);
    this.op('s').op('.');
    return Buffer.concat(this.chunks);
  }

  /** What PyTorch hangs on a state dict as an attribute: `_metadata`, the version of each module. */
  private attributes(modules: readonly string[]): void {
    this.op('}').put();
    this.text('_metadata');
    this.orderedDict();
    this.items(modules.length, () => {
      for (const module of modules) {
        this.text(module);
        this.op('}').put();
        this.text('version');
        this.integer(1);
        this.op('s');
      }
    });
    this.op('s').op('b');
  }

  private tensor(tensor: PickledTensor, device: string): void {
    this.text(tensor.name);
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.op('(').op('(');
    this.text('storage');
    this.global('torch', tensor.storageType);
    this.text(tensor.storage);
    // PyTorch spells a GPU's name anew for each tensor, so only "cpu" is one and the same object.
    if (device === 'cpu') this.text(device);
    else this.freshText(device);
    this.integer(tensor.storageCount);
    this.op('t').put().op('Q');
    this.integer(tensor.offset);
    this.tuple(tensor.shape);
    this.tuple(tensor.strides);
    this.op('\x89');
    this.orderedDict();
    this.op('t').put().op('R').put();
  }

  private orderedDict(): void {
    this.global('collections', 'OrderedDict');
    this.op(')').op('R').put();
  }

  /** A dictionary's entries: a single one has an opcode of its own. */
  private items(count: number, body: () => void): void {
    if (count > 1) this.op('(');
    body();
    if (count > 0) this.op(count > 1 ? 'u' : 's');
  }

  private tuple(values: readonly number[]): void {
    if (values.length === 0) {
      this.op(')');
      return;
    }
    if (values.length > 3) this.op('(');
    for (const value of values) this.integer(value);
    this.op(['t', '\x85', '\x86', '\x87'][values.length > 3 ? 0 : values.length] as string).put();
  }

  private integer(value: number): void {
    if (value < 0x100) this.chunks.push(Buffer.of(0x4b, value));
    else if (value < 0x10000) this.chunks.push(Buffer.of(0x4d, value & 0xff, value >> 8));
    else {
      const bytes = Buffer.of(0x4a, 0, 0, 0, 0);
      bytes.writeInt32LE(value, 1);
      this.chunks.push(bytes);
    }
  }

  private text(value: string): void {
    if (!this.recall(`text ${value}`)) this.freshText(value, `text ${value}`);
  }

  private freshText(value: string, memoKey?: string): void {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(5);
    length.write('X', 0, 'latin1');
    length.writeUInt32LE(bytes.length, 1);
    this.chunks.push(length, bytes);
    this.put(memoKey);
  }

  private global(module: string, name: string): void {
    const memoKey = `global ${module} ${name}`;
    if (this.recall(memoKey)) return;
    this.op(`c${module}\n${name}\n`).put(memoKey);
  }

  private recall(memoKey: string): boolean {
    const index = this.memo.get(memoKey);
    if (index !== undefined) this.indexed('h', 'j', index);
    return index !== undefined;
  }

  /** Memorizes the value on top of the stack; with a key, it can be recalled. */
  private put(memoKey?: string): this {
    if (memoKey !== undefined) this.memo.set(memoKey, this.memorized);
    this.indexed('q', 'r', this.memorized++);
    return this;
  }

  private indexed(short: string, long: string, index: number): void {
    const bytes = Buffer.alloc(index < 0x100 ? 2 : 5);
    bytes.write(index < 0x100 ? short : long, 0, 'latin1');
    if (index < 0x100) bytes.writeUInt8(index, 1);
    else bytes.writeUInt32LE(index, 1);
    this.chunks.push(bytes);
  }

  private op(code: string): this {
    this.chunks.push(Buffer.from(code, 'latin1'));
    return this;
  }
}

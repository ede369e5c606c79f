/** What a pickle becomes once it is read: plain values, containers, and what stands for everything that is not read. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PickleValue[]
  | PickleDict
  | PickleGlobal
  | PickleInstance
  | PickleForeign;

/** Keys are compared as JavaScript's Map does: numbers and texts by value, anything else by identity. */
export class PickleDict extends Map<PickleValue, PickleValue> {}

/** A name that the pickle refers to. Calling it never leaves this library. */
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

/** A value of which only the kind is known: it is neither created nor inspected, and what is put into it is dropped. */
export class PickleOpaque extends PickleForeign {
  /**
   * @param what in words, such as "pathlib.PurePosixPath" or "sparse tensor"
   * @param isTensor whether a state dict would hold it as a tensor
   */
  constructor(
    readonly what: string,
    readonly isTensor = false,
  ) {
    super();
  }
}

import type { ReusedBytes } from './reused-bytes';
import { shownName } from '../files/shown-name';

/** Element types that occur in weight files, under safetensors' meaning and PyTorch's names. */
export type ElementType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool';

export interface TensorEntry {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
}

/** Something in a weights file that is not read, since no network here needs it. */
export interface LeftOut {
  readonly name: string;
  /** What it is, in words: "sparse tensor", "pathlib.PurePosixPath". */
  readonly kind: string;
  /** Whether it is a tensor, so that a network that refuses surplus tensors does not overlook it. */
  readonly isTensor: boolean;
}

const MOST_NAMED = 8;

/** What was left out, for a message: the first names with what they are. */
export function describeLeftOut(leftOut: ReadonlyMap<string, LeftOut>): string {
  const shown = [...leftOut.values()]
    .slice(0, MOST_NAMED)
    .map(({ name, kind }) => `${name === '' ? 'the whole of it' : shownName(name)} (${kind})`);
  return `${shown.join(', ')}${leftOut.size > MOST_NAMED ? `, and ${leftOut.size - MOST_NAMED} more` : ''}`;
}

/**
 * An open weights file, whatever its format: names, shapes, and one tensor at a time by random access, so that a file
 * of 900 MB is never in memory as a whole.
 */
export interface TensorSource {
  /** The file or folder it was opened from, for messages. */
  readonly path: string;
  readonly format: 'safetensors' | 'torch-zip' | 'torchscript' | 'torch-legacy';
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** By name, what the file holds beside these tensors and beside plain values, such as objects of other programs. */
  readonly leftOut: ReadonlyMap<string, LeftOut>;
  /** Free-form strings stored with the tensors (safetensors `__metadata__`); empty where the format has none. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Values in row-major order as float32, whatever the stored type. @throws WeightsError, also for values that float32 cannot hold */
  read(name: string): Float32Array;
  /** Rows of a matrix `[R, C]` as float32, `[rows.length, C]`, without holding the others. @throws WeightsError */
  readRows(name: string, rows: readonly number[]): Float32Array;
  /** Values as float64, exact for every type. @throws WeightsError, also for integers beyond 2^53 */
  readDoubles(name: string): Float64Array;
  /** Values of an integer or boolean tensor. @throws WeightsError where a value does not fit 32 bits. */
  readIntegers(name: string): Int32Array;
  /**
   * The stored little-endian elements in row-major order, in memory that the next read into `target` overwrites;
   * undefined where they are not stored one after the other, or there are none. @throws WeightsError
   */
  readStored(name: string, target: ReusedBytes): Uint8Array | undefined;
  close(): void;
}

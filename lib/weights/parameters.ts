import * as tf from '@tensorflow/tfjs';
import type { ParameterSource } from '../layers/crane-layer';
import { isNativeType, NativeValues } from './native-values';
import { ReusedBytes } from './reused-bytes';
import type { WeightReader } from './weight-reader';

/** Parameters of a network from a file, which can also be had transposed. */
export interface FileParameters extends ParameterSource {
  /** The transpose of the matrix `path`, which has `shape` in the file; cheaper than transposing its tensor. */
  transposed(path: string, shape: number[]): tf.Tensor;
}

/**
 * A file's tensors as parameters of a network. On native TensorFlow stored bytes are converted and joined by its own
 * operations, through memory that all parameters share; elsewhere, and for types and views that are rare, in JavaScript.
 * Both ways give equal numbers.
 * @param rows of matrices of which only some are wanted, by name: which ones, counted from 0. Such a matrix is asked for
 *   with as many rows as are wanted
 */
export function parametersOf(
  reader: WeightReader,
  rows: ReadonlyMap<string, readonly number[]> = new Map(),
): FileParameters {
  const bytes = new ReusedBytes('tensor');
  const read = (path: string, shape: number[], turned: boolean): tf.Tensor => {
    const native = NativeValues.current();
    const wanted = rows.get(path);
    const fast = wanted || !native ? undefined : nativeTensor(reader, native, bytes, { path, shape, turned });
    if (fast) return fast;
    const values = wanted ? reader.takeRows(path, wanted, shape[1] as number) : reader.take(path, shape);
    return turned ? tf.tidy(() => tf.transpose(tf.tensor(values, shape))) : tf.tensor(values, shape);
  };
  return Object.assign((path: string, shape: number[]) => read(path, shape, false), {
    transposed: (path: string, shape: number[]) => read(path, shape, true),
  });
}

interface Wanted {
  readonly path: string;
  readonly shape: readonly number[];
  readonly turned: boolean;
}

/** Undefined where a part cannot be converted natively. */
function nativeTensor(
  reader: WeightReader,
  native: NativeValues,
  bytes: ReusedBytes,
  { path, shape, turned }: Wanted,
): tf.Tensor | undefined {
  const { from, transposed = false } = reader.locate(path, shape);
  // A matrix that is stored as it is wanted is taken as it is.
  const turn = turned !== transposed;
  const made = tf.tidy(() => {
    const parts: tf.Tensor[] = [];
    for (const name of from) {
      const entry = reader.source.entries.get(name);
      if (!entry || !isNativeType(entry.dtype)) return undefined;
      const stored = reader.source.readStored(name, bytes);
      if (!stored) return undefined;
      parts.push(native.tensor(stored, entry.dtype, entry.shape, turn));
    }
    // Parts lie along the first axis of what is stored.
    return parts.length === 1 ? parts[0] : tf.concat(parts, turn ? 1 : 0);
  });
  return made ?? undefined;
}

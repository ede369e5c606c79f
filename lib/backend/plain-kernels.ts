import * as tf from '@tensorflow/tfjs';
import type { KernelFunc, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';

/** The part of a tfjs backend that moves values in and out. */
interface ValueStore {
  readSync(dataId: object): tf.backend_util.BackendValues;
  write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object;
  disposeData(dataId: object, force?: boolean): boolean;
}

/**
 * Gives a backend kernels of the plain JavaScript backend, by copying the inputs over, computing there and copying the
 * result back. Slow, but for operations outside the main path better than "kernel not registered" or a wrong number.
 *
 * @param backendName the backend that lacks the kernels, not yet started.
 * @param kernelNames kernels on real numbers (complex tensors cannot be copied this way); those that the backend has
 *   already are replaced.
 */
export function delegateToPlain(backendName: string, kernelNames: readonly string[]): void {
  for (const kernelName of kernelNames) {
    const plain = tf.getKernel(kernelName, 'cpu');
    if (tf.getKernel(kernelName, backendName) !== undefined) tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({ kernelName, backendName, kernelFunc: throughPlain(plain.kernelFunc) });
  }
}

function throughPlain(plainKernel: KernelFunc): KernelFunc {
  return ({ inputs, attrs = {}, backend }) => {
    const own = asValueStore(backend);
    const plain = asValueStore(tf.findBackend('cpu'));
    const copies = copyInputs(inputs, own, plain);
    const given = new Set(Object.values(copies));
    try {
      const result = plainKernel({ inputs: copies, attrs, backend: plain });
      return Array.isArray(result)
        ? result.map((info) => moveBack(info, plain, own, given))
        : moveBack(result, plain, own, given);
    } finally {
      for (const copy of given) plain.disposeData(copy.dataId);
    }
  };
}

/** Most kernels name their inputs; Einsum has a plain list of them, and reads its length. */
function copyInputs(inputs: NamedTensorInfoMap, from: ValueStore, to: ValueStore): Record<string, TensorInfo> {
  const copies = (Array.isArray(inputs) ? [] : {}) as Record<string, TensorInfo>;
  for (const [name, info] of Object.entries(inputs)) {
    if (info === undefined) continue;
    const { shape, dtype } = info;
    copies[name] = { shape, dtype, dataId: to.write(from.readSync(info.dataId), shape, dtype) };
  }
  return copies;
}

function moveBack(info: TensorInfo, from: ValueStore, to: ValueStore, given: ReadonlySet<TensorInfo>): TensorInfo {
  const { shape, dtype, dataId } = info;
  const moved = { shape, dtype, dataId: to.write(from.readSync(dataId), shape, dtype) };
  if (![...given].some((copy) => copy.dataId === dataId)) from.disposeData(dataId);
  return moved;
}

function asValueStore(backend: unknown): ValueStore {
  return backend as ValueStore;
}

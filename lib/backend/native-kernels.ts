/**
 * Better operations of the native library than the ones tfjs calls, in place of these kernels. Whatever they take
 * is left to the kernel that was there, which is also what they are tested against.
 */
import * as tf from '@tensorflow/tfjs';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';

/** An attribute of an operation, as the binding takes it. */
export interface OperationAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean | string;
}

/** The part of tfjs-node's backend that runs an operation of the library. */
export interface NativeOperations {
  readonly binding: {
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_TYPE: number;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_FLOAT: number;
    readonly TF_FLOAT: number;
  };
  executeSingleOutput(
    name: string,
    attributes: readonly OperationAttribute[],
    inputs: readonly TensorInfo[],
  ): TensorInfo;
  executeMultipleOutputs(
    name: string,
    attributes: readonly OperationAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): TensorInfo[];
}

/**
 * Products of two plain matrices by `MatMul`. tfjs has `BatchMatMulV2` for all products, which reaches between a half and
 * nine tenths of its speed at the shapes of transformers.
 */
export function registerPlainMatMul(): void {
  replaceKernel('BatchMatMul', (original) => (call) => {
    const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo };
    if (
      a.shape.length !== 2 ||
      b.shape.length !== 2 ||
      a.dtype !== 'float32' ||
      b.dtype !== 'float32' ||
      isEmpty(a) ||
      isEmpty(b)
    )
      return original(call);
    const { transposeA, transposeB } = call.attrs as { transposeA?: boolean; transposeB?: boolean };
    const backend = call.backend as NativeOperations;
    const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
    return backend.executeSingleOutput(
      'MatMul',
      [
        { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
        { name: 'transpose_a', type: TF_ATTR_BOOL, value: transposeA === true },
        { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposeB === true },
      ],
      [a, b],
    );
  });
}

const isEmpty = ({ shape }: TensorInfo): boolean => shape.includes(0);

function replaceKernel(kernelName: string, better: (original: KernelFunc) => KernelFunc): void {
  const config = tf.getKernel(kernelName, 'tensorflow');
  tf.unregisterKernel(kernelName, 'tensorflow');
  tf.registerKernel({ ...config, kernelFunc: better(config.kernelFunc) });
}

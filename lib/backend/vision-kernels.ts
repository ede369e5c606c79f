/**
 * The vision transformer's own operations (setup/native/kernels.cc), as kernels of the native backend. Layers ask for them
 * through lib/layers/fast-kernel.ts and compute by themselves where they are not there.
 */
import * as tf from '@tensorflow/tfjs';
import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';
import { isSet } from './native';
import type { NativeOperations, OperationAttribute } from './native-kernels';

/** For each operation, its inputs in order and which of its attributes are whole numbers or fractions. */
const OPERATIONS = {
  CraneAttention: { inputs: ['joined', 'bias'], whole: ['heads', 'correlations', 'rows'], fractions: [] },
  CraneQuickGelu: { inputs: ['x', 'bias'], whole: [], fractions: [] },
  CraneLayerNorm: { inputs: ['x', 'gain', 'offset'], whole: [], fractions: ['epsilon'] },
  CraneAddResidual: { inputs: ['x', 'bias', 'residual'], whole: [], fractions: [] },
} as const satisfies Record<string, { inputs: readonly string[]; whole: readonly string[]; fractions: readonly string[] }>;

/**
 * Registers the operations that this binding was compiled with, for a processor that can run them.
 * @param threads that each may use
 * @returns whether they are there
 */
export function registerVisionKernels(backend: NativeOperations, threads: number): boolean {
  if (isSet(process.env['CRANE_PLAIN_KERNELS']) || !isThere(backend)) return false;
  for (const [kernelName, { inputs, whole, fractions }] of Object.entries(OPERATIONS)) {
    if (tf.getKernel(kernelName, 'tensorflow') !== undefined) continue;
    tf.registerKernel({
      kernelName,
      backendName: 'tensorflow',
      kernelFunc: ({ inputs: given, attrs = {}, backend: used }) => {
        const operations = used as NativeOperations;
        const { TF_ATTR_INT, TF_ATTR_FLOAT } = operations.binding;
        const values = attrs as Record<string, number>;
        return operations.executeSingleOutput(
          kernelName,
          [
            ...whole.map((name): OperationAttribute => ({ name, type: TF_ATTR_INT, value: values[name] as number })),
            ...fractions.map((name): OperationAttribute => ({ name, type: TF_ATTR_FLOAT, value: values[name] as number })),
            { name: 'threads', type: TF_ATTR_INT, value: threads },
          ],
          inputs.map((name) => (given as NamedTensorInfoMap)[name] as TensorInfo),
        );
      },
    });
  }
  return true;
}

/** An operation that the library does not know, or that the processor cannot run, throws. */
function isThere(backend: NativeOperations): boolean {
  return tf.tidy(() => {
    try {
      const one = tf.ones([16]);
      const sum = backend.executeSingleOutput('CraneAddResidual', [{ name: 'threads', type: backend.binding.TF_ATTR_INT, value: 1 }], [one, one, one]);
      return (sum as tf.Tensor).dataSync()[0] === 3;
    } catch {
      return false;
    }
  });
}

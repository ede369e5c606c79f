/**
 * The vision transformer's own operations (setup/native/kernels.cc), as kernels of the native backend. Layers ask for them
 * through lib/layers/fast-kernel.ts and compute without them where they are missing.
 */
import * as tf from '@tensorflow/tfjs';
import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';
import { cpuFlags } from './cpu-flags';
import { isSet, NATIVE_PACKAGE } from './native';
import type { NativeOperations, OperationAttribute } from './native-kernels';
import { readSetupState } from './setup-state';

/** For each operation, its inputs in order and which of its attributes are whole numbers or fractions. */
const OPERATIONS = {
  CraneAttention: { inputs: ['joined', 'bias'], whole: ['heads', 'correlations', 'rows'], fractions: [] },
  CraneQuickGelu: { inputs: ['x', 'bias'], whole: [], fractions: [] },
  CraneLayerNorm: { inputs: ['x', 'gain', 'offset'], whole: [], fractions: ['epsilon'] },
  CraneAddResidual: { inputs: ['x', 'bias', 'residual'], whole: [], fractions: [] },
} as const satisfies Record<
  string,
  { inputs: readonly string[]; whole: readonly string[]; fractions: readonly string[] }
>;

/** What the operations say about a processor that they cannot use. */
const NO_VECTORS = 'no vector instructions';

/** Whether the native backend has these operations: with which vector instructions, or why not, with what to do about it. */
export type VisionKernels =
  { readonly own: true; readonly instructions: string } | { readonly own: false; readonly reason: string };

/**
 * Registers the operations that this binding was compiled with, for a processor that can run them.
 * @param threads that each may use
 */
export function registerVisionKernels(backend: NativeOperations, threads: number): VisionKernels {
  const reason = isSet(process.env['CRANE_PLAIN_KERNELS']) ? 'disabled by CRANE_PLAIN_KERNELS' : whyNotThere(backend);
  if (reason !== undefined) {
    // The answer describes what computes, even if they were registered before.
    for (const name of Object.keys(OPERATIONS))
      if (tf.getKernel(name, 'tensorflow') !== undefined) tf.unregisterKernel(name, 'tensorflow');
    return { own: false, reason };
  }
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
            ...fractions.map((name): OperationAttribute => ({
              name,
              type: TF_ATTR_FLOAT,
              value: values[name] as number,
            })),
            { name: 'threads', type: TF_ATTR_INT, value: threads },
          ],
          inputs.map((name) => (given as NamedTensorInfoMap)[name] as TensorInfo),
        );
      },
    });
  }
  return { own: true, instructions: vectorInstructions() };
}

/** The reason, where they do not compute: an operation that the library does not know, or that the processor cannot run, throws. */
function whyNotThere(backend: NativeOperations): string | undefined {
  return tf.tidy(() => {
    try {
      const one = tf.ones([16]);
      const sum = backend.executeSingleOutput(
        'CraneAddResidual',
        [{ name: 'threads', type: backend.binding.TF_ATTR_INT, value: 1 }],
        [one, one, one],
      );
      return (sum as tf.Tensor).dataSync()[0] === 3 ? undefined : 'they compute wrong numbers here';
    } catch (error) {
      return error instanceof Error && error.message.includes(NO_VECTORS)
        ? 'this processor has no AVX2'
        : notCompiled();
    }
  });
}

/** Set-up has recorded what it could not compile. */
function notCompiled(): string {
  const details =
    readSetupState(NATIVE_PACKAGE)?.steps.map(({ detail }) => /own kernels are left out: ([^;]+)/.exec(detail)?.[1]) ??
    [];
  const cause = details.find((detail) => detail !== undefined);
  return `not compiled into this binding${cause === undefined ? '' : ` (${cause})`}: run \`npx crane setup\``;
}

/** As setup/native/kernels.cc chooses them, which does not report it. */
function vectorInstructions(): string {
  if (process.arch === 'arm64') return 'NEON';
  const flags = cpuFlags();
  const wide = ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl'].every((flag) => flags?.has(flag));
  return wide && process.env['CRANE_NATIVE_VECTORS'] !== 'avx2' ? 'AVX-512' : 'AVX2';
}

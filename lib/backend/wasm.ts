import * as tf from '@tensorflow/tfjs';
import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { BackendError } from '../errors';
import { delegateToPlain } from './plain-kernels';
import { registerBatchMatMul, registerCumsum, registerUnsortedSegmentSum } from './wasm-kernels';

/** Gradients of convolutions, and Einstein sums. */
const MISSING_KERNELS = [
  'Conv2DBackpropFilter',
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'Einsum',
] as const;

const WRONG_KERNELS = ['MaxPoolGrad'] as const;

/**
 * Starts the WebAssembly backend of `@tensorflow/tfjs`, with the kernels it lacks or does slowly put in place.
 *
 * @throws BackendError `backend/unavailable` where WebAssembly does not start.
 */
export async function startWasmBackend(): Promise<{ readonly simd: boolean }> {
  const engine = tf.engine();
  if (engine.registry['wasm'] === undefined) {
    registerKernels();
    await initialise();
  }
  return { simd: await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT') === true };
}

/** Kernels are set up once, when the backend starts, so they are replaced before. */
function registerKernels(): void {
  registerBatchMatMul();
  registerUnsortedSegmentSum();
  registerCumsum();
  delegateToPlain('wasm', [...MISSING_KERNELS, ...WRONG_KERNELS]);
}

async function initialise(): Promise<void> {
  try {
    if (await tf.setBackend('wasm')) return;
  } catch (error) {
    throw unavailable(error);
  }
  throw unavailable(undefined);
}

function unavailable(cause: unknown): BackendError {
  return new BackendError(
    'backend/unavailable',
    `The WebAssembly backend (@tensorflow/tfjs-backend-wasm ${version_wasm}) did not start. ` +
      'Reinstall the npm packages, or choose the plain backend, `--backend cpu`, which is very slow.',
    { backend: 'wasm' },
    { cause },
  );
}

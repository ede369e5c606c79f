import * as tf from '@tensorflow/tfjs';
import { version_wasm, type BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { BackendError } from '../errors';
import { usableCores } from './cores';
import { delegateToPlain } from './plain-kernels';
import { registerBatchMatMul, registerCumsum, registerUnsortedSegmentSum } from './wasm-kernels';
import { registerSlices } from './wasm-slices';
import { MOST_THREADS, startThreadedBackend } from './wasm-threads';

/** Gradients of convolutions, and Einstein sums. */
const MISSING_KERNELS = [
  'Conv2DBackpropFilter',
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'Einsum',
] as const;

const WRONG_KERNELS = ['MaxPoolGrad'] as const;

export interface WasmStart {
  readonly simd: boolean;
  /** Threads that one operation may use. */
  readonly threads: number;
  /** Why it is one thread although more were wanted; null otherwise. */
  readonly threadFailure: string | null;
}

/** The backend object with what its start has found. */
type StartedBackend = BackendWasm & { readonly threadFailure?: string | null };

/**
 * Starts the WebAssembly backend of `@tensorflow/tfjs`, with the kernels it lacks or does slowly put in place, and on
 * several threads where that is possible.
 *
 * @param wanted threads that one operation may use; counts at the first start in a process. Default: the environment
 *   variable CRANE_WASM_THREADS, else every core that this process may run on, up to 8.
 * @throws BackendError `backend/unavailable` where WebAssembly does not start.
 */
export async function startWasmBackend(wanted = threadsFromEnvironment() ?? usableCores()): Promise<WasmStart> {
  if (tf.engine().registry['wasm'] === undefined) {
    register(Math.min(wanted, MOST_THREADS));
    await initialise();
  }
  const backend = tf.findBackend('wasm') as StartedBackend;
  return {
    simd: await hasSimd(),
    threads: backend.wasm.tfjs.getThreadsCount(),
    threadFailure: backend.threadFailure ?? null,
  };
}

/** Kernels are set up once, when the backend starts, so they are replaced before; and so is what makes the backend. */
function register(threads: number): void {
  // The package has no such kernel, so there is one only where all of this was done before.
  if (tf.getKernel('UnsortedSegmentSum', 'wasm') !== undefined) return;
  registerBatchMatMul();
  registerUnsortedSegmentSum();
  registerCumsum();
  registerSlices();
  delegateToPlain('wasm', [...MISSING_KERNELS, ...WRONG_KERNELS]);

  const original = tf.engine().registryFactory['wasm'];
  if (original === undefined) return;
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => open(threads, original.factory), original.priority);
}

/** On several threads where they are wanted and available, else as the package itself does it. */
async function open(
  threads: number,
  onOneThread: () => tf.KernelBackend | Promise<tf.KernelBackend>,
): Promise<tf.KernelBackend> {
  if (threads <= 1) return await onOneThread();
  try {
    if (!(await hasSimd())) throw new Error('this processor or this Node has no vector instructions for WebAssembly');
    return await startThreadedBackend(threads);
  } catch (error) {
    const threadFailure = error instanceof Error ? error.message : String(error);
    return Object.assign(await onOneThread(), { threadFailure });
  }
}

async function hasSimd(): Promise<boolean> {
  return (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
}

function threadsFromEnvironment(): number | null {
  const threads = Number(process.env['CRANE_WASM_THREADS'] ?? NaN);
  return Number.isInteger(threads) && threads >= 0 ? threads : null;
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
      "Reinstall the npm packages, or choose the plain backend, `backend: 'cpu'`, which is very slow.",
    { backend: 'wasm' },
    { cause },
  );
}

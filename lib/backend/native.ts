import * as tf from '@tensorflow/tfjs';
import util from 'node:util';
import { BackendError } from '../errors';
import { registerPlainMatMul } from './native-kernels';
import { nativeSetupProblem } from './setup-state';

export interface NativeBackend {
  /** Version of the loaded TensorFlow library. */
  readonly version: string;
  /** Threads that one operation may use. */
  readonly threads: number;
  /** Whether TensorFlow has a GPU device and uses it. */
  readonly gpu: boolean;
}

export interface NativeLoadOptions {
  readonly threads: number;
  readonly verbose: boolean;
}

/** What is read of tfjs-node's backend object and of the C++ binding behind it. */
interface NativeBackendObject {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** The name is a variable so that the compiler does not need the optional package. */
export const NATIVE_PACKAGE: string = '@tensorflow/tfjs-node-gpu';

/**
 * Loads the native binding and registers the backend `tensorflow` on the one instance of `@tensorflow/tfjs`.
 * A second call finds it loaded and only reads its description.
 *
 * @throws BackendError `backend/unavailable`, with the reason and what to do, where it cannot be loaded.
 */
export async function loadNativeBackend(options: NativeLoadOptions): Promise<NativeBackend> {
  if (isSet(process.env['CRANE_NO_NATIVE'])) {
    throw new BackendError(
      'backend/unavailable',
      'Native TensorFlow is disabled by the environment variable CRANE_NO_NATIVE. Unset it to use the native backend.',
      { backend: 'tensorflow', variable: 'CRANE_NO_NATIVE' },
    );
  }
  if (!isRegistered()) await load(options);
  const backend: unknown = tf.findBackend('tensorflow');
  if (!isNativeBackend(backend)) {
    throw unavailable('the package has loaded but registered no backend', undefined);
  }
  return {
    version: backend.binding.TF_Version,
    threads: threadsAskedFor() ?? options.threads,
    gpu: backend.isUsingGpuDevice,
  };
}

async function load(options: NativeLoadOptions): Promise<void> {
  // TensorFlow and CUDA read them from the environment when their libraries are loaded; what the user has set is kept.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= options.verbose ? '0' : '2';
  process.env['TF_NUM_INTRAOP_THREADS'] ??= String(options.threads);
  // On a GPU: float32 that is float32, not 10 bits of it, and memory as it is needed, not all of it at once.
  process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  replaceOldUtilities();
  try {
    await import(NATIVE_PACKAGE);
    registerPlainMatMul();
  } catch (error) {
    throw unavailable(firstLine(error), error);
  }
}

/** tfjs-node 4.22 calls two functions that Node 22 warns about and Node 23 removed; the fix was merged upstream but never released. */
function replaceOldUtilities(): void {
  const target: { isNullOrUndefined?: (value: unknown) => boolean; isArray?: (value: unknown) => boolean } = util;
  target.isNullOrUndefined = (value) => value === null || value === undefined;
  target.isArray = (value) => Array.isArray(value);
}

/** What TensorFlow reads as well; 0 and words are its own to decide about. */
function threadsAskedFor(): number | undefined {
  const asked = Number(process.env['TF_NUM_INTRAOP_THREADS']);
  return Number.isInteger(asked) && asked > 0 ? asked : undefined;
}

function isRegistered(): boolean {
  return tf.engine().registryFactory['tensorflow'] !== undefined;
}

function isNativeBackend(backend: unknown): backend is NativeBackendObject {
  return typeof backend === 'object' && backend !== null && 'binding' in backend && 'isUsingGpuDevice' in backend;
}

function unavailable(found: string, cause: unknown): BackendError {
  const setup = nativeSetupProblem(NATIVE_PACKAGE);
  return new BackendError(
    'backend/unavailable',
    `Native TensorFlow cannot be loaded: ${setup?.reason ?? found}. ` +
      (setup?.advice ?? 'Run `npx crane setup` to set it up.'),
    { backend: 'tensorflow', found, setup },
    { cause },
  );
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n')[0] ?? message).trim().replace(/\.$/, '');
}

/** Whether an environment variable asks for something: neither absent, empty nor 0. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0';
}

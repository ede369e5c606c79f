/**
 * Which TensorFlow.js backend computes, why that one, and with how many threads. Everything that touches tensors awaits
 * `prepareBackend()` first; it is the only place that loads the native TensorFlow binding.
 */
import * as tf from '@tensorflow/tfjs';
import { BackendError } from './errors';
import { loadNativeBackend } from './backend/native';
import { usableCores } from './backend/cores';
import { startWasmBackend } from './backend/wasm';

/** What a caller may ask for. `auto` is native TensorFlow where it is to be had, else WebAssembly. */
export const BACKEND_CHOICES = ['auto', 'tensorflow', 'wasm', 'cpu'] as const;
export type BackendChoice = (typeof BACKEND_CHOICES)[number];
export type BackendName = Exclude<BackendChoice, 'auto'>;

export interface BackendOptions {
  /**
   * How many threads one operation may use; default: every core that this process may run on. Read when the native
   * binding is loaded for the first time in a process; later calls cannot change it.
   */
  readonly threads?: number;
  /** Let TensorFlow's own log lines through to stderr. Like `threads`, counts at the first load only. */
  readonly verbose?: boolean;
}

export interface BackendInfo {
  readonly name: BackendName;
  /** One sentence for people: why this backend and not another. */
  readonly reason: string;
  /** Why the native backend is not the one in use, with what to do about it; null where it is in use or was not tried. */
  readonly nativeFailure: string | null;
  /** Version of the native TensorFlow library, such as `2.21.0`; null where another backend computes. */
  readonly tensorflowVersion: string | null;
  /** Threads that one operation may use. */
  readonly threads: number;
  /** True only where TensorFlow itself reports a GPU device in use; the name of the npm package says nothing. */
  readonly gpu: boolean;
  /** Whether vector instructions are used; null where that is not known. */
  readonly simd: boolean | null;
}

/**
 * Makes the wanted backend the current one of `@tensorflow/tfjs` and says which it is. Calling it again is cheap, and
 * a call with another choice switches.
 *
 * @throws BackendError `backend/unavailable` where an explicit choice is not to be had, `backend/unknown` for a name
 *   that is none of `BACKEND_CHOICES`. `auto` does not fail while WebAssembly works.
 */
export async function prepareBackend(choice: BackendChoice = 'auto', options: BackendOptions = {}): Promise<BackendInfo> {
  switch (choice) {
    case 'tensorflow':
      return await prepareNative(options, 'asked for by name');
    case 'wasm':
      return await prepareWasm('asked for by name', null);
    case 'cpu':
      return await preparePlain();
    case 'auto':
      return await prepareBest(options);
    default:
      throw new BackendError(
        'backend/unknown',
        `No backend is called "${String(choice)}"; choose one of ${BACKEND_CHOICES.join(', ')}.`,
        { found: choice, expected: BACKEND_CHOICES },
      );
  }
}

async function prepareBest(options: BackendOptions): Promise<BackendInfo> {
  try {
    return await prepareNative(options, 'native TensorFlow is the fastest backend, and it is set up');
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return await prepareWasm('native TensorFlow is not to be had here; WebAssembly is several times slower', error.message);
  }
}

async function prepareNative(options: BackendOptions, reason: string): Promise<BackendInfo> {
  const threads = options.threads ?? usableCores();
  const native = await loadNativeBackend({ threads, verbose: options.verbose ?? false });
  await use('tensorflow');
  return {
    name: 'tensorflow',
    reason,
    nativeFailure: null,
    tensorflowVersion: native.version,
    threads: native.threads,
    gpu: native.gpu,
    simd: true,
  };
}

async function prepareWasm(reason: string, nativeFailure: string | null): Promise<BackendInfo> {
  const { simd } = await startWasmBackend();
  await use('wasm');
  return { name: 'wasm', reason, nativeFailure, tensorflowVersion: null, threads: 1, gpu: false, simd };
}

/** The plain JavaScript backend: no vector instructions, one thread; for checking the others against. */
async function preparePlain(): Promise<BackendInfo> {
  const plain: unknown = tf.findBackend('cpu');
  // tfjs advertises its native package at the first tensor; this backend was chosen on purpose.
  if (typeof plain === 'object' && plain !== null && 'firstUse' in plain) plain.firstUse = false;
  await use('cpu');
  return {
    name: 'cpu',
    reason: 'asked for by name',
    nativeFailure: null,
    tensorflowVersion: null,
    threads: 1,
    gpu: false,
    simd: false,
  };
}

async function use(name: BackendName): Promise<void> {
  if (tf.getBackend() === name) return;
  if (!(await tf.setBackend(name))) {
    throw new BackendError('backend/unavailable', `TensorFlow.js could not start its ${name} backend. Run \`crane doctor\` for details.`, {
      backend: name,
    });
  }
}

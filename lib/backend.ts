/**
 * Which TensorFlow.js backend computes, why that one, and with how many threads. Everything that touches tensors awaits
 * `prepareBackend()` first; it is the only place that loads the native TensorFlow binding.
 */
import * as tf from '@tensorflow/tfjs';
import { BackendError } from './errors';
import { usableCores } from './backend/cores';
import { loadNativeBackend } from './backend/native';
import { nvidiaDriver } from './backend/nvidia';
import { checkBackend, SELF_CHECK_TOLERANCE, type SelfCheck } from './backend/self-check';
import type { NativeOperations } from './backend/native-kernels';
import { registerVisionKernels, type VisionKernels } from './backend/vision-kernels';
import { startWasmBackend } from './backend/wasm';
import { isWebgpuInstalled, startWebgpuBackend } from './backend/webgpu';

/**
 * What a caller may ask for. `auto` is native TensorFlow where it is available, else a GPU through WebGPU where there is one and
 * its packages are installed, else WebAssembly.
 */
export const BACKEND_CHOICES = ['auto', 'tensorflow', 'webgpu', 'wasm', 'cpu'] as const;
/** One of {@link BACKEND_CHOICES}. */
export type BackendChoice = (typeof BACKEND_CHOICES)[number];
/** A backend that computes: a {@link BackendChoice} other than `auto`. */
export type BackendName = Exclude<BackendChoice, 'auto'>;

const BY_NAME = 'asked for by name';
const FAILED_CHECK = 'backend/self-check';

/** How a backend is started. */
export interface BackendOptions {
  /**
   * How many threads one operation may use; default: every core that this process may run on, on WebAssembly at most 8.
   * Read when the backend is started for the first time in a process; later calls cannot change it.
   */
  readonly threads?: number;
  /** Let TensorFlow's own log lines through to stderr. Like `threads`, counts at the first load only. */
  readonly verbose?: boolean;
  /** The caller reads values with `dataSync()`, so `auto` leaves out WebGPU, which cannot do that. */
  readonly synchronousReads?: boolean;
}

/** The backend that computes, and why that one. */
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
  /** True only where TensorFlow itself reports a GPU device in use, or WebGPU's adapter is hardware; the name of the npm package says nothing. */
  readonly gpu: boolean;
  /** The GPU or what emulates it, with its driver; null where the processor computes. */
  readonly device: string | null;
  /** How a GPU's numbers compare with the plain backend's; null where the processor computes, which is not checked. */
  readonly selfCheck: SelfCheck | null;
  /** What a person should know before trusting or waiting for results, such as a GPU whose numbers are wrong; null if all is well. */
  readonly warning: string | null;
  /** Whether vector instructions are used; null where that is unknown. */
  readonly simd: boolean | null;
  /** Whether native TensorFlow has this project's own attention and MLP operations, and where not, why; null where the processor does not compute with it. */
  readonly kernels: VisionKernels | null;
}

/** What is the same for every backend that computes on the processor. */
const ON_PROCESSOR = { gpu: false, device: null, selfCheck: null, warning: null } as const;

/** One check for each backend that was started, shared by all simultaneous callers. */
const checks = new WeakMap<object, Promise<SelfCheck>>();

/**
 * Makes the wanted backend the current one of `@tensorflow/tfjs` and says which it is. Calling it again is cheap, and
 * a call with another choice switches. Where a GPU would compute, its numbers are compared with the plain backend's
 * first; if they are off, the next best backend is taken, even if the GPU was asked for by name, with a `warning`.
 *
 * @throws BackendError `backend/unavailable` where an explicit choice is not available, `backend/unknown` for a name
 *   that is not one of `BACKEND_CHOICES`. `auto` does not fail while WebAssembly works.
 */
export async function prepareBackend(
  choice: BackendChoice = 'auto',
  options: BackendOptions = {},
): Promise<BackendInfo> {
  switch (choice) {
    case 'tensorflow':
    case 'webgpu':
      return await prepareNamed(choice, options);
    case 'wasm':
      return await prepareWasm(options, BY_NAME, null);
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

/** A backend asked for by name is that one or an error; but wrong numbers help nobody; then it is the next best, with a warning. */
async function prepareNamed(choice: 'tensorflow' | 'webgpu', options: BackendOptions): Promise<BackendInfo> {
  try {
    return choice === 'tensorflow' ? await prepareNative(options, BY_NAME) : await prepareWebgpu(BY_NAME);
  } catch (error) {
    if (!isFailedCheck(error)) throw error;
    return await prepareBest(options, { [choice]: error });
  }
}

/** The first one that works; `failures` has those known not to. */
async function prepareBest(
  options: BackendOptions,
  failures: { tensorflow?: BackendError; webgpu?: BackendError } = {},
): Promise<BackendInfo> {
  const native =
    failures.tensorflow ??
    (await orFailure(prepareNative(options, 'native TensorFlow is the fastest backend, and it is set up')));
  if (!(native instanceof BackendError)) return withWarnings(native, [failures.webgpu]);

  // Only those who have installed its packages pay for looking. Native TensorFlow on a processor comes before it, because
  // it is known to be fast, and nothing that a driver reports tells a faster GPU from a slower one.
  const wanted = options.synchronousReads !== true && isWebgpuInstalled();
  const webgpu =
    failures.webgpu ??
    (wanted
      ? await orFailure(prepareWebgpu('native TensorFlow is not available here, but a GPU is', native.message))
      : undefined);
  if (webgpu !== undefined && !(webgpu instanceof BackendError)) return withWarnings(webgpu, [native]);

  const slow = await prepareWasm(
    options,
    'native TensorFlow is not available here; WebAssembly is several times slower',
    native.message,
  );
  return withWarnings(slow, [native, webgpu]);
}

async function orFailure(attempt: Promise<BackendInfo>): Promise<BackendInfo | BackendError> {
  try {
    return await attempt;
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
}

/** A backend that is missing is a matter for the doctor; one that computes wrong numbers is a matter for everybody. */
function withWarnings(info: BackendInfo, failures: readonly (BackendError | undefined)[]): BackendInfo {
  const warnings = [
    ...failures.filter(isFailedCheck).map((error) => `${error.message} Computing on ${info.name} instead.`),
    info.warning ?? [],
  ].flat();
  return warnings.length === 0 ? info : { ...info, warning: warnings.join(' ') };
}

function isFailedCheck(error: unknown): error is BackendError {
  return error instanceof BackendError && error.code === FAILED_CHECK;
}

async function prepareNative(options: BackendOptions, reason: string): Promise<BackendInfo> {
  const threads = options.threads ?? usableCores();
  const native = await loadNativeBackend({ threads, verbose: options.verbose ?? false });
  const device = native.gpu ? cudaDevice() : null;
  const selfCheck =
    device === null
      ? null
      : await checkedOnce(
          'tensorflow',
          device,
          'Set CUDA_VISIBLE_DEVICES=-1 to have native TensorFlow compute on the processor.',
        );
  await use('tensorflow');
  const kernels = native.gpu
    ? null
    : registerVisionKernels(tf.backend() as unknown as NativeOperations, native.threads);
  return {
    name: 'tensorflow',
    reason,
    nativeFailure: null,
    tensorflowVersion: native.version,
    threads: native.threads,
    gpu: native.gpu,
    device,
    selfCheck,
    warning: null,
    simd: true,
    kernels,
  };
}

function cudaDevice(): string {
  const driver = nvidiaDriver();
  const gpu = driver?.gpus[0] ?? 'NVIDIA GPU';
  return driver?.version == null ? gpu : `${gpu}, driver ${driver.version}`;
}

/** With `nativeFailure`, only where the adapter is hardware: an emulated GPU is used only where it was asked for. */
async function prepareWebgpu(reason: string, nativeFailure: string | null = null): Promise<BackendInfo> {
  const adapter = await startWebgpuBackend({ hardwareOnly: nativeFailure !== null });
  const selfCheck = await checkedOnce('webgpu', adapter.name, 'Update its driver, and run `crane doctor` again.');
  await use('webgpu');
  return {
    name: 'webgpu',
    reason,
    nativeFailure,
    tensorflowVersion: null,
    threads: 1,
    gpu: !adapter.software,
    device: adapter.name,
    selfCheck,
    warning: adapter.software
      ? `${adapter.name} is a processor that emulates a GPU: its numbers are right, but every other backend is faster.`
      : null,
    simd: null,
    kernels: null,
  };
}

/** @throws BackendError `backend/self-check` where the numbers are wrong. */
async function checkedOnce(name: BackendName, device: string, advice: string): Promise<SelfCheck> {
  silencePlain();
  const backend = tf.findBackend(name) as object;
  if (!checks.has(backend)) checks.set(backend, checkBackend(name));
  const check = (await checks.get(backend)) as SelfCheck;
  if (check.passed) return check;
  throw new BackendError(
    FAILED_CHECK,
    `${device} (${name}) computes wrong numbers: ${check.failures.join('; ')}. ${advice}`,
    { backend: name, found: check.failures, expected: SELF_CHECK_TOLERANCE },
  );
}

async function prepareWasm(
  options: BackendOptions,
  reason: string,
  nativeFailure: string | null,
): Promise<BackendInfo> {
  const { simd, threads, threadFailure } = await startWasmBackend(options.threads);
  await use('wasm');
  const warning =
    threadFailure === null ? null : `WebAssembly computes on one thread, which is slower: ${threadFailure}.`;
  return {
    name: 'wasm',
    reason,
    nativeFailure,
    tensorflowVersion: null,
    threads,
    ...ON_PROCESSOR,
    simd,
    warning,
    kernels: null,
  };
}

/** The plain JavaScript backend: no vector instructions, one thread; to check the others against. */
async function preparePlain(): Promise<BackendInfo> {
  silencePlain();
  await use('cpu');
  return {
    name: 'cpu',
    reason: BY_NAME,
    nativeFailure: null,
    tensorflowVersion: null,
    threads: 1,
    ...ON_PROCESSOR,
    simd: false,
    kernels: null,
  };
}

/** tfjs advertises its native package at the plain backend's first tensor; here it is used on purpose. */
function silencePlain(): void {
  const plain: unknown = tf.findBackend('cpu');
  if (typeof plain === 'object' && plain !== null && 'firstUse' in plain) plain.firstUse = false;
}

async function use(name: BackendName): Promise<void> {
  if (tf.getBackend() === name) return;
  if (!(await tf.setBackend(name))) {
    throw new BackendError(
      'backend/unavailable',
      `TensorFlow.js could not start its ${name} backend. Run \`crane doctor\` for details.`,
      { backend: name },
    );
  }
}

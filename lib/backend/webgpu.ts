import * as tf from '@tensorflow/tfjs';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BackendError } from '../errors';
import { packageFolder } from '../files/package-folder';
import { failOnDeviceErrors, type GpuDevice } from './webgpu-errors';

/** Optional peers of this package; the names are variables so that the compiler does not need them. */
const DAWN_PACKAGE: string = 'webgpu';
const KERNELS_PACKAGE: string = '@tensorflow/tfjs-backend-webgpu';
/** With the versions of package.json. */
export const WEBGPU_PACKAGES = 'webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0';

/** What WebGPU would compute on. */
export interface GpuAdapter {
  /** As its driver calls it, such as `NVIDIA GeForce RTX 4070 (ada), driver 550.54`. */
  readonly name: string;
  /** True where a processor emulates the GPU (SwiftShader, llvmpipe): right numbers, slowly. */
  readonly software: boolean;
  /** The largest tensor that it takes, in bytes. */
  readonly largestTensor: number;
}

/** The part of Dawn's objects that is used here; WebGPU's own types describe browsers. */
interface DawnAdapter {
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  readonly limits: Readonly<Record<string, number>>;
  requestDevice(descriptor: object): Promise<GpuDevice>;
}

interface Dawn {
  create(options: readonly string[]): { requestAdapter(options: object): Promise<DawnAdapter | null> };
  readonly globals: Readonly<Record<string, unknown>>;
}

interface WebgpuKernels {
  readonly WebGPUBackend: new (device: GpuDevice, info: object) => KernelBackend;
}

/** All that a large tensor or a wide work group may need; without asking, a device has the least that any GPU offers. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** Whether both optional packages are installed; costs no more than a disk access. */
export function isWebgpuInstalled(): boolean {
  try {
    require.resolve(`${DAWN_PACKAGE}/package.json`);
    require.resolve(`${KERNELS_PACKAGE}/package.json`);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts the WebGPU backend of `@tensorflow/tfjs` on the fastest GPU that a driver offers, with all the memory per
 * tensor that it allows. Values can only be read with `await tensor.data()`: `dataSync` does not work there.
 * A second call finds it started.
 *
 * @param options.hardwareOnly refuse an adapter that emulates a GPU on the processor
 * @throws BackendError `backend/unavailable` where the packages are not installed, no driver offers a GPU, or it does not start.
 */
export async function startWebgpuBackend({ hardwareOnly }: { readonly hardwareOnly: boolean }): Promise<GpuAdapter> {
  if (!isWebgpuInstalled()) {
    throw unavailable('its packages are not installed', `Install them with \`${installCommand()}\` (150 MB)`);
  }
  const engine = tf.engine();
  const dawn = opened.get(engine) ?? openAdapter();
  opened.set(engine, dawn);
  try {
    const { description, start } = await dawn;
    if (description.software && hardwareOnly) {
      throw unavailable(
        `the only adapter is ${description.name}, which emulates a GPU on the processor`,
        "It computes when asked for by name, `backend: 'webgpu'`, slowly",
      );
    }
    await start();
    return description;
  } catch (error) {
    if (error instanceof BackendError) throw error;
    opened.delete(engine);
    throw unavailable(firstLine(error), 'Run `crane doctor` to see what else can compute', error);
  }
}

interface OpenedAdapter {
  readonly description: GpuAdapter;
  /** Registers the backend; once only, however often it is called. */
  readonly start: () => Promise<void>;
}

/**
 * One for each engine, for as long as that lives: Dawn's entry point, which `start` holds on to, must not be collected as
 * garbage, or the device crashes the process.
 */
const opened = new WeakMap<object, Promise<OpenedAdapter>>();

async function openAdapter(): Promise<OpenedAdapter> {
  const dawn = await load<Dawn>(DAWN_PACKAGE);
  const gpu = dawn.create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw unavailable(
      'no driver offers a GPU',
      'Install the GPU’s Vulkan driver and the loader libvulkan1, or name the driver’s file in VK_DRIVER_FILES',
    );
  }
  let started: Promise<void> | undefined;
  return { description: describe(adapter), start: () => (started ??= registerBackend(dawn, gpu, adapter)) };
}

async function registerBackend(dawn: Dawn, gpu: object, adapter: DawnAdapter): Promise<void> {
  Object.assign(globalThis, dawn.globals);
  const kernels = await load<WebgpuKernels>(KERNELS_PACKAGE);
  const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const device = await adapter.requestDevice({ requiredLimits });
  const backend = withNavigatorGpu(gpu, () => new kernels.WebGPUBackend(device, adapter.info));
  failOnDeviceErrors(backend, device);
  tf.registerBackend('webgpu', () => backend, 0);
}

async function load<T>(name: string): Promise<T> {
  return (await import(name)) as T;
}

/**
 * The package looks for `navigator.gpu` when a backend is made, and would start one of its own with smaller limits if it
 * saw one while it is loaded. Taken away again, because other packages recognise a browser by it.
 */
function withNavigatorGpu<T>(gpu: object, action: () => T): T {
  const scope = globalThis as unknown as { navigator?: object };
  const before = Object.getOwnPropertyDescriptor(scope, 'navigator');
  Object.defineProperty(scope, 'navigator', { value: { gpu }, configurable: true });
  try {
    return action();
  } finally {
    if (before === undefined) delete scope.navigator;
    else Object.defineProperty(scope, 'navigator', before);
  }
}

/** In a checkout nothing is to be saved, and npm leaves out its own optional peers unless it is told to take them. */
function installCommand(): string {
  const checkout = existsSync(join(packageFolder(), 'package-lock.json'));
  return `npm install ${checkout ? '--no-save -O ' : ''}${WEBGPU_PACKAGES}`;
}

function describe({ info, limits }: DawnAdapter): GpuAdapter {
  const { vendor, architecture, device, description } = info;
  const hardware =
    [device, architecture && `(${[vendor, architecture].filter(Boolean).join(' ')})`].filter(Boolean).join(' ') ||
    vendor ||
    'unnamed GPU';
  return {
    name: description ? `${hardware}, ${description}` : hardware,
    software: info.isFallbackAdapter === true,
    largestTensor: Math.min(limits['maxBufferSize'] ?? 0, limits['maxStorageBufferBindingSize'] ?? 0),
  };
}

function unavailable(found: string, advice: string, cause?: unknown): BackendError {
  return new BackendError(
    'backend/unavailable',
    `WebGPU cannot compute here: ${found}. ${advice}.`,
    { backend: 'webgpu', found },
    { cause },
  );
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n')[0] ?? message).trim().replace(/\.$/, '');
}

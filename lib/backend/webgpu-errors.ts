import type { KernelBackend } from '@tensorflow/tfjs-core';
import { BackendError } from '../errors';

/** A GPU that is open: what computes, and where its errors come out. */
export interface GpuDevice {
  readonly limits: { readonly maxBufferSize: number; readonly maxStorageBufferBindingSize: number };
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  createBuffer(descriptor: { readonly size: number }): object;
  addEventListener(
    type: 'uncapturederror',
    listener: (event: { readonly error: { readonly message: string }; preventDefault(): void }) => void,
  ): void;
}

/**
 * Turns errors of the GPU into errors of the program. Left alone, WebGPU continues after one and returns wrong numbers: a tensor
 * over the limit reads as zeros. Here such a tensor is refused when it is made; any other error, such as running out of
 * memory, fails the next read and all later ones, since nothing says which tensors are still valid.
 *
 * Reads then throw BackendError `backend/device`, and tensors that are too large `backend/tensor-too-large`.
 */
export function failOnDeviceErrors(backend: KernelBackend, device: GpuDevice): void {
  let failure: BackendError | undefined;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault(); // Dawn would print it as well.
    failure ??= deviceError(event.error.message);
  });
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') failure ??= deviceError(`the device is lost (${message.trim() || reason})`);
  });

  const read = backend.read.bind(backend);
  backend.read = async (dataId) => {
    try {
      const values = await read(dataId);
      if (failure === undefined) return values;
    } catch (error) {
      failure ??= deviceError(error instanceof Error ? error.message : String(error), error);
    }
    throw failure;
  };

  const createBuffer = device.createBuffer.bind(device);
  const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  device.createBuffer = (descriptor) => {
    if (descriptor.size > limit) throw tooLarge(descriptor.size, limit);
    return createBuffer(descriptor);
  };
}

function deviceError(found: string, cause?: unknown): BackendError {
  const [first = ''] = found.trim().split('\n');
  return new BackendError(
    'backend/device',
    `The GPU reported an error, so its results cannot be trusted: ${first.replace(/\.$/, '')}. ` +
      'Use a smaller `batchSize` if memory is short, or another `backend`, and start again.',
    { backend: 'webgpu', found },
    { cause },
  );
}

function tooLarge(found: number, limit: number): BackendError {
  return new BackendError(
    'backend/tensor-too-large',
    `A tensor of ${megabytes(found)} is larger than this GPU allows (${megabytes(limit)}). Use a smaller \`batchSize\` or \`imageSize\`, or another \`backend\`.`,
    { backend: 'webgpu', found, expected: limit },
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

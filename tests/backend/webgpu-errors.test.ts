import type { KernelBackend } from '@tensorflow/tfjs-core';
import { failOnDeviceErrors, type GpuDevice } from '../../lib/backend/webgpu-errors';
import { BackendError } from '../../lib/errors';

type Listener = Parameters<GpuDevice['addEventListener']>[1];

/** A device whose errors are made by hand, and a backend that reads 1, 2 from it. */
function fakeDevice() {
  const listeners: Listener[] = [];
  let lose: (info: { reason: string; message: string }) => void = () => undefined;
  const created: number[] = [];
  const device: GpuDevice = {
    limits: { maxBufferSize: 1000, maxStorageBufferBindingSize: 800 },
    lost: new Promise((resolve) => (lose = resolve)),
    createBuffer: ({ size }) => {
      created.push(size);
      return {};
    },
    addEventListener: (_, listener) => void listeners.push(listener),
  };
  const backend = { read: async () => new Float32Array([1, 2]) } as unknown as KernelBackend;
  failOnDeviceErrors(backend, device);
  const preventDefault = jest.fn();
  return {
    device,
    created,
    preventDefault,
    read: () => backend.read({}),
    backend,
    fail: (message: string) => listeners.forEach((listener) => listener({ error: { message }, preventDefault })),
    lose: (reason: string, message = '') => lose({ reason, message }),
  };
}

describe('failOnDeviceErrors', () => {
  test('reads what is there while all is well', async () => {
    expect(await fakeDevice().read()).toEqual(new Float32Array([1, 2]));
  });

  test('an error fails the next read and every later one, by the first error', async () => {
    const gpu = fakeDevice();
    gpu.fail('Out of memory.\n - While calling CreateBuffer');
    gpu.fail('Invalid buffer');
    for (let times = 0; times < 2; times++) {
      await expect(gpu.read()).rejects.toMatchObject({
        code: 'backend/device',
        message: expect.stringMatching(/cannot be trusted: Out of memory\. Use a smaller `batchSize`/) as string,
      });
    }
    await expect(gpu.read()).rejects.toBeInstanceOf(BackendError);
    expect(gpu.preventDefault).toHaveBeenCalledTimes(2);
  });

  test('an error during a read fails that read', async () => {
    const gpu = fakeDevice();
    const reading = gpu.read();
    gpu.fail('late');
    await expect(reading).rejects.toMatchObject({ code: 'backend/device', data: { backend: 'webgpu', found: 'late' } });
  });

  test('a lost device is an error, one given back is not', async () => {
    const gone = fakeDevice();
    gone.lose('unknown', 'the cable was pulled');
    await expect(gone.read()).rejects.toMatchObject({
      code: 'backend/device',
      message: expect.stringContaining('the cable was pulled') as string,
    });
    const given = fakeDevice();
    given.lose('destroyed');
    expect(await given.read()).toHaveLength(2);
  });

  test('a read that fails by itself is an error of the device, with its cause', async () => {
    const device = fakeDevice().device;
    const cause = new Error('mapAsync failed');
    const backend = { read: () => Promise.reject(cause) } as unknown as KernelBackend;
    failOnDeviceErrors(backend, device);
    await expect(backend.read({})).rejects.toMatchObject({ code: 'backend/device', cause });
  });

  test('a buffer over the smaller of the limits is refused when it is made; one of just that size is not', () => {
    const { device, created } = fakeDevice();
    device.createBuffer({ size: 800 });
    expect(() => device.createBuffer({ size: 801 })).toThrow(
      expect.objectContaining({
        code: 'backend/tensor-too-large',
        data: { backend: 'webgpu', found: 801, expected: 800 },
      }),
    );
    expect(created).toEqual([800]);
  });
});

import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { loadNativeBackend } from '../../lib/backend/native';
import { nvidiaDriver } from '../../lib/backend/nvidia';
import { FlawedBackend } from './flawed-backend';

/** In the place of TensorFlow on a GPU: the plain backend's kernels under its name. */
jest.mock('../../lib/backend/native', () => ({
  ...jest.requireActual<object>('../../lib/backend/native'),
  loadNativeBackend: jest.fn(),
}));
jest.mock('../../lib/backend/nvidia', () => ({ nvidiaDriver: jest.fn() }));
jest.mock('../../lib/backend/webgpu', () => ({ isWebgpuInstalled: () => false }));

let flawed: FlawedBackend;

beforeEach(async () => {
  await prepareBackend('cpu');
  if (tf.engine().registryFactory['tensorflow'] !== undefined) tf.removeBackend('tensorflow');
  for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow');
  flawed = FlawedBackend.register('tensorflow');
  jest.mocked(loadNativeBackend).mockResolvedValue({ version: '2.21.0', threads: 4, gpu: true });
  jest.mocked(nvidiaDriver).mockReturnValue({ version: '550.54.15', gpus: ['NVIDIA H200'] });
});

test.each(['auto', 'tensorflow'] as const)('%s: TensorFlow on a GPU is checked, and says which GPU', async (choice) => {
  expect(await prepareBackend(choice)).toMatchObject({
    name: 'tensorflow',
    gpu: true,
    device: 'NVIDIA H200, driver 550.54.15',
    selfCheck: { passed: true },
    warning: null,
    nativeFailure: null,
    kernels: null,
  });
});

test.each(['auto', 'tensorflow'] as const)(
  '%s: TensorFlow on a GPU with wrong numbers is left for WebAssembly, with a way to its processor',
  async (choice) => {
    await flawed.with(
      'Sigmoid',
      (values) => void (values[0] = 2),
      async () => {
        const info = await prepareBackend(choice);
        expect(info).toMatchObject({ name: 'wasm', gpu: false, device: null });
        expect(info.warning).toMatch(
          /NVIDIA H200, driver 550\.54\.15 \(tensorflow\) computes wrong numbers: QuickGELU: off by.*CUDA_VISIBLE_DEVICES=-1.*Computing on wasm instead/,
        );
        expect(info.nativeFailure).toMatch(/QuickGELU/);
        expect(tf.getBackend()).toBe('wasm');
      },
    );
  },
);

test('TensorFlow on the processor is not checked: that would cost every start', async () => {
  jest.mocked(loadNativeBackend).mockResolvedValue({ version: '2.21.0', threads: 4, gpu: false });
  const read = jest.spyOn(flawed.backend, 'read');
  expect(await prepareBackend('auto')).toMatchObject({
    name: 'tensorflow',
    gpu: false,
    device: null,
    selfCheck: null,
    kernels: { own: false },
  });
  expect(read).not.toHaveBeenCalled();
});

test('a driver that tells nothing of itself is still a GPU', async () => {
  jest.mocked(nvidiaDriver).mockReturnValue(null);
  expect((await prepareBackend('auto')).device).toBe('NVIDIA GPU');
});

import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { isWebgpuInstalled, startWebgpuBackend, type GpuAdapter } from '../../lib/backend/webgpu';
import { BackendError } from '../../lib/errors';
import { surveyBackends } from '../../cli/doctor/survey';
import { FlawedBackend, type Flaw } from './flawed-backend';

/** In the place of a GPU: the plain backend's kernels, so that everything around it runs everywhere. */
jest.mock('../../lib/backend/webgpu', () => ({ isWebgpuInstalled: jest.fn(), startWebgpuBackend: jest.fn() }));

const withoutNative = process.env['CRANE_NO_NATIVE'] !== undefined;
const whereNative = withoutNative ? test.skip : test;
const hardware: GpuAdapter = { name: 'Test GPU, driver 1.2', software: false, largestTensor: 2 ** 30 };
const lastOff: Flaw = (values) => void (values[values.length - 1] = (values.at(-1) ?? 0) + 0.2);
const product = (): number[] =>
  Array.from(
    tf.tidy(() =>
      tf
        .matMul(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
          tf.tensor2d([[5], [6]]),
        )
        .dataSync(),
    ),
  );
let flawed: FlawedBackend;

/** What each start would find from here on, with kernels that were never checked. */
function plugIn(adapter: GpuAdapter | null): void {
  if (tf.engine().registryFactory['webgpu'] !== undefined) tf.removeBackend('webgpu');
  for (const { kernelName } of tf.getKernelsForBackend('webgpu')) tf.unregisterKernel(kernelName, 'webgpu');
  flawed = FlawedBackend.register('webgpu');
  jest.mocked(isWebgpuInstalled).mockReturnValue(adapter !== null);
  jest.mocked(startWebgpuBackend).mockImplementation(async ({ hardwareOnly }) => {
    if (adapter === null)
      throw new BackendError('backend/unavailable', 'WebGPU cannot compute here: its packages are not installed.');
    if (adapter.software && hardwareOnly)
      throw new BackendError('backend/unavailable', 'WebGPU cannot compute here: software only.');
    return adapter;
  });
}

beforeEach(async () => {
  await prepareBackend('cpu');
  plugIn(hardware);
});

afterEach(() => {
  if (!withoutNative) delete process.env['CRANE_NO_NATIVE'];
});

describe('a GPU by name', () => {
  test('computes once its numbers are found right', async () => {
    const info = await prepareBackend('webgpu');
    expect(info).toMatchObject({
      name: 'webgpu',
      gpu: true,
      device: 'Test GPU, driver 1.2',
      warning: null,
      selfCheck: { passed: true, largestDifference: 0 },
    });
    expect(tf.getBackend()).toBe('webgpu');
    expect(product()).toEqual([17, 39]);
  });

  test('is checked once, also by those who ask at the same time', async () => {
    const computed = jest.spyOn(flawed.backend, 'read');
    await Promise.all([prepareBackend('webgpu'), prepareBackend('webgpu')]);
    const reads = computed.mock.calls.length;
    expect(reads).toBeGreaterThan(10);
    await prepareBackend('cpu');
    await prepareBackend('webgpu');
    expect(computed.mock.calls.length).toBe(reads);
    plugIn(hardware);
    const again = jest.spyOn(flawed.backend, 'read');
    await prepareBackend('webgpu');
    expect(again.mock.calls.length).toBe(reads);
  });

  test('that computes wrong numbers is left for the next best, with a warning that says which operation', async () => {
    await flawed.with('Softmax', lastOff, async () => {
      const info = await prepareBackend('webgpu');
      expect(info.name).toBe(withoutNative ? 'wasm' : 'tensorflow');
      expect(info.gpu).toBe(false);
      expect(info.warning).toMatch(
        /Test GPU, driver 1\.2 \(webgpu\) computes wrong numbers: softmax: off by \d.*transformer block.*Update its driver.*Computing on (tensorflow|wasm) instead/,
      );
      expect(tf.getBackend()).toBe(info.name);
      expect(product()).toEqual([17, 39]);
    });
    // The check is not repeated, and its outcome stands.
    expect((await prepareBackend('webgpu')).name).not.toBe('webgpu');
  });

  test('that a processor plays is taken, with a warning, and never called a GPU', async () => {
    plugIn({ ...hardware, name: 'SwiftShader', software: true });
    expect(await prepareBackend('webgpu')).toMatchObject({
      name: 'webgpu',
      gpu: false,
      warning: expect.stringContaining('SwiftShader is a processor that emulates a GPU') as string,
    });
  });

  test('that is not there is an error with what to do', async () => {
    plugIn(null);
    await expect(prepareBackend('webgpu')).rejects.toMatchObject({
      code: 'backend/unavailable',
      message: expect.stringContaining('not installed') as string,
    });
  });
});

describe('auto', () => {
  whereNative('does not look for a GPU where native TensorFlow computes', async () => {
    jest.mocked(startWebgpuBackend).mockClear();
    expect((await prepareBackend('auto')).name).toBe('tensorflow');
    expect(startWebgpuBackend).not.toHaveBeenCalled();
  });

  test('takes a GPU before WebAssembly where native TensorFlow is not to be had', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    const info = await prepareBackend('auto');
    expect(info).toMatchObject({ name: 'webgpu', gpu: true, warning: null });
    expect(info.nativeFailure).toMatch(/CRANE_NO_NATIVE/);
  });

  test('takes WebAssembly where a processor plays the GPU, and says nothing of it', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    plugIn({ ...hardware, software: true });
    expect(await prepareBackend('auto')).toMatchObject({ name: 'wasm', warning: null });
  });

  test('takes WebAssembly where the GPU computes wrong numbers, and says so', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    await flawed.with(
      'BatchMatMul',
      (values) => void values.fill(NaN),
      async () => {
        const info = await prepareBackend('auto');
        expect(info.name).toBe('wasm');
        expect(info.warning).toMatch(/matrix product: not a number.*Computing on wasm instead/);
      },
    );
  });

  test('takes WebAssembly for callers who read values synchronously', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    expect((await prepareBackend('auto', { synchronousReads: true })).name).toBe('wasm');
  });

  test('takes WebAssembly where the packages are not installed, without trying to start a GPU', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    plugIn(null);
    jest.mocked(startWebgpuBackend).mockClear();
    expect((await prepareBackend('auto')).name).toBe('wasm');
    expect(startWebgpuBackend).not.toHaveBeenCalled();
  });
});

describe('the survey of the doctor', () => {
  const webgpuIn = async () => (await surveyBackends(false)).find(({ name }) => name === 'webgpu');

  test('has every backend once, and one that auto takes', async () => {
    const backends = await surveyBackends(false);
    expect(backends.map(({ name }) => name)).toEqual(['tensorflow', 'webgpu', 'wasm', 'cpu']);
    expect(backends.filter(({ automatic }) => automatic).map(({ name }) => name)).toEqual([
      (await prepareBackend('auto')).name,
    ]);
    expect(backends.find(({ name }) => name === 'wasm')).toMatchObject({
      state: 'ready',
      gpu: false,
      detail: expect.stringMatching(/\d threads?/) as string,
    });
  });

  test('says what a GPU is and how its numbers compare', async () => {
    expect(await webgpuIn()).toMatchObject({
      state: 'ready',
      gpu: true,
      detail: 'on Test GPU, driver 1.2, self-check passed (largest difference 0.0)',
    });
  });

  test('says what is wrong with one whose numbers are off', async () => {
    await flawed.with('Softmax', lastOff, async () => {
      expect(await webgpuIn()).toMatchObject({
        state: 'wrong numbers',
        gpu: false,
        detail: expect.stringMatching(/softmax: off by/) as string,
      });
    });
  });

  test('says why one cannot be had', async () => {
    plugIn(null);
    expect(await webgpuIn()).toMatchObject({
      state: 'not available',
      detail: expect.stringContaining('not installed') as string,
    });
  });

  test('has native TensorFlow switched off as not available, with the variable that did it', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    const backends = await surveyBackends(false);
    expect(backends[0]).toMatchObject({
      name: 'tensorflow',
      automatic: false,
      state: 'not available',
      detail: expect.stringContaining('CRANE_NO_NATIVE') as string,
    });
    expect(backends[1]).toMatchObject({ name: 'webgpu', automatic: true });
  });
});

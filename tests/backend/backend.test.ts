import * as tf from '@tensorflow/tfjs';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareBackend, type BackendChoice } from '../../lib/backend';
import { usableCores } from '../../lib/backend/cores';
import { BackendError } from '../../lib/errors';

const withoutNative = process.env['CRANE_NO_NATIVE'] !== undefined;
const whereNative = withoutNative ? test.skip : test;

afterEach(() => {
  if (!withoutNative) delete process.env['CRANE_NO_NATIVE'];
});

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

describe('prepareBackend', () => {
  test.each(['auto', 'wasm', 'cpu'] as const)('%s computes', async (choice) => {
    const info = await prepareBackend(choice);
    expect(tf.getBackend()).toBe(info.name);
    expect(product()).toEqual([17, 39]);
    expect(info.threads).toBeGreaterThanOrEqual(1);
  });

  whereNative('auto is native TensorFlow where it is set up, and says which', async () => {
    const info = await prepareBackend();
    expect(info).toMatchObject({ name: 'tensorflow', nativeFailure: null });
    expect(info.tensorflowVersion).toMatch(/^2\.\d+\.\d+/);
  });

  whereNative('a run on the CPU is never called a GPU run, though the npm package is named after it', async () => {
    const info = await prepareBackend('tensorflow');
    const backend = tf.backend() as unknown as { isUsingGpuDevice: boolean; isGPUPackage: boolean };
    expect(backend.isGPUPackage).toBe(true);
    expect(info.gpu).toBe(backend.isUsingGpuDevice);
  });

  test('auto falls back to WebAssembly, and says why and what to do', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    const info = await prepareBackend();
    expect(info).toMatchObject({ name: 'wasm', tensorflowVersion: null, gpu: false });
    expect(info.nativeFailure).toMatch(/CRANE_NO_NATIVE.*Unset it/);
    expect(product()).toEqual([17, 39]);
  });

  test('an explicit choice that is not to be had is an error', async () => {
    process.env['CRANE_NO_NATIVE'] = '1';
    const refused = prepareBackend('tensorflow');
    await expect(refused).rejects.toBeInstanceOf(BackendError);
    await expect(refused).rejects.toMatchObject({ code: 'backend/unavailable', data: { backend: 'tensorflow' } });
  });

  test('a name that is none is an error that lists those that are', async () => {
    await expect(prepareBackend('cuda' as BackendChoice)).rejects.toThrow(
      /"cuda"; choose one of auto, tensorflow, webgpu, wasm, cpu/,
    );
  });

  test('twice is the same as once, and a switch takes tensors along', async () => {
    const first = await prepareBackend('wasm');
    expect(await prepareBackend('wasm')).toEqual(first);
    const before = tf.memory().numTensors;
    const x = tf.tensor1d([1, 2, 3]);
    await prepareBackend('auto');
    expect(Array.from(tf.tidy(() => x.add(1).dataSync()))).toEqual([2, 3, 4]);
    x.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('the plain backend starts without advertising another package', async () => {
    const warned = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    await prepareBackend('cpu');
    product();
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  test('typed arrays of the backend are those of the tests', async () => {
    await prepareBackend();
    const x = tf.tensor1d([1, 2]);
    expect(x.dataSync()).toBeInstanceOf(Float32Array);
    expect(await x.data()).toBeInstanceOf(Float32Array);
    x.dispose();
  });
});

describe('usableCores', () => {
  const file = join(tmpdir(), `crane-quota-${process.pid}`);
  afterEach(() => rmSync(file, { force: true }));

  test.each([
    ['100000 100000', 1],
    ['50000 100000', 1],
    ['max 100000', usableCores('/nonexistent')],
    ['6400000 100000', Math.min(64, usableCores('/nonexistent'))],
    ['nonsense', usableCores('/nonexistent')],
  ])('a quota of "%s" gives %i', (quota, cores) => {
    writeFileSync(file, `${quota}\n`);
    expect(readFileSync(file, 'utf8')).toContain(quota);
    expect(usableCores(file)).toBe(cores);
  });
});

import { adviceOn, describe as report } from '../../cli/doctor/describe';
import type { Examination } from '../../cli/doctor/examine';
import type { BackendPresence } from '../../cli/doctor/survey';
import type { BackendInfo } from '../../lib/backend';

const native: BackendPresence = {
  name: 'tensorflow',
  state: 'ready',
  automatic: true,
  detail: 'TensorFlow 2.21.0, on the processor, 2 threads',
  gpu: false,
};
const webgpu: BackendPresence = {
  name: 'webgpu',
  state: 'not available',
  automatic: false,
  detail: 'WebGPU cannot compute here: its packages are not installed.',
  gpu: false,
};
const computing: BackendInfo = {
  name: 'tensorflow',
  reason: 'it is set up',
  nativeFailure: null,
  tensorflowVersion: '2.21.0',
  threads: 2,
  gpu: false,
  device: null,
  selfCheck: null,
  warning: null,
  simd: true,
  kernels: { own: true, instructions: 'AVX-512' },
};

function examination(changes: Partial<Examination>): Examination {
  return {
    backend: computing,
    backends: [native, webgpu],
    setup: null,
    cpu: { model: 'Test CPU', cores: 2, features: ['avx2'] },
    nvidiaDriver: null,
    memory: { total: 8e9, available: 4e9 },
    versions: { 'crane-tfjs': '0.1.0', node: '20.0.0', tfjs: '4.22.0', sharp: '0.35.5', libvips: '8.18.7' },
    platform: 'linux x64',
    cache: { folder: '/cache', exists: false, bytes: 0 },
    weights: { folder: '/cache/weights', files: [] },
    ...changes,
  };
}

const driver = { version: '550.54.15', gpus: ['NVIDIA H200'] };

describe('the report of the doctor', () => {
  const lines = (changes: Partial<Examination> = {}): string[] => report(examination(changes), []).split('\n');
  const gpuLine = (changes: Partial<Examination>): string | undefined =>
    lines(changes).find((line) => line.startsWith('GPU'));

  test('has a line for each backend, aligned, with the one that auto takes marked', () => {
    const at = lines().indexOf('Backends:');
    expect(lines().slice(at + 1, at + 3)).toEqual([
      '* tensorflow  ready          TensorFlow 2.21.0, on the processor, 2 threads (chosen by auto)',
      '  webgpu      not available  WebGPU cannot compute here: its packages are not installed.',
    ]);
  });

  test.each<[string, Partial<Examination>, RegExp]>([
    ['none', {}, /none in use \(no NVIDIA driver is loaded\)/],
    [
      'a driver without use',
      { nvidiaDriver: driver },
      /none in use, though a driver is loaded \(NVIDIA H200, driver 550\.54\.15\)/,
    ],
    [
      'one in use',
      { nvidiaDriver: driver, backend: { ...computing, gpu: true, device: 'NVIDIA H200, driver 550.54.15' } },
      /NVIDIA H200, driver 550\.54\.15: in use$/,
    ],
    [
      'one that a processor plays',
      { backend: { ...computing, name: 'webgpu', device: 'SwiftShader' } },
      /none in use; SwiftShader is a processor that emulates one/,
    ],
  ])('GPU: %s', (_, changes, expected) => {
    expect(gpuLine(changes)).toMatch(expected);
  });
});

describe('own kernels', () => {
  const kernelLine = (kernels: BackendInfo['kernels']): string | undefined =>
    report(examination({ backend: { ...computing, kernels } }), [])
      .split('\n')
      .find((line) => line.startsWith('Kernels'));

  test.each<[string, BackendInfo['kernels'], string | undefined]>([
    ['there', { own: true, instructions: 'AVX2' }, 'Kernels     own attention and MLP kernels, AVX2'],
    [
      'not there',
      { own: false, reason: 'this processor has no AVX2' },
      'Kernels     plain TensorFlow operations, about half as fast: this processor has no AVX2',
    ],
    ['of no meaning, where another backend computes', null, undefined],
  ])('%s', (_, kernels, expected) => {
    expect(kernelLine(kernels)).toBe(expected);
  });
});

describe('the advice of the doctor', () => {
  const advice = (changes: Partial<Examination>): string[] => adviceOn(examination(changes));

  test('is none where nothing is missing; an optional package that nobody installed is not missing', () => {
    expect(advice({})).toEqual([]);
  });

  test('is to set up CUDA where an NVIDIA driver is loaded and TensorFlow does not use it', () => {
    expect(advice({ nvidiaDriver: driver })).toEqual([expect.stringMatching(/npx crane setup --retry/)]);
    expect(
      advice({
        nvidiaDriver: driver,
        backend: { ...computing, gpu: true },
        backends: [{ ...native, gpu: true }, webgpu],
      }),
    ).toEqual([]);
  });

  test('is not to set up CUDA again where its numbers are wrong, but what to do about them', () => {
    const warned = { ...computing, name: 'wasm' as const, warning: 'NVIDIA H200 computes wrong numbers.' };
    expect(
      advice({ nvidiaDriver: driver, backend: warned, backends: [{ ...native, state: 'wrong numbers' }] }),
    ).toEqual(['NVIDIA H200 computes wrong numbers.']);
  });

  test('names WebGPU where it would compute on a GPU that is not in use', () => {
    const ready: BackendPresence = { ...webgpu, state: 'ready', gpu: true };
    expect(advice({ backends: [native, ready] })).toEqual([expect.stringMatching(/--backend webgpu.*crane bench/)]);
    expect(advice({ backends: [native, { ...ready, gpu: false }] })).toEqual([]);
    expect(advice({ backend: { ...computing, name: 'webgpu', gpu: true }, backends: [native, ready] })).toEqual([]);
  });
});

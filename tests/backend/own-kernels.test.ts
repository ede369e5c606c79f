import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { cpuFlags } from '../../lib/backend/cpu-flags';
import type { NativeOperations } from '../../lib/backend/native-kernels';
import { readSetupState, type SetupState } from '../../lib/backend/setup-state';
import { registerVisionKernels } from '../../lib/backend/vision-kernels';

jest.mock('../../lib/backend/setup-state', () => ({ readSetupState: jest.fn() }));
jest.mock('../../lib/backend/cpu-flags', () => ({ cpuFlags: jest.fn() }));

const set = { plain: process.env['CRANE_PLAIN_KERNELS'], vectors: process.env['CRANE_NATIVE_VECTORS'] };
const binding = { TF_ATTR_BOOL: 0, TF_ATTR_TYPE: 1, TF_ATTR_INT: 2, TF_ATTR_FLOAT: 3, TF_FLOAT: 4 };
const registered = (): string[] =>
  tf
    .getKernelsForBackend('tensorflow')
    .map(({ kernelName }) => kernelName)
    .filter((name) => name.startsWith('Crane'))
    .sort();

/** A binding whose answer to the sum of three ones is this. */
function answering(answer: () => tf.Tensor): NativeOperations {
  return { binding, executeSingleOutput: answer, executeMultipleOutputs: () => [] };
}
const right = answering(() => tf.fill([16], 3));
const failing = (message: string): NativeOperations =>
  answering(() => {
    throw new Error(`Invalid TF_Status: 5\nMessage: ${message}`);
  });
const unknown = failing("'CraneAddResidual' is neither a type of a primitive operation nor a name of a function");

beforeEach(async () => {
  await prepareBackend('cpu');
  delete process.env['CRANE_PLAIN_KERNELS'];
  delete process.env['CRANE_NATIVE_VECTORS'];
  jest.mocked(readSetupState).mockReturnValue(null);
  jest.mocked(cpuFlags).mockReturnValue(new Set(['avx2', 'fma', 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl']));
});
afterAll(() => {
  if (set.plain !== undefined) process.env['CRANE_PLAIN_KERNELS'] = set.plain;
  if (set.vectors !== undefined) process.env['CRANE_NATIVE_VECTORS'] = set.vectors;
});

const ALL = ['CraneAddResidual', 'CraneAttention', 'CraneLayerNorm', 'CraneQuickGelu'];

test('where the operations compute, all are registered; and they go when they are switched off', () => {
  const before = tf.memory().numTensors;
  expect(registerVisionKernels(right, 2)).toMatchObject({ own: true });
  expect(registered()).toEqual(ALL);
  expect(registerVisionKernels(right, 2)).toMatchObject({ own: true });
  process.env['CRANE_PLAIN_KERNELS'] = '1';
  expect(registerVisionKernels(right, 2)).toEqual({ own: false, reason: 'disabled by CRANE_PLAIN_KERNELS' });
  expect(registered()).toEqual([]);
  process.env['CRANE_PLAIN_KERNELS'] = '0';
  expect(registerVisionKernels(right, 2)).toMatchObject({ own: true });
  expect(registered()).toEqual(ALL);
  expect(tf.memory().numTensors).toBe(before);
});

test.each<[string, NativeOperations, string]>([
  ['a binding without them', unknown, 'not compiled into this binding: run `npx crane setup`'],
  [
    'a processor without vector instructions',
    failing('no vector instructions for CraneAddResidual'),
    'this processor has no AVX2',
  ],
  ['wrong numbers', answering(() => tf.fill([16], 2)), 'they compute wrong numbers here'],
])('%s: none is registered, and the reason is told', (_, backend, reason) => {
  const before = tf.memory().numTensors;
  expect(registerVisionKernels(backend, 2)).toEqual({ own: false, reason });
  expect(registered()).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
});

test('why set-up left them out is told', () => {
  const step = {
    step: 'compile the binding',
    ok: true,
    detail: 'compiled; its own kernels are left out: vector_kernels.inc:7: error; and more',
  };
  jest.mocked(readSetupState).mockReturnValue({ steps: [{ ...step, detail: 'found' }, step] } as unknown as SetupState);
  expect(registerVisionKernels(unknown, 1)).toEqual({
    own: false,
    reason: 'not compiled into this binding (vector_kernels.inc:7: error): run `npx crane setup`',
  });
});

const onX64 = process.arch === 'x64' ? test : test.skip;
onX64('the vector instructions are those that the operations choose', () => {
  const instructions = (): unknown => (registerVisionKernels(right, 1) as { instructions?: string }).instructions;
  expect(instructions()).toBe('AVX-512');
  process.env['CRANE_NATIVE_VECTORS'] = 'avx2';
  expect(instructions()).toBe('AVX2');
  delete process.env['CRANE_NATIVE_VECTORS'];
  jest.mocked(cpuFlags).mockReturnValue(new Set(['avx2', 'fma', 'avx512f']));
  expect(instructions()).toBe('AVX2');
  jest.mocked(cpuFlags).mockReturnValue(null);
  expect(instructions()).toBe('AVX2');
});

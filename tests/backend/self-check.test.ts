import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { checkBackend, SELF_CHECK_TOLERANCE } from '../../lib/backend/self-check';
import { FlawedBackend, type Flaw } from './flawed-backend';

const whereNative = process.env['CRANE_NO_NATIVE'] === undefined ? test : test.skip;
let flawed: FlawedBackend;

beforeAll(async () => {
  await prepareBackend('cpu');
  flawed = FlawedBackend.register('flawed');
});

/** The last number of a result is where a kernel ends that takes its tiles to be full. */
const lastOff =
  (by: number): Flaw =>
  (values) =>
    void (values[values.length - 1] = (values.at(-1) ?? 0) + by);
const firstNaN: Flaw = (values) => void (values[0] = NaN);
const reversed: Flaw = (values) => void values.reverse();

describe('checkBackend', () => {
  test('finds nothing wrong with the kernels of the plain backend itself', async () => {
    expect(await checkBackend('flawed')).toEqual({ passed: true, largestDifference: 0, failures: [] });
  });

  test('finds nothing wrong with WebAssembly', async () => {
    await prepareBackend('wasm');
    const check = await checkBackend('wasm');
    expect(check).toMatchObject({ passed: true, failures: [] });
    expect(check.largestDifference).toBeLessThan(1e-4);
    // Another implementation rounds in another way: were there no difference, something else would have computed.
    expect(check.largestDifference).toBeGreaterThan(0);
  });

  whereNative('finds nothing wrong with native TensorFlow', async () => {
    await prepareBackend('tensorflow');
    const check = await checkBackend('tensorflow');
    expect(check).toMatchObject({ passed: true, failures: [] });
    expect(check.largestDifference).toBeLessThan(1e-4);
    expect(check.largestDifference).toBeGreaterThan(0);
  });

  test.each([
    ['BatchMatMul', 'matrix product'],
    ['BatchMatMul', 'product with the first factor transposed'],
    ['BatchMatMul', 'batched product with the second factor transposed'],
    ['Softmax', 'softmax'],
    ['Rsqrt', 'layer normalisation'],
    ['Erf', 'GELU'],
    ['Sigmoid', 'QuickGELU'],
    ['Concat', 'slice, concatenation and split'],
    ['Slice', 'slice, concatenation and split'],
    ['Transpose', 'transpose'],
    ['Conv2D', 'convolution'],
    ['GatherV2', 'gather'],
    ['Max', 'sum, mean and maximum'],
    ['Log', 'exponential and logarithm'],
    ['ClipByValue', 'comparison and choice'],
    ['Softmax', 'transformer block'],
  ])('one number that is off in a result of %s is found in: %s', async (kernel, operation) => {
    const check = await flawed.with(kernel, lastOff(0.2), () => checkBackend('flawed'));
    expect(check.passed).toBe(false);
    expect(check.largestDifference).toBeGreaterThan(SELF_CHECK_TOLERANCE);
    expect(check.failures).toContainEqual(expect.stringMatching(new RegExp(`^${operation}: (off by|not a number)`)));
  });

  test('a result that is no number is not mistaken for a small difference', async () => {
    const check = await flawed.with('BatchMatMul', firstNaN, () => checkBackend('flawed'));
    expect(check.passed).toBe(false);
    expect(check.failures).toContain('matrix product: not a number');
  });

  test('a result in the wrong order is found, though it holds the right numbers', async () => {
    const check = await flawed.with('Transpose', reversed, () => checkBackend('flawed'));
    expect(check.failures).toContainEqual(expect.stringMatching(/^transpose: off by/));
  });

  test.each([
    [0.9 * SELF_CHECK_TOLERANCE, true],
    [1.1 * SELF_CHECK_TOLERANCE, false],
  ])('a difference of %f: passed is %p', async (difference, passed) => {
    const check = await flawed.with('GatherV2', lastOff(difference), () => checkBackend('flawed'));
    expect(check.passed).toBe(passed);
    expect(check.largestDifference).toBeCloseTo(difference, 6);
  });

  test('an operation that fails is named, and the others are still looked at', async () => {
    const check = await flawed.without('Erf', () => checkBackend('flawed'));
    expect(check.failures).toEqual([expect.stringMatching(/^GELU: .*Erf.*not registered/)]);
  });

  test('leaves no tensors behind, also where operations fail, and the plain backend in use', async () => {
    const before = tf.memory().numTensors;
    await checkBackend('flawed');
    await flawed.without('Erf', () => checkBackend('flawed'));
    await flawed.with('Softmax', firstNaN, () => checkBackend('flawed'));
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.getBackend()).toBe('cpu');
  });
});

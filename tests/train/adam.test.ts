import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import { prepareBackend } from '../../lib/backend';
import { TrainingError } from '../../lib/errors';
import { Adam, type AdamOptions } from '../../train/adam';
import { describeWithGoldens, expectClose, golden, goldenCases } from '../goldens';

beforeAll(async () => {
  await prepareBackend('auto');
});

/** PyTorch's documented update in doubles, one value at a time. */
function slowAdam(
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  learningRate: number,
  options: AdamOptions,
): number[] {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  return start.map((value, at) => {
    let [p, m, v] = [value, 0, 0];
    gradients.forEach((gradient, index) => {
      const g = gradient[at] as number;
      p -= learningRate * weightDecay * p;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      p -= (learningRate * (m / (1 - beta1 ** (index + 1)))) / (Math.sqrt(v / (1 - beta2 ** (index + 1))) + epsilon);
    });
    return p;
  });
}

function run(
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  learningRate: number,
  options: AdamOptions,
): number[] {
  const variable = tf.variable(tf.tensor1d([...start]));
  const adam = new Adam([variable], options);
  for (const gradient of gradients) tf.tidy(() => void adam.apply([tf.tensor1d([...gradient])], learningRate));
  const result = [...variable.dataSync()];
  adam.dispose();
  variable.dispose();
  return result;
}

describe('Adam', () => {
  test("the first step is the learning rate in the gradient's direction", () => {
    const [a, b] = run([1, -2], [[0.3, -700]], 0.01, {}) as [number, number];
    expect(a).toBeCloseTo(0.99, 6);
    expect(b).toBeCloseTo(-1.99, 6);
  });

  test('epsilon is added after the bias correction, as in PyTorch', () => {
    // m̂ = g and v̂ = g²: p − lr·g/(|g| + ε). With ε on the uncorrected root the step would be about thirty times smaller.
    const [p] = run([0], [[1e-4]], 1, { epsilon: 1e-4 }) as [number];
    expect(p).toBeCloseTo(-0.5, 5);
  });

  test('equals the formula for any gradients and options', () => {
    const value = fc.double({ min: -3, max: 3, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 3, maxLength: 3 }),
        fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom({}, { beta1: 0.6 }, { beta2: 0.98, weightDecay: 0.1 }, { epsilon: 1e-3 }),
        (start, gradients, options) =>
          expectClose(run(start, gradients, 0.05, options), slowAdam(start, gradients, 0.05, options), 2e-5, 1e-5),
      ),
      { numRuns: 25 },
    );
  });

  test('weight decay leaves out what it is told to', () => {
    const [decayed, kept] = [tf.variable(tf.scalar(4)), tf.variable(tf.scalar(4))];
    const adam = new Adam([decayed, kept], { weightDecay: 0.5, decays: (_, index) => index === 0 });
    tf.tidy(() => void adam.apply([tf.scalar(0), tf.scalar(0)], 0.1));
    expect([decayed.dataSync()[0], kept.dataSync()[0]]).toEqual([expect.closeTo(3.8, 5), 4]);
  });

  test('shapes are kept, nothing leaks, and gradients over the bound are scaled down together', async () => {
    const variables = [tf.variable(tf.zeros([2, 2])), tf.variable(tf.zeros([1]))];
    const adam = new Adam(variables, { beta1: 0, beta2: 0 });
    const gradients = [tf.fill([2, 2], 3), tf.tensor1d([8])];
    const before = tf.memory().numTensors;
    expect(adam.apply(gradients, 0.1, 1)).toBeCloseTo(10, 5);
    expect(adam.apply(gradients, 0.1)).toBeNull();
    expect(tf.memory().numTensors).toBe(before);
    expect(variables.map((variable) => variable.shape)).toEqual([[2, 2], [1]]);
    expectClose((await adam.state()).first, [3, 3, 3, 3, 8], 1e-6);
    adam.apply(gradients, 0.1, 1);
    expectClose((await adam.state()).first, [0.3, 0.3, 0.3, 0.3, 0.8], 1e-6);
    adam.dispose();
    tf.dispose([variables, gradients]);
  });

  test('goes on from a saved state as if it had never stopped', async () => {
    const gradients = [
      [0.3, -1],
      [2, 0.5],
      [-0.2, 0.1],
      [1, 1],
    ];
    const whole = run([1, 2], gradients, 0.1, { beta1: 0.6 });
    const variable = tf.variable(tf.tensor1d([1, 2]));
    const first = new Adam([variable], { beta1: 0.6 });
    gradients.slice(0, 2).forEach((gradient) => first.apply([tf.tensor1d(gradient)], 0.1));
    const second = new Adam([variable], { beta1: 0.6 });
    second.restore(await first.state());
    expect(second.step).toBe(2);
    gradients.slice(2).forEach((gradient) => second.apply([tf.tensor1d(gradient)], 0.1));
    expect([...variable.dataSync()]).toEqual(whole);
    first.dispose();
    second.dispose();
    variable.dispose();
  });

  test('refuses a state or gradients of another network, and gradients that are not finite', () => {
    const variable = tf.variable(tf.tensor1d([1, 2]));
    const adam = new Adam([variable]);
    expect(() => adam.restore({ step: 1, first: new Float32Array(3), second: new Float32Array(3) })).toThrow(
      TrainingError,
    );
    expect(() => adam.apply([], 0.1)).toThrow('0 gradients for 1 variables');
    expect(() => tf.tidy(() => void adam.apply([tf.tensor1d([NaN, 1])], 0.1, 1))).toThrow('NaN or infinite');
    expect([...variable.dataSync()]).toEqual([1, 2]);
    adam.dispose();
    variable.dispose();
  });
});

describeWithGoldens("Adam against the reference's first training step", () => {
  test.each(goldenCases('train').map((item) => [item.id, item] as const))('%s', (_, item) => {
    const names = Object.keys(item.outputs)
      .filter((name) => name.startsWith('grad.'))
      .map((name) => name.slice('grad.'.length));
    expect(names.length).toBeGreaterThan(0);
    const config = item.config as unknown as { learning_rate: number; betas: [number, number]; eps: number };
    const tensor = (reference: string): tf.Tensor => {
      const { data, shape } = golden(reference);
      return tf.tensor(data, shape);
    };
    const variables = names.map((name) => tf.variable(tensor(item.inputs[`start.${name}`] as string)));
    const adam = new Adam(variables, { beta1: config.betas[0], beta2: config.betas[1], epsilon: config.eps });
    tf.tidy(
      () =>
        void adam.apply(
          names.map((name) => tensor(item.outputs[`grad.${name}`] as string)),
          config.learning_rate,
        ),
    );
    names.forEach((name, index) => {
      expectClose(
        (variables[index] as tf.Variable).dataSync(),
        golden(item.outputs[`step1.${name}`] as string).data,
        1e-6,
      );
    });
    adam.dispose();
    tf.dispose(variables);
  });
});

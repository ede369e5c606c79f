import * as tf from '@tensorflow/tfjs';
import { spawnSync } from 'node:child_process';
import { prepareBackend } from '../../lib/backend';
import type { NativeOperations } from '../../lib/backend/native-kernels';
import { registerVisionKernels } from '../../lib/backend/vision-kernels';
import type { AttentionType } from '../../lib/layers/e-attn';
import { DualPathBlock } from '../../lib/layers/dual-path-block';
import { EAttn } from '../../lib/layers/e-attn';
import { runFast, type FastKernel } from '../../lib/layers/fast-kernel';
import { CORRELATIONS, fusedAttention } from '../../lib/layers/fused-attention';
import { LayerNorm } from '../../lib/layers/layer-norm';
import { Linear } from '../../lib/layers/linear';
import { Mlp } from '../../lib/layers/mlp';
import { MultiHeadAttention, attend } from '../../lib/layers/multi-head-attention';
import { ResidualBlock } from '../../lib/layers/residual-block';
import { seededNormal } from '../../lib/weights/seeded';
import { expectNoLeak } from '../tensors';

const KERNELS: readonly FastKernel[] = ['CraneAttention', 'CraneQuickGelu', 'CraneLayerNorm', 'CraneAddResidual'];
/** Whether the binding has the operations shows in a process of its own, since tests are collected before a backend is loaded. */
const PROBE = `
  require('ts-node/register/transpile-only');
  require('./lib/backend').prepareBackend('tensorflow').then(() => {
    process.exit(require('@tensorflow/tfjs').getKernel('CraneAttention', 'tensorflow') === undefined ? 3 : 0);
  }, () => process.exit(4));
`;
const probe = spawnSync(process.execPath, ['-e', PROBE], {
  encoding: 'utf8',
  env: { ...process.env, CRANE_PLAIN_KERNELS: '' },
});
const reason = {
  0: undefined,
  3: 'the native binding was compiled without them, or the processor has no AVX2',
  4: 'there is no native backend',
}[probe.status ?? -1];
if (probe.status !== 0)
  process.stderr.write(
    `\nVISION KERNELS NOT TESTED: skipping the tests of ${KERNELS.join(', ')}, because ${reason ?? `looking for them failed: ${probe.stderr}`}.\n`,
  );
const describeWithKernels = probe.status === 0 ? describe : describe.skip;

test('looking for the kernels ends with a clear answer', () => {
  expect([0, 3, 4]).toContain(probe.status);
});

type Numbers = ArrayLike<number>;

interface Case {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly depth: number;
  /** Size of the projections. */
  readonly spread?: number;
}

const title = ({ batch, tokens, heads, depth, spread = 1 }: Case): string =>
  `B ${batch}, N ${tokens}, ${heads} heads of ${depth}, spread ${spread}`;

function drawn(shape: readonly number[], name: string, spread = 1): tf.Tensor {
  const next = seededNormal(name);
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => spread * next()),
    [...shape],
  );
}

function projections({ batch, tokens, heads, depth, spread = 1 }: Case): {
  joined: tf.Tensor3D;
  bias: tf.Tensor1D;
  heads: number;
} {
  const width = heads * depth;
  return {
    joined: drawn([batch, tokens, 3 * width], 'joined', spread) as tf.Tensor3D,
    bias: drawn([3 * width], 'bias', 0.5) as tf.Tensor1D,
    heads,
  };
}

/** `(Σ softmax(a bᵀ/√d)) v` for the rows asked for, in doubles, one number after the other. */
function slowAttention(
  joined: Numbers,
  bias: Numbers,
  { batch, tokens, heads, depth }: Case,
  correlations: number,
  rows: number,
): Float64Array {
  const width = heads * depth;
  const at = (image: number, token: number, part: number, channel: number): number => {
    const column = part * width + channel;
    return (joined[(image * tokens + token) * 3 * width + column] as number) + (bias[column] as number);
  };
  const pairs = (
    [
      [CORRELATIONS.queriesKeys, 0, 1],
      [CORRELATIONS.queriesQueries, 0, 0],
      [CORRELATIONS.keysKeys, 1, 1],
      [CORRELATIONS.valuesValues, 2, 2],
    ] as const
  ).filter(([bit]) => (correlations & bit) !== 0);
  const out = new Float64Array(batch * rows * width);
  for (let image = 0; image < batch; image++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const weights = new Float64Array(tokens);
        for (const [, left, right] of pairs) {
          const scores = Float64Array.from({ length: tokens }, (_, token) => {
            let score = 0;
            for (let channel = head * depth; channel < (head + 1) * depth; channel++)
              score += at(image, row, left, channel) * at(image, token, right, channel);
            return score / Math.sqrt(depth);
          });
          const most = scores.reduce((a, b) => Math.max(a, b));
          const powers = scores.map((score) => Math.exp(score - most));
          const sum = powers.reduce((a, b) => a + b);
          powers.forEach((power, token) => (weights[token] = (weights[token] as number) + power / sum));
        }
        for (let channel = head * depth; channel < (head + 1) * depth; channel++) {
          let value = 0;
          for (let token = 0; token < tokens; token++)
            value += (weights[token] as number) * at(image, token, 2, channel);
          out[(image * rows + row) * width + channel] = value;
        }
      }
    }
  }
  return out;
}

/** What the layers compute where the backend has no such operations. */
function plainAttention(
  given: { joined: tf.Tensor3D; bias: tf.Tensor1D; heads: number },
  correlations: number,
): tf.Tensor3D {
  return tf.tidy(() => {
    const attention = new MultiHeadAttention({ width: given.joined.shape[2] / 3, heads: given.heads });
    const heads = attention.apart(given);
    const type = Object.entries(TYPES).find(([, bits]) => bits === correlations)?.[0] as AttentionType | undefined;
    const plain = attention.merge(
      type === undefined
        ? attend(heads.queries, heads.keys, heads.values)
        : new EAttn({ attention: type }).correlate(heads),
    );
    attention.dispose();
    return plain;
  });
}

const { queriesKeys, queriesQueries, keysKeys, valuesValues } = CORRELATIONS;
/** E-Attn's sums of softmaxes. */
const TYPES = {
  'qq+kk+vv': queriesQueries + keysKeys + valuesValues,
  'qq+kk': queriesQueries + keysKeys,
  qq: queriesQueries,
  kk: keysKeys,
  vv: valuesValues,
} as const;

/** Largest difference, as a share of the largest number expected; infinite where one of them is no number and the other is. */
function difference(found: Numbers, expected: Numbers): number {
  expect(found.length).toBe(expected.length);
  let [largest, size] = [0, 0];
  for (let index = 0; index < found.length; index++) {
    const [a, b] = [found[index] as number, expected[index] as number];
    if (Number.isNaN(a) !== Number.isNaN(b)) return Infinity;
    if (Number.isNaN(a) || a === b) continue;
    largest = Math.max(largest, Math.abs(a - b));
    size = Math.max(size, Math.abs(b));
  }
  return largest === 0 ? 0 : largest / Math.max(size, 1e-30);
}

const native = (): NativeOperations => tf.backend() as unknown as NativeOperations;

/** An operation as the backend is given it, with whatever attributes. */
function run(name: FastKernel, inputs: readonly tf.Tensor[], attributes: Record<string, number>): Float32Array {
  return tf.tidy(() => {
    const { TF_ATTR_INT, TF_ATTR_FLOAT } = native().binding;
    const list = Object.entries(attributes).map(([attribute, value]) => ({
      name: attribute,
      type: attribute === 'epsilon' ? TF_ATTR_FLOAT : TF_ATTR_INT,
      value,
    }));
    return (native().executeSingleOutput(name, list, inputs) as tf.Tensor).dataSync() as Float32Array;
  });
}

/** What `body` gives while the backend has no vision kernels. */
function withoutKernels<T>(body: () => T): T {
  const kept = KERNELS.map((name) => tf.getKernel(name, 'tensorflow'));
  KERNELS.forEach((name) => {
    tf.unregisterKernel(name, 'tensorflow');
  });
  try {
    return body();
  } finally {
    kept.forEach((config) => {
      tf.registerKernel(config);
    });
  }
}

const EPSILON = 1e-5;

function slowNorm(x: Numbers, gain: Numbers, offset: Numbers, epsilon: number): Float64Array {
  const width = gain.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const row = Float64Array.from({ length: width }, (_, channel) => x[start + channel] as number);
    const mean = row.reduce((a, b) => a + b) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    row.forEach(
      (value, channel) =>
        (out[start + channel] =
          ((value - mean) / Math.sqrt(variance + epsilon)) * (gain[channel] as number) + (offset[channel] as number)),
    );
  }
  return out;
}

const slowGelu = (x: Numbers, bias: Numbers): Float64Array =>
  Float64Array.from({ length: x.length }, (_, index) => {
    const value = Math.fround((x[index] as number) + (bias[index % bias.length] as number));
    return value / (1 + Math.exp(-1.702 * value));
  });

const inPlainSight = [NaN, Infinity, -Infinity];

describeWithKernels('vision kernels', () => {
  beforeAll(async () => {
    // They are what is tested, also in a run of the suite without them.
    delete process.env['CRANE_PLAIN_KERNELS'];
    await prepareBackend('tensorflow');
    registerVisionKernels(native(), 2);
  });

  test('are registered, all of them', () => {
    expect(KERNELS.filter((name) => tf.getKernel(name, 'tensorflow') === undefined)).toEqual([]);
  });

  describe('CraneAttention', () => {
    const cases: readonly Case[] = [
      { batch: 1, tokens: 1, heads: 1, depth: 16 },
      { batch: 3, tokens: 7, heads: 1, depth: 48 },
      { batch: 1, tokens: 31, heads: 2, depth: 32 },
      { batch: 2, tokens: 32, heads: 3, depth: 16 },
      { batch: 1, tokens: 33, heads: 4, depth: 80 },
      { batch: 2, tokens: 50, heads: 3, depth: 64, spread: 2 },
      { batch: 1, tokens: 65, heads: 1, depth: 128 },
      { batch: 1, tokens: 197, heads: 2, depth: 64, spread: 1.5 },
      { batch: 1, tokens: 197, heads: 1, depth: 144, spread: 0.2 },
      // Scores over hundreds and thousands: all but one or two weights are nothing.
      { batch: 1, tokens: 50, heads: 2, depth: 64, spread: 8 },
      { batch: 1, tokens: 33, heads: 1, depth: 32, spread: 40 },
    ];

    test.each(cases.map((shape) => [title(shape), shape] as const))(
      'equals doubles, one number after the other: %s',
      async (_, shape) => {
        await expectNoLeak(() => {
          const given = projections(shape);
          const [joined, bias] = [given.joined.dataSync(), given.bias.dataSync()];
          for (const correlations of [queriesKeys, ...Object.values(TYPES), queriesKeys + valuesValues, 15]) {
            for (const rows of new Set([1, shape.tokens])) {
              const fused = fusedAttention(given, correlations, rows) as tf.Tensor3D;
              expect(fused.shape).toEqual([shape.batch, rows, shape.heads * shape.depth]);
              expect(difference(fused.dataSync(), slowAttention(joined, bias, shape, correlations, rows))).toBeLessThan(
                (shape.spread ?? 1) > 4 ? 2e-3 : 1e-5,
              );
              tf.dispose(fused);
            }
          }
          tf.dispose([given.joined, given.bias]);
        });
      },
    );

    test.each(cases.map((shape) => [title(shape), shape] as const))(
      "equals the layers' plain operations: %s",
      (_, shape) => {
        tf.tidy(() => {
          const given = projections(shape);
          for (const correlations of [queriesKeys, ...Object.values(TYPES)]) {
            const fused = fusedAttention(given, correlations) as tf.Tensor3D;
            expect(difference(fused.dataSync(), plainAttention(given, correlations).dataSync())).toBeLessThan(
              (shape.spread ?? 1) > 4 ? 2e-3 : 1e-5,
            );
          }
        });
      },
    );

    test('rows whose scores are all far below zero still have weights that add up to one', () => {
      tf.tidy(() => {
        const [tokens, depth] = [33, 16];
        // Queries against keys of the other sign; values of one.
        const parts = [tf.fill([1, tokens, depth], 60), tf.fill([1, tokens, depth], -60), tf.ones([1, tokens, depth])];
        const fused = fusedAttention(
          { joined: tf.concat(parts, 2) as tf.Tensor3D, bias: tf.zeros([3 * depth]), heads: 1 },
          queriesKeys,
        ) as tf.Tensor3D;
        expect(difference(fused.dataSync(), new Float32Array(tokens * depth).fill(1))).toBeLessThan(1e-6);
      });
    });

    test.each([
      ['below what padding might be', -1e20],
      ['minus infinity', -Infinity],
    ])('scores that are all %s', (_, least) => {
      tf.tidy(() => {
        const [tokens, depth] = [33, 16];
        const parts = [
          tf.fill([1, tokens, depth], -least),
          tf.fill([1, tokens, depth], least < -1e30 ? -1 : least),
          tf.ones([1, tokens, depth]),
        ];
        const given = {
          joined: tf.concat(parts, 2) as tf.Tensor3D,
          bias: tf.zeros([3 * depth]) as tf.Tensor1D,
          heads: 1,
        };
        const fused = (fusedAttention(given, queriesKeys) as tf.Tensor3D).dataSync();
        expect(difference(fused, plainAttention(given, queriesKeys).dataSync())).toBeLessThan(1e-6);
      });
    });

    test('what is no number shows in just the rows where plain operations show it', async () => {
      const shape: Case = { batch: 2, tokens: 50, heads: 2, depth: 32 };
      const width = shape.heads * shape.depth;
      const given = projections(shape);
      const clean = Float32Array.from(given.joined.dataSync());
      for (const bad of inPlainSight) {
        for (const part of [0, 1, 2]) {
          for (const token of [0, 37, 49]) {
            const values = clean.slice();
            values[(shape.tokens + token) * 3 * width + part * width + shape.depth + 5] = bad;
            await expectNoLeak(() => {
              const spoilt = { ...given, joined: tf.tensor3d(values, given.joined.shape) };
              for (const correlations of [queriesKeys, TYPES['qq+kk'], TYPES['qq+kk+vv']]) {
                const [fused, plain] = [
                  fusedAttention(spoilt, correlations) as tf.Tensor3D,
                  plainAttention(spoilt, correlations),
                ];
                const finite = (tensor: tf.Tensor): boolean[] => Array.from(tensor.dataSync(), Number.isFinite);
                expect(finite(fused)).toEqual(finite(plain));
                expect(finite(plain)).toContain(false);
                tf.dispose([fused, plain]);
              }
              spoilt.joined.dispose();
            });
          }
        }
      }
      tf.dispose([given.joined, given.bias]);
    });

    test('no number is hidden whatever its bits', () => {
      tf.tidy(() => {
        const [tokens, depth] = [40, 16];
        const bits = [0x7fc00001, 0x7fc001ff, 0x7fc000ff, 0x7fc00180, 0xffc00080, 0x7fffffff, 0xffffffff, 0x7f800001];
        bits.forEach((pattern, row) => {
          const values = new Float32Array(tokens * 3 * depth).fill(0.5);
          new Uint32Array(values.buffer)[row * 3 * depth + 3] = pattern;
          const given = {
            joined: tf.tensor3d(values, [1, tokens, 3 * depth]),
            bias: tf.zeros([3 * depth]) as tf.Tensor1D,
            heads: 1,
          };
          const spoilt = Array.from((fusedAttention(given, queriesKeys) as tf.Tensor3D).dataSync(), Number.isNaN);
          expect(spoilt).toEqual(
            Array.from({ length: tokens * depth }, (_, index) => Math.floor(index / depth) === row),
          );
          const gelu = runFast('CraneQuickGelu', { x: given.joined, bias: given.bias }) as tf.Tensor;
          expect(Array.from(gelu.dataSync()).filter(Number.isNaN).length).toBe(1);
        });
      });
    });

    test('is the same to the last bit for any number of threads, and each time', async () => {
      await expectNoLeak(() => {
        const given = projections({ batch: 2, tokens: 300, heads: 3, depth: 48, spread: 2 });
        for (const [correlations, rows] of [
          [queriesKeys, 300],
          [14, 300],
          [14, 1],
          [1, 217],
        ] as const) {
          const attend = (threads: number): Float32Array =>
            run('CraneAttention', [given.joined, given.bias], { heads: 3, correlations, rows, threads });
          const alone = Buffer.from(attend(1).buffer);
          for (const threads of [1, 2, 2, 3, 7, 16, 0, -5, 2 ** 31 - 1])
            expect(Buffer.from(attend(threads).buffer).equals(alone)).toBe(true);
        }
        tf.dispose([given.joined, given.bias]);
      });
    });

    test('what it cannot compute is an error that says so, and leaves nothing behind', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const [joined, bias] = [tf.zeros([1, 5, 96]), tf.zeros([96])];
          const good = { heads: 1, correlations: 1, rows: 5, threads: 2 };
          const attempt =
            (changed: Record<string, number>, inputs = [joined, bias]) =>
            () =>
              run('CraneAttention', inputs, { ...good, ...changed });
          expect(attempt({})().length).toBe(5 * 32);
          expect(attempt({ heads: 0 })).toThrow('multiples of 16 channels');
          expect(attempt({ heads: -2 })).toThrow('multiples of 16 channels');
          expect(attempt({ heads: 3 })).toThrow('multiples of 16 channels');
          expect(attempt({ heads: 4 })).toThrow('multiples of 16 channels');
          expect(attempt({ heads: 2 ** 40 })).toThrow('out of range');
          expect(attempt({ correlations: 0 })).toThrow('unknown correlations');
          expect(attempt({ correlations: 16 })).toThrow('unknown correlations');
          expect(attempt({ correlations: -1 })).toThrow('unknown correlations');
          expect(attempt({ rows: 0 })).toThrow('rows must be among the tokens');
          expect(attempt({ rows: 6 })).toThrow('rows must be among the tokens');
          expect(attempt({}, [joined, tf.zeros([32])])).toThrow('expected a bias');
          expect(attempt({}, [tf.zeros([5, 96]), bias])).toThrow('expected joined projections');
          expect(attempt({}, [tf.zeros([1, 0, 96]), bias])).toThrow('expected joined projections');
          expect(attempt({}, [tf.zeros([1, 5, 64]), bias])).toThrow('expected joined projections');
          expect(attempt({}, [tf.zeros([1, 5, 0]), tf.zeros([0])])).toThrow('multiples of 16 channels');
          expect(attempt({}, [tf.zeros([0, 5, 96]), bias])().length).toBe(0);
          expect(attempt({}, [tf.cast(joined, 'int32'), bias])).toThrow();
        });
      });
    });

    test('shapes that are not its own are left to plain operations', () => {
      tf.tidy(() => {
        const odd = projections({ batch: 1, tokens: 5, heads: 2, depth: 24 });
        expect(fusedAttention(odd, queriesKeys)).toBeUndefined();
        const attention = new MultiHeadAttention({
          width: 48,
          heads: 2,
          parameters: (path, shape) => drawn(shape, path, 0.3),
          path: 'a',
        });
        const x = drawn([1, 5, 48], 'x');
        const fast = (attention.apply(x) as tf.Tensor).dataSync();
        expect(
          difference(
            fast,
            withoutKernels(() => (attention.apply(x) as tf.Tensor).dataSync()),
          ),
        ).toBeLessThan(1e-5);
        attention.dispose();
      });
    });
  });

  describe.each([
    [1, 16],
    [7, 48],
    [31, 64],
    [33, 80],
    [50, 256],
    [197, 128],
  ] as const)('%i rows of %i', (rows, width) => {
    test('CraneQuickGelu, CraneLayerNorm and CraneAddResidual equal doubles', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const [x, bias, residual] = [
            drawn([rows, width], 'x', 5),
            drawn([width], 'bias'),
            drawn([rows, width], 'residual', 3),
          ];
          const [xs, biases, residuals] = [x.dataSync(), bias.dataSync(), residual.dataSync()];
          const gelu = runFast('CraneQuickGelu', { x, bias }) as tf.Tensor;
          expect(gelu.shape).toEqual([rows, width]);
          expect(difference(gelu.dataSync(), slowGelu(xs, biases))).toBeLessThan(1e-6);
          const sum = runFast('CraneAddResidual', { x, bias, residual }) as tf.Tensor;
          expect(
            difference(
              sum.dataSync(),
              xs.map((value, index) => value + (biases[index % width] as number) + (residuals[index] as number)),
            ),
          ).toBeLessThan(1e-6);
          for (const epsilon of [EPSILON, 1e-6, 0.5]) {
            const far = tf.add(x, 20);
            const norm = runFast('CraneLayerNorm', { x: far, gain: bias, offset: bias }, { epsilon }) as tf.Tensor;
            expect(difference(norm.dataSync(), slowNorm(far.dataSync(), biases, biases, epsilon))).toBeLessThan(1e-5);
          }
        });
      });
    });
  });

  describe('the passes around products', () => {
    test('QuickGELU over its whole range: each number is right for its own size', () => {
      const values = Float32Array.from([
        ...Array.from({ length: 2000 }, (_, index) => (index - 1000) / 20),
        -1e-20,
        1e-20,
        0,
        -0,
        1e6,
        1e30,
        -60,
        -80,
        -1e6,
        -1e30,
        -3e38,
        3e38,
      ]);
      const padded = new Float32Array(Math.ceil(values.length / 16) * 16);
      padded.set(values);
      tf.tidy(() => {
        const found = (
          runFast('CraneQuickGelu', {
            x: tf.tensor2d(padded, [padded.length / 16, 16]),
            bias: tf.zeros([16]),
          }) as tf.Tensor
        ).dataSync();
        const exact = slowGelu(padded, new Float32Array(16));
        const worst = Math.max(
          ...Array.from(
            found,
            (value, index) =>
              Math.abs(value - (exact[index] as number)) / Math.max(Math.abs(exact[index] as number), 1e-30),
          ),
        );
        // The exponent's own rounding: 1.702 · 50 / ln 2 has 2^-18 behind its point.
        expect(worst).toBeLessThan(2e-5);
        expect(Array.from(found).every(Number.isFinite)).toBe(true);
      });
    });

    test.each(inPlainSight)('%p stays where plain operations have it', (bad) => {
      tf.tidy(() => {
        const spoilt = Float32Array.from(drawn([37, 48], 'x').dataSync());
        for (const index of [0, 47, 5 * 48 + 17, 36 * 48 + 31]) spoilt[index] = bad;
        const [x, gain] = [tf.tensor2d(spoilt, [37, 48]), drawn([48], 'gain')];
        const norm = new LayerNorm({ width: 48 });
        norm.setWeights([gain, gain]);
        const mlp = new Mlp({ width: 48, hidden: 48, activation: 'quick-gelu' });
        const identity = tf.eye(48);
        const gelu = (): Float32Array =>
          (
            runFast('CraneQuickGelu', { x, bias: gain }) ??
            tf.mul(tf.add(x, gain), tf.sigmoid(tf.mul(tf.add(x, gain), 1.702)))
          ).dataSync() as Float32Array;
        const sum = (): Float32Array =>
          (
            runFast('CraneAddResidual', { x, bias: gain, residual: x }) ?? tf.add(tf.add(x, gain), x)
          ).dataSync() as Float32Array;
        const normed = (): Float32Array => (norm.apply(x) as tf.Tensor).dataSync() as Float32Array;
        for (const compute of [gelu, sum, normed]) {
          const [fast, plain] = [compute(), withoutKernels(compute)];
          expect(Array.from(fast, String).filter((value) => !Number.isFinite(Number(value)))).toEqual(
            Array.from(plain, String).filter((value) => !Number.isFinite(Number(value))),
          );
          expect(Array.from(fast, Number.isFinite)).toEqual(Array.from(plain, Number.isFinite));
          expect(Array.from(fast, Number.isFinite)).toContain(false);
        }
        norm.dispose();
        mlp.dispose();
        identity.dispose();
      });
    });

    test('are the same to the last bit for any number of threads, also for the smallest numbers', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const [rows, width] = [640, 64];
          const x = tf.concat([
            drawn([rows, width], 'x', 60),
            tf.fill([rows, width], 3e-39),
            tf.fill([rows, width], -51.5),
          ]);
          const nothing = tf.zeros([width]);
          const gain = drawn([width], 'gain');
          const computations: ((threads: number) => Float32Array)[] = [
            (threads) => run('CraneQuickGelu', [x, nothing], { threads }),
            (threads) => run('CraneAddResidual', [x, nothing, tf.mul(x, 0.25)], { threads }),
            (threads) => run('CraneLayerNorm', [x, gain, gain], { epsilon: EPSILON, threads }),
          ];
          for (const compute of computations) {
            const alone = Buffer.from(compute(1).buffer);
            for (const threads of [2, 2, 3, 8, 0, -1, 2 ** 31 - 1, 2, 2])
              expect(Buffer.from(compute(threads).buffer).equals(alone)).toBe(true);
          }
        });
      });
    });

    test('what they cannot compute is an error that says so, and leaves nothing behind', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const [x, gain] = [tf.ones([6, 16]), tf.ones([16])];
          const [wide, odd] = [tf.ones([2, 48]), tf.ones([4, 24])];
          const threads = { threads: 2 };
          expect(run('CraneLayerNorm', [x, gain, gain], { epsilon: 1, ...threads })).toEqual(
            new Float32Array(96).fill(1),
          );
          for (const bad of [wide, odd, tf.scalar(1)]) {
            expect(() => run('CraneQuickGelu', [bad, gain], threads)).toThrow('multiple of 16 channels');
            expect(() => run('CraneLayerNorm', [bad, gain, gain], { epsilon: 1, ...threads })).toThrow(
              'multiple of 16 channels',
            );
            expect(() => run('CraneAddResidual', [bad, gain, bad], threads)).toThrow('multiple of 16 channels');
          }
          const narrow = tf.ones([24]);
          expect(() => run('CraneQuickGelu', [odd, narrow], threads)).toThrow('multiple of 16 channels');
          expect(() => run('CraneLayerNorm', [odd, narrow, narrow], { epsilon: 1, ...threads })).toThrow(
            'multiple of 16 channels',
          );
          expect(() => run('CraneAddResidual', [odd, narrow, odd], threads)).toThrow('multiple of 16 channels');
          expect(() => run('CraneLayerNorm', [x, gain, tf.ones([32])], { epsilon: 1, ...threads })).toThrow(
            'multiple of 16 channels',
          );
          expect(() => run('CraneAddResidual', [x, gain, tf.ones([5, 16])], threads)).toThrow('same shape');
          expect(() => run('CraneQuickGelu', [x, tf.ones([0])], threads)).toThrow('multiple of 16 channels');
          expect(run('CraneQuickGelu', [tf.ones([0, 16]), gain], threads).length).toBe(0);
        });
      });
    });
  });

  describe('layers', () => {
    const [width, heads, tokens] = [32, 2, 9];
    const config = {
      width,
      heads,
      activation: 'quick-gelu',
      path: 'b',
      parameters: (path: string, shape: number[]) => drawn(shape, path, 0.2),
    } as const;

    test('give the same with the kernels as without, and leave nothing behind', async () => {
      const x = drawn([2, tokens, width], 'x');
      const layers = [
        new ResidualBlock({ ...config }),
        new ResidualBlock({ ...config, causal: true }),
        ...Object.keys(TYPES).map(
          (attention) => new DualPathBlock({ ...config, attention: attention as AttentionType }),
        ),
        new DualPathBlock({ ...config, attention: 'qq+kk+vv', classTokenOnly: true }),
        new DualPathBlock({ ...config, attention: '(q+k+v)^2', guided: 'path-start' }),
      ];
      for (const layer of layers) {
        const compute = (): Float32Array[] =>
          tf.tidy(() =>
            [layer.apply(layer instanceof DualPathBlock ? [x, x] : x)]
              .flat()
              .map((y) => (y as tf.Tensor).dataSync() as Float32Array),
          );
        const fast = await expectNoLeak(compute);
        const plain = withoutKernels(compute);
        expect(fast.length).toBe(plain.length);
        fast.forEach((values, index) => {
          expect(difference(values, plain[index] as Float32Array)).toBeLessThan(1e-5);
        });
        layer.dispose();
      }
      x.dispose();
    });

    test('take them, but not where something is differentiated', () => {
      const called: string[] = [];
      const kept = KERNELS.map((name) => tf.getKernel(name, 'tensorflow'));
      kept.forEach((config) => {
        tf.unregisterKernel(config.kernelName, 'tensorflow');
        tf.registerKernel({
          ...config,
          kernelFunc: (call) => (called.push(config.kernelName), config.kernelFunc(call)),
        });
      });
      const block = new ResidualBlock({ ...config, trainable: true });
      const x = drawn([1, tokens, width], 'x');
      try {
        tf.dispose(block.apply(x) as tf.Tensor);
        expect([...new Set(called)].sort()).toEqual([...KERNELS].sort());
        called.length = 0;
        const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(block.apply(x) as tf.Tensor)) as tf.Scalar);
        expect(called).toEqual([]);
        expect(Object.keys(grads).length).toBeGreaterThan(8);
        tf.dispose([value, grads]);
      } finally {
        kept.forEach((config) => {
          tf.unregisterKernel(config.kernelName, 'tensorflow');
          tf.registerKernel(config);
        });
        block.dispose();
        x.dispose();
      }
    });

    test('have gradients equal to differences of what the kernels compute', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const block = new ResidualBlock({ ...config });
          const [x, along] = [drawn([1, tokens, width], 'x'), drawn([1, tokens, width], 'along')];
          const loss = (input: tf.Tensor): tf.Scalar => tf.mean(tf.square(block.apply(input) as tf.Tensor));
          const gradient = tf.grad(loss)(x);
          const step = 1e-2;
          const at = (way: number): number => loss(tf.add(x, tf.mul(along, way * step))).dataSync()[0] as number;
          const expected = (at(1) - at(-1)) / (2 * step);
          const found = tf.sum(tf.mul(gradient, along)).dataSync()[0] as number;
          expect(Math.abs(found - expected)).toBeLessThan(2e-2 * Math.abs(expected));
          expect(Math.abs(found)).toBeGreaterThan(1e-3);
          block.dispose();
        });
      });
    });

    test('a linear layer on top of a residual', async () => {
      await expectNoLeak(() => {
        tf.tidy(() => {
          const linear = new Linear({
            inputs: 24,
            units: 48,
            path: 'l',
            parameters: (path, shape) => drawn(shape, path),
          });
          const [x, residual] = [drawn([2, 5, 24], 'x'), drawn([2, 5, 48], 'residual')];
          const found = linear.addTo(residual, x);
          expect(found.shape).toEqual([2, 5, 48]);
          expect(difference(found.dataSync(), tf.add(linear.apply(x) as tf.Tensor, residual).dataSync())).toBeLessThan(
            1e-6,
          );
          linear.dispose();
        });
      });
    });
  });

  test('a process that has used them ends by itself, with its own exit code', () => {
    const script = `
      require('ts-node/register/transpile-only');
      const tf = require('@tensorflow/tfjs');
      require('./lib/backend').prepareBackend('tensorflow').then(() => {
        const x = tf.ones([4096, 64]);
        const run = (threads) => tf.backend().executeSingleOutput('CraneAddResidual', [{ name: 'threads', type: tf.backend().binding.TF_ATTR_INT, value: threads }], [x, tf.ones([64]), x]);
        for (let round = 0; round < 200; round++) run(1 + (round % 5)).dispose();
        const many = run(256).dataSync();
        process.exit(many.every((value) => value === 3) ? 7 : 8);
      });
    `;
    const child = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 500_000,
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
    });
    expect([child.status, child.signal, child.stderr.split('\n').filter((line) => /^[EF]\d/.test(line))]).toEqual([
      7,
      null,
      [],
    ]);
  });

  test('CRANE_PLAIN_KERNELS leaves them out', () => {
    const child = spawnSync(process.execPath, ['-e', PROBE], {
      encoding: 'utf8',
      env: { ...process.env, CRANE_PLAIN_KERNELS: '1' },
    });
    expect(child.status).toBe(3);
  });
});

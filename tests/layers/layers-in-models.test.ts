import * as tf from '@tensorflow/tfjs';
import {
  ClipTextEncoder,
  ClipVisionEncoder,
  DAttn,
  DinoEncoder,
  Dinov2Encoder,
  GaussianFilter,
  LearnablePrompts,
  Linear,
  MapFusion,
  SamEncoder,
  ScorePooling,
  Similarity,
  type CraneLayer,
} from '../../layers';
import { prepareBackend } from '../../lib/backend';
import { expectClose } from '../goldens';
import { expectNoLeak, seededParameters } from '../tensors';

beforeAll(async () => {
  await prepareBackend('auto');
});

const parameters = seededParameters('in models', 0.3);
const [width, heads] = [8, 2];
const dino = { width, layers: 2, heads, patchSize: 4, gridSize: 2, hidden: 12, registers: 0 };

const vision = (dAttn = false): ClipVisionEncoder =>
  new ClipVisionEncoder({
    sizes: { width, layers: 2, heads, patchSize: 4, gridSize: 2 },
    embedDimension: 6,
    activation: 'quick-gelu',
    eattnBlocks: 1,
    attention: 'qq+kk+vv',
    parameters,
    ...(dAttn ? { dAttn: { beta: 1.2, gamma: 3, mean: 'image', layers: [2] } } : {}),
  });

const text = (): ClipTextEncoder =>
  new ClipTextEncoder({
    sizes: { width, layers: 2, heads, contextLength: 7, vocabularySize: 11 },
    embedDimension: 6,
    activation: 'quick-gelu',
    parameters,
  });

const spatial = (inputShape?: number[]): Dinov2Encoder =>
  new Dinov2Encoder({
    sizes: { ...dino, feedForward: 'swiglu', layerScale: true },
    parameters,
    ...(inputShape ? { inputShape } : {}),
  });

const sam = (): SamEncoder =>
  new SamEncoder({
    sizes: { width, layers: 2, heads, patchSize: 4, gridSize: 2, windowSize: 2, globalBlocks: [1], channels: 5 },
    parameters,
  });

const images = (count = 3, side = 8): tf.Tensor4D => tf.randomUniform([count, side, side, 3], -1, 1, 'float32', 2);
const tokens = (): tf.Tensor2D => tf.tensor2d([9, 1, 2, 10, 0, 9, 3, 10, 0, 0, 9, 10, 0, 0, 0], [3, 5], 'int32');
const bytes = (layer: tf.layers.Layer): Float32Array[] =>
  layer.weights.map((weight) => weight.read().dataSync().slice() as Float32Array);
const symbol = (shape: number[], dtype: 'float32' | 'int32' = 'float32'): tf.SymbolicTensor =>
  tf.input({ shape, dtype });

describe('a dense head on a frozen encoder', () => {
  const ENCODERS: [string, () => CraneLayer, () => tf.Tensor][] = [
    ['CLIP, vision', vision, images],
    ['CLIP, text', text, tokens],
    ['DINO', () => new DinoEncoder({ sizes: { ...dino, feedForward: 'mlp', layerScale: false }, parameters }), images],
    ['DINOv2', spatial, images],
    ['SAM', sam, images],
  ];

  test.each(ENCODERS)('%s: a step trains the head as on features that were computed before', async (_, make, given) => {
    await expectNoLeak(async () => {
      const encoder = make();
      const x = given();
      const y = tf.tensor2d([0, 1, 1], [3, 1]);
      const inputs = symbol(x.shape.slice(1), x.dtype as 'float32' | 'int32');
      const outputs = encoder.apply(inputs) as tf.SymbolicTensor | tf.SymbolicTensor[];
      const features = Array.isArray(outputs) ? (outputs[0] as tf.SymbolicTensor) : outputs;
      const flat = features.rank > 2 ? (tf.layers.flatten().apply(features) as tf.SymbolicTensor) : features;
      const head = tf.layers.dense({ units: 1, kernelInitializer: 'ones' });
      const model = tf.model({ inputs, outputs: head.apply(flat) as tf.SymbolicTensor });
      const optimizers = [tf.train.sgd(0.01), tf.train.sgd(0.01)] as const;
      model.compile({ optimizer: optimizers[0], loss: 'meanSquaredError' });
      expect(model.trainableWeights).toHaveLength(2);

      const computed = tf.model({ inputs, outputs: flat }).predict(x) as tf.Tensor2D;
      const alone = tf.sequential({
        layers: [tf.layers.dense({ units: 1, kernelInitializer: 'ones', inputShape: [computed.shape[1]] })],
      });
      alone.compile({ optimizer: optimizers[1], loss: 'meanSquaredError' });

      const [before, start] = [bytes(encoder), bytes(head)];
      const held = tf.memory().numTensors;
      const steps = [await model.trainOnBatch(x, y), await alone.trainOnBatch(computed, y)];
      expect(steps[0]).toBeCloseTo(steps[1] as number, 4);
      await model.fit(x, y, { epochs: 1, batchSize: 3, verbose: 0 });
      await alone.fit(computed, y, { epochs: 1, batchSize: 3, verbose: 0 });
      expect(tf.memory().numTensors).toBe(held);

      expect(bytes(encoder)).toEqual(before);
      expect(bytes(head)).not.toEqual(start);
      bytes(head).forEach((values, index) => expectClose(values, bytes(alone)[index] as Float32Array, 1e-4, 1e-4));
      model.dispose();
      alone.dispose();
      optimizers.forEach((optimizer) => optimizer.dispose());
      tf.dispose([x, y, computed]);
    });
  });

  test('in a sequential model, where the encoder is the first layer', async () => {
    await expectNoLeak(() => {
      const layers = [spatial([8, 12, 3]), tf.layers.globalAveragePooling2d({}), tf.layers.dense({ units: 2 })];
      const model = tf.sequential({ layers });
      expect(model.outputShape).toEqual([null, 2]);
      expect(model.layers[0]?.outputShape).toEqual([null, 2, 3, 8]);
      expect(() => tf.sequential({ layers: [new GaussianFilter({ sigma: 1, inputShape: [4] })] })).toThrow(
        /takes \[B, H, W\], but was given \[\?, 4\]/,
      );
      model.dispose();
    });
  });

  test('an encoder that is set free is trained, inner layers too', async () => {
    const encoder = spatial([8, 8, 3]);
    const model = tf.sequential({ layers: [encoder, tf.layers.flatten(), tf.layers.dense({ units: 1 })] });
    encoder.trainable = true;
    model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
    const [x, y] = [images(), tf.ones([3, 1])];
    const before = bytes(encoder);
    await model.trainOnBatch(x, y);
    const changed = bytes(encoder).filter((values, index) => values.some((value, at) => value !== before[index]?.[at]));
    expect(changed.length).toBe(before.length);
    model.dispose();
    tf.dispose([x, y]);
  });

  test('an encoder that two models share is released with the second', async () => {
    await expectNoLeak(() => {
      const encoder = spatial();
      const models = [0, 1].map(() => {
        const inputs = symbol([8, 8, 3]);
        return tf.model({ inputs, outputs: encoder.apply(inputs) as tf.SymbolicTensor });
      }) as [tf.LayersModel, tf.LayersModel];
      expect(models[0].dispose().numDisposedVariables).toBe(0);
      tf.tidy(() => expect(models[1].predict(images())).toMatchObject({ shape: [3, 2, 2, 8] }));
      expect(models[1].dispose().numDisposedVariables).toBe(encoder.weights.length);
      expect(() => tf.tidy(() => void encoder.apply(images()))).toThrow(/already disposed/);
      expect(encoder.dispose().numDisposedVariables).toBe(0);
    });
  });
});

test('Crane+ as one model: two encoders, similarity, pooling, fusion and smoothing', async () => {
  await expectNoLeak(() => {
    const [pictures, guides, texts] = [symbol([8, 8, 3]), symbol([8, 8, 3]), symbol([2, 6])] as const;
    const layers = { clip: vision(true), guide: sam(), similarity: new Similarity({ temperature: 0.07 }) };
    const guide = layers.guide.apply(guides) as tf.SymbolicTensor; // [B, 2, 2, 5]
    const [global, dense, guided] = layers.clip.apply([pictures, guide]) as [
      tf.SymbolicTensor,
      tf.SymbolicTensor,
      tf.SymbolicTensor,
    ];
    const logits = [dense, guided].map((set) => layers.similarity.apply([set, texts]) as tf.SymbolicTensor);
    const fused = new MapFusion({ fusion: 'soft', grid: [2, 2], size: [8, 8] }).apply(logits) as tf.SymbolicTensor;
    const map = new GaussianFilter({ sigma: 1 }).apply(fused) as tf.SymbolicTensor;
    const pooled = new ScorePooling({}).apply([global, dense, logits[0] as tf.SymbolicTensor]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: [pictures, guides, texts], outputs: [map, pooled] });
    expect([map, pooled].map(({ shape }) => shape)).toEqual([
      [null, 8, 8],
      [null, 6],
    ]);
    tf.tidy(() => {
      const [x, vectors] = [images(), tf.randomUniform([3, 2, 6], -1, 1, 'float32', 4)];
      const [gotMap, gotPooled] = model.predict([x, x, vectors]) as [tf.Tensor, tf.Tensor];
      const features = layers.guide.forward(x);
      const { tokens: of, taps, guided: sets } = layers.clip.forward(x, { guide: features });
      const tap = taps.get(2) as tf.Tensor3D;
      const dense = layers.clip.project(tf.slice(tap, [0, 1, 0])) as tf.Tensor3D;
      const all = [dense, layers.clip.project(sets.get(2) as tf.Tensor3D)];
      const probabilities = all.map((set) =>
        tf.softmax(tf.div(tf.matMul(set, vectors, false, true), 0.07)).slice([0, 0, 1]),
      );
      const mean = tf.div(tf.add(...(probabilities as [tf.Tensor, tf.Tensor])), 2).reshape([3, 2, 2, 1]) as tf.Tensor4D;
      const large = tf.image.resizeBilinear(mean, [8, 8], false, true);
      const smooth = new GaussianFilter({ sigma: 1 }).apply(tf.squeeze(large, [3])) as tf.Tensor;
      expectClose(gotMap.dataSync(), smooth.dataSync(), 1e-5);
      const unit = (v: tf.Tensor): tf.Tensor => tf.div(v, tf.norm(v, 2, -1, true));
      const sum = unit(tf.sum(tf.mul(dense, probabilities[0] as tf.Tensor), 1));
      const image = layers.clip.project(tf.slice(of, [0, 0, 0], [-1, 1, -1])).reshape([3, 6]);
      expectClose(gotPooled.dataSync(), unit(tf.add(tf.mul(sum, 0.5), tf.mul(image, 0.5))).dataSync(), 1e-5);
    });
    model.dispose();
  });
});

test('learnable prompts place each image in its own contexts', () => {
  const prompts = new LearnablePrompts({
    ...{ width, contextTokens: 2, deepTokens: 2, depth: 2, contextPosition: 'pad_prefix', startToken: 9, endToken: 10 },
    normalWords: [1],
    anomalousWords: [2],
    parameters,
  });
  tf.tidy(() => {
    const image = tf.randomUniform([2, width], -1, 1, 'float32', 3);
    const [deep, contexts] = prompts.apply(image) as [tf.Tensor4D, tf.Tensor4D];
    const [normal, anomalous, learned] = prompts.getWeights() as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    [0, 1].forEach((row) => {
      expectClose(deep.slice([row, 0], [1, 1]).dataSync(), learned.dataSync(), 0);
      [normal, anomalous].forEach((context, state) => {
        const want = tf.concat([tf.slice(image, row, 1), context], 0);
        expectClose(contexts.slice([row, state], [1, 1]).dataSync(), want.dataSync(), 0);
      });
    });
  });
  prompts.dispose();
});

test.each([
  [
    'an end token behind the prompt',
    () => [tf.zeros([2, 4, width]), tf.tensor1d([3, 4], 'int32')],
    'usage/end-position',
  ],
  ['an end token before it', () => [tf.zeros([2, 4, width]), tf.tensor1d([-1, 0], 'int32')], 'usage/end-position'],
  ['an id beyond the table', () => [tf.tensor2d([[9, 11]], [1, 2], 'int32')], 'weights/token-missing'],
  ['a negative id', () => [tf.tensor2d([[9, -1, 10]], [1, 3], 'int32')], 'weights/token-missing'],
  ['half an id', () => [tf.tensor2d([[9, 1.5, 10]])], 'weights/token-missing'],
] as const)('the text encoder refuses %s', async (_, inputs, code) => {
  const encoder = text();
  await expectNoLeak(() => {
    let found: unknown;
    tf.tidy(() => {
      try {
        void encoder.apply([...inputs()]);
      } catch (error) {
        found = error;
      }
    });
    expect(found).toMatchObject({ code });
  });
  encoder.dispose();
});

test.each([-1, NaN, Infinity])('no smoothing by %p, nor a temperature of it', (value) => {
  expect(() => new GaussianFilter({ sigma: value })).toThrow(/`sigma` is .*0 or a positive number/);
  expect(() => new Similarity({ temperature: value })).toThrow(/`temperature` is .*a positive number/);
});

test('weights keep their canonical names until their layer joins a model', () => {
  const linear = new Linear({ inputs: 2, units: 3, path: 'proj', name: 'mine' });
  const names = (): string[] => linear.weights.map(({ originalName }) => originalName);
  tf.tidy(() => void linear.apply(tf.ones([1, 2])));
  expect(names()).toEqual(['proj.weight', 'proj.bias']);
  linear.apply(symbol([2]));
  linear.apply(symbol([5, 2]));
  expect(names()).toEqual(['mine/weight', 'mine/bias']);
  linear.weights.forEach((weight) => weight.dispose());
});

test('a product of sizes is unknown where one of them is', () => {
  const layer = new DAttn({ beta: 1.2, gamma: 3, mean: 'batch' });
  expect(
    layer.computeOutputShape([
      [null, 2, 2, 4],
      [null, null, 3, 5],
    ]),
  ).toEqual([null, null, 4]);
});

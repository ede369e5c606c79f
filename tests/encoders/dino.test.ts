import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { DinoEncoder } from '../../lib/encoders/dino';
import type { DinoSizes, DinoTransformer } from '../../lib/encoders/dino-transformer';
import { Dinov2Encoder } from '../../lib/encoders/dinov2';
import { bicubicWeights, type BicubicOptions } from '../../lib/layers/bicubic';
import type { ParameterSource } from '../../lib/layers/crane-layer';
import { VisionEmbedding } from '../../lib/layers/vision-embedding';
import { seededNormal } from '../../lib/weights/seeded';
import { expectClose, golden, goldenCases, testEachGolden } from '../goldens';
import { expectNoLeak, goldenImages, goldenParameters } from '../tensors';

const ofGoldens = { width: 48, layers: 3, heads: 3, gridSize: 6, feedForward: 'mlp', hidden: 192 } as const;
const encoders: Record<string, () => DinoTransformer> = {
  dinov2: () =>
    new Dinov2Encoder({
      sizes: { ...ofGoldens, patchSize: 14, registers: 4, layerScale: true },
      parameters: goldenParameters('vfm_dinov2.safetensors'),
    }),
  dino: () =>
    new DinoEncoder({
      sizes: { ...ofGoldens, patchSize: 8, registers: 0, layerScale: false },
      parameters: goldenParameters('vfm_dino.safetensors'),
    }),
};

beforeAll(async () => {
  await prepareBackend('auto');
});

describe('against the official code', () => {
  const files: [file: string, family: 'dinov2' | 'dino'][] = [
    ['vfm_dinov2.safetensors', 'dinov2'],
    ['vfm_dino.safetensors', 'dino'],
  ];

  testEachGolden(files, '%s: features of the last block', async (_, family) => {
    const item = goldenCases('dattn').find(({ id }) => id === `dattn/${family}/features`);
    const images = goldenImages(item?.inputs['vfm_input'] as string);
    const want = golden(item?.outputs['features'] as string);
    const encoder = (encoders[family] as () => DinoTransformer)();
    expect(encoder).toMatchObject({ family, channels: 48, patchSize: family === 'dino' ? 8 : 14 });
    expect(encoder.inputSide(518)).toBe(518);
    await expectNoLeak(() => {
      const features = encoder.forward(images); // [B, rows, columns, C]
      const [batch, rows, columns, channels] = features.shape;
      expect([batch, channels, rows, columns]).toEqual(want.shape);
      expect(encoder.computeOutputShape(images.shape)).toEqual(features.shape);
      const planes = tf.transpose(features, [0, 3, 1, 2]);
      expectClose(planes.dataSync(), want.data, 1e-4);
      tf.dispose([features, planes]);
    });
    encoder.dispose();
    images.dispose();
  });

  testEachGolden(files, '%s: features of an image do not depend on its batch', (_, family) => {
    const encoder = (encoders[family] as () => DinoTransformer)();
    tf.tidy(() => {
      const images = goldenImages('dattn.safetensors#vfm_input');
      const both = encoder.forward(images);
      const second = encoder.apply(tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1])) as tf.Tensor;
      expectClose(second.dataSync(), tf.slice(both, [1, 0, 0, 0]).dataSync(), 1e-5);
    });
    encoder.dispose();
  });
});

const small: DinoSizes = {
  width: 8,
  layers: 2,
  heads: 2,
  patchSize: 2,
  gridSize: 3,
  registers: 2,
  feedForward: 'mlp',
  hidden: 12,
  layerScale: true,
};

/** Numbers large enough for every parameter to matter. */
const drawn: ParameterSource = (path, shape) => {
  const next = seededNormal(path);
  const size = shape.reduce((product, n) => product * n, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => (/norm\d?\.weight|gamma/.test(path) ? 1 : 0) + 0.3 * next()),
    shape,
  );
};

const drawnImages = (...shape: [number, number, number, number]): tf.Tensor4D => {
  const next = seededNormal('images');
  return tf.tensor4d(
    Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, () => next()),
    shape,
  );
};

describe('sizes of images', () => {
  test('rows and columns are not mixed up', () => {
    // With a kernel that only sees the first sample of a patch, and nothing else, patch tokens follow the picture.
    const sizes: DinoSizes = { ...small, registers: 0, layers: 1, layerScale: true };
    const encoder = new Dinov2Encoder({
      sizes,
      parameters: (path, shape) => {
        if (path === 'patch_embed.proj.weight') {
          const kernel = new Float32Array(8 * 3 * 2 * 2);
          kernel[1 * 12 + 0] = 1; // Channel 1 takes red, top left.
          return tf.tensor(kernel, shape);
        }
        return path === 'norm.weight' ? tf.ones(shape) : tf.zeros(shape);
      },
    });
    tf.tidy(() => {
      const picture = Array.from({ length: 4 }, (_, y) =>
        Array.from({ length: 6 }, (_, x) => [y < 2 && x >= 4 ? 3 : 0, 5, 5]),
      );
      const features = encoder.forward(tf.tensor4d([picture]));
      expect(features.shape).toEqual([1, 2, 3, 8]);
      const values = features.arraySync()[0] as number[][][];
      expect(values.map((row) => row.map((channels) => (channels[1] as number) > 1))).toEqual([
        [false, false, true],
        [false, false, false],
      ]);
    });
    encoder.dispose();
  });

  test('DINO does not see what fills no patch; DINOv2 refuses it', () => {
    const dino = new DinoEncoder({ sizes: { ...small, registers: 0 }, parameters: drawn });
    const dinov2 = new Dinov2Encoder({ sizes: small, parameters: drawn });
    tf.tidy(() => {
      const images = drawnImages(1, 5, 9, 3);
      const odd = dino.forward(images);
      expect(odd.shape).toEqual([1, 2, 4, 8]);
      expectClose(dino.forward(tf.slice(images, [0, 0, 0, 0], [1, 4, 8, 3])).dataSync(), odd.dataSync(), 0);
      expect(() => dino.forward(tf.zeros([1, 1, 9, 3]))).toThrow(/at least 2/);
      for (const size of [
        [1, 5, 8, 3],
        [1, 4, 7, 3],
      ] as const) {
        expect(() => dinov2.forward(tf.zeros([...size]))).toThrow(UsageError);
        expect(() => dinov2.forward(tf.zeros([...size]))).toThrow(/multiples of 2/);
      }
    });
    dino.dispose();
    dinov2.dispose();
  });
});

describe('positions', () => {
  const embedding = (registers: number, rule: 'offset' | 'antialias'): VisionEmbedding =>
    new VisionEmbedding({
      width: 4,
      patchSize: 2,
      gridSize: 3,
      registers,
      positions: rule,
      partialPatches: 'drop',
      parameters: drawn,
    });

  test.each(['offset', 'antialias'] as const)(
    '%s: of the trained size as they are; of another, rows and columns by their own weights',
    (rule) => {
      const layer = embedding(0, rule);
      tf.tidy(() => {
        const trained = drawn('pos_embed', [1, 10, 4]).dataSync();
        expectClose(layer.positionsFor(6, 6).dataSync(), trained, 0);
        const options = (to: number): BicubicOptions =>
          rule === 'antialias' ? { antialias: true } : { scale: 3 / (to + 0.1) };
        const [down, across] = [bicubicWeights(3, 2, options(2)), bicubicWeights(3, 5, options(5))];
        const resized = layer.positionsFor(4, 10);
        expect(resized.shape).toEqual([1, 11, 4]);
        const want = [...trained.subarray(0, 4)];
        for (let row = 0; row < 2; row++)
          for (let column = 0; column < 5; column++)
            for (let channel = 0; channel < 4; channel++) {
              let sum = 0;
              for (let i = 0; i < 3; i++)
                for (let j = 0; j < 3; j++)
                  sum +=
                    (down[row * 3 + i] as number) *
                    (across[column * 3 + j] as number) *
                    (trained[(1 + i * 3 + j) * 4 + channel] as number);
              want.push(sum);
            }
        expectClose(resized.dataSync(), want, 1e-6);
      });
      layer.dispose();
    },
  );

  test('an image that is not square is resized even on the trained grid, as in the original', () => {
    const layer = embedding(0, 'offset');
    tf.tidy(() => {
      const [square, wide] = [layer.positionsFor(7, 7), layer.positionsFor(6, 7)];
      expectClose(square.dataSync(), drawn('pos_embed', [1, 10, 4]).dataSync(), 0);
      expect(tf.max(tf.abs(tf.sub(square, wide))).dataSync()[0]).toBeGreaterThan(1e-3);
    });
    layer.dispose();
  });

  test('class token, registers without position, patches, in this order', () => {
    const layer = embedding(2, 'antialias');
    tf.tidy(() => {
      const tokens = layer.apply(tf.zeros([1, 6, 6, 3])) as tf.Tensor3D;
      expect(tokens.shape).toEqual([1, 12, 4]);
      const positions = drawn('pos_embed', [1, 10, 4]);
      const bias = drawn('patch_embed.proj.bias', [4]);
      const first = tf.add(drawn('cls_token', [1, 1, 4]), tf.slice(positions, [0, 0, 0], [1, 1, 4]));
      const patches = tf.add(tf.slice(positions, [0, 1, 0]), bias);
      expectClose(
        tokens.dataSync(),
        tf.concat([first, drawn('register_tokens', [1, 2, 4]), patches], 1).dataSync(),
        1e-6,
      );
    });
    layer.dispose();
  });
});

describe.each<
  [
    string,
    DinoSizes,
    new (config: { sizes: DinoSizes; parameters: ParameterSource; trainable: boolean }) => DinoTransformer,
  ]
>([
  ['DINOv2 with registers', small, Dinov2Encoder],
  ['DINOv2 with SwiGLU', { ...small, registers: 0, feedForward: 'swiglu' }, Dinov2Encoder],
  ['DINO', { ...small, registers: 0, layerScale: false }, DinoEncoder],
])('%s', (_, sizes, Encoder) => {
  test('gradients of every parameter equal finite differences', async () => {
    const encoder = new Encoder({ sizes, parameters: drawn, trainable: true });
    const images = drawnImages(2, 8, 4, 3);
    const weights = encoder.trainableWeights;
    expect(weights).toHaveLength(encoder.weights.length);
    const target = tf.tidy(() => tf.sin(tf.range(0, 2 * 8 * 8)).reshape([2, 4, 2, 8]));
    const loss = (): tf.Scalar => tf.tidy(() => tf.sum(tf.mul(encoder.forward(images), target)) as tf.Scalar);
    await expectNoLeak(() => {
      const { value, grads } = tf.variableGrads(
        loss,
        weights.map((weight) => weight.read() as tf.Variable),
      );
      const kinds = new Set<string>();
      for (const weight of weights) {
        const kind = weight.originalName.replace(/\d+/g, '');
        if (kinds.has(kind)) continue;
        kinds.add(kind);
        const gradient = grads[(weight.read() as tf.Variable).name] as tf.Tensor;
        // Along the gradient itself, where a difference shows best: the slope there is the gradient's length.
        const length = tf.tidy(() => tf.norm(gradient).dataSync()[0] as number);
        const step = 2e-3;
        const before = tf.tidy(() => weight.read().clone());
        const at = (sign: number): number =>
          tf.tidy(() => {
            (weight.read() as tf.Variable).assign(tf.add(before, tf.mul(gradient, (sign * step) / length)));
            return loss().dataSync()[0] as number;
          });
        const slope = (at(1) - at(-1)) / (2 * step);
        (weight.read() as tf.Variable).assign(before);
        before.dispose();
        expect([kind, Math.abs(slope - length) / length < 0.01 || `${slope} is not ${length}`]).toEqual([kind, true]);
      }
      tf.dispose([value, grads]);
    });
    tf.dispose([images, target]);
    encoder.dispose();
  });

  test('every layer is rebuilt from its configuration', () => {
    const before = tf.memory().numTensors;
    const first = new Encoder({ sizes, parameters: drawn, trainable: false });
    const config = JSON.parse(JSON.stringify(first.getConfig())) as tf.serialization.ConfigDict;
    const className = (Encoder as unknown as { className: string }).className;
    const entry = tf.serialization.SerializationMap.getMap().classNameMap[className];
    const [constructor, fromConfig] = entry as unknown as [
      tf.serialization.SerializableConstructor<DinoTransformer>,
      tf.serialization.FromConfigMethod<DinoTransformer>,
    ];
    const second = fromConfig(constructor, config);
    second.setWeights(first.getWeights());
    tf.tidy(() => {
      const images = drawnImages(1, 8, 6, 3);
      const [a, b] = [first, second].map((model) => model.apply(images) as tf.Tensor) as [tf.Tensor, tf.Tensor];
      expect(a.shape).toEqual([1, 4, 3, 8]);
      expectClose(b.dataSync(), a.dataSync(), 0);
    });
    first.dispose();
    second.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

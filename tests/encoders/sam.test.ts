import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { Convolution } from '../../lib/layers/convolution';
import type { CraneLayer } from '../../lib/layers/crane-layer';
import { SamAttention } from '../../lib/layers/sam-attention';
import { SamBlock } from '../../lib/layers/sam-block';
import { SamEncoder, type SamSizes } from '../../lib/encoders/sam';
import type { SpatialEncoder } from '../../lib/encoders/spatial-encoder';
import { applyToAxes, axisWeights } from '../../lib/layers/interpolation';
import { expectClose, goldenCases, testWithGoldens } from '../goldens';
import { expectNoLeak, goldenImages, goldenParameters, goldenTensor, seededParameters } from '../tensors';

const tiny: SamSizes = {
  width: 32,
  layers: 3,
  heads: 2,
  patchSize: 64,
  gridSize: 16,
  windowSize: 7,
  globalBlocks: [1],
  channels: 24,
};

const small: SamSizes = {
  width: 8,
  layers: 3,
  heads: 2,
  patchSize: 4,
  gridSize: 5,
  windowSize: 2,
  globalBlocks: [2],
  channels: 3,
};

const drawn = (name: string): SamEncoder => new SamEncoder({ sizes: small, parameters: seededParameters(name, 0.3) });
const images = (batch: number): tf.Tensor4D => tf.randomUniform([batch, 20, 20, 3], -2, 2, 'float32', 7);

/** The goldens' images at the size that the encoder takes, resized as the reference does. */
function resized(images: tf.Tensor4D, side: number): tf.Tensor4D {
  const [, height, width] = images.shape;
  return applyToAxes(
    images,
    tf.tensor2d(axisWeights(height, side, 'bilinear'), [side, height]),
    tf.tensor2d(axisWeights(width, side, 'bilinear'), [side, width]),
  );
}

const withGoldens = testWithGoldens('vfm_sam.safetensors', 'dattn.safetensors');

describe.each(['auto', 'wasm'] as const)('on the %s backend', (backend) => {
  beforeAll(async () => {
    await prepareBackend(backend);
  });
  afterAll(async () => {
    await prepareBackend('auto');
  });

  withGoldens('features are those of the reference', async () => {
    const item = goldenCases('dattn').find(({ id }) => id === 'dattn/sam/features');
    const model = new SamEncoder({ sizes: tiny, parameters: goldenParameters('vfm_sam.safetensors') });
    expect(model).toMatchObject({ family: 'sam', patchSize: 64, channels: 24 });
    const spatial: SpatialEncoder = model;
    expect([spatial.inputSide(518), spatial.inputSide(70)]).toEqual([1024, 1024]);
    await expectNoLeak(() =>
      tf.tidy(() => {
        const images = resized(goldenImages(item?.inputs['vfm_input'] as string), model.inputSide());
        const features = model.forward(images);
        expect(features.shape).toEqual([2, 16, 16, 24]);
        const want = tf.transpose(goldenTensor<tf.Rank.R4>(item?.outputs['features'] as string), [0, 2, 3, 1]);
        expectClose(features.dataSync(), want.dataSync(), 1e-4);
      }),
    );
    model.dispose();
  });
});

beforeAll(async () => {
  await prepareBackend('auto');
});

test('features of an image do not depend on its batch', async () => {
  const model = drawn('batch');
  await expectNoLeak(() =>
    tf.tidy(() => {
      const three = images(3);
      const together = model.forward(three);
      expect(together.shape).toEqual([3, 5, 5, 3]);
      expect(tf.max(tf.abs(together)).dataSync()[0]).toBeGreaterThan(0.1);
      const apart = tf.split(three, 3) as tf.Tensor4D[];
      apart.forEach((image, index) => {
        expectClose(model.forward(image).dataSync(), tf.slice(together, [index, 0, 0, 0], [1, 5, 5, 3]).dataSync(), 0);
      });
      expect(tf.max(tf.abs(tf.sub(tf.slice(together, 0, 1), tf.slice(together, 1, 1)))).dataSync()[0]).toBeGreaterThan(
        0.01,
      );
    }),
  );
  model.dispose();
});

test('a constant image gives finite features', () => {
  const model = drawn('constant');
  tf.tidy(() => {
    for (const value of [0, 1, -2])
      expect(
        model
          .forward(tf.fill([1, 20, 20, 3], value))
          .dataSync()
          .every(Number.isFinite),
      ).toBe(true);
  });
  model.dispose();
});

test.each<[number, number, number]>([
  [24, 20, 3],
  [20, 16, 3],
  [20, 20, 1],
])('an image of [%i, %i, %i] is refused, and the size to use is said', async (...shape) => {
  const model = drawn('size');
  await expectNoLeak(() => {
    const wrong = tf.zeros<tf.Rank.R4>([1, ...shape]);
    let found: unknown;
    try {
      model.forward(wrong);
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(UsageError);
    expect(found).toMatchObject({ code: 'usage/image-size', data: { found: [1, ...shape], expected: [20, 20, 3] } });
    wrong.dispose();
  });
  model.dispose();
});

/** The layer made anew from what `getConfig` says, through JSON, with the same weights. */
function rebuilt(layer: CraneLayer): tf.layers.Layer {
  const entry = tf.serialization.SerializationMap.getMap().classNameMap[layer.getClassName()] as unknown as [
    tf.serialization.SerializableConstructor<tf.layers.Layer>,
    tf.serialization.FromConfigMethod<tf.layers.Layer>,
  ];
  const [constructor, fromConfig] = entry;
  const again = fromConfig(constructor, JSON.parse(JSON.stringify(layer.getConfig())) as tf.serialization.ConfigDict);
  again.setWeights(layer.getWeights());
  return again;
}

const parameters = seededParameters('layers', 0.3);
const layers: Record<string, [make: () => CraneLayer, input: [number, number, number, number]]> = {
  'the encoder': [() => drawn('encoder'), [1, 20, 20, 3]],
  'a block': [() => new SamBlock({ width: 6, heads: 2, windowSize: 2, trainedSide: 2, parameters }), [1, 4, 4, 6]],
  attention: [() => new SamAttention({ width: 6, heads: 3, windowSize: 0, trainedSide: 3, parameters }), [1, 4, 4, 6]],
  'a convolution': [
    () => new Convolution({ inputs: 6, channels: 4, kernelSize: 3, bias: false, parameters }),
    [1, 4, 4, 6],
  ],
  'a convolution of patches': [
    () => new Convolution({ inputs: 6, channels: 4, kernelSize: 2, stride: 2, parameters }),
    [1, 4, 4, 6],
  ],
};

test.each(Object.entries(layers))(
  '%s is rebuilt from its configuration, and disposed twice without harm',
  async (_, [make, shape]) => {
    await expectNoLeak(() => {
      const first = make();
      const second = rebuilt(first);
      tf.tidy(() => {
        const input = tf.randomUniform(shape, -2, 2, 'float32', 3);
        const [a, b] = [first, second].map((layer) => layer.apply(input) as tf.Tensor) as [tf.Tensor, tf.Tensor];
        expect(tf.max(tf.abs(a)).dataSync()[0]).toBeGreaterThan(0.1);
        expectClose(b.dataSync(), a.dataSync(), 0);
        expect(first.computeOutputShape(shape)).toEqual(a.shape);
      });
      [first, second, first].forEach((layer) => layer.dispose());
    });
  },
);

test('convolutions equal the sum over the kernel, written out', () => {
  const kernel = (out: number, input: number, y: number, x: number): number =>
    Math.sin(1 + out + 3 * input + 7 * y + 11 * x);
  const pixel = (row: number, column: number, input: number): number =>
    row < 0 || row > 4 || column < 0 || column > 3 ? 0 : Math.cos(row + 5 * column + 2 * input);
  const layer = new Convolution({
    inputs: 2,
    channels: 3,
    kernelSize: 3,
    parameters: (name, shape) =>
      tf
        .buffer(
          shape,
          'float32',
          Float32Array.from(
            name === '.bias'
              ? [1, 2, 3]
              : Array.from({ length: 54 }, (_, i) =>
                  kernel(Math.floor(i / 18), Math.floor(i / 9) % 2, Math.floor(i / 3) % 3, i % 3),
                ),
          ),
        )
        .toTensor(),
  });
  const want: number[] = [];
  for (let row = 0; row < 5; row++)
    for (let column = 0; column < 4; column++)
      for (let out = 0; out < 3; out++) {
        let sum = out + 1;
        for (let input = 0; input < 2; input++)
          for (let y = 0; y < 3; y++)
            for (let x = 0; x < 3; x++) sum += kernel(out, input, y, x) * pixel(row + y - 1, column + x - 1, input);
        want.push(sum);
      }
  const image = Array.from({ length: 40 }, (_, i) => pixel(Math.floor(i / 8), Math.floor(i / 2) % 4, i % 2));
  expectClose(
    tf.tidy(() => (layer.apply(tf.tensor4d(image, [1, 5, 4, 2])) as tf.Tensor).dataSync()),
    want,
    1e-5,
  );
  layer.dispose();
});

test('a block gives many tokens what it gives few', () => {
  const block = new SamBlock({ width: 4, heads: 2, windowSize: 7, trainedSide: 7, parameters });
  tf.tidy(() => {
    const tokens = tf.randomNormal<tf.Rank.R4>([3, 20, 20, 4], 0, 1, 'float32', 9); // more than go through the MLP at once
    const together = block.apply(tokens) as tf.Tensor4D;
    const apart = tf.split(tokens, 3).map((image) => block.apply(image) as tf.Tensor4D); // less
    expect(together.shape).toEqual([3, 20, 20, 4]);
    expectClose(together.dataSync(), tf.concat(apart, 0).dataSync(), 1e-5);
  });
  block.dispose();
});

test('the constant within the norms is 1e-6', () => {
  // A neck that passes its first norm on, a thousand times smaller: the variance before the last norm is 1e-6 as well.
  const seeded = seededParameters('constant', 0.3);
  const model = new SamEncoder({
    sizes: small,
    parameters: (name, shape) => {
      if (/neck\.[13]\.weight$/.test(name)) return tf.ones(shape);
      if (!name.endsWith('neck.2.weight')) return seeded(name, shape);
      const kernel = tf.buffer(shape as [number, number, number, number], 'float32');
      for (let channel = 0; channel < small.channels; channel++) kernel.set(1e-3, channel, channel, 1, 1);
      return kernel.toTensor();
    },
  });
  tf.tidy(() => expectClose(tf.mean(tf.square(model.forward(images(1)))).dataSync(), [0.5], 5e-3));
  model.dispose();
});

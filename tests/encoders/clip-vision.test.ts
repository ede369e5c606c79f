import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import type { AttentionType } from '../../lib/layers/e-attn';
import { ClipVisionEncoder, classToken, patchTokens } from '../../lib/encoders/clip-vision';
import { DualPathBlock } from '../../lib/layers/dual-path-block';
import { describeWithGoldens, expectClose, golden, goldenCases } from '../goldens';
import { expectNoLeak, goldenImages, goldenParameters, goldenTensor } from '../tensors';

const sizes = { width: 128, layers: 6, heads: 2, patchSize: 14, gridSize: 4 };
const ATOL = 1e-4;

function encoder(
  eattnBlocks: number,
  attention: AttentionType = 'qq+kk+vv',
  layerTaps?: 'distinct',
): ClipVisionEncoder {
  return new ClipVisionEncoder({
    sizes,
    embedDimension: 64,
    activation: 'quick-gelu',
    eattnBlocks,
    attention,
    parameters: goldenParameters('clip_tiny.safetensors'),
    ...(layerTaps ? { layerTaps } : {}),
  });
}

const normalised = (x: tf.Tensor): tf.Tensor => tf.div(x, tf.norm(x, 2, -1, true));

beforeAll(async () => {
  await prepareBackend('auto');
});

describeWithGoldens('the CLIP vision encoder against the reference', () => {
  const cases = goldenCases('vision').filter((item) => item.outputs['image_features'] && item.id !== 'vision/stateful');

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const config = item.config as unknown as {
      features_list: number[];
      to_layer: number | null;
      attn_type: AttentionType | null;
    };
    const model = encoder(config.to_layer === null ? 0 : config.to_layer - 1, config.attn_type ?? 'qq+kk+vv');
    await expectNoLeak(() =>
      tf.tidy(() => {
        const images = goldenImages(item.inputs['images'] as string);
        const { tokens, taps } = model.forward(images, { layers: config.features_list });
        const image = golden(item.outputs['image_features'] as string);
        expectClose(model.project(classToken(tokens)).dataSync(), image.data, ATOL, 1e-3);
        config.features_list.forEach((layer, index) => {
          const want = golden(item.outputs[`patch_features[${index}]`] as string);
          const tap = model.project(taps.get(layer) as tf.Tensor3D) as tf.Tensor3D;
          const got = want.shape[1] === tap.shape[1] ? tap : patchTokens(tap);
          expect(got.shape).toEqual(want.shape);
          expectClose(got.dataSync(), want.data, ATOL, 1e-3);
        });
      }),
    );
    model.dispose();
  });

  test('position embedding at another size', () => {
    const model = encoder(0);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const embedding = (model as unknown as { embedding: { positionsFor(r: number, c: number): tf.Tensor } })
        .embedding;
      expectClose(embedding.positionsFor(5, 5).dataSync(), golden('vision.safetensors#pos_embed').data, 2e-6, 1e-5);
    });
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test.each(['start', 'dual'] as const)('one dual-path block, %s of the path', (which) => {
    const block = new DualPathBlock({
      width: 128,
      heads: 2,
      activation: 'quick-gelu',
      attention: 'qq+kk+vv',
      path: 'visual.transformer.resblocks.5',
      parameters: goldenParameters('clip_tiny.safetensors'),
    });
    tf.tidy(() => {
      const batchFirst = (name: string): tf.Tensor =>
        tf.transpose(goldenTensor<tf.Rank.R3>(`vision.safetensors#${name}`), [1, 0, 2]);
      const spatial = batchFirst('block.x');
      const original = which === 'start' ? spatial : batchFirst('block.x_ori');
      const [gotOriginal, gotSpatial] = block.apply([original, spatial]) as [tf.Tensor, tf.Tensor];
      expectClose(gotOriginal.dataSync(), batchFirst(`block_${which}.x_ori`).dataSync(), ATOL, 1e-3);
      expectClose(gotSpatial.dataSync(), batchFirst(`block_${which}.x`).dataSync(), ATOL, 1e-3);
    });
    block.dispose();
  });

  test('features of an image do not depend on its batch', () => {
    const model = encoder(5);
    tf.tidy(() => {
      const images = goldenImages('vision.safetensors#images');
      const both = model.forward(images).taps.get(6) as tf.Tensor3D;
      const second = model.forward(tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1])).taps.get(6) as tf.Tensor3D;
      expectClose(second.dataSync(), tf.slice(both, [1, 0, 0], [1, -1, -1]).dataSync(), 1e-5);
    });
    model.dispose();
  });

  test('distinct taps differ from each other and end in the same tokens', () => {
    const model = encoder(5, 'qq+kk+vv', 'distinct');
    tf.tidy(() => {
      const { taps } = model.forward(goldenImages('vision.safetensors#images'), { layers: [2, 4, 6] });
      const [two, four, six] = [2, 4, 6].map((layer) => taps.get(layer) as tf.Tensor3D) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      expect(tf.max(tf.abs(tf.sub(two, four))).dataSync()[0]).toBeGreaterThan(0.01);
      const last = model.project(patchTokens(six as tf.Tensor3D));
      expectClose(
        normalised(last).dataSync(),
        normalised(goldenTensor('vision.safetensors#eattn.qq+kk+vv.patch.0')).dataSync(),
        ATOL,
      );
    });
    model.dispose();
  });

  test('disposing releases every parameter, and a second time nothing', () => {
    const before = tf.memory().numTensors;
    const model = encoder(5);
    expect(model.weights.length).toBeGreaterThan(70);
    model.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('serialisation', () => {
  test('every layer of the encoder is rebuilt from its configuration', () => {
    const before = tf.memory().numTensors;
    const small = { sizes: { width: 64, layers: 2, heads: 1, patchSize: 4, gridSize: 2 }, embedDimension: 8 };
    const first = new ClipVisionEncoder({
      ...small,
      activation: 'gelu',
      eattnBlocks: 1,
      attention: 'vv',
      parameters: (_, shape) => tf.randomNormal(shape, 0, 0.1, 'float32', shape.length),
    });
    const config = JSON.parse(JSON.stringify(first.getConfig())) as tf.serialization.ConfigDict;
    const entry = tf.serialization.SerializationMap.getMap().classNameMap;
    expect(tf.serialization.getRegisteredName(ClipVisionEncoder)).toBe('crane>ClipVisionEncoder');
    const [constructor, fromConfig] = entry[ClipVisionEncoder.className] as unknown as [
      tf.serialization.SerializableConstructor<ClipVisionEncoder>,
      tf.serialization.FromConfigMethod<ClipVisionEncoder>,
    ];
    const second = fromConfig(constructor, config);
    second.setWeights(first.getWeights());
    tf.tidy(() => {
      const images = tf.randomUniform([1, 12, 8, 3], -1, 1, 'float32', 7);
      const [a, b] = [first, second].map((model) => model.apply(images) as tf.Tensor[]) as [tf.Tensor[], tf.Tensor[]];
      expect(a.map((tensor) => tensor.shape)).toEqual([
        [1, 8],
        [1, 6, 8],
      ]);
      a.forEach((tensor, index) => expectClose((b[index] as tf.Tensor).dataSync(), tensor.dataSync(), 0));
    });
    first.dispose();
    second.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

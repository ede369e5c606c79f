import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { SamEncoder, type SamSizes } from '../../lib/encoders/sam';
import type { SpatialEncoder } from '../../lib/encoders/spatial-encoder';
import { applyToAxes, axisWeights } from '../../lib/layers/interpolation';
import { expectClose, goldenCases, testWithGoldens } from '../goldens';
import { expectNoLeak, goldenImages, goldenParameters, goldenTensor } from '../tensors';

const tiny: SamSizes = {
  width: 32, layers: 3, heads: 2, patchSize: 64, gridSize: 16, windowSize: 7, globalBlocks: [1], channels: 24,
};

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

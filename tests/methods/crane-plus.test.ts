import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { CLIP_MEAN, CLIP_STD } from '../../lib/image/normalisation';
import type { SpatialFamily } from '../../lib/encoders/spatial-encoder';
import { SpatialEncoder } from '../../lib/encoders/spatial-encoder';
import { spatialInput } from '../../lib/encoders/spatial-input';
import type { CraneModel } from '../../lib/methods/crane/model';
import { describeWithGoldens, expectClose, goldenCases } from '../goldens';
import { expectNoLeak, goldenImages, goldenTensor } from '../tensors';
import { tinyCrane, type TinyCraneOptions } from '../tiny-crane';

beforeAll(async () => {
  await prepareBackend('auto');
});

/** Answers with given features, one row per image of the batch. */
class GivenFeatures extends SpatialEncoder {
  static readonly className = 'GivenFeatures';
  readonly patchSize = 1;
  readonly channels: number;
  constructor(
    readonly family: SpatialFamily,
    private readonly features: tf.Tensor4D,
  ) {
    super({});
    this.channels = features.shape[3];
  }
  inputSide(): number {
    return this.features.shape[1];
  }
  override forward(images: tf.Tensor4D): tf.Tensor4D {
    return tf.slice(this.features, 0, images.shape[0]);
  }
  override dispose(): ReturnType<SpatialEncoder['dispose']> {
    this.features.dispose();
    return super.dispose();
  }
}

/** The reference's features of its golden images, `[2, R, C, F]`. */
const goldenFeatures = (family: SpatialFamily): tf.Tensor4D =>
  tf.tidy(() => tf.transpose(goldenTensor<tf.Rank.R4>(`dattn.safetensors#${family}.features`), [0, 2, 3, 1]));

function cranePlus(
  features: tf.Tensor4D,
  family: SpatialFamily = 'dinov2',
  options: Omit<TinyCraneOptions, 'spatial'> = {},
): CraneModel {
  return tinyCrane({ layers: [6], ...options, spatial: new GivenFeatures(family, features) });
}

describeWithGoldens('Crane+ features against the reference, with its own guiding features', () => {
  const cases = goldenCases('dattn').filter(({ id }) => /\/(both|dattn_only)\//.test(id));

  test('there are cases for three models, both modes and two batches', () => {
    expect(cases).toHaveLength(16);
  });

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const config = item.config as unknown as {
      features_list: number[];
      dino_model: SpatialFamily;
      both_eattn_dattn: boolean;
    };
    const model = cranePlus(goldenFeatures(config.dino_model), config.dino_model, {
      layers: config.features_list,
      spatialOnly: !config.both_eattn_dattn,
      dattnMean: 'batch',
    });
    await expectNoLeak(() =>
      tf.tidy(() => {
        const { global, patches } = model.encodeImages(goldenImages(item.inputs['images'] as string));
        const unit = (x: tf.Tensor): tf.Tensor => tf.div(x, tf.norm(x, 2, -1, true));
        const want = (name: string): Float32Array =>
          unit(goldenTensor(item.outputs[name] as string)).dataSync() as Float32Array;
        expectClose(global.dataSync(), want('image_features'), 1e-4);
        // The reference lists D-Attn and E-Attn by turns, and E-Attn's as often as there are layers.
        const layers = config.features_list.length;
        const step = config.both_eattn_dattn ? 2 : 1;
        expect(patches).toHaveLength(config.both_eattn_dattn ? layers + 1 : layers);
        expect(model.copies).toEqual(
          config.both_eattn_dattn ? [...Array<number>(layers).fill(1), layers] : Array<number>(layers).fill(1),
        );
        for (let layer = 0; layer < layers; layer++) {
          expectClose((patches[layer] as tf.Tensor).dataSync(), want(`patch_features[${step * layer}]`), 1e-4);
          if (config.both_eattn_dattn)
            expectClose((patches[layers] as tf.Tensor).dataSync(), want(`patch_features[${2 * layer + 1}]`), 1e-4);
        }
      }),
    );
    model.dispose();
  });

  test('the input of the second model', () => {
    tf.tidy(() => {
      const images = goldenImages('dattn.safetensors#images');
      const want = tf.transpose(goldenTensor<tf.Rank.R4>('dattn.safetensors#vfm_input'), [0, 2, 3, 1]).dataSync();
      expectClose(spatialInput(images, { mean: CLIP_MEAN, std: CLIP_STD }, 70).dataSync(), want, 2e-6);
    });
  });
});

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { openDataset, type Sample } from '../../datasets/dataset';
import { prepareBackend } from '../../lib/backend';
import { decodeImage } from '../../lib/image/decode';
import { CLIP_PREPROCESSING, preprocessImage, preprocessMask } from '../../lib/image/preprocess';
import { openBackbone } from '../../lib/methods/backbone';
import { buildCraneModel } from '../../lib/methods/crane/build';
import type { CraneModel } from '../../lib/methods/crane/model';
import { anomalousShares, disposeBatch } from '../../train/encoded-image';
import { FeatureStore, type EncodeOptions } from '../../train/feature-store';
import { expectClose } from '../goldens';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let model: CraneModel;
let samples: readonly Sample[];

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-features-'));
  const backbone = await openBackbone(writeSmallBackbone(folder));
  model = buildCraneModel(backbone, { prompts: { seed: 1 } });
  backbone.close();
  const dataset = await openDataset(await writeSmallSet(path.join(folder, 'plates'), { normal: 9, anomalous: 10 }));
  samples = dataset.categories.flatMap((category) => category.samples);
});

afterAll(() => {
  model.dispose();
  fs.rmSync(folder, { recursive: true, force: true });
});

const encode = (chosen: readonly Sample[], options: Partial<EncodeOptions> = {}): Promise<FeatureStore> =>
  FeatureStore.encode(model, chosen, { preprocessing: CLIP_PREPROCESSING, interpolation: 'nearest', ...options });

test('a batch holds what the encoder says of each image alone, its mask and its label', async () => {
  const store = await expectNoLeak(() => encode(samples, { precision: 'float32' }));
  expect(store.size).toBe(19); // more than one batch of the encoder
  const places = [17, 2, 9];
  const batch = await store.batch(places);
  expect([batch.global.shape, batch.patches.map(({ shape }) => shape), batch.masks.shape]).toEqual([
    [3, 32],
    [[3, 16, 32]],
    [3, 4, 4],
  ]);
  expect(Array.from(batch.labels.dataSync())).toEqual(places.map((place) => Number(samples[place]?.anomalous)));

  const size = { width: 32, height: 32 };
  for (const [row, place] of places.entries()) {
    const { imagePath, maskPath } = samples[place] as Sample;
    const pixels = tf.tensor4d(preprocessImage(await decodeImage(imagePath), size), [1, 32, 32, 3]);
    const alone = model.encodeImages(pixels);
    expectClose(
      tf.tidy(() => batch.global.gather([row]).dataSync()),
      alone.global.dataSync(),
      1e-5,
    );
    expectClose(
      tf.tidy(() => (batch.patches[0] as tf.Tensor).gather([row]).dataSync()),
      (alone.patches[0] as tf.Tensor).dataSync(),
      1e-5,
    );
    const mask = await preprocessMask(maskPath ?? undefined, size);
    const anomalous = mask.reduce((sum, value) => sum + value, 0);
    const shares = Array.from(tf.tidy(() => batch.masks.gather([row]).dataSync()));
    expect(shares.reduce((sum, share) => sum + 64 * share, 0)).toBeCloseTo(anomalous, 3);
    tf.dispose([pixels, alone.global, ...alone.patches]);
  }
  disposeBatch(batch);
});

test('halves stay within their precision, and pixel masks are whole where they are wanted', async () => {
  const exact = await (await encode(samples.slice(8, 11), { precision: 'float32' })).batch([0, 1, 2]);
  const store = await encode(samples.slice(8, 11), { interpolation: 'bilinear' });
  expect(store.precision).toBe('float16');
  const batch = await store.batch([0, 1, 2]);
  expectClose((batch.patches[0] as tf.Tensor).dataSync(), (exact.patches[0] as tf.Tensor).dataSync(), 2 ** -12);
  expect((batch.patches[0] as tf.Tensor).dataSync()).not.toEqual((exact.patches[0] as tf.Tensor).dataSync());
  expect(batch.masks.shape).toEqual([3, 32, 32]);
  const pooled = tf.tidy(() => tf.avgPool(tf.expandDims(batch.masks, 3) as tf.Tensor4D, 8, 8, 'valid').dataSync());
  expectClose(exact.masks.dataSync(), pooled, 1e-6);
  disposeBatch(exact);
  disposeBatch(batch);
});

test('shares of anomalous pixels, by hand', () => {
  const mask = Uint8Array.from([1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1]);
  expect(Array.from(anomalousShares(mask, 4, [2, 2]))).toEqual([0.75, 0, 0.25, 1]);
});

test('features that are NaN or infinite are refused with the image that gave them', async () => {
  const broken = Object.create(model, {
    encodeImages: {
      value: (images: tf.Tensor4D) => ({
        global: tf.fill([images.shape[0], 32], NaN),
        patches: [tf.zeros([images.shape[0], 16, 32])],
      }),
    },
  }) as CraneModel;
  await expectNoLeak(async () => {
    const encoding = FeatureStore.encode(broken, samples.slice(0, 2), {
      preprocessing: CLIP_PREPROCESSING,
      interpolation: 'nearest',
    });
    await expect(encoding).rejects.toMatchObject({ code: 'training/features', data: { path: samples[0]?.imagePath } });
  });
});

test('a place that does not exist is an error', async () => {
  const store = await encode(samples.slice(0, 1));
  await expect(store.batch([1])).rejects.toMatchObject({ name: 'UsageError', code: 'training/place' });
});

describe('an image that cannot be read', () => {
  const damaged = (): readonly Sample[] => {
    const broken = path.join(folder, 'broken.png');
    fs.writeFileSync(broken, 'no picture');
    return samples.map((sample, place) => (place === 2 ? { ...sample, imagePath: broken } : sample));
  };

  test('is handed over and left out where that is wanted', async () => {
    const unreadable: string[] = [];
    const store = await expectNoLeak(() =>
      encode(damaged(), {
        onUnreadable: ({ imagePath }, error) => unreadable.push(`${path.basename(imagePath)} ${error.name}`),
      }),
    );
    expect(unreadable).toEqual(['broken.png ImageError']);
    expect(store.samples).toEqual(samples.filter((_, place) => place !== 2));
    expect(store.size).toBe(18);
    const [with2, without2] = [await store.batch([2]), await (await encode(samples)).batch([3])];
    expectClose(with2.global.dataSync(), without2.global.dataSync(), 1e-5);
    [with2, without2].forEach(disposeBatch);
  });

  test('ends encoding where it is not', async () => {
    await expectNoLeak(() => expect(encode(damaged())).rejects.toMatchObject({ name: 'ImageError' }));
  });
});

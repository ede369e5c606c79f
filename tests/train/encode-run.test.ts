import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { Sample } from '../../datasets/dataset';
import { prepareBackend } from '../../lib/backend';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { openBackbone } from '../../lib/methods/backbone';
import { craneMethod } from '../../lib/methods/crane';
import { buildCraneModel } from '../../lib/methods/crane/build';
import type { CraneModel } from '../../lib/methods/crane/model';
import { chooseSamples, openAuxiliarySet } from '../../train/auxiliary-set';
import { encodeRun } from '../../train/encode-run';
import { disposeBatch } from '../../train/encoded-image';
import { FeatureStore } from '../../train/feature-store';
import { drawMosaics, imagePathsOf } from '../../train/mosaic';
import { completeTrainingOptions } from '../../train/options';
import type { PreparedRun } from '../../train/prepare-run';
import type { RunRecord } from '../../train/run-record';
import { expectClose } from '../goldens';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let backbone: string;
let root: string;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-encoded-'));
  backbone = writeSmallBackbone(folder);
  root = await writeSmallSet(path.join(folder, 'plates'));
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

async function newModel(): Promise<CraneModel> {
  const open = await openBackbone(backbone);
  const model = buildCraneModel(open, { prompts: { seed: 1 } });
  open.close();
  return model;
}

test('each epoch has its own mosaics in the places of images, and the images everywhere else', async () => {
  const model = await newModel();
  const training = completeTrainingOptions({ epochs: 2, mosaicRate: 0.5 }, model.options);
  const set = await openAuxiliarySet([root]);
  const selection = chooseSamples(set, training);
  const record = { training, preprocessing: CLIP_PREPROCESSING, precision: 'float32' } as unknown as RunRecord;
  const encoded = await encodeRun(
    { set, selection, method: craneMethod, model, record, backend: await prepareBackend() } satisfies PreparedRun,
    { cache: false },
  );
  expect(encoded.features.size).toBeGreaterThan(11); // mosaics of both epochs as well

  const encoder = await newModel();
  const mosaicsOf = [1, 2].map((epoch) =>
    drawMosaics(selection.training, ({ category }) => `plates/${category}`, training, epoch),
  );
  expect([...(mosaicsOf[0]?.keys() ?? [])]).not.toEqual([...(mosaicsOf[1]?.keys() ?? [])]);
  for (const [index, mosaics] of mosaicsOf.entries()) {
    expect(mosaics.size).toBeGreaterThan(1);
    expect(mosaics.size).toBeLessThan(11);
    const wanted: Sample[] = selection.training.map((sample, place) => mosaics.get(place) ?? sample);
    const places = [10, 3, 0, 5, 7, 1];
    const ofEpoch = encoded.placesOf(index + 1);
    expect(ofEpoch).toHaveLength(11);
    const inStore = places.map((place) => ofEpoch[place] as number);
    const batch = await encoded.features.batch(inStore);
    const store = await FeatureStore.encode(
      encoder,
      places.map((place) => wanted[place] as Sample),
      { preprocessing: CLIP_PREPROCESSING, interpolation: 'nearest', precision: 'float32' },
    );
    const expected = await store.batch(places.map((_, at) => at));
    for (const part of ['global', 'masks', 'labels'] as const)
      expectClose(batch[part].dataSync(), expected[part].dataSync(), 1e-5);
    expectClose((batch.patches[0] as tf.Tensor).dataSync(), (expected.patches[0] as tf.Tensor).dataSync(), 1e-5);
    expect(inStore.flatMap((place) => imagePathsOf(encoded.features.samples[place] as Sample))).toEqual(
      places.flatMap(
        (place) =>
          mosaics.get(place)?.tiles.map(({ imagePath }) => imagePath) ?? [
            (selection.training[place] as Sample).imagePath,
          ],
      ),
    );
    [batch, expected].forEach(disposeBatch);
  }
  await encoded.close();
  [model, encoder].forEach((each) => each.dispose());
});

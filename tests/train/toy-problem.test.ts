import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { openBackbone } from '../../lib/methods/backbone';
import { buildCraneModel } from '../../lib/methods/crane/build';
import type { CraneModel } from '../../lib/methods/crane/model';
import { normalise } from '../../lib/scoring/similarity';
import { seededNormal } from '../../lib/weights/seeded';
import { disposeBatch } from '../../train/encoded-image';
import type { TrainingBatch } from '../../lib/methods/method';
import { Trainer } from '../../train/trainer';
import { expectNoLeak } from '../tensors';
import { smallSizes, writeSmallBackbone } from './tiny-files';

/*
 * Features as an encoder would give them in a world with one kind of damage: normal patches lie around one direction,
 * damaged patches around another, both with noise of their own. The prompts have to find the two directions.
 */
const WIDTH = smallSizes.embedDimension;
const PATCHES = smallSizes.vision.gridSize ** 2;
const NOISE = 0.15;

function direction(name: string): number[] {
  const next = seededNormal(name);
  return Array.from({ length: WIDTH }, next);
}

/** `images` images, every second one with a quarter of its patches damaged. */
function drawBatch(name: string, images: number): TrainingBatch {
  const next = seededNormal(name);
  const [normal, damaged] = [direction('normal'), direction('damaged')];
  const noisy = (centre: readonly number[]): number[] => centre.map((value) => value + 3 * NOISE * next());
  const patches: number[][][] = [];
  const masks: number[][] = [];
  for (let image = 0; image < images; image++) {
    const first = (image * 5) % PATCHES;
    const mask = Array.from({ length: PATCHES }, (_, patch) =>
      Number(image % 2 === 1 && (patch - first + PATCHES) % PATCHES < PATCHES / 4),
    );
    masks.push(mask);
    patches.push(mask.map((value) => noisy(value ? damaged : normal)));
  }
  const side = Math.sqrt(PATCHES);
  return tf.tidy(() => {
    const features = normalise(tf.tensor3d(patches));
    return {
      global: normalise(tf.mean(features, 1) as tf.Tensor2D),
      patches: [features],
      masks: tf.tensor(masks.flat(), [images, side, side]) as tf.Tensor3D,
      labels: tf.tensor1d(
        masks.map((mask) => (mask.includes(1) ? 1 : 0)),
        'int32',
      ),
    } as never;
  });
}

/** Share of pairs of a damaged and a normal patch that are scored the right way round. */
function separation(model: CraneModel, batch: TrainingBatch): number {
  return tf.tidy(() => {
    const text = model.encodePrompts(); // static, as when scoring
    const [normal, anomalous] = tf.unstack(tf.squeeze(text, [0])) as [tf.Tensor1D, tf.Tensor1D];
    const rows = tf.reshape(batch.patches[0] as tf.Tensor3D, [-1, WIDTH]) as tf.Tensor2D;
    const scores = Array.from(tf.dot(rows, tf.sub(anomalous, normal) as tf.Tensor1D).dataSync());
    const truth = Array.from(batch.masks.dataSync());
    const damaged = scores.filter((_, index) => truth[index] === 1);
    const clean = scores.filter((_, index) => truth[index] === 0);
    const wins = damaged.map((high) => clean.filter((low) => high > low).length);
    return wins.reduce((sum, count) => sum + count, 0) / (damaged.length * clean.length);
  });
}

test('the loss falls, and damaged patches of unseen images come out on top', async () => {
  await prepareBackend();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-toy-'));
  const backbone = await openBackbone(writeSmallBackbone(folder));
  const model = buildCraneModel(backbone, { prompts: { seed: 3 }, options: { layers: [3] }, trainablePrompts: true });
  backbone.close();
  fs.rmSync(folder, { recursive: true });
  const trainer = new Trainer(model);
  const heldOut = drawBatch('held out', 12);
  const before = separation(model, heldOut);

  const losses = await expectNoLeak(async () => {
    const totals: number[] = [];
    for (let step = 0; step < 30; step++) {
      const batch = drawBatch(`step ${step}`, 8);
      totals.push((await trainer.step(batch)).total);
      disposeBatch(batch);
    }
    return totals;
  });

  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(losses.slice(-5))).toBeLessThan(0.6 * mean(losses.slice(0, 5)));
  expect(before).toBeLessThan(0.75);
  expect(separation(model, heldOut)).toBeGreaterThan(0.95);
  disposeBatch(heldOut);
  trainer.dispose();
  model.dispose();
});

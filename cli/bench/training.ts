import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { CLIP_VARIANTS, type ClipSizes } from '../../lib/config';
import { normalise } from '../../lib/scoring/similarity';
import { disposeBatch } from '../../train/feature-store';
import { PromptTrainer, type TrainingBatch } from '../../train/trainer';
import type { BenchOptions, BenchPart, BenchReport } from './part';
import { median } from './part';
import { seededCrane } from './seeded-crane';

/** The paper's: ViT-L/14 at 518 pixels, eight images a step. */
const SIZES = CLIP_VARIANTS['ViT-L/14@336px'] as ClipSizes;
const IMAGE_SIZE = 518;
const BATCH_SIZE = 8;

/** `crane bench --training`. */
export const trainingBench: BenchPart = {
  run: async (options) => {
    const steps = await measureSteps(options);
    return reportOf(steps);
  },
};

interface StepSeconds {
  readonly allTokens: number;
  readonly neededTokens: number;
}

/** A step over all tokens of the text encoder and one over those that matter, in turns, so that both see the same load. */
async function measureSteps({ runs, onProgress, signal }: BenchOptions): Promise<StepSeconds> {
  const sizes = { ...SIZES, vision: { ...SIZES.vision, layers: 1, width: 64, heads: 1 } };
  const models = [true, false].map((allTokens) => seededCrane({ sizes, imageSize: IMAGE_SIZE, allTokens }));
  const trainers = models.map((model) => new PromptTrainer(model, { batchSize: BATCH_SIZE }));
  const batch = randomBatch(BATCH_SIZE, IMAGE_SIZE / SIZES.vision.patchSize, SIZES.embedDimension);
  const seconds: [number[], number[]] = [[], []];
  const total = trainers.length * (runs + 1);
  try {
    onProgress({ kind: 'start', task: 'steps', total, unit: 'steps' });
    for (let run = 0; run <= runs; run++) {
      for (const [index, trainer] of trainers.entries()) {
        await setImmediate();
        signal.throwIfAborted();
        const began = performance.now();
        await trainer.step(batch);
        // The first of each is warm-up.
        if (run > 0) seconds[index as 0 | 1].push((performance.now() - began) / 1000);
        onProgress({ kind: 'advance', task: 'steps', done: run * trainers.length + index + 1, total });
      }
    }
    onProgress({ kind: 'done', task: 'steps' });
    return { allTokens: median(seconds[0]), neededTokens: median(seconds[1]) };
  } finally {
    disposeBatch(batch);
    trainers.forEach((trainer) => trainer.dispose());
    models.forEach((model) => model.dispose());
  }
}

/** Features of length one without meaning, half of them of anomalous images. */
function randomBatch(images: number, side: number, width: number): TrainingBatch {
  return {
    global: tf.tidy(() => normalise(tf.randomNormal<tf.Rank.R2>([images, width], 0, 1, 'float32', 1))),
    patches: [tf.tidy(() => normalise(tf.randomNormal<tf.Rank.R3>([images, side * side, width], 0, 1, 'float32', 2)))],
    masks: tf.randomUniform<tf.Rank.R3>([images, side, side], 0, 1, 'float32', 3),
    labels: tf.tensor1d(Array.from({ length: images }, (_, image) => image % 2), 'int32'),
  };
}

function reportOf(steps: StepSeconds): BenchReport {
  const right = { align: 'right' as const };
  return {
    title: `Training at the shapes of ViT-L/14, ${IMAGE_SIZE} px, batch ${BATCH_SIZE}, seeded weights`,
    columns: [{ title: 'what' }, { title: 'seconds', ...right }, { title: 'ratio', ...right }],
    rows: [
      ['step, all 77 tokens', steps.allTokens.toFixed(3), ''],
      ['step, needed tokens', steps.neededTokens.toFixed(3), (steps.neededTokens / steps.allTokens).toFixed(3)],
    ],
    figures: { stepSeconds: steps, stepRatio: steps.neededTokens / steps.allTokens },
  };
}

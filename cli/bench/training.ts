import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import type { Sample } from '../../datasets/sample';
import { prepareBackend } from '../../lib/backend';
import { formatBytes } from '../../lib/bytes';
import { CLIP_VARIANTS, type ClipSizes } from '../../lib/encoders/clip-sizes';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { normalise } from '../../lib/scoring/similarity';
import { seededUniform } from '../../lib/weights/seeded';
import { disposeBatch, FeatureStore } from '../../train/feature-store';
import type { EncodeOptions } from '../../train/encode-samples';
import { PromptTrainer, type TrainingBatch } from '../../train/trainer';
import type { BenchOptions, BenchPart, BenchReport } from './part';
import { median } from './part';
import { seededCrane } from './seeded-crane';

interface Shapes {
  readonly name: string;
  readonly sizes: ClipSizes;
  readonly imageSize: number;
  /** Memory is looked at after these steps. */
  readonly memorySteps: readonly [number, number];
}

const LARGE = CLIP_VARIANTS['ViT-L/14@336px'] as ClipSizes;
/** The paper's. */
const PAPER: Shapes = { name: 'ViT-L/14, 518 px', sizes: LARGE, imageSize: 518, memorySteps: [20, 200] };
const SMALL: Shapes = {
  name: 'a small network, 112 px',
  sizes: {
    embedDimension: 64,
    vision: { width: 64, layers: 4, heads: 1, patchSize: 14, gridSize: 8 },
    text: { ...LARGE.text, width: 64, layers: 3, heads: 1 },
  },
  imageSize: 112,
  memorySteps: [10, 40],
};
const BATCH_SIZE = 8;
/** Images that go through the whole vision encoder, which takes many seconds each. */
const IMAGES = 2;
/** Memory is looked at over so many steps, of which the least counts: what is freed only later is no growth. */
const MEMORY_WINDOW = 5;

/** `crane bench --training`: what a step costs, what an epoch costs with the feature cache and without, and whether memory grows. */
export const trainingBench: BenchPart = {
  run: async (options) => {
    const shapes = options.small ? SMALL : PAPER;
    // First, since a process keeps much of what the large steps took.
    const memory = await measureMemory(shapes, options);
    const steps = await measureSteps(shapes, options);
    const images = await measureImages(shapes, options);
    return reportOf(shapes, steps, images, memory);
  },
};

const TOKENS = ['all', 'needed', 'once'] as const;
/** Seconds of a step, by the tokens that the text encoder computes; see `SeededCraneOptions`. */
type StepSeconds = Readonly<Record<(typeof TOKENS)[number], number>>;

/** Steps of each kind in turns, so that all see the same load. */
async function measureSteps(
  { sizes, imageSize }: Shapes,
  { runs, onProgress, signal }: BenchOptions,
): Promise<StepSeconds> {
  const models = TOKENS.map((tokens) => seededCrane({ sizes: withoutVision(sizes), imageSize, tokens }));
  const trainers = models.map((model) => new PromptTrainer(model, { batchSize: BATCH_SIZE }));
  const batch = randomBatch(imageSize / sizes.vision.patchSize, sizes.embedDimension);
  const seconds = TOKENS.map((): number[] => []);
  const total = trainers.length * (runs + 1);
  try {
    onProgress({ kind: 'start', task: 'steps', total, unit: 'steps' });
    for (let run = 0; run <= runs; run++) {
      for (const [index, trainer] of trainers.entries()) {
        await setImmediate();
        signal.throwIfAborted();
        const taken = await secondsOf(() => trainer.step(batch));
        // The first of each is warm-up.
        if (run > 0) seconds[index]?.push(taken);
        onProgress({ kind: 'advance', task: 'steps', done: run * trainers.length + index + 1, total });
      }
    }
    onProgress({ kind: 'done', task: 'steps' });
    return Object.fromEntries(
      TOKENS.map((tokens, index) => [tokens, median(seconds[index] as number[])]),
    ) as StepSeconds;
  } finally {
    disposeBatch(batch);
    trainers.forEach((trainer) => trainer.dispose());
    models.forEach((model) => model.dispose());
  }
}

/** Seconds per image. */
interface ImageSeconds {
  /** Decoding and the whole encoder: what each epoch would pay without the cache. */
  readonly encode: number;
  /** Reading from the cache into a batch. */
  readonly cached: number;
  readonly bytes: number;
}

async function measureImages(
  { sizes, imageSize }: Shapes,
  { runs, onProgress, signal }: BenchOptions,
): Promise<ImageSeconds> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-bench-'));
  const model = seededCrane({ sizes: withoutText(sizes), imageSize });
  try {
    const samples = await drawSamples(folder, imageSize);
    const backend = await prepareBackend('auto');
    const cache = { backbone: 'seeded', spatial: null, backend, folder: path.join(folder, 'cache') };
    const options: EncodeOptions = {
      preprocessing: CLIP_PREPROCESSING,
      interpolation: 'nearest',
      residentBytes: 0,
      onProgress,
      signal,
    };
    // Fills the cache, and is the warm-up.
    const store = await FeatureStore.encode(model, samples, { ...options, cache });
    const encode = (await secondsOf(() => FeatureStore.encode(model, samples, options))) / IMAGES;
    const places = samples.map((_, place) => place);
    const reads: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const taken = (await secondsOf(async () => disposeBatch(await store.batch(places)))) / IMAGES;
      if (run > 0) reads.push(taken);
    }
    await store.close();
    return { encode, cached: median(reads), bytes: sizeOf(cache.folder) / IMAGES };
  } finally {
    model.dispose();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes after each of the shapes' `memorySteps`. */
interface MemoryUse {
  /** Of the process. */
  readonly resident: readonly number[];
  /** In tensors. */
  readonly tensors: readonly number[];
}

async function measureMemory(
  { sizes, imageSize, memorySteps }: Shapes,
  { onProgress, signal }: BenchOptions,
): Promise<MemoryUse> {
  const model = seededCrane({ sizes: withoutVision(sizes), imageSize });
  const trainer = new PromptTrainer(model, { batchSize: BATCH_SIZE });
  const total = memorySteps[1];
  const use = { resident: [] as number[], tensors: [] as number[] };
  try {
    onProgress({ kind: 'start', task: 'memory', total, unit: 'steps' });
    for (let step = 1; step <= total; step++) {
      await setImmediate();
      signal.throwIfAborted();
      const batch = randomBatch(imageSize / sizes.vision.patchSize, sizes.embedDimension);
      await trainer.step(batch);
      disposeBatch(batch);
      const measured = memorySteps.findIndex((end) => step > end - MEMORY_WINDOW && step <= end);
      if (measured >= 0) {
        collectGarbage();
        use.resident[measured] = Math.min(use.resident[measured] ?? Infinity, process.memoryUsage.rss());
        use.tensors[measured] = tf.memory().numBytes;
      }
      onProgress({ kind: 'advance', task: 'memory', done: step, total });
    }
    onProgress({ kind: 'done', task: 'memory' });
    return use;
  } finally {
    trainer.dispose();
    model.dispose();
  }
}

const withoutVision = (sizes: ClipSizes): ClipSizes => ({
  ...sizes,
  vision: { ...sizes.vision, layers: 1, width: 64, heads: 1 },
});
const withoutText = (sizes: ClipSizes): ClipSizes => ({
  ...sizes,
  text: { ...sizes.text, layers: 1, width: 64, heads: 1 },
});

/** What nobody refers to any more is no memory in use. */
function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc');
  (vm.runInNewContext('gc') as () => void)();
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

/** Features of length one without meaning, half of them of anomalous images. */
function randomBatch(side: number, width: number): TrainingBatch {
  const images = BATCH_SIZE;
  return {
    global: tf.tidy(() => normalise(tf.randomNormal<tf.Rank.R2>([images, width], 0, 1, 'float32', 1))),
    patches: [tf.tidy(() => normalise(tf.randomNormal<tf.Rank.R3>([images, side * side, width], 0, 1, 'float32', 2)))],
    masks: tf.randomUniform<tf.Rank.R3>([images, side, side], 0, 1, 'float32', 3),
    labels: tf.tensor1d(
      Array.from({ length: images }, (_, image) => image % 2),
      'int32',
    ),
  };
}

/** Noise as pictures that are larger than the network's input by as much as VisA's. */
async function drawSamples(folder: string, imageSize: number): Promise<Sample[]> {
  const [width, height] = [3 * imageSize, 2 * imageSize];
  return Promise.all(
    Array.from({ length: IMAGES }, async (_, index): Promise<Sample> => {
      const uniform = seededUniform(index);
      const imagePath = path.join(folder, `${index}.jpg`);
      const data = Uint8Array.from({ length: 3 * width * height }, () => Math.floor(256 * uniform()));
      await sharp(data, { raw: { width, height, channels: 3 } })
        .jpeg()
        .toFile(imagePath);
      return { imagePath, maskPath: null, hasMask: false, category: 'noise', defect: 'good', anomalous: false };
    }),
  );
}

function sizeOf(folder: string): number {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + fs.statSync(path.join(parentPath, name)).size, 0);
}

function reportOf(shapes: Shapes, steps: StepSeconds, images: ImageSeconds, memory: MemoryUse): BenchReport {
  const right = { align: 'right' as const };
  // What an image costs in an epoch: its part of a step, and its features.
  const epoch = {
    without: images.encode + steps.needed / BATCH_SIZE,
    cached: images.cached + steps.needed / BATCH_SIZE,
  };
  const growth = (values: readonly number[]): number => (values[1] as number) / (values[0] as number) - 1;
  const seconds = (value: number): string => value.toPrecision(3);
  const ratio = (value: number): string => value.toFixed(3);
  const percent = (value: number): string => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(2)} %`;
  const row = (what: string, value: string, compared = ''): string[] => [what, value, compared];
  return {
    title: `Training at the shapes of ${shapes.name}, ${BATCH_SIZE} images a step, seeded weights; seconds`,
    columns: [{ title: 'what' }, { title: 'value', ...right }, { title: 'ratio', ...right }],
    rows: [
      row('step, all 77 tokens', seconds(steps.all), '1'),
      row('step, needed tokens', seconds(steps.needed), ratio(steps.needed / steps.all)),
      row(
        'step, needed tokens, what is common once (--no-round-gradients)',
        seconds(steps.once),
        ratio(steps.once / steps.all),
      ),
      null,
      row('image, encoded', seconds(images.encode), '1'),
      row(
        `image, from the cache (${formatBytes(images.bytes)})`,
        seconds(images.cached),
        ratio(images.cached / images.encode),
      ),
      null,
      row('image in an epoch without the cache', seconds(epoch.without), '1'),
      row('image in an epoch with it', seconds(epoch.cached), ratio(epoch.cached / epoch.without)),
      null,
      row(`memory of the process at step ${shapes.memorySteps[0]}`, formatBytes(memory.resident[0] as number)),
      row(
        `memory of the process at step ${shapes.memorySteps[1]}`,
        formatBytes(memory.resident[1] as number),
        percent(growth(memory.resident)),
      ),
      row(
        `memory of tensors at step ${shapes.memorySteps[1]}`,
        formatBytes(memory.tensors[1] as number),
        percent(growth(memory.tensors)),
      ),
    ],
    figures: {
      shapes: shapes.name,
      stepSeconds: { allTokens: steps.all, neededTokens: steps.needed, commonOnce: steps.once },
      stepRatio: { neededTokens: steps.needed / steps.all, commonOnce: steps.once / steps.all },
      imageSeconds: { encoded: images.encode, fromCache: images.cached },
      cachedBytesPerImage: images.bytes,
      epochSecondsPerImage: { withoutCache: epoch.without, withCache: epoch.cached },
      epochRatio: epoch.cached / epoch.without,
      memoryBytes: { steps: shapes.memorySteps, process: memory.resident, tensors: memory.tensors },
      memoryGrowth: { process: growth(memory.resident), tensors: growth(memory.tensors) },
    },
  };
}

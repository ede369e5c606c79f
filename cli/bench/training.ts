import * as fs from 'node:fs';
import * as path from 'node:path';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import * as tf from '@tensorflow/tfjs';
import type { Sample } from '../../datasets/sample';
import { prepareBackend } from '../../lib/backend';
import { formatBytes } from '../../lib/bytes';
import { CLIP_VARIANTS, type ClipSizes } from '../../lib/encoders/clip-sizes';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { normalise } from '../../lib/scoring/similarity';
import type { CraneModel } from '../../lib/methods/crane/model';
import type { TrainingBatch } from '../../lib/methods/method';
import { disposeBatch } from '../../train/encoded-image';
import { FeatureStore, type EncodeOptions } from '../../train/feature-store';
import { Trainer } from '../../train/trainer';
import { median, steps, tableOf, timed, type BenchOptions, type BenchPart } from './part';
import { seededCrane, type ComputedTokens } from './seeded-crane';
import { drawPictures, TemporaryFolder } from './seeded-files';

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
export const trainingBench: BenchPart = async (options) => {
  const shapes = options.small ? SMALL : PAPER;
  // First, since a process keeps much of what the large steps took.
  const memory = await measureMemory(shapes, options);
  const step = await measureSteps(shapes, options);
  const image = await measureImages(shapes, options);
  // What an image costs in an epoch: its part of a step, and its features.
  const [without, cached] = [image.encode + step.needed / BATCH_SIZE, image.cached + step.needed / BATCH_SIZE];
  const growth = (values: readonly number[]): number => (values[1] as number) / (values[0] as number) - 1;
  const percent = (value: number): string => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(2)} %`;
  const row = (what: string, seconds: number, base?: number): string[] => {
    return [what, seconds.toPrecision(3), base === undefined ? '1' : (seconds / base).toFixed(3)];
  };
  const memoryRow = (of: keyof typeof memory, index: 0 | 1): string[] => [
    `memory of ${of === 'process' ? 'the process' : of} at step ${shapes.memorySteps[index]}`,
    formatBytes(memory[of][index] as number),
    index === 0 ? '' : percent(growth(memory[of])),
  ];
  const rows = [
    row('step, all 77 tokens', step.all),
    row('step, needed tokens', step.needed, step.all),
    row('step, needed tokens, what is common once (--no-round-gradients)', step.once, step.all),
    null,
    row('image, encoded', image.encode),
    row(`image, from the cache (${formatBytes(image.bytes)})`, image.cached, image.encode),
    null,
    row('image in an epoch without the cache', without),
    row('image in an epoch with it', cached, without),
    null,
    memoryRow('process', 0),
    memoryRow('process', 1),
    memoryRow('tensors', 1),
  ];
  const title = `Training at the shapes of ${shapes.name}, ${BATCH_SIZE} images a step, seeded weights; seconds`;
  return {
    text: `${title}\n\n${tableOf(['what', 'value', 'ratio'], rows)}`,
    figures: {
      shapes: shapes.name,
      stepSeconds: { allTokens: step.all, neededTokens: step.needed, commonOnce: step.once },
      stepRatio: { neededTokens: step.needed / step.all, commonOnce: step.once / step.all },
      imageSeconds: { encoded: image.encode, fromCache: image.cached },
      cachedBytesPerImage: image.bytes,
      epochSecondsPerImage: { withoutCache: without, withCache: cached },
      epochRatio: cached / without,
      memoryBytes: { steps: shapes.memorySteps, ...memory },
      memoryGrowth: { process: growth(memory.process), tensors: growth(memory.tensors) },
    },
  };
};

/** Seconds of a step, by the tokens that the text encoder computes; in turns, so that all see the same load. */
async function measureSteps({ sizes, imageSize }: Shapes, options: BenchOptions) {
  const seconds: Record<ComputedTokens, number[]> = { all: [], needed: [], once: [] };
  const kinds = Object.keys(seconds) as ComputedTokens[];
  const models: CraneModel[] = [];
  const trainers: Trainer[] = [];
  const batch = randomBatch(imageSize / sizes.vision.patchSize, sizes.embedDimension);
  try {
    for (const tokens of kinds) models.push(await seededCrane(withoutVision(sizes), imageSize, tokens));
    for (const model of models) trainers.push(new Trainer(model, { batchSize: BATCH_SIZE }));
    for await (const index of steps('steps', kinds.length * (options.runs + 1), options)) {
      const kind = index % kinds.length;
      const [, taken] = await timed(() => (trainers[kind] as Trainer).step(batch));
      // The first of each is warm-up.
      if (index >= kinds.length) seconds[kinds[kind] as ComputedTokens].push(taken);
    }
    return { all: median(seconds.all), needed: median(seconds.needed), once: median(seconds.once) };
  } finally {
    disposeBatch(batch);
    trainers.forEach((trainer) => trainer.dispose());
    models.forEach((model) => model.dispose());
  }
}

/** Per image: seconds of decoding and the whole encoder, as each epoch would pay without the cache; of reading from it into a batch; its bytes. */
async function measureImages({ sizes, imageSize }: Shapes, { runs, onProgress, signal }: BenchOptions) {
  const folder = new TemporaryFolder();
  const model = await seededCrane({ ...sizes, text: { ...sizes.text, layers: 1 } }, imageSize);
  try {
    // Larger than the network's input by as much as VisA's.
    const pictures = await drawPictures(folder.path, IMAGES, 3 * imageSize, 2 * imageSize, 'jpg');
    const samples = pictures.map((imagePath): Sample => ({
      imagePath,
      maskPath: null,
      hasMask: false,
      category: 'drawn',
      defect: 'good',
      anomalous: false,
    }));
    const backend = await prepareBackend('auto');
    const cache = { backbone: 'seeded', spatial: null, backend, folder: path.join(folder.path, 'cache') };
    const options: EncodeOptions = {
      preprocessing: CLIP_PREPROCESSING,
      interpolation: 'nearest',
      residentBytes: 0,
      onProgress,
      signal,
    };
    // Fills the cache, and is the warm-up.
    const store = await FeatureStore.encode(model, samples, { ...options, cache });
    const [, encode] = await timed(() => FeatureStore.encode(model, samples, options));
    const reads: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const [, taken] = await timed(async () => disposeBatch(await store.batch([...samples.keys()])));
      if (run > 0) reads.push(taken);
    }
    await store.close();
    return { encode: encode / IMAGES, cached: median(reads) / IMAGES, bytes: sizeOf(cache.folder) / IMAGES };
  } finally {
    model.dispose();
    folder.remove();
  }
}

/** Bytes of the process and in tensors after each of the shapes' `memorySteps`. */
async function measureMemory({ sizes, imageSize, memorySteps }: Shapes, options: BenchOptions) {
  const model = await seededCrane(withoutVision(sizes), imageSize);
  const trainer = new Trainer(model, { batchSize: BATCH_SIZE });
  const use = { process: [] as number[], tensors: [] as number[] };
  try {
    for await (const index of steps('memory', memorySteps[1], options)) {
      const step = index + 1;
      const batch = randomBatch(imageSize / sizes.vision.patchSize, sizes.embedDimension);
      await trainer.step(batch);
      disposeBatch(batch);
      const measured = memorySteps.findIndex((end) => step > end - MEMORY_WINDOW && step <= end);
      if (measured < 0) continue;
      collectGarbage();
      use.process[measured] = Math.min(use.process[measured] ?? Infinity, process.memoryUsage.rss());
      use.tensors[measured] = tf.memory().numBytes;
    }
    return use;
  } finally {
    trainer.dispose();
    model.dispose();
  }
}

function withoutVision(sizes: ClipSizes): ClipSizes {
  return { ...sizes, vision: { ...sizes.vision, layers: 1, width: 64, heads: 1 } };
}

/** What nobody refers to any more is no memory in use. */
function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc');
  (vm.runInNewContext('gc') as () => void)();
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

function sizeOf(folder: string): number {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + fs.statSync(path.join(parentPath, name)).size, 0);
}

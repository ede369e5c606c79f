import * as path from 'node:path';
import { PassThrough } from 'node:stream';
import * as tf from '@tensorflow/tfjs';
import { peakResidentBytes } from '../../eval/benchmark/peak-memory';
import { prepareBackend, type BackendChoice } from '../../lib/backend';
import { Crane } from '../../lib/crane';
import type { Detection } from '../../lib/detection';
import { decodeImage } from '../../lib/image/decode';
import { preprocessImage } from '../../lib/image/preprocess';
import type { CraneModel } from '../../lib/methods/crane/model';
import { median, timed } from './part';
import { measureProduct, type MeasuredProduct } from './peak';
import { productShapes, stageFlop } from './products';
import { MODEL_STAGES, perStage, StageClock, typicalStages, type Lap } from './stages';

/** What one process is to measure. Plain data, since it goes from process to process. */
export interface ForwardJob {
  readonly backbone: string;
  /** Undefined for those that belong to the backbone. */
  readonly prompts: string | undefined;
  readonly imageSize: number;
  readonly batch: number;
  readonly backend: BackendChoice;
  /**
   * Measured so often, and images one by one up to a hundred times where that takes little time; fewer times where it would
   * take more than these seconds, but twice at least (once with `runs` 1).
   */
  readonly runs: number;
  readonly seconds: number;
  /** Pictures that are scored in turn. */
  readonly pictures: readonly string[];
  /** Folder for heatmaps, that is removed afterwards. */
  readonly out: string;
  /** Whether to measure the machine's matrix products at this model's shapes. */
  readonly products: boolean;
}

export interface MeasureOptions {
  /** Called when the first heatmap has been saved. */
  readonly onFirstResult?: () => void;
  /** Whether the backend answers before it has computed, so that stages cannot be timed; by default as it does. */
  readonly asynchronous?: boolean;
}

/** Of the time for a case, so much goes to a product, by each way there is. */
const PRODUCT_SHARE = 1 / 60;

/** Seconds are medians; those of images are shares of their batch. */
export type ForwardFigures = Awaited<ReturnType<typeof measureForward>>;

/** Measures one case in this process, which should be a fresh one: memory is that of the whole process. */
export async function measureForward(job: ForwardJob, options: MeasureOptions = {}) {
  const info = await prepareBackend(job.backend);
  const { onFirstResult, asynchronous = info.gpu || info.name === 'webgpu' } = options;
  const { backbone, imageSize, batch, backend, prompts } = job;
  const clock = new StageClock();
  const [crane, loadSeconds] = await timed(() =>
    Crane.load({
      backbone,
      imageSize,
      batchSize: batch,
      backend,
      offline: true,
      ...(prompts === undefined ? {} : { prompts }),
      ...(asynchronous ? {} : { runStage: clock.run }),
    }),
  );
  const textSeconds = asynchronous ? null : clock.lap().text;
  try {
    const { sizes } = crane.description;
    // Of the default method.
    const { options, copies } = crane.model as CraneModel;
    const counted = { sizes, options, featureSets: copies.length };
    const first = await crane.detect(job.pictures[0] as string);
    await save(first, job, 0);
    onFirstResult?.();

    const feed = await measureFeed(crane, job, clock);
    const alone = asynchronous ? await measureModelAlone(crane, job) : undefined;
    const imagesPerSecondInARow = await measureRow(crane, job, feed.endToEnd);
    const peakRssBytes = peakResidentBytes();
    const products: MeasuredProduct[] = [];
    for (const shape of job.products ? productShapes(counted) : [])
      products.push(await measureProduct(shape, { asynchronous, seconds: Math.min(0.3, PRODUCT_SHARE * job.seconds) }));
    return {
      /** Weights from their file into tensors, and the text encoder once. */
      loadSeconds,
      peakRssBytes,
      /** Runs behind each median. */
      runs: feed.runs,
      /** The model alone: network input to map and score. */
      secondsPerImage: alone ?? feed.model,
      /** A batch by itself, from its files to its saved heatmaps. */
      endToEndSecondsPerImage: feed.endToEnd,
      /** Many files in a row, as `crane detect FOLDER --out` scores them; null where that would take too long. */
      imagesPerSecondInARow,
      /** Of `endToEndSecondsPerImage`; null on a backend that answers before it has computed. */
      stages: asynchronous ? null : feed.stages,
      /** The text encoder, once for all images, when the model was loaded; null as the stages. */
      textSeconds,
      /** From an image's arrival in an unending stream to its detection, one image at a time, in ascending order. */
      latencies: feed.latencies,
      flop: stageFlop(counted),
      products,
    };
  } finally {
    crane.dispose();
  }
}

/** So many images tell a 95th percentile, if they take no more than this share of the time for a case. */
const [LATENCIES, LATENCY_SHARE] = [100, 0.2];

/**
 * Batches that come one after the other from an unending stream, each when the one before is done with, so that nothing
 * runs beside it and its stages add up.
 */
async function measureFeed(crane: Crane, job: ForwardJob, clock: StageClock) {
  const { batch, runs, seconds } = job;
  const feed = new PassThrough({ objectMode: true });
  const laps: Lap[] = []; // of an image's share of its batch
  const latencies: number[] = [];
  const stream = crane.stream(feed as AsyncIterable<string>);
  // A batch of one has been seen by the first result; of more, the first run is warm-up where runs are short.
  let [warm, spent, fed] = [batch === 1, 0, 0];
  while (laps.length < runs || (batch === 1 && laps.length < LATENCIES && spent < LATENCY_SHARE * seconds)) {
    clock.lap();
    const began = performance.now();
    for (let index = 0; index < batch; index++) feed.write(job.pictures[fed++ % job.pictures.length]);
    for (let index = 0; index < batch; index++) {
      const { value } = (await stream.next()) as { value: Detection };
      if (batch === 1) latencies.push((performance.now() - began) / 1000);
      await clock.run('heatmap', () => save(value, job, index));
    }
    const taken = (performance.now() - began) / 1000;
    const stages = clock.lap();
    if (!warm && taken < seconds / 4) {
      warm = true;
      continue;
    }
    laps.push({ stages: perStage((stage) => stages[stage] / batch), whole: taken / batch });
    spent += taken;
    if (laps.length >= Math.min(2, runs) && spent + taken > seconds) break;
  }
  await stream.return();
  feed.end();
  return {
    runs: laps.length,
    model: median(laps.map((lap) => MODEL_STAGES.reduce((sum, stage) => sum + lap.stages[stage], 0))),
    endToEnd: median(laps.map(({ whole }) => whole)),
    stages: typicalStages(laps),
    latencies: latencies.sort((a, b) => a - b),
  };
}

/** For backends whose answers come later: network inputs that lie ready, to scores and maps that have been read. */
async function measureModelAlone(crane: Crane, { batch, runs, seconds, pictures }: ForwardJob): Promise<number> {
  const { imageSize } = crane.model.options;
  const { reference, ...rule } = crane.description.preprocessing;
  const decoded = await decodeImage(pictures[0] as string, { reference });
  const pixels = preprocessImage(decoded, { width: imageSize, height: imageSize, ...rule });
  const images = tf.tidy(() => tf.tile(tf.tensor4d(pixels, [1, imageSize, imageSize, 3]), [batch, 1, 1, 1]));
  const scorer = crane.model.forClass();
  const taken: number[] = [];
  let spent = 0;
  try {
    for (let run = 0; run <= runs && (run <= 1 || spent < seconds); run++) {
      const [, one] = await timed(async () => {
        const { scores, maps } = scorer.score(images);
        await Promise.all([scores.data(), maps.data()]);
        tf.dispose([scores, maps]);
      });
      if (run > 0) taken.push(one);
      spent += one;
    }
  } finally {
    images.dispose();
  }
  return median(taken) / batch;
}

/** Of the time for a case, so much may go to files in a row, and so many batches of them are scored. */
const ROW_SHARE = 0.25;
const [LEAST_BATCHES, MOST_BATCHES] = [2, 24];

/** Images a second where the next ones are decoded while the model runs. */
async function measureRow(crane: Crane, job: ForwardJob, endToEnd: number): Promise<number | null> {
  const { batch, pictures, seconds } = job;
  const batches = Math.min(MOST_BATCHES, Math.floor((ROW_SHARE * seconds) / (endToEnd * batch)));
  if (batches < LEAST_BATCHES) return null;
  const files = Array.from({ length: batches * batch }, (_, index) => pictures[index % pictures.length] as string);
  const [, taken] = await timed(async () => {
    let index = 0;
    for await (const detection of crane.stream(files)) await save(detection, job, index++ % batch);
  });
  return files.length / taken;
}

/** As `crane detect --out`: colours over the picture, as a PNG. */
function save({ map }: Detection, { out }: ForwardJob, index: number): Promise<void> {
  return map.save(path.join(out, `${index}.png`));
}

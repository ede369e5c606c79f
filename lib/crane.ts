import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { AnomalyMap } from './anomaly-map';
import { prepareBackend, type BackendChoice, type BackendInfo } from './backend';
import { orAborted } from './cancellation';
import type { DetectInput, Detection } from './detection';
import { UsageError, WeightsError } from './errors';
import { decodeImage } from './image/decode';
import { toRgb, type DecodedImage, type ImageFrame, type RgbImage } from './image/decoded-image';
import { imagesBelow } from './image/image-files';
import { describeInput, type ImageInput } from './image/input';
import type { ScoreMap } from './image/map-file';
import { preprocessImage } from './image/preprocess';
import { resizeMap } from './image/resize-map';
import type { MemoryClaim } from './memory-budget';
import type { AnomalyModel, Scorer } from './methods/method';
import { checkModelRequest, openModel, type DescribedModel, type ModelChoice } from './methods/open-model';
import { definedOptions } from './defined-options';
import type { MethodOptionsInput } from './methods/registry';
import type { OnProgress } from './progress';
import { runUnobserved, type RunStage } from './stage';
import { StreamMemory } from './stream-memory';
import { allowsPrivateUrls } from './web/request';
import { isOffline } from './weights/download';

/** What {@link Crane.load} loads, and how it scores. All of it is optional; the default is the embedded model. */
export interface CraneOptions extends ModelChoice, Omit<MethodOptionsInput, 'spatial'> {
  /** The TensorFlow.js backend. Default `auto`: the fastest backend that works here. */
  readonly backend?: BackendChoice;
  /** Images scored at once. Default: 1 to 8, as many as keep score matrices small; 8 with `dattnMean: 'batch'`. */
  readonly batchSize?: number;
  /** Never touch the network. */
  readonly offline?: boolean;
  /**
   * Also download images and weights from hosts in private networks, such as a camera. Default: true if the environment
   * variable `CRANE_ALLOW_PRIVATE_URLS` is set.
   */
  readonly allowPrivateUrls?: boolean;
  /**
   * Runs each stage that an image passes through and returns the stage's result; for timing.
   * @internal
   */
  readonly runStage?: RunStage | undefined;
  /** Called with the progress of downloads. */
  readonly onProgress?: OnProgress;
  /** Aborts loading, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Describes a model for logs and results, with everything needed to load the same one again. */
export type ModelDescription = DescribedModel & { readonly backend: BackendInfo };

/** What is known about the images in advance, and a signal to abort. */
export interface DetectOptions {
  /** What the images show, such as `metal nut`, for methods whose sentences name it. Default: the name given to `Crane.load`. */
  readonly className?: string;
  /** Aborts scoring, with the signal's reason: at once while waiting, after the batch while the model computes. */
  readonly signal?: AbortSignal;
}

/** How a stream is scored. */
export interface StreamOptions extends DetectOptions {
  /** Images scored at once. Default: the batch size of the `Crane`. */
  readonly batchSize?: number;
  /** Called for each image that cannot be scored, which is then skipped. Without it, the error ends the stream. */
  readonly onFailure?: (failure: Failure) => void;
  /**
   * Keeps each image with its map, so that an overlay need not decode it again or find it changed. Beyond 512 MiB in total,
   * images are decoded again all the same. Default false.
   */
  readonly keepPictures?: boolean;
  /**
   * Waits for full batches until the source ends, so that equal inputs are scored in equal batches and repeated runs on one
   * machine give identical bytes. For finite sources only: a feed that pauses would hold up images that have arrived.
   * Default true for folders and lists, else false.
   */
  readonly wholeBatches?: boolean;
}

/** An image that could not be read, or whose scores are NaN or infinite. */
export interface Failure {
  readonly input: DetectInput;
  /** Its place in the list or stream, 0 for the first. */
  readonly index: number;
  readonly error: Error;
}

/** An image prepared for the network. */
interface Prepared extends ImageFrame {
  readonly input: DetectInput;
  readonly index: number;
  readonly source: string;
  readonly pixels: Float32Array; // [S, S, 3]
  readonly pages: number | undefined;
  readonly picture: () => RgbImage | Promise<RgbImage>;
  /** Size of the image in bytes if it is kept, else 0. */
  readonly kept: number;
}

/** The network's result for one image, and the image's share of the batch's time in seconds. */
interface ScoredImage {
  readonly prepared: Prepared;
  readonly score: number;
  readonly native: ScoreMap;
  readonly share: number;
}

/** Larger batches are no faster and delay a stream's first score. The reference uses this size too. */
const LARGEST_BATCH = 8;

/**
 * Finds defects in images of objects it has never seen.
 *
 * ```ts
 * const crane = await Crane.load();
 * const { score, map } = await crane.detect('part.png');
 * await map.save('part-heatmap.png');
 * crane.dispose();
 * ```
 */
export class Crane {
  private disposed = false;

  private constructor(
    /** @internal */
    readonly model: AnomalyModel,
    /** Describes what was loaded: model, options, warnings, backend. */
    readonly description: ModelDescription,
    /** What images show, unless a call says otherwise. */
    readonly className: string | undefined,
    private readonly batchSize: number,
    private readonly reach: { readonly offline: boolean; readonly allowPrivateUrls: boolean },
    private readonly runStage: RunStage,
  ) {}

  /**
   * Loads a model. Without options, this is the embedded one, which works offline. Options left out come from the prompts'
   * file if it records how they were trained, else from the paper.
   * @throws UsageError for options that do not fit; WeightsError for files; BackendError if a backend was named and fails
   */
  static async load(options: CraneOptions = {}): Promise<Crane> {
    const {
      offline = isOffline(),
      allowPrivateUrls = allowsPrivateUrls(),
      runStage = runUnobserved,
      onProgress,
      signal,
    } = options;
    const batchSize = options.batchSize === undefined ? undefined : checkedBatchSize(options.batchSize);
    const request = requestOf(options);
    checkModelRequest(request);
    const backend = await prepareBackend(options.backend ?? 'auto');
    const { model, description } = await openModel({
      ...request,
      offline,
      allowPrivateUrls,
      runStage,
      ...(onProgress ? { onProgress } : {}),
      ...(signal ? { signal } : {}),
    });
    const warnings = [...(backend.warning === null ? [] : [backend.warning]), ...description.warnings];
    const usual = model.dependsOnBatch ? LARGEST_BATCH : Math.min(LARGEST_BATCH, model.imagesAtOnce);
    const reach = { offline, allowPrivateUrls };
    const described = { ...description, warnings, backend };
    return new Crane(model, described, options.className, batchSize ?? usual, reach, runStage);
  }

  /**
   * Scores one image, or several in batches. A score does not depend on what else is in the batch, unless
   * `dattnMean: 'batch'` is set.
   * @throws ImageError for an image that cannot be read (in a list, the first of them); UsageError after `dispose`; the
   *   reason of an aborted signal
   */
  detect(input: DetectInput, options?: DetectOptions): Promise<Detection>;
  detect(inputs: readonly DetectInput[], options?: DetectOptions): Promise<Detection[]>;
  async detect(
    input: DetectInput | readonly DetectInput[],
    options: DetectOptions = {},
  ): Promise<Detection | Detection[]> {
    const list = Array.isArray(input) ? (input as readonly DetectInput[]) : [input as DetectInput];
    const detections: Detection[] = [];
    for await (const detection of this.stream(list, options)) detections.push(detection);
    return Array.isArray(input) ? detections : (detections[0] as Detection);
  }

  /**
   * Scores images in the order in which they arrive: from a folder and its subfolders, a list, a generator, or a feed that
   * never ends. The next images are decoded while the model runs, as many at once as fit into 512 MiB; a larger one is
   * decoded alone. If a feed pauses, the images that have arrived are scored.
   * @throws as `detect`, unless `onFailure` is given for images that cannot be scored; an aborted signal always ends the stream
   */
  async *stream(
    source: string | Iterable<DetectInput> | AsyncIterable<DetectInput>,
    options: StreamOptions = {},
  ): AsyncGenerator<Detection, void, undefined> {
    this.assertUsable();
    options.signal?.throwIfAborted();
    const {
      onFailure,
      signal,
      keepPictures = false,
      wholeBatches = typeof source === 'string' || Array.isArray(source),
    } = options;
    const batchSize = options.batchSize === undefined ? this.batchSize : checkedBatchSize(options.batchSize);
    const scorer = this.model.forClass(options.className ?? this.className);
    const iterator = iteratorOf(typeof source === 'string' ? imagesBelow(source) : source);
    const waiting: Promise<Prepared | Failure>[] = [];
    let next: Promise<IteratorResult<DetectInput>> | undefined = handled(iterator.next());
    const memory = new StreamMemory(keepPictures);
    // Belongs to the stream, so that downloads still running end with it.
    const end = new AbortController();
    let since = performance.now();
    let arrivals = 0;
    try {
      while (next !== undefined || waiting.length > 0) {
        const waits = waiting.length === 0 || (wholeBatches && waiting.length < batchSize);
        const arrived = next && (await orAborted(waits ? next : Promise.race([next, nothingYet()]), signal));
        if (arrived?.done) next = undefined;
        else if (arrived) {
          const { value } = arrived;
          const index = arrivals++;
          // Time spent waiting for a feed does not count for the image.
          if (waiting.length === 0) since = performance.now();
          waiting.push(
            memory
              .reading((claim) =>
                this.runStage('decode', () =>
                  this.prepare(value, index, memory, { memory: claim, signal: end.signal }),
                ),
              )
              .catch((error: Error) => ({ input: value, index, error })),
          );
          next = handled(iterator.next());
          // Half of what is decoded waits for its turn while the other half is scored.
          if (waiting.length < 2 * batchSize) continue;
        }
        if (waiting.length === 0 || (waiting.length < batchSize && wholeBatches && next !== undefined)) continue;
        const batch = await orAborted(Promise.all(waiting.splice(0, batchSize)), signal);
        yield* this.scoreBatch(scorer, batch, since, memory, { onFailure, signal });
        since = performance.now();
      }
    } finally {
      memory.leave();
      end.abort();
      // Not awaited: a feed that waits for its next image would answer only when that image arrives.
      if (next !== undefined) void iterator.return?.()?.catch(() => undefined);
    }
  }

  private async *scoreBatch(
    scorer: Scorer,
    batch: readonly (Prepared | Failure)[],
    since: number,
    memory: StreamMemory,
    { onFailure, signal }: { readonly [Key in 'onFailure' | 'signal']: StreamOptions[Key] | undefined },
  ): AsyncGenerator<Detection, void, undefined> {
    const fail = (failure: Failure): void => {
      if (!onFailure) throw failure.error;
      onFailure(failure);
    };
    const ready: Prepared[] = [];
    for (const item of batch) {
      if ('error' in item) fail(item);
      else ready.push(item);
    }
    if (ready.length === 0) return;
    for (const scored of await this.scorePrepared(scorer, ready, since)) {
      signal?.throwIfAborted();
      const { width, height, kept } = scored.prepared;
      // The full-size map is made when its turn comes; the next one waits until this one is no longer in use.
      const claim = await memory.forMap(width, height);
      try {
        const outcome = this.runStage('heatmap', () => this.detection(scored));
        if ('error' in outcome) fail(outcome);
        else yield outcome;
      } finally {
        claim.release();
        memory.drop(kept);
      }
    }
  }

  /** Decodes and resizes an image for the network. */
  private async prepare(
    input: DetectInput,
    index: number,
    stream: StreamMemory,
    limits: { readonly memory: MemoryClaim; readonly signal: AbortSignal },
  ): Promise<Prepared> {
    const image = input instanceof tf.Tensor ? await pixelsOf(input) : input;
    const { reference, ...rule } = this.description.preprocessing;
    const reading = { reference, ...this.reach };
    const decoded = await decodeImage(image, { ...reading, ...limits });
    const { imageSize } = this.model.options;
    const { width, height, orientation, pages } = decoded;
    const kept = stream.keep(decoded);
    return {
      input,
      index,
      source: describeInput(image),
      pixels: this.runStage('resize', () => preprocessImage(decoded, { width: imageSize, height: imageSize, ...rule })),
      width,
      height,
      orientation,
      pages,
      picture: kept > 0 ? keeping(decoded) : async () => rgbOf(await decodeImage(image, reading)),
      kept,
    };
  }

  private async scorePrepared(scorer: Scorer, batch: readonly Prepared[], since: number): Promise<ScoredImage[]> {
    this.assertUsable();
    const side = this.model.options.imageSize;
    const { scores, maps } = tf.tidy(() => {
      const images = tf.concat(batch.map(({ pixels }) => tf.tensor4d(pixels, [1, side, side, 3])));
      return scorer.score(images);
    });
    let values: [tf.TypedArray, tf.TypedArray];
    try {
      values = await Promise.all([scores.data(), maps.data()]);
    } finally {
      tf.dispose([scores, maps]);
    }
    const share = (performance.now() - since) / 1000 / batch.length;
    return batch.map((prepared, index) => {
      const score = values[0][index] as number;
      const native = Float32Array.from(values[1].slice(index * side * side, (index + 1) * side * side));
      return { prepared, score, native: { data: native, width: side, height: side }, share };
    });
  }

  private detection({ prepared, score, native, share }: ScoredImage): Detection | Failure {
    const { input, index, source, width, height, orientation, pages, picture } = prepared;
    if (!Number.isFinite(score) || !native.data.every(Number.isFinite)) {
      const message = `${source}: its score or map contains NaN or infinite values; check the weights and the prompts`;
      return { input, index, error: new WeightsError('weights/not-finite', message, { source, score }) };
    }
    const start = performance.now();
    const data = resizeMap(native.data, native.width, native.height, width, height);
    const map = new AnomalyMap({ data, width, height, source: picture, native });
    return {
      input,
      index,
      source,
      score,
      map,
      width,
      height,
      orientation,
      seconds: share + (performance.now() - start) / 1000,
      ...(pages === undefined ? {} : { pages }),
    };
  }

  /** Releases the model's tensors. Earlier detections stay usable. A second call does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.model.dispose();
  }

  /** For `using crane = await Crane.load()`: {@link dispose} at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** For `await using crane = await Crane.load()`: {@link dispose} at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  private assertUsable(): void {
    if (this.disposed)
      throw new UsageError('usage/disposed', 'this Crane was disposed; load another with Crane.load()', {});
  }
}

/** Splits the options of `Crane.load` into the choice of model and the method's own options. */
export function requestOf(options: CraneOptions): { readonly choice: ModelChoice; readonly options: object } {
  const {
    method,
    backbone,
    checkpoint,
    prompts,
    spatial,
    activation,
    heads,
    referenceImages,
    className,
    classNames,
    backend,
    batchSize,
    offline,
    allowPrivateUrls,
    runStage,
    onProgress,
    signal,
    ...own
  } = options;
  const choice = {
    method,
    backbone,
    checkpoint,
    prompts,
    spatial,
    activation,
    heads,
    referenceImages,
    className,
    classNames,
  };
  return { choice: definedOptions(choice) as ModelChoice, options: own };
}

function rgbOf(decoded: DecodedImage): RgbImage {
  return { width: decoded.width, height: decoded.height, data: toRgb(decoded) };
}

/** A separate function, so that no other closure keeps the samples in memory. */
function keeping(decoded: DecodedImage): () => RgbImage {
  return () => rgbOf(decoded);
}

/** Resolves once everything already pending has had its turn. */
function nothingYet(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function iteratorOf<T>(source: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : asAsync(source);
}

async function* asAsync<T>(source: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* source;
}

/** Keeps a rejection from ending the process if the stream is abandoned before the promise is awaited. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function checkedBatchSize(batchSize: number): number {
  if (Number.isInteger(batchSize) && batchSize > 0) return batchSize;
  throw new UsageError('usage/batch-size', `batch size ${batchSize}: expected a whole number, 1 or more`, {
    found: batchSize,
  });
}

async function pixelsOf(tensor: tf.Tensor3D): Promise<ImageInput> {
  const [height, width, channels] = tensor.shape;
  if (tensor.rank !== 3 || channels !== 3) {
    throw new UsageError('image/tensor', `expected a tensor [height, width, 3], found [${tensor.shape.join(', ')}]`, {
      shape: tensor.shape,
    });
  }
  const scale = tensor.dtype === 'float32' ? 255 : 1;
  const data = Uint8ClampedArray.from(await tensor.data(), (value) => value * scale);
  return { data, width, height, channels: 3 };
}

/** The base name of files written for an image: its path without folders and suffix. */
export function stemOf(source: string): string {
  return path.parse(source).name;
}

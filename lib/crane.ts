import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { AnomalyMap } from './anomaly-map';
import { prepareBackend, type BackendChoice, type BackendInfo } from './backend';
import { orAborted } from './cancellation';
import { checkModelOptions, type ModelOptions, type ModelOptionsInput } from './methods/crane/options';
import type { Activation } from './layers/mlp';
import type { ClipSizes, HeadsChoice } from './encoders/clip-sizes';
import type { Detection } from './detection';
import { UsageError, WeightsError } from './errors';
import { decodeImage } from './image/decode';
import { toRgb, type DecodedImage, type RgbImage } from './image/decoded-image';
import { imagesBelow } from './image/image-files';
import { describeInput, type ImageInput } from './image/input';
import type { ScoreMap } from './image/map-file';
import { preprocessImage, type Preprocessing } from './image/preprocess';
import { resizeMap } from './image/resize-map';
import type { MemoryClaim } from './memory-budget';
import { EMBEDDED_BACKBONE, openBackbone } from './methods/crane/backbone';
import { ANOMALOUS_WORDS, buildCraneModel, NORMAL_WORDS } from './methods/crane/build';
import type { CraneModel } from './methods/crane/model';
import { openSpatialFor, warningsAboutBackbone, warningsAboutSpatial } from './methods/crane/prompt-origin';
import {
  AUXILIARY_KEY,
  defaultPrompts,
  openPrompts,
  optionsOfPrompts,
  refuseWithoutPrompts,
} from './methods/crane/prompts';
import type { SpatialChoice, SpatialWeights } from './methods/crane/spatial';
import { asPromptsWereTrained } from './methods/crane/trained-network';
import type { OnProgress } from './progress';
import { runUnobserved, type RunStage } from './stage';
import { StreamMemory } from './stream-memory';
import { allowsPrivateUrls } from './web/request';
import { isOffline } from './weights/download';

/** An image in any form that `detect` takes: besides those of `ImageInput`, a tensor `[H, W, 3]` (int32 0 to 255, or
 * float32 0 to 1). */
export type DetectInput = ImageInput | tf.Tensor3D;

/** What {@link Crane.load} loads, and how it scores. Nothing is needed: the embedded model is the default. */
export interface CraneOptions extends Omit<ModelOptionsInput, 'spatial'> {
  /** `nano` (embedded, the default), a registered name such as `ViT-L/14@336px`, or a file or folder. */
  readonly backbone?: string;
  /** A registered name such as `crane-visa`, or a file; by default those that belong to the backbone. */
  readonly prompts?: string;
  /**
   * The second vision model, which guides D-Attn (Crane+): `none`; `dinov2`, `dino` or `sam` for the paper's of that
   * kind; weights by registered name, file or folder; or model and weights. By default as the prompts were trained.
   */
  readonly spatial?: SpatialChoice;
  /** What the backbone computes with, whatever its file says or leaves open; by default as the prompts were trained. */
  readonly activation?: Activation;
  /** Attention heads of the backbone's towers, where its file does not say, or says it wrongly. */
  readonly heads?: HeadsChoice;
  /** What computes. Default `auto`: the fastest backend that works here. */
  readonly backend?: BackendChoice;
  /** Images scored at once; by default as many as keep score matrices small, 1 to 8, or 8 with `dattnMean: 'batch'`. */
  readonly batchSize?: number;
  /** Never touch the network. */
  readonly offline?: boolean;
  /**
   * Download pictures and weights from hosts of private networks too, such as a camera's. Default: whether the environment
   * has `CRANE_ALLOW_PRIVATE_URLS`.
   */
  readonly allowPrivateUrls?: boolean;
  /**
   * Read pictures as the reference does: EXIF orientation ignored, 16-bit samples clipped (docs/deviations.md). By default
   * as in training, where the prompts say it, else false.
   */
  readonly referenceImages?: boolean;
  /** Runs each stage of an image's way and returns what it returns, to time it. */
  readonly runStage?: RunStage | undefined;
  /** Told of downloads. */
  readonly onProgress?: OnProgress;
  /** Ends loading, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a model is, for logs and results: everything needed to load the same again. */
export interface ModelDescription {
  readonly method: 'crane';
  readonly backbone: string;
  readonly prompts: string;
  /** Weights of the second vision model; null for Crane without one. */
  readonly spatial: string | null;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly options: ModelOptions;
  readonly preprocessing: Preprocessing;
  /** The set that the prompts were trained on, where the prompts say. */
  readonly auxiliary: string | null;
  /** What a person should know before trusting the scores, such as prompts that were made for other weights. */
  readonly warnings: readonly string[];
  readonly backend: BackendInfo;
}

/** What there is to choose when images are scored. */
export interface DetectOptions {
  /** Ends the scoring, with the signal's reason: at once where it waits, after the batch where the model computes. */
  readonly signal?: AbortSignal;
}

/** How a stream is scored. */
export interface StreamOptions extends DetectOptions {
  /** Images scored at once; default: that of the `Crane`. */
  readonly batchSize?: number;
  /** Called for an image that cannot be scored, which is then left out; without it the error ends the stream. */
  readonly onFailure?: (failure: Failure) => void;
  /**
   * Keeps each picture with its map, so that an overlay need not decode it again, nor find it changed; pictures that take more
   * than 512 MiB together are decoded again all the same. Default false.
   */
  readonly keepPictures?: boolean;
  /**
   * Waits until a batch is full while the source goes on, so that equal inputs are scored in equal batches, and repeated runs
   * give equal bytes on one machine. For sources that end: a feed that pauses would hold up what has come. Default true for
   * folders and lists, else false.
   */
  readonly wholeBatches?: boolean;
}

/** An image that could not be read, or whose scores are NaN or infinite. */
export interface Failure {
  readonly input: DetectInput;
  readonly error: Error;
}

/** A picture made ready for the network. */
interface Prepared {
  readonly input: DetectInput;
  readonly source: string;
  readonly pixels: Float32Array; // [S, S, 3]
  readonly width: number;
  readonly height: number;
  readonly pages: number | undefined;
  readonly picture: () => RgbImage | Promise<RgbImage>;
  /** Bytes of the picture where it is kept, else 0. */
  readonly kept: number;
}

/** What the network said of one image, and its share of the time that the batch took, in seconds. */
interface ScoredImage {
  readonly prepared: Prepared;
  readonly score: number;
  readonly native: ScoreMap;
  readonly share: number;
}

/** Larger batches are no faster, and a stream's first score would come later. The reference's batches are as large. */
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
    readonly model: CraneModel,
    /** What is loaded: model, options, warnings, backend. */
    readonly description: ModelDescription,
    private readonly text: tf.Tensor3D | undefined,
    private readonly batchSize: number,
    private readonly reach: { readonly offline: boolean; readonly allowPrivateUrls: boolean },
    private readonly runStage: RunStage,
  ) {}

  /**
   * Loads a model: without options the embedded one, which works offline. Options that are not given come from the
   * prompts' file, where it says how they were trained, else from the paper.
   * @throws UsageError for options that do not fit; WeightsError for files; BackendError for an explicit backend
   */
  static async load(options: CraneOptions = {}): Promise<Crane> {
    const {
      backbone: backboneName = EMBEDDED_BACKBONE,
      offline = isOffline(),
      allowPrivateUrls = allowsPrivateUrls(),
      onProgress,
      signal,
      activation,
      heads,
      referenceImages,
      runStage = runUnobserved,
    } = options;
    const batchSize = options.batchSize === undefined ? undefined : checkedBatchSize(options.batchSize);
    checkModelOptions(modelOptionsAmong(options));
    if (options.prompts === undefined) refuseWithoutPrompts(backboneName);
    const backend = await prepareBackend(options.backend ?? 'auto');
    const access = { offline, allowPrivateUrls, ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) };
    const opened = await openBackbone(backboneName, {
      ...access,
      words: [NORMAL_WORDS, ANOMALOUS_WORDS],
      ...(activation === undefined ? {} : { activation }),
      ...(heads === undefined ? {} : { heads }),
    });
    let spatial: SpatialWeights | undefined;
    let model: CraneModel | undefined;
    try {
      const promptsName = options.prompts ?? defaultPrompts(opened);
      const prompts = await openPrompts(promptsName, access);
      const { backbone, warnings } = await asPromptsWereTrained(opened, prompts, { activation, referenceImages });
      spatial = await openSpatialFor(prompts, options.spatial, access);
      const trained = optionsOfPrompts(prompts, backbone.sizes, spatial?.family ?? 'none');
      model = buildCraneModel(backbone, {
        prompts,
        spatial,
        options: { ...trained, ...modelOptionsAmong(options) },
        runStage,
      });
      const description: ModelDescription = {
        method: 'crane',
        backbone: backbone.name,
        prompts: promptsName,
        spatial: spatial?.name ?? null,
        sizes: backbone.sizes,
        activation: backbone.activation,
        options: model.options,
        preprocessing: backbone.preprocessing,
        auxiliary: prompts.metadata[AUXILIARY_KEY] ?? null,
        warnings: [
          ...(backend.warning === null ? [] : [backend.warning]),
          ...warnings,
          ...(await warningsAboutBackbone(prompts, backbone)),
          ...(await warningsAboutSpatial(prompts, spatial)),
        ],
        backend,
      };
      if (!model.options.context) model.fixPrompts();
      const text = model.options.context ? undefined : model.encodePrompts();
      const usual =
        model.options.dattnMean === 'batch' && spatial ? LARGEST_BATCH : Math.min(LARGEST_BATCH, model.imagesAtOnce);
      return new Crane(model, description, text, batchSize ?? usual, { offline, allowPrivateUrls }, runStage);
    } catch (error) {
      model?.dispose();
      throw error;
    } finally {
      spatial?.close();
      opened.close();
    }
  }

  /**
   * Scores one image, or several in batches. A score does not depend on what else is in the batch, unless
   * `dattnMean: 'batch'` asks for that.
   * @throws ImageError for an image that cannot be read (in a list, the first such); UsageError after `dispose`; the reason of
   *   an aborted signal
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
   * Scores images as they come, in their order: those of a folder and the folders below it, of a list, of a generator, or
   * of a feed that never ends. The next images are decoded while the model runs, as many at once as take less than 512 MiB
   * together, a larger one alone; a feed that pauses is scored up to what has arrived.
   * @throws as `detect`, unless `onFailure` takes the images that cannot be scored; an aborted signal ends the stream in any case
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
    const iterator = iteratorOf(typeof source === 'string' ? imagesBelow(source) : source);
    const waiting: Promise<Prepared | Failure>[] = [];
    let next: Promise<IteratorResult<DetectInput>> | undefined = handled(iterator.next());
    const memory = new StreamMemory(keepPictures);
    // Of the stream, so that what is still being downloaded ends with it.
    const end = new AbortController();
    let since = performance.now();
    try {
      while (next !== undefined || waiting.length > 0) {
        const waits = waiting.length === 0 || (wholeBatches && waiting.length < batchSize);
        const arrived = next && (await orAborted(waits ? next : Promise.race([next, nothingYet()]), signal));
        if (arrived?.done) next = undefined;
        else if (arrived) {
          const { value } = arrived;
          // Time that a feed lets pass is not the image's.
          if (waiting.length === 0) since = performance.now();
          waiting.push(
            memory
              .reading((claim) =>
                this.runStage('decode', () => this.prepare(value, memory, { memory: claim, signal: end.signal })),
              )
              .catch((error: Error) => ({ input: value, error })),
          );
          next = handled(iterator.next());
          // Half of what is decoded waits for its turn while the other half is scored.
          if (waiting.length < 2 * batchSize) continue;
        }
        if (waiting.length === 0 || (waiting.length < batchSize && wholeBatches && next !== undefined)) continue;
        const batch = await orAborted(Promise.all(waiting.splice(0, batchSize)), signal);
        yield* this.scoreBatch(batch, since, memory, { onFailure, signal });
        since = performance.now();
      }
    } finally {
      memory.leave();
      end.abort();
      // A feed that is waiting for its next image would answer only after that image came.
      if (next !== undefined) void iterator.return?.()?.catch(() => undefined);
    }
  }

  private async *scoreBatch(
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
    for (const scored of await this.scorePrepared(ready, since)) {
      signal?.throwIfAborted();
      const { width, height, kept } = scored.prepared;
      // The map at the picture's own size is made when its turn comes, and the next waits until it is done with.
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
    stream: StreamMemory,
    limits: { readonly memory: MemoryClaim; readonly signal: AbortSignal },
  ): Promise<Prepared> {
    const image = input instanceof tf.Tensor ? await pixelsOf(input) : input;
    const { reference, ...rule } = this.description.preprocessing;
    const reading = { reference, ...this.reach };
    const decoded = await decodeImage(image, { ...reading, ...limits });
    const { imageSize } = this.model.options;
    const { width, height, pages } = decoded;
    const kept = stream.keep(decoded);
    return {
      input,
      source: describeInput(image),
      pixels: this.runStage('resize', () => preprocessImage(decoded, { width: imageSize, height: imageSize, ...rule })),
      width,
      height,
      pages,
      picture: kept > 0 ? keeping(decoded) : async () => rgbOf(await decodeImage(image, reading)),
      kept,
    };
  }

  private async scorePrepared(batch: readonly Prepared[], since: number): Promise<ScoredImage[]> {
    this.assertUsable();
    const side = this.model.options.imageSize;
    const { scores, maps } = tf.tidy(() => {
      const images = tf.concat(batch.map(({ pixels }) => tf.tensor4d(pixels, [1, side, side, 3])));
      return this.model.forward(images, this.text);
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
    const { input, source, width, height, pages, picture } = prepared;
    if (!Number.isFinite(score) || !native.data.every(Number.isFinite)) {
      const message = `${source}: its score or map contains NaN or infinite values; check the weights and the prompts`;
      return { input, error: new WeightsError('weights/not-finite', message, { source, score }) };
    }
    const start = performance.now();
    const data = resizeMap(native.data, native.width, native.height, width, height);
    const map = new AnomalyMap({ data, width, height, source: picture, native });
    return {
      source,
      score,
      map,
      width,
      height,
      seconds: share + (performance.now() - start) / 1000,
      ...(pages === undefined ? {} : { pages }),
    };
  }

  /** Releases the model's tensors. Detections that were made stay usable. A second call does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.text?.dispose();
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

/** The options of the model among those of loading. */
function modelOptionsAmong(options: CraneOptions): ModelOptionsInput {
  const {
    backbone,
    prompts,
    spatial,
    activation,
    heads,
    backend,
    batchSize,
    offline,
    allowPrivateUrls,
    referenceImages,
    runStage,
    onProgress,
    signal,
    ...model
  } = options;
  return model;
}

function rgbOf(decoded: DecodedImage): RgbImage {
  return { width: decoded.width, height: decoded.height, data: toRgb(decoded) };
}

/** A function of its own, so that no other holds the samples in memory. */
function keeping(decoded: DecodedImage): () => RgbImage {
  return () => rgbOf(decoded);
}

/** Resolves when everything that was already on its way has had its turn. */
function nothingYet(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function iteratorOf<T>(source: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : asAsync(source);
}

async function* asAsync<T>(source: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* source;
}

/** Keeps a rejection from ending the process when the stream is left before it is looked at. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function checkedBatchSize(batchSize: number): number {
  if (Number.isInteger(batchSize) && batchSize > 0) return batchSize;
  throw new UsageError('usage/batch-size', `batch size ${batchSize}: expected a whole number of 1 or more`, {
    found: batchSize,
  });
}

async function pixelsOf(tensor: tf.Tensor3D): Promise<ImageInput> {
  const [height, width, channels] = tensor.shape;
  if (tensor.rank !== 3 || channels !== 3) {
    throw new UsageError(
      'image/tensor',
      `a tensor [height, width, 3] was expected, found [${tensor.shape.join(', ')}]`,
      { shape: tensor.shape },
    );
  }
  const scale = tensor.dtype === 'float32' ? 255 : 1;
  const data = Uint8ClampedArray.from(await tensor.data(), (value) => value * scale);
  return { data, width, height, channels: 3 };
}

/** A name for files written about an image: its path without folders and suffix. */
export function stemOf(source: string): string {
  return path.parse(source).name;
}

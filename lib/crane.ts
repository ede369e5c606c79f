import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { AnomalyMap } from './anomaly-map';
import { prepareBackend, type BackendChoice, type BackendInfo } from './backend';
import type { ModelOptions, ModelOptionsInput } from './config';
import type { Detection } from './detection';
import { CraneError, UsageError } from './errors';
import { decodeImage } from './image/decode';
import { toRgb } from './image/decoded-image';
import { describeInput, type ImageInput } from './image/input';
import { preprocessImage, type Preprocessing } from './image/preprocess';
import { resizeMap } from './image/resize-map';
import { EMBEDDED_BACKBONE, openBackbone } from './methods/crane/backbone';
import { buildCraneModel } from './methods/crane/build';
import { defaultPrompts, openPrompts, optionsOfPrompts } from './methods/crane/prompts';
import type { CraneModel } from './methods/crane/model';
import type { OnProgress } from './progress';
import type { ClipSizes } from './config';

/** An image in any form that `detect` takes: besides those of `ImageInput`, a tensor `[H, W, 3]` (int32 0 to 255, or
 * float32 0 to 1). */
export type DetectInput = ImageInput | tf.Tensor3D;

export interface CraneOptions extends ModelOptionsInput {
  /** `nano` (embedded, the default), a registered name such as `ViT-L/14@336px`, or a file or folder. */
  readonly backbone?: string;
  /** A registered name such as `crane-visa`, or a file; by default those that belong to the backbone. */
  readonly prompts?: string;
  readonly backend?: BackendChoice;
  /** Images scored at once; by default as many as keep score matrices small, 1 to 8. */
  readonly batchSize?: number;
  /** Never touch the network. */
  readonly offline?: boolean;
  /** Read pictures as the reference does: EXIF orientation ignored, 16-bit samples clipped (docs/deviations.md). */
  readonly referenceImages?: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** What a model is, for logs and results: everything needed to load the same again. */
export interface ModelDescription {
  readonly method: 'crane';
  readonly backbone: string;
  readonly prompts: string;
  readonly sizes: ClipSizes;
  readonly options: ModelOptions;
  readonly preprocessing: Preprocessing;
  /** The set that the prompts were trained on, where the prompts say. */
  readonly auxiliary: string | null;
  readonly backend: BackendInfo;
}

export interface StreamOptions {
  readonly batchSize?: number;
  /** Called for an image that cannot be read, which is then left out; without it the error ends the stream. */
  readonly onFailure?: (failure: { readonly input: DetectInput; readonly error: Error }) => void;
}

/** A picture made ready for the network. */
interface Prepared {
  readonly source: string;
  readonly pixels: Float32Array; // [S, S, 3]
  readonly width: number;
  readonly height: number;
  readonly picture: () => Promise<{ width: number; height: number; data: Uint8Array }>;
}

/** Of a batch, score matrices with this many elements are kept in memory at once. */
const SCORES_PER_BATCH = 2 ** 21;
const LARGEST_BATCH = 8;

/**
 * Finds defects in images of things it has never seen.
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
    readonly model: CraneModel,
    readonly description: ModelDescription,
    private readonly text: tf.Tensor3D | undefined,
    private readonly batchSize: number,
  ) {}

  /**
   * Loads a model: without options the embedded one, which works offline. Options that are not given come from the
   * prompts' file, where it says how they were trained, else from the paper.
   * @throws UsageError for options that do not fit; WeightsError for files; BackendError for an explicit backend
   */
  static async load(options: CraneOptions = {}): Promise<Crane> {
    const { backbone: backboneName = EMBEDDED_BACKBONE, offline, onProgress, signal, referenceImages = false } = options;
    const backend = await prepareBackend(options.backend ?? 'auto');
    const access = { ...(offline === undefined ? {} : { offline }), ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) };
    const backbone = await openBackbone(backboneName, access);
    try {
      const promptsName = options.prompts ?? defaultPrompts(backbone);
      const prompts = await openPrompts(promptsName, access);
      const model = buildCraneModel(backbone, {
        prompts,
        options: { ...optionsOfPrompts(prompts, backbone.sizes), ...modelOptionsAmong(options) },
      });
      const description: ModelDescription = {
        method: 'crane',
        backbone: backbone.name,
        prompts: promptsName,
        sizes: backbone.sizes,
        options: model.options,
        preprocessing: { ...backbone.preprocessing, reference: referenceImages },
        auxiliary: prompts.metadata['crane.auxiliary'] ?? null,
        backend,
      };
      const text = model.options.context ? undefined : model.encodePrompts();
      return new Crane(model, description, text, options.batchSize ?? defaultBatchSize(model));
    } finally {
      backbone.close();
    }
  }

  /**
   * Scores one image, or several in batches. A score does not depend on what else is in the batch.
   * @throws ImageError for an image that cannot be read (in a list, the first such); UsageError after `dispose`
   */
  detect(input: DetectInput): Promise<Detection>;
  detect(inputs: readonly DetectInput[]): Promise<Detection[]>;
  async detect(input: DetectInput | readonly DetectInput[]): Promise<Detection | Detection[]> {
    const list = Array.isArray(input) ? (input as readonly DetectInput[]) : [input as DetectInput];
    const detections: Detection[] = [];
    for await (const detection of this.stream(list)) detections.push(detection);
    return Array.isArray(input) ? detections : (detections[0] as Detection);
  }

  /**
   * Scores images as they come, in their order: those of a list, a generator, or a feed that never ends. The next images
   * are decoded while the model runs; a feed that pauses is scored up to what has arrived.
   * @throws as `detect`, unless `onFailure` takes the images that cannot be read
   */
  async *stream(
    source: Iterable<DetectInput> | AsyncIterable<DetectInput>,
    { batchSize = this.batchSize, onFailure }: StreamOptions = {},
  ): AsyncGenerator<Detection, void, undefined> {
    this.assertUsable();
    const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : asAsync(source);
    const waiting: Promise<Prepared | { input: DetectInput; error: Error }>[] = [];
    let next: Promise<IteratorResult<DetectInput>> | undefined = iterator.next();
    try {
      while (next !== undefined || waiting.length > 0) {
        const arrived = next && (waiting.length === 0 ? await next : await Promise.race([next, nothingYet()]));
        if (arrived?.done) next = undefined;
        else if (arrived) {
          const { value } = arrived;
          waiting.push(this.prepare(value).catch((error: Error) => ({ input: value, error })));
          next = iterator.next();
          // Half of what is decoded waits for its turn while the other half is scored.
          if (waiting.length < 2 * batchSize) continue;
        }
        if (waiting.length > 0) yield* this.scoreBatch(await Promise.all(waiting.splice(0, batchSize)), onFailure);
      }
    } finally {
      await iterator.return?.();
    }
  }

  private async *scoreBatch(
    batch: (Prepared | { input: DetectInput; error: Error })[],
    onFailure: StreamOptions['onFailure'],
  ): AsyncGenerator<Detection, void, undefined> {
    const ready: Prepared[] = [];
    for (const item of batch) {
      if (!('error' in item)) ready.push(item);
      else if (onFailure) onFailure(item);
      else throw item.error;
    }
    if (ready.length > 0) yield* await this.scorePrepared(ready);
  }

  /** Decodes and resizes an image for the network. */
  private async prepare(input: DetectInput): Promise<Prepared> {
    const image = input instanceof tf.Tensor ? await pixelsOf(input) : input;
    const { reference, mean, std } = this.description.preprocessing;
    const decoded = await decodeImage(image, { reference });
    const { imageSize } = this.model.options;
    const { width, height } = decoded;
    return {
      source: describeInput(image),
      pixels: preprocessImage(decoded, { width: imageSize, height: imageSize, mean, std }),
      width,
      height,
      picture: async () => ({ width, height, data: toRgb(await decodeImage(image, { reference })) }),
    };
  }

  private async scorePrepared(batch: readonly Prepared[]): Promise<Detection[]> {
    this.assertUsable();
    const start = performance.now();
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
    const seconds = (performance.now() - start) / 1000 / batch.length;
    return batch.map(({ source, width, height, picture }, index) => {
      const score = values[0][index] as number;
      const native = Float32Array.from(values[1].slice(index * side * side, (index + 1) * side * side));
      if (!Number.isFinite(score)) {
        throw new CraneError('model/not-finite', `${source}: the score is ${score}; the weights or the prompts hold values that are no numbers`, {
          source,
          score,
        });
      }
      const data = resizeMap(native, side, side, width, height);
      return {
        source,
        score,
        map: new AnomalyMap({ data, width, height, source: picture, native: { data: native, width: side, height: side } }),
        width,
        height,
        seconds,
      };
    });
  }

  /** Releases the model's tensors. Detections that were made stay usable. A second call does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.text?.dispose();
    this.model.dispose();
  }

  private assertUsable(): void {
    if (this.disposed) throw new UsageError('crane/disposed', 'this Crane was disposed; load another with Crane.load()', {});
  }
}

function defaultBatchSize(model: CraneModel): number {
  const tokens = model.grid[0] * model.grid[1] + 1;
  return Math.max(1, Math.min(LARGEST_BATCH, Math.floor(SCORES_PER_BATCH / tokens ** 2)));
}

/** The options of the model among those of loading. */
function modelOptionsAmong(options: CraneOptions): ModelOptionsInput {
  const { backbone, prompts, backend, batchSize, offline, referenceImages, onProgress, signal, ...model } = options;
  return model;
}

/** Resolves when everything that was already on its way has had its turn. */
function nothingYet(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

async function* asAsync<T>(source: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* source;
}

async function pixelsOf(tensor: tf.Tensor3D): Promise<ImageInput> {
  const [height, width, channels] = tensor.shape;
  if (tensor.rank !== 3 || channels !== 3) {
    throw new UsageError('image/tensor', `a tensor [height, width, 3] was expected, found [${tensor.shape.join(', ')}]`, { shape: tensor.shape });
  }
  const scale = tensor.dtype === 'float32' ? 255 : 1;
  const data = Uint8ClampedArray.from(await tensor.data(), (value) => value * scale);
  return { data, width, height, channels: 3 };
}

/** A name for files written about an image: its path without folders and suffix. */
export function stemOf(source: string): string {
  return path.parse(source).name;
}

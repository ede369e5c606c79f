import type { Category, Dataset, Sample } from '../datasets/dataset';
import type { Crane } from '../lib/crane';
import type { Detection } from '../lib/detection';
import { DatasetError } from '../lib/errors';
import type { ImageInput } from '../lib/image/input';
import { readFrame } from '../lib/image/decode';
import type { ImageFrame } from '../lib/image/decoded-image';
import { preprocessMask } from '../lib/image/preprocess';
import type { OnProgress } from '../lib/progress';
import type { CategoryEvaluation, Evaluation, GroupEvaluation, ScoredImage } from './evaluation';
import { Measures, type MeasuredImage } from './metrics/measures';
import { meanOverCategories } from './metrics/metric-ids';

export interface EvaluateOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Returns the group that a kind of defect belongs to. Each group gets its own metrics besides those of the set. */
  readonly groupOf?: (defect: string) => string | undefined;
  /** Count an undefined metric as 0 in the means, as the reference program does. Default false. */
  readonly referenceMeans?: boolean;
  /** Called with each scored image while its map is in memory; the next image waits until it returns or resolves. */
  readonly onDetection?: (sample: Sample, detection: Detection) => void | Promise<void>;
  /** Called after each category, so that results of long runs can be shown and saved early. */
  readonly onCategory?: (category: CategoryEvaluation) => void;
}

export interface EvaluateCategoryOptions extends Pick<EvaluateOptions, 'signal' | 'groupOf' | 'onDetection'> {
  /** Called after each image, scored or failed. */
  readonly onImage?: () => void;
  /** The image to score in place of the sample's file, such as a degraded copy; of the same size. Default: the file. */
  readonly picture?: (sample: Sample) => Promise<ImageInput>;
}

/** Images made during scoring arrive in full batches only if several are made at once. */
const READ_TOGETHER = 8;

export interface CategoryOutcome {
  readonly evaluation: CategoryEvaluation;
  /** Keyed by group name. */
  readonly groups: ReadonlyMap<string, GroupEvaluation['categories'][number]>;
  readonly failures: Evaluation['failures'];
}

/**
 * Scores the test split of a set and computes its metrics: per category over all its images, then the mean over
 * categories with equal weight (docs/method.md#metrics). Pixel metrics are computed at the size of the network input,
 * on smoothed maps. Memory is bounded by one category's pixels.
 * @throws DatasetError for a set without labels or without any readable image
 */
export async function evaluate(crane: Crane, dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
  const { onProgress, signal, groupOf, onDetection, onCategory, referenceMeans = false } = options;
  refuseUnlabelled(dataset);
  const start = performance.now();
  const total = dataset.categories.reduce((sum, { samples }) => sum + samples.length, 0);
  const task = `eval ${dataset.name}`;
  const failures: Evaluation['failures'][number][] = [];
  const categories: CategoryEvaluation[] = [];
  const groups = new Map<string, GroupEvaluation['categories'][number][]>();
  let done = 0;
  const onImage = (): void => onProgress?.({ kind: 'advance', task, done: ++done, total });
  onProgress?.({ kind: 'start', task, total, unit: 'images' });
  for (const category of dataset.categories) {
    const outcome = await evaluateCategory(crane, dataset, category, {
      onImage,
      ...(signal ? { signal } : {}),
      ...(groupOf ? { groupOf } : {}),
      ...(onDetection ? { onDetection } : {}),
    });
    categories.push(outcome.evaluation);
    failures.push(...outcome.failures);
    outcome.groups.forEach((evaluation, group) => groups.set(group, [...(groups.get(group) ?? []), evaluation]));
    onCategory?.(outcome.evaluation);
  }
  onProgress?.({ kind: 'done', task });
  refuseUnreadable(dataset, failures);
  return {
    dataset: dataset.name,
    root: dataset.root,
    categories,
    mean: meanOverCategories(
      categories.map(({ metrics }) => metrics),
      { referenceMeans },
    ),
    groups: [...groups].map(([name, of]) => ({
      name,
      categories: of,
      mean: meanOverCategories(
        of.map(({ metrics }) => metrics),
        { referenceMeans },
      ),
    })),
    ...(referenceMeans ? { referenceMeans } : {}),
    failures,
    seconds: (performance.now() - start) / 1000,
  };
}

/**
 * Scores the images of one category and computes its metrics. Images that cannot be read are listed as failures and left
 * out of all metrics.
 * @throws the signal's reason
 */
export async function evaluateCategory(
  crane: Crane,
  { hasMasks }: Dataset,
  { name, samples }: Category,
  options: EvaluateCategoryOptions = {},
): Promise<CategoryOutcome> {
  const { signal, groupOf, onDetection, onImage, picture } = options;
  const { reference } = crane.description.preprocessing;
  const collected = new CategoryMetrics(name, hasMasks, groupOf);
  const failures: Evaluation['failures'][number][] = [];
  // The samples given to the stream, in order.
  const given: Sample[] = [];
  const fail = (file: string, error: Error): void => {
    failures.push({ path: file, message: error.message });
    onImage?.();
  };
  async function* inputs(): AsyncGenerator<ImageInput> {
    for (let at = 0; at < samples.length; at += READ_TOGETHER) {
      const next = samples.slice(at, at + READ_TOGETHER);
      const read = picture
        ? await Promise.all(next.map((sample) => picture(sample).catch((error: Error) => error)))
        : next.map(({ imagePath }) => imagePath);
      for (const [index, sample] of next.entries()) {
        const input = read[index] as ImageInput | Error;
        if (input instanceof Error) {
          fail(sample.imagePath, input);
          continue;
        }
        given.push(sample);
        yield input;
      }
    }
  }
  const stream = crane.stream(inputs(), {
    wholeBatches: true,
    className: crane.className ?? name,
    onFailure: ({ index, error }) => fail((given[index] as Sample).imagePath, error),
  });
  for await (const detection of stream) {
    signal?.throwIfAborted();
    const sample = given[detection.index] as Sample;
    // A replacement image is upright; the mask is oriented like the file.
    const isReplaced = picture !== undefined && sample.maskPath !== null && !reference;
    const failure = await (isReplaced ? readFrame(sample.imagePath) : Promise.resolve(detection))
      .then((frame) => collected.add(sample, detection, reference ? undefined : frame))
      .catch((error: Error) => error);
    if (failure instanceof Error) fail(sample.maskPath ?? sample.imagePath, failure);
    else {
      await onDetection?.(sample, detection);
      onImage?.();
    }
  }
  return { evaluation: collected.evaluation(), groups: collected.groupEvaluations(), failures };
}

/** @throws DatasetError for a plain folder of images */
export function refuseUnlabelled({ hasLabels, root }: Dataset): void {
  if (hasLabels) return;
  throw new DatasetError(
    'dataset/unlabelled',
    `${root} is a plain folder of images without labels. Use "crane detect" to score them, or a set in a known layout.`,
    { root },
  );
}

/** @throws DatasetError if no image of a set could be scored */
export function refuseUnreadable({ name, root, categories }: Dataset, failures: Evaluation['failures']): void {
  const total = categories.reduce((sum, { samples }) => sum + samples.length, 0);
  if (failures.length < total) return;
  throw new DatasetError(
    'dataset/unreadable',
    `none of the ${total} images of ${name} could be read; the first: ${failures[0]?.message}`,
    { root },
  );
}

/** Without masks, no pixel metric is defined. */
const WITHOUT_MASKS = { pixel: 'the set has no masks' };

/** The metrics of one category, as a whole and for each group of defects. */
class CategoryMetrics {
  private readonly whole: Measures;
  private readonly groups = new Map<string, Measures>();
  private readonly normals: MeasuredImage[] = [];
  private readonly scores: ScoredImage[] = [];
  private detectionSeconds = 0;

  constructor(
    private readonly name: string,
    private readonly hasMasks: boolean,
    private readonly groupOf: ((defect: string) => string | undefined) | undefined,
  ) {
    this.whole = this.measures();
  }

  /**
   * @param frame of the sample's file, used to orient its mask; undefined if both are read as the reference reads them
   * @throws ImageError if the mask cannot be read; the image is then left out of all metrics
   */
  async add(sample: Sample, { score, map, seconds }: Detection, frame: ImageFrame | undefined): Promise<void> {
    const native = map.native as { data: Float32Array; width: number; height: number };
    const unknown = sample.anomalous && sample.maskPath === null;
    const maskPath = sample.anomalous ? (sample.maskPath ?? undefined) : undefined;
    const mask = unknown
      ? null
      : await preprocessMask(maskPath, native, { reference: frame === undefined, image: frame });
    const measured = { anomalous: sample.anomalous, score, map: native, mask };
    this.whole.add(measured);
    const group = sample.anomalous ? this.groupOf?.(sample.defect) : undefined;
    if (!sample.anomalous && this.groupOf) {
      // They can all share one empty mask.
      this.normals.push({ ...measured, mask: this.normals[0]?.mask ?? mask });
      this.groups.forEach((measures) => measures.add(measured));
    }
    if (group !== undefined) this.ofGroup(group).add(measured);
    const { imagePath: path, defect, anomalous } = sample;
    this.detectionSeconds += seconds;
    this.scores.push({ path, defect, anomalous, maskPath: sample.maskPath, score });
  }

  /** A new group starts with the normal images seen before its first defect. */
  private ofGroup(name: string): Measures {
    const known = this.groups.get(name);
    if (known) return known;
    const measures = this.measures();
    this.normals.forEach((measured) => measures.add(measured));
    this.groups.set(name, measures);
    return measures;
  }

  private measures(): Measures {
    return new Measures(this.hasMasks ? {} : WITHOUT_MASKS);
  }

  evaluation(): CategoryEvaluation {
    const { image, pixel, images, anomalous } = this.whole;
    return {
      name: this.name,
      images,
      anomalous,
      metrics: this.whole.values(),
      reasons: this.whole.reasons(),
      scores: this.scores,
      detectionSeconds: this.detectionSeconds,
      curves: {
        imageRoc: image.rocCurve(),
        pixelRoc: pixel.rocCurve(),
        pixelPrecisionRecall: pixel.precisionRecallCurve(),
        pixelPro: pixel.proCurve(),
      },
      bestThreshold: pixel.bestF1Threshold()?.threshold ?? null,
    };
  }

  groupEvaluations(): Map<string, GroupEvaluation['categories'][number]> {
    return new Map(
      [...this.groups].map(([group, measures]) => [
        group,
        { name: this.name, images: measures.images, anomalous: measures.anomalous, metrics: measures.values() },
      ]),
    );
  }
}

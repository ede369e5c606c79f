import { CraneError, MetricError, UsageError } from '../lib/errors';
import type { StoredMap } from '../lib/image/map-file';
import { resizeMap } from '../lib/image/resize-map';
import type { OnProgress } from '../lib/progress';
import type { CategoryResult } from './results';
import type { BestF1 } from './metrics/f1-max';
import { Measures } from './metrics/measures';
import type { MetricId } from './metrics/metric-ids';
import type { PairedMap } from './metrics/pairing';
import { resizeTruth, unionOf, type TruthMask } from './metrics/truth-mask';

export interface ScoreMapsOptions {
  /** Treat images without a mask and a label as normal. Default false: they are refused. */
  readonly normalWithoutMask?: boolean;
  /** What to resize where sizes of map and mask differ: masks, as the reference does, or maps. Default `masks`. */
  readonly resize?: 'masks' | 'maps';
  /** Also compute metrics over the images and pixels of all categories together. Default false. */
  readonly wholeSet?: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** The results for the images of a category, or of the whole set. */
export interface ScoredCategory extends CategoryResult {
  /** Why metrics are null. */
  readonly reasons: Readonly<Partial<Record<MetricId, string>>>;
  /** The thresholds with the best F1; null where F1 is not defined. */
  readonly bestF1: { readonly image: BestF1 | null; readonly pixel: BestF1 | null };
  /** Images left out because they could not be read or matched. */
  readonly notCounted: number;
  /** Pixels, at the scored size, that masks exclude from all metrics. */
  readonly ignoredPixels: number;
}

export interface ScoredMaps {
  readonly categories: readonly ScoredCategory[];
  readonly wholeSet: ScoredCategory | undefined;
  readonly failures: readonly { readonly path: string; readonly message: string }[];
}

/** Without a list of scores there is nothing to rank images by. */
const NO_SCORES = 'no image scores were given (`scores`)';

/**
 * Scores maps that any program made, category by category, reading each map once. Memory is bounded by one category's
 * pixels, at 2 to 6 bytes each, or 8 to 12 where maps are float64; with `wholeSet` by those of all.
 *
 * @throws UsageError `usage/no-mask` where images have neither a mask nor a label, without `normalWithoutMask`
 */
export async function scoreMaps(pairs: readonly PairedMap[], options: ScoreMapsOptions = {}): Promise<ScoredMaps> {
  const { wholeSet = false, onProgress, signal } = options;
  refuseUnknown(pairs, options.normalWithoutMask ?? false);
  const withScores = pairs.some(({ listed }) => listed !== undefined);
  const byCategory = new Map<string, PairedMap[]>();
  for (const pair of pairs) byCategory.set(pair.category, [...(byCategory.get(pair.category) ?? []), pair]);
  const failures: { path: string; message: string }[] = [];
  const whole = new CollectedMetrics('all together', withScores);
  const task = 'metrics';
  let done = 0;
  onProgress?.({ kind: 'start', task, total: pairs.length, unit: 'images' });
  const categories: ScoredCategory[] = [];
  for (const [name, images] of byCategory) {
    const collected = new CollectedMetrics(name, withScores);
    let ahead = images[0] && readImage(images[0], options);
    for (const [index, image] of images.entries()) {
      signal?.throwIfAborted();
      const content = ahead as Promise<ImageContent | Error>;
      const next = images[index + 1];
      // The next one is read while this one is counted.
      ahead = next && readImage(next, options);
      const failure = collected.add(image, await content);
      if (failure) failures.push({ path: image.map.path, message: failure.message });
      onProgress?.({ kind: 'advance', task, done: ++done, total: pairs.length });
    }
    categories.push(collected.result());
    if (wholeSet) whole.include(collected);
  }
  onProgress?.({ kind: 'done', task });
  return { categories, wholeSet: wholeSet ? whole.result() : undefined, failures };
}

interface ImageContent {
  readonly map: StoredMap;
  /** At the size of the map. */
  readonly mask: TruthMask;
  readonly anomalous: boolean;
}

async function readImage(
  { map, masks, listed }: PairedMap,
  { resize = 'masks' }: ScoreMapsOptions,
): Promise<ImageContent | Error> {
  try {
    const [scores, ...ofMasks] = await Promise.all([map.read(), ...masks.map((mask) => mask.read())]);
    const union = unionOf(ofMasks, map.path);
    const marked = union?.data.some((value) => value !== 0) ?? false;
    if (listed?.anomalous === false && marked) {
      throw new MetricError(
        'metric/label',
        `${map.path}: ${listed.name} is labelled normal in line ${listed.line}, and its mask ${masks[0]?.path} marks a defect. Correct one of them.`,
      );
    }
    if (listed?.anomalous === true && union === undefined) {
      throw new MetricError(
        'metric/label',
        `${map.path}: ${listed.name} is labelled anomalous in line ${listed.line}, but there is no mask of that name. Add it, or leave the image out.`,
      );
    }
    return { ...fit(scores, union, resize), anomalous: listed?.anomalous ?? marked };
  } catch (error) {
    return error as Error;
  }
}

function fit(
  map: StoredMap,
  mask: TruthMask | undefined,
  resize: 'masks' | 'maps',
): { map: StoredMap; mask: TruthMask } {
  if (mask === undefined) return { map, mask: { ...map, data: new Uint8Array(map.width * map.height) } };
  if (mask.width === map.width && mask.height === map.height) return { map, mask };
  if (resize === 'masks') return { map, mask: resizeTruth(mask, map.width, map.height) };
  const { width, height } = mask;
  return { map: { width, height, data: resizeMap(map.data, map.width, map.height, width, height) }, mask };
}

/** Accumulates the images of a category, or of the whole set. */
class CollectedMetrics {
  private readonly measures: Measures;
  private notCounted = 0;
  private ignoredPixels = 0;

  constructor(
    private readonly name: string,
    private readonly withScores: boolean,
  ) {
    this.measures = new Measures(withScores ? {} : { image: NO_SCORES });
  }

  /** @returns why the image is not counted; undefined where it is */
  add({ map, listed }: PairedMap, content: ImageContent | Error): CraneError | undefined {
    if (content instanceof Error && !(content instanceof CraneError)) throw content;
    const failure = content instanceof CraneError ? content : this.count(map.path, listed?.score, content);
    if (failure) this.notCounted++;
    return failure;
  }

  private count(
    path: string,
    score: number | undefined,
    { map, mask, anomalous }: ImageContent,
  ): CraneError | undefined {
    if (this.withScores && score === undefined) {
      return new MetricError(
        'metric/no-score',
        `${path}: the list of scores has no row for it. Add one, named after its path in the folder of maps.`,
        { path },
      );
    }
    try {
      this.measures.add({ anomalous, score, map, mask: mask.data, ignored: mask.ignored });
    } catch (error) {
      if (error instanceof MetricError)
        return new MetricError(error.code, `${path}: ${error.message}`, { ...error.data, path }, { cause: error });
      throw error;
    }
    if (mask.ignored) this.ignoredPixels += mask.ignored.reduce((sum, value) => sum + value, 0);
    return undefined;
  }

  /** Adds another category's images. */
  include(other: CollectedMetrics): void {
    this.measures.include(other.measures);
    this.notCounted += other.notCounted;
    this.ignoredPixels += other.ignoredPixels;
  }

  result(): ScoredCategory {
    const { name, measures, notCounted, ignoredPixels } = this;
    const { image, pixel, images, anomalous } = measures;
    return {
      name,
      images,
      anomalous,
      metrics: measures.values(),
      reasons: measures.reasons(),
      bestF1: { image: image.bestF1Threshold(), pixel: pixel.bestF1Threshold() },
      notCounted,
      ignoredPixels,
    };
  }
}

/** Metrics without the normal images would look better than they are, so nothing is guessed here. */
function refuseUnknown(pairs: readonly PairedMap[], normalWithoutMask: boolean): void {
  if (normalWithoutMask) return;
  const unknown = pairs.filter(({ masks, listed }) => masks.length === 0 && listed?.anomalous === undefined);
  const [first] = unknown;
  if (first === undefined) return;
  const named = unknown
    .slice(0, 5)
    .map(({ map }) => map.path)
    .join(', ');
  throw new UsageError(
    'usage/no-mask',
    `${unknown.length} of ${pairs.length} maps have no mask of the same name: ${named}${unknown.length > 5 ? ', …' : ''}. ` +
      'Add the masks; or, if images without a mask are normal, say `normalWithoutMask: true`, or label them 0 in the list of `scores`.',
    { unknown: unknown.map(({ map }) => map.path) },
  );
}

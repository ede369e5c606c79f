import type { DatasetKind } from './registry';

/** One image of the test split. */
export interface Sample {
  readonly imagePath: string;
  /** The mask that belongs to the image, as `loadMaskAtOwnSize` reads it. Null where there is none. */
  readonly maskPath: string | null;
  /** Where an image has several masks: all of them; `maskPath` is their union, in a file of its own. */
  readonly maskParts?: readonly string[];
  readonly hasMask: boolean;
  readonly category: string;
  /** Kind of defect, such as `broken_large`; `good` for normal images. */
  readonly defect: string;
  readonly anomalous: boolean;
}

/** What is trained and scored separately: one object or texture. */
export interface Category {
  readonly name: string;
  /** Sorted by path, so that every run sees the same order. */
  readonly samples: readonly Sample[];
}

/** Something wrong with a set on disk. */
export interface DatasetProblem {
  readonly kind:
    | 'missing-folder'
    | 'missing-mask'
    | 'stray-mask'
    | 'missing-image'
    | 'missing-category'
    | 'left-out'
    | 'duplicate'
    | 'drawn'
    | 'ambiguous'
    | 'unlabelled-image'
    | 'bad-row'
    | 'count'
    | 'unreadable'
    | 'boxes'
    | 'mask-size'
    | 'empty-mask'
    | 'filled-mask';
  /** Errors keep a set from being scored in full; warnings do not. */
  readonly severity: 'error' | 'warning';
  /** File or folder that it is about. */
  readonly path: string;
  readonly message: string;
}

/** The test split of a set, which prompts are trained on as well (docs/method.md#auxiliary-sets). */
export interface Dataset {
  /** Registered name, or the name of the folder. */
  readonly name: string;
  readonly root: string;
  readonly kind: DatasetKind;
  /** Name of the layout that it was read by. */
  readonly layout: string;
  /** False where the set has labels per image only: pixel metrics are not defined then. */
  readonly hasMasks: boolean;
  /** False for a plain folder of images, which can be scored but not evaluated. */
  readonly hasLabels: boolean;
  readonly categories: readonly Category[];
  /** Images, lists and labels in the folder that are not part of the set as it is read. */
  readonly leftOut: readonly string[];
  readonly problems: readonly DatasetProblem[];
}

export interface DatasetCounts {
  readonly images: number;
  readonly normal: number;
  readonly anomalous: number;
  readonly masks: number;
}

/** Counts over one category or several. */
export function countSamples(categories: readonly Category[]): DatasetCounts {
  const samples = categories.flatMap((category) => category.samples);
  const anomalous = samples.filter((sample) => sample.anomalous).length;
  const masks = samples.filter((sample) => sample.hasMask).length;
  return { images: samples.length, normal: samples.length - anomalous, anomalous, masks };
}

/**
 * Builds a sample; normal images are `good` whatever their folder is called.
 * @param masks none, one, or several whose union counts
 */
export function makeSample(
  category: string,
  imagePath: string,
  defect: string | null,
  masks: readonly string[],
): Sample {
  const [maskPath = null] = masks;
  const sample = {
    imagePath,
    maskPath,
    hasMask: maskPath !== null,
    category,
    defect: defect ?? 'good',
    anomalous: defect !== null,
  };
  return masks.length > 1 ? { ...sample, maskParts: masks } : sample;
}

/** One category with its samples sorted by path. */
export function makeCategory(name: string, samples: readonly Sample[]): Category {
  return { name, samples: [...samples].sort((a, b) => compareText(a.imagePath, b.imagePath)) };
}

/** Order by code units: the same on every machine and in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

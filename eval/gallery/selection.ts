import type { CategoryEvaluation, Evaluation, ScoredImage } from '../evaluation';
import { bestF1 } from '../metrics/f1-max';
import { rankScores } from '../metrics/ranking';

/** Why an image is shown. */
export type ShownKind = 'found' | 'missed' | 'alarm';
export const SHOWN_KINDS: readonly ShownKind[] = ['found', 'missed', 'alarm'];

export interface CategorySelection {
  readonly category: CategoryEvaluation;
  /** `found`: anomalous images, highest scores first; `missed`: lowest first; `alarm`: normal ones, highest first. */
  readonly images: Readonly<Record<ShownKind, readonly ScoredImage[]>>;
}

export interface Selection {
  readonly categories: readonly CategorySelection[];
  /** Number of categories that are not shown, because there are too many. */
  readonly leftOut: number;
}

/** Roughly how many images are shown in total, so that a report stays a few megabytes and quick to make. */
const IMAGES_IN_REPORT = 96;
const MOST_OF_A_KIND = 3;
const MOST_CATEGORIES = 40;

/**
 * The most telling images of each category. No image is shown twice: where anomalous images are few, the higher scores
 * count as found. Of very many categories, those with the lowest image AUROC are shown.
 */
export function selectImages({ categories }: Evaluation): Selection {
  const shown = hardest(categories, MOST_CATEGORIES);
  const count = Math.max(
    1,
    Math.min(MOST_OF_A_KIND, Math.floor(IMAGES_IN_REPORT / (SHOWN_KINDS.length * Math.max(1, shown.length)))),
  );
  return {
    categories: shown.map((category) => ({ category, images: imagesOf(category, count) })),
    leftOut: categories.length - shown.length,
  };
}

function imagesOf({ scores }: CategoryEvaluation, count: number): CategorySelection['images'] {
  const falling = [...scores].sort((one, other) => other.score - one.score);
  const anomalous = falling.filter((image) => image.anomalous);
  const found = anomalous.slice(0, Math.min(count, Math.ceil(anomalous.length / 2)));
  return {
    found,
    missed: anomalous.slice(found.length).reverse().slice(0, count),
    alarm: falling.filter((image) => !image.anomalous).slice(0, count),
  };
}

/** At most `count` categories, in the set's own order. */
function hardest(categories: readonly CategoryEvaluation[], count: number): readonly CategoryEvaluation[] {
  if (categories.length <= count) return categories;
  const rising = [...categories].sort(
    (one, other) => (one.metrics['image/auroc'] ?? 2) - (other.metrics['image/auroc'] ?? 2),
  );
  const kept = new Set(rising.slice(0, count));
  return categories.filter((category) => kept.has(category));
}

/** The image score at or above which images are called anomalous for the best F1; null with one class only. */
export function imageThreshold({ scores }: CategoryEvaluation): number | null {
  const anomalous = scores.filter((image) => image.anomalous).map(({ score }) => score);
  const normal = scores.filter((image) => !image.anomalous).map(({ score }) => score);
  return anomalous.length === 0 || normal.length === 0 ? null : bestF1(rankScores(normal, anomalous)).threshold;
}

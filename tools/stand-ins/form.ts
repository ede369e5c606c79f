import type { PictureRequest } from '../../datasets/synthetic/draw';

/**
 * The layout in which a stand-in is written: `native`, as the real set is distributed; `meta-json`, the same with the
 * list that the reference program's scripts write; `packed`, as in AdaCLIP's repacked archives
 * (docs/method.md#data-sets).
 */
export type StandInForm = 'native' | 'meta-json' | 'packed';
export const standInForms: readonly StandInForm[] = ['native', 'meta-json', 'packed'];

/** One image of a stand-in. */
export interface StandInImage {
  readonly category: string;
  /** Kind of defect as the reader reports it, `good` for normal images. */
  readonly defect: string;
  readonly anomalous: boolean;
  /** What to render; `drawPicture` reproduces the pixels and the mask. */
  readonly picture: PictureRequest;
  /** File, relative to the set, with forward slashes. */
  readonly image: string;
  /** Null where the image has no mask. */
  readonly mask: string | null;
  /** The third of the file, from the top, where three images share a file (KolektorSDD). */
  readonly third?: number;
}

/** Everything that is written for a stand-in. */
export interface StandInPlan {
  /** The test split. */
  readonly images: readonly StandInImage[];
  /** Images that are in the set but not in its test split. */
  readonly others: readonly StandInImage[];
  /** List files: path relative to the set, and content. */
  readonly lists: Readonly<Record<string, string>>;
}

import type { OnProgress } from '../../lib/progress';
import type { Category, DatasetProblem } from '../sample';

/** What a reader may be told by the registry; a bare folder tells nothing. */
export interface LayoutHints {
  /** Name for the only category of a layout without category folders; null: the name of the folder. */
  readonly category: string | null;
  /** False where masks are not to be expected. */
  readonly expectMasks: boolean;
  /** Whether a registered set is read: then every image of a folder of images and masks is anomalous. */
  readonly registered: boolean;
  readonly onProgress?: OnProgress;
}

export interface LayoutReading {
  readonly categories: readonly Category[];
  readonly problems: readonly DatasetProblem[];
  /** False where this layout carries labels per image only. */
  readonly hasMasks: boolean;
  /** Where only masks say which images are anomalous: one that marks nothing makes its image normal. */
  readonly labelledByMasks?: boolean;
}

/** One way in which sets lie on disk. */
export interface Layout {
  readonly name: string;
  /** What is looked for, in a few words, for the message when nothing fits. */
  readonly looksFor: string;
  /** Whether the folder has this form. Looks at names only. */
  fits(root: string): boolean;
  /** Reads the test split of a folder that fits. @throws DatasetError where a list in it cannot be read */
  read(root: string, hints: LayoutHints): LayoutReading | Promise<LayoutReading>;
}

/** The same complaint for every reader. */
export function missingMask(imagePath: string, wanted: string): DatasetProblem {
  return { kind: 'missing-mask', severity: 'error', path: imagePath, message: `${imagePath} is anomalous and has no mask; looked for ${wanted}` };
}

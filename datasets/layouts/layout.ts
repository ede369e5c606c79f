import type { OnProgress } from '../../lib/progress';
import type { Category, DatasetProblem } from '../sample';

/** What the registry and the caller may tell a reader; a bare folder tells nothing. */
export interface LayoutHints {
  /** Name for the only category of a layout without category folders; null: the name of the folder. */
  readonly category: string | null;
  /** False where masks are not to be expected. */
  readonly expectMasks: boolean;
  /** Whether a registered set is read: then every image of a folder of images and masks is anomalous. */
  readonly registered: boolean;
  /** Folder of images that the registered set is known to hold without labels. */
  readonly unlabelled?: string | undefined;
  /** Images without a mask are normal, where nothing else says what they are. */
  readonly normalWithoutMask?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface LayoutReading {
  readonly categories: readonly Category[];
  readonly problems: readonly DatasetProblem[];
  /** False where this layout carries labels per image only. */
  readonly hasMasks: boolean;
  /** Where only masks say which images are anomalous: one that marks nothing makes its image normal. */
  readonly labelledByMasks?: boolean;
  /** Labels of single images that are not masks: each is explained, as images and masks are. */
  readonly labels?: readonly string[];
  /** Files that the layout knows and that are not of the test split: lists, images for training, second copies. */
  readonly others?: readonly string[];
  /**
   * Makes files that are not in the set as they are needed, such as tiles, or masks from polygons; until then samples name
   * what they will be made from. Called once the layout is chosen.
   */
  readonly derive?: () => Promise<DerivedSamples>;
}

export interface DerivedSamples {
  readonly categories: readonly Category[];
  readonly problems: readonly DatasetProblem[];
}

/** One way in which sets lie on disk. */
export interface Layout {
  readonly name: string;
  /** What is looked for, in a few words, for the message when nothing fits. */
  readonly looksFor: string;
  /** Whether the folder has this form. Looks at names and lists only. */
  fits(root: string): boolean;
  /** Reads the test split of a folder that fits; opens lists, and no images. @throws DatasetError where a list in it cannot be read */
  read(root: string, hints: LayoutHints): LayoutReading;
}

/** The same complaint for every reader. */
export function missingMask(imagePath: string, wanted: string): DatasetProblem {
  return {
    kind: 'missing-mask',
    severity: 'error',
    path: imagePath,
    message: `${imagePath} is anomalous but has no mask; looked for ${wanted}`,
  };
}

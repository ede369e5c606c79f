import * as path from 'node:path';
import { compareText, type DatasetProblem } from './sample';
import { listFolders, listImages, stem } from './listing';
import { pairNames } from './name-pairs';

/** Endings that a mask's name has more than its image's: `001_label.PNG` for `001.jpg`, and `001_mask_2.png` beside it. */
const maskEnding = /[_\- ](mask|masks|label|labels|gt|ground_?truth|segmentation|seg)([_\- ]?\d+)?$/i;
/** Endings that an image's name has and its mask's does not, such as `fine_3_1_fram.jpg` for `fine_3_1_mask.jpg`. */
const imageEnding = /[_\- ](frame|fram|image|img)$/i;

export interface MaskPairs {
  /** The masks of an image: none, one, or several whose union counts. */
  masksOf(image: string): readonly string[];
  /** Masks that belong to no image. */
  readonly problems: readonly DatasetProblem[];
}

/** Masks in a folder, and in folders below it that are named after an image and hold its masks (as in MVTec LOCO). */
export function listMasks(folder: string): string[] {
  return [...listImages(folder), ...listFolders(folder).flatMap(listImages)];
}

/**
 * Pairs images with masks by name: same name but for suffix, upper or lower case, and the endings above, each mask once
 * (`pairNames`). Never by position, which shifts every pair after one missing file (docs/method.md#meta-json).
 *
 * @param maskFolder masks in folders below it are those of the image that their folder is named after
 */
export function pairByName(images: readonly string[], masks: readonly string[], maskFolder?: string): MaskPairs {
  const { masksOf, leftOver } = pairNames(
    images.map((image) => ({ image, name: stem(image), bare: stem(image).replace(imageEnding, '') })),
    masks.map((mask) => {
      const folder = path.dirname(mask);
      if (maskFolder !== undefined && folder !== maskFolder)
        return { mask, name: path.basename(folder), ended: undefined };
      return { mask, name: stem(mask), ended: imageNameOf(mask) };
    }),
  );
  return { masksOf: (image) => masksOf.get(image) ?? [], problems: [...leftOver].sort(compareText).map(strayMask) };
}

/** The same complaint wherever a mask is left over. */
function strayMask(mask: string): DatasetProblem {
  return { kind: 'stray-mask', severity: 'warning', path: mask, message: `no image belongs to the mask ${mask}` };
}

/** The name that the image of a mask would have, without suffix; undefined for names without one of the endings of masks. */
export function imageNameOf(mask: string): string | undefined {
  const name = stem(mask);
  return maskEnding.test(name) ? name.replace(maskEnding, '') : undefined;
}

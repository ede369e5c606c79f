import { compareText, type DatasetProblem } from './sample';
import { stem } from './listing';

/** Endings that a mask's name has more than its image's, such as `001_label.PNG` for `001.jpg`. */
const maskEnding = /[_\- ](mask|masks|label|labels|gt|ground_?truth|segmentation|seg)$/i;
/** Endings that an image's name has and its mask's has not, such as `fine_3_1_fram.jpg` for `fine_3_1_mask.jpg`. */
const imageEnding = /[_\- ](frame|fram|image|img)$/i;

export interface MaskPairs {
  /** The mask of each image that has one. */
  readonly maskOf: ReadonlyMap<string, string>;
  /** Masks that no image took, and images that two masks would fit. */
  readonly problems: readonly DatasetProblem[];
}

/**
 * Pairs images with masks by name: same name but for suffix, upper or lower case, and the endings above. Never by
 * position, which shifts every pair after one missing file (spec 9.1).
 */
export function pairByName(images: readonly string[], masks: readonly string[]): MaskPairs {
  const byKey = new Map<string, string[]>();
  for (const mask of masks) {
    for (const key of new Set([stem(mask).toLowerCase(), maskKey(mask)])) {
      byKey.set(key, [...(byKey.get(key) ?? []), mask]);
    }
  }
  const maskOf = new Map<string, string>();
  const taken = new Set<string>();
  const problems: DatasetProblem[] = [];
  for (const image of images) {
    const candidates = byKey.get(stem(image).toLowerCase()) ?? byKey.get(imageKey(image)) ?? [];
    const [mask, second] = candidates;
    if (mask === undefined) continue;
    maskOf.set(image, mask);
    candidates.forEach((candidate) => taken.add(candidate));
    if (second !== undefined) {
      const message = `${candidates.length} masks fit ${image}: ${candidates.join(', ')}. The first was taken; keep one of them.`;
      problems.push({ kind: 'ambiguous-mask', severity: 'warning', path: image, message });
    }
  }
  for (const mask of masks.filter((candidate) => !taken.has(candidate)).sort(compareText)) {
    problems.push({ kind: 'stray-mask', severity: 'warning', path: mask, message: `no image belongs to the mask ${mask}` });
  }
  return { maskOf, problems };
}

function maskKey(file: string): string {
  return stem(file).toLowerCase().replace(maskEnding, '');
}

function imageKey(file: string): string {
  return stem(file).toLowerCase().replace(imageEnding, '');
}

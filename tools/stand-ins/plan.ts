import { DatasetError } from '../../lib/errors';
import type { RegisteredDataset } from '../../datasets/registry';
import { defectKinds } from '../../datasets/synthetic/defects';
import type { PictureRequest } from '../../datasets/synthetic/draw';
import { families } from '../../datasets/synthetic/families';
import type { StandInForm, StandInPlan } from './form';
import { placeImages, type Layer } from './forms';

export interface StandInOptions {
  /** Another seed gives different images. Default 0. */
  readonly seed?: number;
  /** Test images per category, half of them anomalous (all, where the real set has no normal ones). Default 6. */
  readonly imagesPerCategory?: number;
  /** Width and height in pixels. Default 96. */
  readonly imageSize?: number;
  /** Default `native`. */
  readonly form?: StandInForm;
  /** Use only the first so many categories. Default: all. */
  readonly categories?: number;
}

/** The contents of a stand-in for a registered set, from the registry's description of the real one. */
export function planStandIn(entry: RegisteredDataset, options: StandInOptions = {}): StandInPlan {
  if (entry.native === null)
    throw new DatasetError(
      'dataset/no-fake',
      `${entry.title} is synthetic itself; "crane datasets synthesize" writes it`,
      { name: entry.name },
    );
  const layers = entry.categories
    .slice(0, options.categories ?? entry.categories.length)
    .map((category, index) => layerOf(entry, category, index, options));
  return placeImages(entry, options.form ?? 'native', layers);
}

/** The images of one category, before files are assigned. */
function layerOf(
  { name, expected }: RegisteredDataset,
  category: string,
  index: number,
  options: StandInOptions,
): Layer {
  const { seed = 0, imagesPerCategory = 6, imageSize: size = 96 } = options;
  const anomalous = expected?.normal === 0 ? imagesPerCategory : Math.ceil(imagesPerCategory / 2);
  // Neighbouring categories show dissimilar objects, and no two sets begin with the same one.
  const offset = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const family = (families[(offset + 7 * index) % families.length] as { name: string }).name;
  const picture = (role: string, at: number, kind: string | null): PictureRequest => ({
    family,
    defect: kind,
    seed: `fake/${name}/${seed}/${category}/${role}/${at}`,
    size,
  });
  return {
    category,
    index,
    normal: Array.from({ length: imagesPerCategory - anomalous }, (_, at) => picture('good', at, null)),
    anomalous: Array.from({ length: anomalous }, (_, at) =>
      picture('bad', at, defectKinds.seen[(index + at) % defectKinds.seen.length] as string),
    ),
    other: (at) => picture('other', at, null),
  };
}

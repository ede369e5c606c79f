import { DatasetError } from '../../lib/errors';
import type { RegisteredDataset } from '../registry';
import { defectKinds } from '../synthetic/defects';
import type { PictureRequest } from '../synthetic/draw';
import { families } from '../synthetic/families';
import { placeImages, type Layer } from './forms';

/**
 * In which layout a fake set is written: `native` as the real set is distributed; `meta-json` the same with the list
 * beside it that the reference program's scripts write; `packed` as in AdaCLIP's re-packed archives
 * (docs/method.md#data-sets).
 */
export type FakeForm = 'native' | 'meta-json' | 'packed';
export const fakeForms: readonly FakeForm[] = ['native', 'meta-json', 'packed'];

/** One image of a fake set. */
export interface FakeImage {
  readonly category: string;
  /** Kind of defect as the reader gives it, `good` for normal images. */
  readonly defect: string;
  readonly anomalous: boolean;
  /** What is drawn; `drawPicture` gives the pixels, and the mask, again. */
  readonly picture: PictureRequest;
  /** File, relative to the set, with forward slashes. */
  readonly image: string;
  /** Null where the image has no mask. */
  readonly mask: string | null;
  /** Which third of the file, from the top, where three images share one (KolektorSDD). */
  readonly third?: number;
}

/** Everything that is written of a fake set. */
export interface FakePlan {
  /** The test split. */
  readonly images: readonly FakeImage[];
  /** Images that are in the set but not in its test split. */
  readonly others: readonly FakeImage[];
  /** Lists: file, relative to the set, and content. */
  readonly lists: Readonly<Record<string, string>>;
}

export interface FakeSetOptions {
  /** Another seed draws other images. Default 0. */
  readonly seed?: number;
  /** Images of each category's test split, half of them anomalous (all, where the real set has no normal ones). Default 6. */
  readonly imagesPerCategory?: number;
  /** Width and height in pixels. Default 96. */
  readonly imageSize?: number;
  /** Default `native`. */
  readonly form?: FakeForm;
  /** Only so many categories, the first ones. Default: all. */
  readonly categories?: number;
}

/** What a fake of a registered set consists of, from the registry's description of the real one. */
export function planFakeSet(entry: RegisteredDataset, options: FakeSetOptions = {}): FakePlan {
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

/** What one category shows, before its files are chosen. */
function layerOf(
  { name, expected }: RegisteredDataset,
  category: string,
  index: number,
  options: FakeSetOptions,
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

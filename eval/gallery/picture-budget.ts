import sharp from 'sharp';
import { SHOWN_KINDS, type CategorySelection, type Selection } from './selection';
import type { Thumbnails } from './pictures';

/** The selected images of a set, with their thumbnails. */
export interface SetThumbnails {
  readonly selection: Selection;
  readonly thumbnails: ReadonlyMap<string, Thumbnails>;
}

export interface FittedThumbnails {
  /** In the order given. */
  readonly sets: readonly SetThumbnails[];
  /** The most images shown per category and kind. */
  readonly ofEachKind: number;
  /** Pixels of the longer side; null where thumbnails were not shrunk. */
  readonly side: number | null;
}

/** Room for thumbnails on a page, in characters: base64 in UTF-8. */
const THUMBNAILS_BUDGET = 10_000_000;
/** Images per category and kind, where a page shows several sets. */
const MOST_OF_A_KIND = 2;
const SIDES = [224, 176, 144, 112, 88, 64] as const;
const QUALITY = 62;

/**
 * Makes the thumbnails of several sets fit on one page: first by showing fewer of each kind and category, keeping the
 * clearest; then by shrinking them; finally by dropping those of the last sets.
 */
export async function fitThumbnails(
  sets: readonly SetThumbnails[],
  budget = THUMBNAILS_BUDGET,
): Promise<FittedThumbnails> {
  const most = Math.min(
    sets.length > 1 ? MOST_OF_A_KIND : Infinity,
    Math.max(
      1,
      ...sets.flatMap(({ selection }) =>
        selection.categories.flatMap(({ images }) => SHOWN_KINDS.map((kind) => images[kind].length)),
      ),
    ),
  );
  for (let ofEachKind = most; ofEachKind >= 1; ofEachKind--) {
    const fewer = sets.map((set) => limited(set, ofEachKind));
    if (totalSize(fewer) <= budget) return { sets: fewer, ofEachKind, side: null };
  }
  const one = sets.map((set) => limited(set, 1));
  let smaller = one;
  for (const side of SIDES) {
    smaller = await Promise.all(one.map((set) => shrunk(set, side)));
    if (totalSize(smaller) <= budget) return { sets: smaller, ofEachKind: 1, side };
  }
  let left = budget;
  const kept = smaller.map((set) =>
    (left -= sizeOf(set)) >= 0
      ? set
      : {
          selection: { categories: [], leftOut: set.selection.categories.length + set.selection.leftOut },
          thumbnails: new Map<string, Thumbnails>(),
        },
  );
  return { sets: kept, ofEachKind: 1, side: SIDES.at(-1) as number };
}

function limited({ selection, thumbnails }: SetThumbnails, ofEachKind: number): SetThumbnails {
  const categories = selection.categories.map(({ category, images }) => ({
    category,
    images: Object.fromEntries(
      SHOWN_KINDS.map((kind) => [kind, images[kind].slice(0, ofEachKind)]),
    ) as unknown as CategorySelection['images'],
  }));
  const wanted = categories.flatMap(({ images }) =>
    SHOWN_KINDS.flatMap((kind) => images[kind].map(({ path }) => path)),
  );
  return {
    selection: { ...selection, categories },
    thumbnails: new Map(
      wanted.flatMap((path) => {
        const found = thumbnails.get(path);
        return found ? [[path, found] as const] : [];
      }),
    ),
  };
}

function sizeOf({ thumbnails }: SetThumbnails): number {
  return [...thumbnails.values()].reduce((sum, { original, overlay }) => sum + original.length + overlay.length, 0);
}

function totalSize(sets: readonly SetThumbnails[]): number {
  return sets.reduce((sum, set) => sum + sizeOf(set), 0);
}

async function shrunk({ selection, thumbnails }: SetThumbnails, side: number): Promise<SetThumbnails> {
  const smaller = new Map<string, Thumbnails>();
  for (const [path, large] of thumbnails) smaller.set(path, await smallerThumbnails(large, side));
  return { selection, thumbnails: smaller };
}

async function smallerThumbnails({ original, overlay, width, height }: Thumbnails, side: number): Promise<Thumbnails> {
  const scale = Math.min(1, side / Math.max(width, height));
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const redraw = async (address: string): Promise<string> => {
    const bytes = Buffer.from(address.slice(address.indexOf(',') + 1), 'base64');
    const small = await sharp(bytes)
      .resize({ ...size, fit: 'fill' })
      .webp({ quality: QUALITY, smartSubsample: true })
      .toBuffer();
    return `data:image/webp;base64,${small.toString('base64')}`;
  };
  return { original: await redraw(original), overlay: await redraw(overlay), ...size };
}

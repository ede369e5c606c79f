/** What an image is called, for finding its masks. */
export interface ImageName<Image> {
  readonly image: Image;
  /** Its own name, without suffix. */
  readonly name: string;
  /** Its name without an ending that its masks' names do not have; the same as `name` where it has none. */
  readonly bare: string;
}

/** What a mask is called. */
export interface MaskName<Mask> {
  readonly mask: Mask;
  /** Its own name, without suffix. */
  readonly name: string;
  /** The name that its image would have by the mask's ending, `part` for `part_mask`; undefined where it has no such ending. */
  readonly ended: string | undefined;
}

export interface NamePairs<Image, Mask> {
  /** The masks of each image: none, one, or several whose union counts. */
  readonly masksOf: ReadonlyMap<Image, readonly Mask[]>;
  /** Masks that belong to no image, in the order given. */
  readonly leftOver: readonly Mask[];
  /** Those left over that have the very name of an image with masks by their endings: images of that image, most likely. */
  readonly pictures: readonly Mask[];
}

type Way = 'exact' | 'ended';

/**
 * Gives each mask to one image at most. A mask of the very name of an image is that image's, and not also that of another
 * whose name its ending makes it from: `board_label.png` beside `board.png` is the mask of the image `board_label` where
 * there is one. Only where endings explain more of the names, or all of them, are they read first: all masks may be
 * called `NAME_label`, an image `board_label` or not; and images may be beside masks. Upper and lower case tell names
 * apart only where both are there, and Unicode is compared in one form.
 */
export function pairNames<Image, Mask>(
  images: readonly ImageName<Image>[],
  masks: readonly MaskName<Mask>[],
): NamePairs<Image, Mask> {
  const [exact, ended] = [assign(images, masks, ['exact', 'ended']), assign(images, masks, ['ended', 'exact'])];
  const surplus = ended.leftOver.length - exact.leftOver.length;
  const everyEnded = exact.leftOver.length > 0 && [...ended.ways.values()].every((way) => way === 'ended');
  const { masksOf, leftOver, ways } = surplus < 0 || (surplus === 0 && everyEnded) ? ended : exact;
  const taken = new Set(images.filter(({ image }) => ways.get(image) === 'ended').map(({ name }) => folded(name)));
  return {
    masksOf,
    leftOver: leftOver.map(({ mask }) => mask),
    pictures: leftOver.filter(({ name }) => taken.has(folded(name))).map(({ mask }) => mask),
  };
}

interface Assignment<Image, Mask> {
  readonly masksOf: ReadonlyMap<Image, readonly Mask[]>;
  readonly ways: ReadonlyMap<Image, Way>;
  readonly leftOver: readonly MaskName<Mask>[];
}

function assign<Image, Mask>(
  images: readonly ImageName<Image>[],
  masks: readonly MaskName<Mask>[],
  order: readonly Way[],
): Assignment<Image, Mask> {
  const found = new Map<Image, number[]>();
  const ways = new Map<Image, Way>();
  const taken = new Set<number>();
  const round = (
    searching: readonly ImageName<Image>[],
    way: Way,
    nameOf: (image: ImageName<Image>) => string,
    form: (name: string) => string,
  ): void => {
    const byName = new Map<string, number[]>();
    for (const [index, { name: own, ended }] of masks.entries()) {
      const name = way === 'exact' ? own : ended;
      if (name === undefined || taken.has(index)) continue;
      const known = byName.get(form(name));
      if (known) known.push(index);
      else byName.set(form(name), [index]);
    }
    for (const image of searching) {
      // An image may have many masks with endings, and only one of its own name.
      if (ways.has(image.image) && (way === 'exact' || ways.get(image.image) !== way)) continue;
      const name = form(nameOf(image));
      const fitting = byName.get(name);
      if (fitting === undefined) continue;
      byName.delete(name);
      found.set(image.image, [...(found.get(image.image) ?? []), ...fitting]);
      ways.set(image.image, way);
      fitting.forEach((index) => taken.add(index));
    }
  };
  for (const way of order) for (const form of [composed, folded]) round(images, way, ({ name }) => name, form);
  const without = images.filter(({ image, name, bare }) => bare !== name && !ways.has(image));
  for (const way of order) for (const form of [composed, folded]) round(without, way, ({ bare }) => bare, form);
  const masksAt = (indices: readonly number[]): Mask[] =>
    [...indices].sort((a, b) => a - b).map((index) => (masks[index] as MaskName<Mask>).mask);
  return {
    masksOf: new Map([...found].map(([image, indices]) => [image, masksAt(indices)])),
    ways,
    leftOver: masks.filter((_, index) => !taken.has(index)),
  };
}

/** Unicode in one form, since archives made on a Mac write letters and accents apart. */
function composed(name: string): string {
  return name.normalize('NFC');
}

function folded(name: string): string {
  return composed(name.toLowerCase());
}

import { imageNameOf } from '../../datasets/mask-names';
import { pairNames } from '../../datasets/name-pairs';
import { UsageError } from '../../lib/errors';
import type { StoredMap } from '../../lib/image/map-file';
import type { NamedFile } from './score-files';
import type { ListedImage } from './score-list';
import type { TruthMask } from './truth-mask';

/** A map with its masks and score. */
export interface PairedMap {
  readonly map: NamedFile<StoredMap>;
  readonly category: string;
  /** None, one, or several, whose union counts. */
  readonly masks: readonly NamedFile<TruthMask>[];
  readonly listed: ListedImage | undefined;
}

export interface Pairs {
  /** In the order of the maps. */
  readonly maps: readonly PairedMap[];
  readonly masksLeftOver: readonly NamedFile<TruthMask>[];
  /** Files among the masks that are assumed to be the images themselves, and not read. */
  readonly imageFiles: readonly NamedFile<TruthMask>[];
  readonly rowsLeftOver: readonly ListedImage[];
}

/** Folders named after the kind of file they hold, not after the image. */
const ROLES = new Set(['test', 'ground_truth', 'images', 'masks', 'maps', 'anomaly_maps']);
/** Beside folders with these names, those below hold the images. */
const MASK_FOLDERS = new Set(['ground_truth', 'masks']);
const IMAGE_FOLDERS = new Set(['test', 'train', 'images']);
/** Folders of normal images beside folders of defects. */
const NORMAL_FOLDERS = new Set(['good', 'normal', 'ok']);
/** Endings that a map's name adds to its image's. */
const MAP_ENDING = /[_\- ](anomaly_?map|map|heat_?map|scores?)$/i;

/**
 * Pairs maps with masks and rows of scores by their paths inside their folders, never by position. Suffixes and endings
 * such as `_mask` and `_anomaly_map` make no difference; nor does case, unless names differ by case alone; nor do
 * folders called `test`, `ground_truth`, `images`, `masks` or `maps`. `kind-000` equals `kind/000`, as `crane detect`
 * names its files. An exact name wins, and each mask and each row belongs to at most one map (`pairNames`).
 *
 * @param name the category where no folder names one
 * @throws UsageError `usage/pairing` where two maps, two masks or two rows have one name
 */
export function pairByPath(
  maps: readonly NamedFile<StoredMap>[],
  masks: readonly NamedFile<TruthMask>[],
  list: readonly ListedImage[],
  name: string,
): Pairs {
  refuseTwins(maps, ({ path }) => path, 'maps', A_FOLDER_OF_THEIR_OWN);
  refuseTwins(list, ({ name: row, line }) => `${row} (line ${line})`, 'rows of scores', '');
  const beside = imagesBeside(masks);
  const candidates = masks.filter((mask) => !beside.has(mask));
  refuseTwins(candidates, ({ path }) => path, 'masks', A_FOLDER_OF_THEIR_OWN);
  const images = maps.map((map) => ({
    image: map,
    name: keyOf(map.parts),
    bare: keyOf(map.parts).replace(MAP_ENDING, ''),
  }));
  const found = pairNames(
    images,
    candidates.map((mask) => ({ mask, name: keyOf(mask.parts), ended: imageKeyOf(mask.parts) })),
  );
  const listed = pairNames(
    images,
    list.map((row) => ({ mask: row, name: keyOf(row.parts), ended: undefined })),
  );
  const categoryOf = categoriesOf(maps, name);
  const imageFiles = new Set(found.pictures);
  return {
    maps: maps.map((map) => ({
      map,
      category: categoryOf(map),
      masks: found.masksOf.get(map) ?? [],
      listed: listed.masksOf.get(map)?.[0],
    })),
    masksLeftOver: found.leftOver.filter((mask) => !imageFiles.has(mask)),
    imageFiles: masks.filter((mask) => beside.has(mask) || imageFiles.has(mask)),
    rowsLeftOver: listed.leftOver,
  };
}

/** Files in folders of images, where there are folders of masks as well. */
function imagesBeside<File extends NamedFile<unknown>>(masks: readonly File[]): ReadonlySet<File> {
  const liesIn =
    (folders: ReadonlySet<string>) =>
    ({ parts }: File): boolean =>
      parts.slice(0, -1).some((part) => folders.has(part.toLowerCase()));
  if (!masks.some(liesIn(MASK_FOLDERS))) return new Set();
  return new Set(masks.filter(liesIn(IMAGE_FOLDERS)).filter((mask) => !liesIn(MASK_FOLDERS)(mask)));
}

/** Folders before `test` and its kin; else the first folder; `name` where there is none or it is a kind of defect. */
function categoriesOf(maps: readonly NamedFile<unknown>[], name: string): (map: NamedFile<unknown>) => string {
  const kindsOnTop = maps.some(
    ({ parts }) => parts.length > 1 && NORMAL_FOLDERS.has((parts[0] as string).toLowerCase()),
  );
  return ({ parts }) => {
    const folders = parts.slice(0, -1);
    const role = folders.findIndex((folder) => ROLES.has(folder.toLowerCase()));
    const named = role >= 0 ? folders.slice(0, role) : kindsOnTop ? [] : folders.slice(0, 1);
    return named.join('/') || name;
  };
}

/** Folders and name joined as `crane detect` joins them. */
function keyOf(parts: readonly string[]): string {
  const told = parts.filter((part, at) => at === parts.length - 1 || !ROLES.has(part.toLowerCase()));
  return told.join('-').normalize('NFC');
}

/** The key of the image that a mask's name derives from; undefined where the name has no mask ending. */
function imageKeyOf(parts: readonly string[]): string | undefined {
  const name = imageNameOf(`${parts.at(-1)}.png`);
  return name === undefined ? undefined : keyOf([...parts.slice(0, -1), name]);
}

const A_FOLDER_OF_THEIR_OWN = ', or name a folder that holds nothing else';

function refuseTwins<Item extends { readonly parts: readonly string[] }>(
  items: readonly Item[],
  describe: (item: Item) => string,
  what: string,
  advice: string,
): void {
  const byKey = new Map<string, Item>();
  for (const item of items) {
    const key = keyOf(item.parts);
    const twin = byKey.get(key);
    if (twin !== undefined) {
      throw new UsageError(
        'usage/pairing',
        `two ${what} have one name: ${describe(twin)} and ${describe(item)}. Keep one of them, or give them different names${advice}.`,
        { key },
      );
    }
    byKey.set(key, item);
  }
}

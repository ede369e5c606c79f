import { imageNameOf } from '../../datasets/mask-names';
import { UsageError } from '../../lib/errors';
import type { Mask } from '../../lib/image/preprocess';
import type { ScoreMap } from '../../lib/image/map-file';
import type { NamedFile } from './score-files';
import type { ListedImage } from './score-list';

/** A map with what belongs to it. */
export interface PairedMap {
  readonly map: NamedFile<ScoreMap>;
  readonly category: string;
  /** None, one, or several whose union counts. */
  readonly masks: readonly NamedFile<Mask>[];
  readonly listed: ListedImage | undefined;
}

export interface Pairs {
  /** In the order of the maps. */
  readonly maps: readonly PairedMap[];
  readonly masksLeftOver: readonly NamedFile<Mask>[];
  readonly rowsLeftOver: readonly ListedImage[];
}

/** Folders that say what lies in them, not which image it belongs to. */
const ROLES = new Set(['test', 'ground_truth', 'images', 'masks', 'maps', 'anomaly_maps']);
/** Folders of normal images beside folders of defects. */
const NORMAL_FOLDERS = new Set(['good', 'normal', 'ok']);
/** Endings that a map's name has more than its image's. */
const MAP_ENDING = /[_\- ](anomaly_?map|map|heat_?map|scores?)$/i;

/**
 * Pairs maps with masks and rows of scores by their paths inside their folders, never by position: upper and lower case,
 * suffixes and endings such as `_mask` and `_anomaly_map` make no difference, nor do folders called `test`, `ground_truth`,
 * `images`, `masks` or `maps`; and `kind-000` is `kind/000`, as `crane detect` names its files.
 *
 * @param name of the category where no folder says one
 * @throws UsageError `usage/pairing` where two maps, or two rows, have one name
 */
export function pairByPath(
  maps: readonly NamedFile<ScoreMap>[], masks: readonly NamedFile<Mask>[], list: readonly ListedImage[], name: string,
): Pairs {
  // Where some are called `000_mask`, a `000` beside them is the image itself.
  const [ended, plain] = [new Map<string, NamedFile<Mask>[]>(), new Map<string, NamedFile<Mask>[]>()];
  for (const mask of masks) {
    const [key, imageKey] = [keyOf(mask.parts), imageKeyOf(mask.parts)];
    plain.set(key, [...(plain.get(key) ?? []), mask]);
    if (imageKey !== undefined) ended.set(imageKey, [...(ended.get(imageKey) ?? []), mask]);
  }
  const rows = uniqueByKey(list, ({ parts }) => keyOf(parts), ({ name: row, line }) => `${row} (line ${line})`, 'rows of scores');
  const own = uniqueByKey(maps, ({ parts }) => keyOf(parts), ({ path }) => path, 'maps');
  const taken = new Set<NamedFile<Mask> | ListedImage>();
  const categoryOf = categoriesOf(maps, name);
  const paired = [...own].map(([key, map]): PairedMap => {
    const bare = key.replace(MAP_ENDING, '');
    const found = [key, bare].map((candidate) => ended.get(candidate) ?? plain.get(candidate)).find((some) => some !== undefined) ?? [];
    const listed = rows.get(key) ?? rows.get(bare);
    [found, plain.get(key) ?? [], plain.get(bare) ?? []].flat().forEach((mask) => taken.add(mask));
    if (listed) taken.add(listed);
    return { map, category: categoryOf(map), masks: found, listed };
  });
  return {
    maps: paired,
    masksLeftOver: masks.filter((mask) => !taken.has(mask)),
    rowsLeftOver: list.filter((row) => !taken.has(row)),
  };
}

/** Folders in front of `test` and the like; else the first folder; `name` where there is none or it is a kind of defect. */
function categoriesOf(maps: readonly NamedFile<unknown>[], name: string): (map: NamedFile<unknown>) => string {
  const kindsOnTop = maps.some(({ parts }) => parts.length > 1 && NORMAL_FOLDERS.has((parts[0] as string).toLowerCase()));
  return ({ parts }) => {
    const folders = parts.slice(0, -1);
    const role = folders.findIndex((folder) => ROLES.has(folder.toLowerCase()));
    const named = role >= 0 ? folders.slice(0, role) : kindsOnTop ? [] : folders.slice(0, 1);
    return named.join('/') || name;
  };
}

function keyOf(parts: readonly string[]): string {
  const told = parts.filter((part, at) => at === parts.length - 1 || !ROLES.has(part.toLowerCase()));
  return told.join('-').toLowerCase().normalize('NFC');
}

/** The key of the image that a mask's name is made from; undefined where it has no ending of masks. */
function imageKeyOf(parts: readonly string[]): string | undefined {
  const name = imageNameOf(`${parts.at(-1)}.png`);
  return name === undefined ? undefined : keyOf([...parts.slice(0, -1), name]);
}

function uniqueByKey<Item>(items: readonly Item[], keyOfItem: (item: Item) => string, describe: (item: Item) => string, what: string): Map<string, Item> {
  const byKey = new Map<string, Item>();
  for (const item of items) {
    const key = keyOfItem(item);
    const twin = byKey.get(key);
    if (twin !== undefined) {
      throw new UsageError('usage/pairing', `two ${what} have one name: ${describe(twin)} and ${describe(item)}. Keep one of them, or give them different names.`, { key });
    }
    byKey.set(key, item);
  }
  return byKey;
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../../lib/errors';
import { filesBelow, isImageName } from '../../lib/image/image-files';
import { mapOfArray, readMap, type StoredMap } from '../../lib/image/map-file';
import { readNpy, type NpyArray } from '../../lib/image/npy';
import { NpzFile } from '../../lib/image/npz';
import { truthOfArray, truthOfImage, type IgnoredValues, type TruthMask } from './truth-mask';

/** Maps or masks of one folder, with their paths in it. */
export interface NamedFile<Content> {
  /** The path inside the folder, without suffix: folders, then the name. */
  readonly parts: readonly string[];
  /** Its name in messages. */
  readonly path: string;
  read(): Promise<Content>;
}

export interface FileSet<Content> {
  readonly files: readonly NamedFile<Content>[];
  /** Files in the folder that are of no readable kind. */
  readonly unread: readonly string[];
  /** Closes the archives that are read from. */
  close(): void;
}

const isArray = (name: string): boolean => /\.np[yz]$/i.test(name);
const isMapImage = (name: string): boolean => /\.(png|tiff?)$/i.test(name);

/**
 * Maps of anomaly scores below a folder: `.npy`, `.npz`, PNG and TIFF, as `readMap` reads them. Where there are arrays,
 * images are assumed to be something else, such as heatmaps. In an NPZ file in a folder, a single array takes the
 * file's name; several keep their own names, as in a folder.
 *
 * @param place a folder, or one NPZ file
 * @throws UsageError where it is missing or holds no map
 */
export function openMaps(place: string): FileSet<StoredMap> {
  const names = namesOf(place);
  const arrays = names.filter(isArray);
  const maps = arrays.length > 0 ? arrays : names.filter(isMapImage);
  if (maps.length === 0) throw empty(place, 'anomaly map', '.npy, .npz, .png, .tif and .tiff');
  return openFiles(place, names, maps, readMap, mapOfArray);
}

/**
 * Masks below a folder: images of any kind and arrays, as `truthOfImage` and `truthOfArray` read them.
 *
 * @param place a folder, or one NPZ file
 * @throws UsageError where it is missing or holds no mask
 */
export function openMasks(place: string, ignoring: IgnoredValues = new Set()): FileSet<TruthMask> {
  const names = namesOf(place);
  const masks = names.filter((name) => isArray(name) || isImageName(path.basename(name)));
  if (masks.length === 0) throw empty(place, 'mask', 'images, .npy and .npz');
  const ofArray = (array: NpyArray, source: string): TruthMask => truthOfArray(array, source, ignoring);
  return openFiles(
    place,
    names,
    masks,
    async (file) => (isArray(file) ? ofArray(await readNpy(file), file) : truthOfImage(file, ignoring)),
    ofArray,
  );
}

function openFiles<Content>(
  place: string,
  names: readonly string[],
  wanted: readonly string[],
  read: (file: string) => Promise<Content>,
  ofArray: (array: NpyArray, source: string) => Content,
): FileSet<Content> {
  const lone = isFile(place);
  const root = lone ? path.dirname(place) : place;
  const archives = new OpenArchive();
  try {
    const files = wanted.flatMap((file): NamedFile<Content>[] => {
      const parts = partsOf(path.relative(root, file));
      if (!/\.npz$/i.test(file)) return [{ parts, path: file, read: () => read(file) }];
      const arrays = archives.at(file).names;
      const single = !lone && arrays.length === 1;
      return arrays.map((name) => ({
        // A single archive is treated like a folder.
        parts: single ? parts : [...(lone ? [] : parts), ...name.split('/')],
        path: single ? file : `${file}#${name}`,
        read: async () => ofArray(archives.at(file).read(name), `${file}#${name}`),
      }));
    });
    const taken = new Set(wanted);
    return { files, unread: names.filter((name) => !taken.has(name)), close: () => archives.close() };
  } catch (error) {
    archives.close();
    throw error;
  }
}

/** Opens one archive at a time: there may be more archives than a process may have open. */
class OpenArchive {
  private archive: NpzFile | undefined;

  at(file: string): NpzFile {
    if (this.archive?.path === file) return this.archive;
    this.close();
    // Reading a pipe would wait forever.
    if (!isFile(file))
      throw new UsageError('usage/no-file', `${file}: not a regular file. Pass regular files.`, { path: file });
    this.archive = new NpzFile(file);
    return this.archive;
  }

  close(): void {
    this.archive?.close();
    this.archive = undefined;
  }
}

/** A relative path without its suffix, split into folders and name. */
export function partsOf(relative: string): string[] {
  const parts = relative.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  const last = parts.pop() ?? '';
  return [...parts, /\.(np[yz]|png|jpe?g|bmp|tiff?|webp|gif|avif)$/i.test(last) ? path.parse(last).name : last];
}

function namesOf(place: string): string[] {
  if (isFile(place) && /\.npz$/i.test(place)) return [place];
  if (fs.statSync(place, { throwIfNoEntry: false })?.isDirectory()) return filesBelow(place, () => true);
  const found = fs.existsSync(place) ? 'a file' : 'nothing';
  throw new UsageError(
    'usage/no-folder',
    `${place}: expected a folder or an .npz file, found ${found}. Check the path.`,
    { path: place },
  );
}

function isFile(place: string): boolean {
  return fs.statSync(place, { throwIfNoEntry: false })?.isFile() ?? false;
}

function empty(place: string, what: string, looked: string): UsageError {
  return new UsageError(
    'usage/empty-folder',
    `${place}: no ${what} in this folder or below it; looked for ${looked}.`,
    { path: place },
  );
}

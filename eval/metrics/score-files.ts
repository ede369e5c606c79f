import * as fs from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../../lib/errors';
import { filesBelow, isImageName } from '../../lib/image/image-files';
import { mapOfArray, readMap, type ScoreMap } from '../../lib/image/map-file';
import { NpzFile } from '../../lib/image/npz';
import { loadMaskAtOwnSize, type Mask } from '../../lib/image/preprocess';

/** Maps or masks of one folder, with their places in it. */
export interface NamedFile<Content> {
  /** The path inside the folder, without suffix: folders, then the name. */
  readonly parts: readonly string[];
  /** Names it to people. */
  readonly path: string;
  read(): Promise<Content>;
}

export interface FileSet<Content> {
  readonly files: readonly NamedFile<Content>[];
  /** Of archives that are read from. */
  close(): void;
}

const isArray = (name: string): boolean => /\.np[yz]$/i.test(name);
const isMapPicture = (name: string): boolean => /\.(png|tiff?)$/i.test(name);

/**
 * Maps of anomaly scores below a folder: `.npy`, `.npz`, PNG and TIFF, as `readMap` reads them. Where there are arrays,
 * pictures are taken for something else, such as heatmaps for people. Scores are float32: of float64 maps they are rounded. Of an NPZ file, one array has the file's name; several have
 * names of their own, as in a folder.
 *
 * @param place a folder, or one NPZ file
 * @throws UsageError where it is not there or holds no map
 */
export function openMaps(place: string): FileSet<ScoreMap> {
  const names = namesOf(place, (name) => isArray(name) || isMapPicture(name));
  const arrays = names.filter(isArray);
  if (names.length === 0) throw empty(place, 'anomaly map', '.npy, .npz, .png, .tif and .tiff');
  return openFiles(place, arrays.length > 0 ? arrays : names, readMap, (array) => array);
}

/**
 * Masks below a folder: pictures of any kind, as `loadMaskAtOwnSize` reads them, and arrays, of which anything but 0 is anomalous.
 *
 * @param place a folder, or one NPZ file
 * @throws UsageError where it is not there or holds no mask
 */
export function openMasks(place: string): FileSet<Mask> {
  const names = namesOf(place, (name) => isArray(name) || isImageName(name));
  if (names.length === 0) throw empty(place, 'mask', 'pictures, .npy and .npz');
  const ofArray = ({ data, width, height }: ScoreMap): Mask => ({ width, height, data: Uint8Array.from(data, (value) => (value === 0 ? 0 : 1)) });
  return openFiles(place, names, async (file) => (isArray(file) ? ofArray(await readMap(file)) : loadMaskAtOwnSize(file)), ofArray);
}

function openFiles<Content>(
  place: string, names: readonly string[], read: (file: string) => Promise<Content>, ofArray: (map: ScoreMap) => Content,
): FileSet<Content> {
  const root = isFile(place) ? path.dirname(place) : place;
  const archives: NpzFile[] = [];
  const close = (): void => archives.forEach((archive) => archive.close());
  try {
    const files = names.flatMap((file): NamedFile<Content>[] => {
      const parts = partsOf(path.relative(root, file));
      if (!/\.npz$/i.test(file)) return [{ parts, path: file, read: () => read(file) }];
      const archive = new NpzFile(file);
      archives.push(archive);
      const single = archive.names.length === 1;
      return archive.names.map((name) => ({
        // A lone archive stands for the folder.
        parts: single ? parts : [...(isFile(place) ? [] : parts), ...name.split('/')],
        path: single ? file : `${file}#${name}`,
        read: async () => ofArray(mapOfArray(archive.read(name), `${file}#${name}`)),
      }));
    });
    return { files, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** A relative path without its suffix, cut at the folders. */
export function partsOf(relative: string): string[] {
  const parts = relative.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  const last = parts.pop() ?? '';
  return [...parts, /\.(np[yz]|png|jpe?g|bmp|tiff?|webp|gif|avif)$/i.test(last) ? path.parse(last).name : last];
}

function namesOf(place: string, wanted: (name: string) => boolean): string[] {
  if (isFile(place) && /\.npz$/i.test(place)) return [place];
  if (fs.statSync(place, { throwIfNoEntry: false })?.isDirectory()) return filesBelow(place, wanted);
  const found = fs.existsSync(place) ? 'a file' : 'nothing';
  throw new UsageError('usage/no-folder', `${place}: a folder or an .npz file was expected, found ${found}. Check the path.`, { path: place });
}

function isFile(place: string): boolean {
  return fs.statSync(place, { throwIfNoEntry: false })?.isFile() ?? false;
}

function empty(place: string, what: string, looked: string): UsageError {
  return new UsageError('usage/empty-folder', `${place}: no ${what} in this folder or below it; looked for ${looked}.`, { path: place });
}

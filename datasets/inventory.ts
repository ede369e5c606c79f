import * as fs from 'node:fs';
import * as path from 'node:path';
import { isHidden, isImageName } from '../lib/image/image-files';
import { standInRecordFile } from './stand-in-record';
import { compareText } from './sample';

/** A file of a set that carries meaning: an image, or a list or label. */
export interface CountedFile {
  readonly path: string;
  /** Without links: the same for every way that leads to the file. */
  readonly real: string;
  readonly kind: 'picture' | 'list';
}

/** Endings of images that are not read here: they count, so that a set in such a format is not lost silently. */
const otherPictures = new Set([
  '.heic',
  '.heif',
  '.jp2',
  '.jxl',
  '.pgm',
  '.ppm',
  '.pbm',
  '.pnm',
  '.exr',
  '.dcm',
  '.nii',
  '.npy',
  '.npz',
  '.tga',
  '.pcx',
  '.jfif',
  '.jpe',
]);
/** Endings of files that say something about images. */
const lists = new Set([
  '.csv',
  '.tsv',
  '.json',
  '.jsonl',
  '.txt',
  '.xml',
  '.yaml',
  '.yml',
  '.mat',
  '.xlsx',
  '.pkl',
  '.parquet',
]);
/** What accompanies any set and says nothing about single images. */
const sidecar =
  /^(read[ _-]?me|licen[cs]e|copying|copyright|citation|notice|authors?|changelog|changes|credits|terms|about|notes?|info|md5|sha\d*|checksums?|requirements)([^a-z]|s?$)/i;
/** Files that mark the project's own sets. */
const ownRecords = new Set([standInRecordFile, 'synthetic.json']);

/** What a file's name says that it is; undefined for what accompanies a set: hidden files, readmes, licences, programs. */
function kindOfFile(name: string): CountedFile['kind'] | undefined {
  if (isHidden(name) || ownRecords.has(name)) return undefined;
  const suffix = path.extname(name).toLowerCase();
  if (isImageName(name) || otherPictures.has(suffix)) return 'picture';
  return lists.has(suffix) && !sidecar.test(name) ? 'list' : undefined;
}

/**
 * Images, lists and labels in a folder and below, each once however many links lead to it, in a fixed order. Anything but a
 * regular file, such as a pipe or a dangling link, is left out.
 */
export function takeInventory(root: string): CountedFile[] {
  const found = new Map<string, CountedFile>();
  const entered = new Set<string>();
  const enter = (folder: string): void => {
    const real = realPath(folder);
    if (real === undefined || entered.has(real)) return;
    entered.add(real);
    const entries = fs.readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !isHidden(name));
    const below: string[] = [];
    for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
      const place = path.join(folder, entry.name);
      const kind = kindOfFile(entry.name);
      const stat = entry.isSymbolicLink() ? statOf(place) : entry;
      if (stat?.isDirectory()) below.push(place);
      else if (kind !== undefined && stat?.isFile()) {
        const file = entry.isSymbolicLink() ? (realPath(place) as string) : path.join(real, entry.name);
        // A file goes by its own name rather than by that of a link to it.
        if (!found.has(file) || !entry.isSymbolicLink()) found.set(file, { path: place, real: file, kind });
      }
    }
    below.forEach(enter);
  };
  enter(root);
  return [...found.values()];
}

/** The paths of the files that count, in a folder and below; empty where it is not there. */
export function filesUnder(folder: string | undefined): string[] {
  return folder === undefined || statOf(folder)?.isDirectory() !== true
    ? []
    : takeInventory(folder).map(({ path: file }) => file);
}

/** What a path leads to; undefined for nothing, for links in circles, and where it cannot be read. */
export function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file);
  } catch {
    return undefined;
  }
}

/** The path without links; undefined where it leads to nothing. */
export function realPath(file: string): string | undefined {
  try {
    return fs.realpathSync.native(file);
  } catch {
    return undefined;
  }
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../errors';

/** Suffixes that count as pictures, in lower case. */
export const imageSuffixes: readonly string[] = ['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'];

export function isImageName(name: string): boolean {
  return !isHidden(name) && imageSuffixes.includes(path.extname(name).toLowerCase());
}

/** Pictures directly in a folder, sorted; hidden files skipped, links followed. Empty where the folder is not there. */
export function listImages(folder: string): string[] {
  return listEntries(folder, (entry) => isImageName(entry.name) && !isFolder(folder, entry));
}

/** Folders directly in a folder, sorted; hidden ones skipped, links followed. */
export function listFolders(folder: string): string[] {
  return listEntries(folder, (entry) => !isHidden(entry.name) && isFolder(folder, entry));
}

/** Files directly in a folder, sorted, hidden ones as well. */
export function listFiles(folder: string): string[] {
  return listEntries(folder, (entry) => !isFolder(folder, entry));
}

/**
 * Pictures in a folder and the folders below it, in a fixed order.
 * @throws UsageError where it is no folder, or holds no picture
 */
export function imagesBelow(folder: string): string[] {
  const found = filesBelow(folder, isImageName);
  if (found.length > 0) return found;
  throw new UsageError('usage/empty-folder', `${folder}: no images in this folder or below it; looked for ${imageSuffixes.join(', ')}`, { folder });
}

/**
 * Files in a folder and the folders below it whose names are wanted, in a fixed order; hidden ones skipped, links followed.
 * @throws UsageError where it is no folder
 */
export function filesBelow(folder: string, wanted: (name: string) => boolean): string[] {
  if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError('usage/no-folder', `${folder}: a folder of images was expected; one image alone is scored with detect`, { folder });
  }
  const visited = new Set<string>();
  const collect = (below: string): string[] => {
    // A link may lead back to where it stands.
    const real = fs.realpathSync(below);
    if (visited.has(real)) return [];
    visited.add(real);
    const files = listEntries(below, (entry) => !isHidden(entry.name) && wanted(entry.name) && !isFolder(below, entry));
    return [...files, ...listFolders(below).flatMap(collect)];
  };
  return collect(folder);
}

function listEntries(folder: string, wanted: (entry: fs.Dirent) => boolean): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
  // Order by code units: the same on every machine and in every locale.
  const names = entries.filter(wanted).map((entry) => entry.name);
  return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).map((name) => path.join(folder, name));
}

/** Archives made on a Mac carry `._x` twins and `__MACOSX` folders. */
export function isHidden(name: string): boolean {
  return name.startsWith('.') || name === '__MACOSX' || name === 'Thumbs.db';
}

function isFolder(parent: string, entry: fs.Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return fs.statSync(path.join(parent, entry.name)).isDirectory();
  } catch {
    // A link to nothing, or in circles.
    return false;
  }
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { compareText } from './sample';

/** Suffixes that count as pictures, in lower case. */
export const imageSuffixes: readonly string[] = ['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'];

export function isImageName(name: string): boolean {
  return !isHidden(name) && imageSuffixes.includes(path.extname(name).toLowerCase());
}

/** Pictures directly in a folder as absolute paths, sorted; hidden files skipped, links followed. Empty where the folder is not there. */
export function listImages(folder: string): string[] {
  return list(folder, (entry) => isImageName(entry.name) && !isFolder(folder, entry));
}

/** Folders directly in a folder as absolute paths, sorted; hidden ones skipped, links followed. */
export function listFolders(folder: string): string[] {
  return list(folder, (entry) => !isHidden(entry.name) && isFolder(folder, entry));
}

/** The child folder with one of these names, upper or lower case; the first name that is there wins. */
export function childFolder(folder: string, ...names: string[]): string | undefined {
  return namedChild(listFolders(folder), names);
}

/** The child file with one of these names, upper or lower case. */
export function childFile(folder: string, ...names: string[]): string | undefined {
  return namedChild(list(folder, (entry) => !isFolder(folder, entry)), names);
}

/** Name of a file without folder and suffix. */
export function stem(file: string): string {
  return path.basename(file, path.extname(file));
}

function namedChild(children: readonly string[], names: readonly string[]): string | undefined {
  for (const name of names) {
    const found = children.find((child) => path.basename(child).toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
  }
  return undefined;
}

function list(folder: string, wanted: (entry: fs.Dirent) => boolean): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
  const names = entries.filter(wanted).map((entry) => entry.name);
  return names.sort(compareText).map((name) => path.join(folder, name));
}

/** Archives made on a Mac carry `._x` twins and `__MACOSX` folders. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name === '__MACOSX' || name === 'Thumbs.db';
}

function isFolder(parent: string, entry: fs.Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return fs.statSync(path.join(parent, entry.name), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

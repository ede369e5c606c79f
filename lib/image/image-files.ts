import * as fs from 'node:fs';
import * as path from 'node:path';
import { UsageError } from '../errors';

/** Suffixes that count as images, in lower case. */
const imageSuffixes: readonly string[] = ['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.gif', '.avif'];

export function isImageName(name: string): boolean {
  return !isHidden(name) && imageSuffixes.includes(path.extname(name).toLowerCase());
}

/** Images directly in a folder, sorted; hidden files skipped, links followed. Empty where the folder is missing. */
export function listImages(folder: string): string[] {
  return listEntries(folder, (entry) => isImageName(entry.name) && !leadsToFolder(folder, entry));
}

/** Folders directly in a folder, sorted; hidden ones skipped, links followed. */
export function listFolders(folder: string): string[] {
  return listEntries(folder, (entry) => !isHidden(entry.name) && leadsToFolder(folder, entry));
}

/** Files directly in a folder, sorted, hidden ones as well. */
export function listFiles(folder: string): string[] {
  return listEntries(folder, (entry) => !leadsToFolder(folder, entry));
}

/** Files below a folder, and the folders that could not be read. */
export interface Walk {
  readonly files: readonly string[];
  readonly unreadable: readonly { readonly folder: string; readonly code: string }[];
}

/**
 * Images in a folder and the folders below it, in a fixed order.
 * @throws UsageError where it is not a folder, contains no image, or a folder below it cannot be read
 */
export function imagesBelow(folder: string): string[] {
  const found = filesBelow(folder, isImageName);
  if (found.length > 0) return found;
  throw noImages(folder);
}

/** As {@link imagesBelow}, but naming folders that cannot be read beside the images of the others. @throws UsageError where it is not a folder */
export function walkImages(folder: string): {
  readonly images: readonly string[];
  readonly unreadable: Walk['unreadable'];
} {
  const { files, unreadable } = walk(folder, isImageName);
  return { images: files, unreadable };
}

/** The error for a folder without images. */
export function noImages(folder: string): UsageError {
  return new UsageError(
    'usage/empty-folder',
    `${folder}: no images in this folder or below it; looked for ${imageSuffixes.join(', ')}`,
    { folder },
  );
}

/**
 * Files in a folder and the folders below it whose names are wanted, in a fixed order; hidden ones skipped, links followed.
 * @throws UsageError where it is not a folder, or a folder below it cannot be read
 */
export function filesBelow(folder: string, wanted: (name: string) => boolean): string[] {
  const { files, unreadable } = walk(folder, wanted);
  const [first] = unreadable;
  if (first)
    throw new UsageError(
      'usage/unreadable-folder',
      `${first.folder}: cannot be read (${first.code}). Check the folder's permissions.`,
      { ...first },
    );
  return [...files];
}

function walk(folder: string, wanted: (name: string) => boolean): Walk {
  if (!isFolder(folder)) {
    throw new UsageError(
      'usage/no-folder',
      `${folder}: a folder of images was expected; score a single image with detect`,
      { folder },
    );
  }
  const visited = new Set<string>();
  const files: string[] = [];
  const unreadable: { folder: string; code: string }[] = [];
  const visit = (below: string): void => {
    try {
      // A link may lead back to its own folder.
      const real = fs.realpathSync(below);
      if (visited.has(real)) return;
      visited.add(real);
      files.push(
        ...listEntries(below, (entry) => !isHidden(entry.name) && wanted(entry.name) && !leadsToFolder(below, entry)),
      );
      listFolders(below).forEach(visit);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      unreadable.push({ folder: below, code });
    }
  };
  visit(folder);
  return { files, unreadable };
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

function leadsToFolder(parent: string, entry: fs.Dirent): boolean {
  return entry.isSymbolicLink() ? isFolder(path.join(parent, entry.name)) : entry.isDirectory();
}

/** Whether a path is a folder or leads to one; a link to itself, or a name too long, does not. */
export function isFolder(place: string): boolean {
  try {
    return fs.statSync(place).isDirectory();
  } catch {
    return false;
  }
}

import * as path from 'node:path';
import { listFiles, listFolders } from '../lib/image/image-files';

export { listFiles, listFolders, listImages } from '../lib/image/image-files';

/** The child folder with one of these names, upper or lower case; the first name that exists wins. */
export function childFolder(folder: string, ...names: string[]): string | undefined {
  return namedChild(listFolders(folder), names);
}

/** The child file with one of these names, upper or lower case. */
export function childFile(folder: string, ...names: string[]): string | undefined {
  return namedChild(listFiles(folder), names);
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

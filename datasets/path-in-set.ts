import * as path from 'node:path';

/**
 * A file by its place in the set, with forward slashes: the same on every machine. Files made from the set's own, such
 * as tiles, are in the cache folder and go by their name alone.
 */
export function pathInSet(root: string, file: string): string {
  return isInside(root, file) ? path.relative(root, file).split(path.sep).join('/') : path.basename(file);
}

/** Whether a path is that of the folder, or of something in it, as it is written; links are not looked at. */
export function isInside(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

import * as path from 'node:path';

/**
 * A file by its place in the set, with forward slashes: the same on every machine. Files made from the set's own, such
 * as tiles, lie in the cache folder and go by their name alone.
 */
export function pathInSet(root: string, file: string): string {
  const relative = path.relative(root, file);
  const outside = relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative);
  return outside ? path.basename(file) : relative.split(path.sep).join('/');
}

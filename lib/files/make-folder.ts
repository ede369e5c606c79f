import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * Creates a folder and its parents, unless it exists. Node's own way of doing so never returns below folders
 * of the system such as `/proc`, which say that what cannot be made in them is missing.
 * @throws the system's error where it cannot be made, or where a file is in its place
 */
export function makeFolderSync(folder: string): void {
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && fs.statSync(folder).isDirectory()) return;
    const parent = path.dirname(path.resolve(folder));
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error;
    makeFolderSync(parent);
    makeFolderSync(folder);
  }
}

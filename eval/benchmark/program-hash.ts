import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Folders whose code determines the measurements, subfolders included. */
const FOLDERS = ['lib', 'datasets/layouts', 'eval/metrics'];
/** Without subfolders: `datasets/data` holds data, and `eval/benchmark` only calls the code that measures. */
const FOLDERS_ALONE = ['datasets', 'eval'];
/** Code that only arranges or displays. */
const APART = /^eval\/(command|metrics-table|published|recipes|recipe-options|results)\.|(^|\/)command\.|\.d\.[cm]?ts$/;

/**
 * sha256 of the code on disk that reads sets, scores and measures. The version alone would not do: results from an
 * earlier state of a working copy would pass for current.
 *
 * @param root folder of the code: the checkout, or `dist` in the built package
 */
export function programHash(root: string = path.resolve(__dirname, '../..')): string {
  const listed = (folder: string, recursive: boolean): string[] =>
    fs
      .readdirSync(path.join(root, folder), { recursive, encoding: 'utf8' })
      .map((name) => path.join(folder, name).split(path.sep).join('/'));
  const files = [
    ...FOLDERS.flatMap((folder) => listed(folder, true)),
    ...FOLDERS_ALONE.flatMap((folder) => listed(folder, false)),
  ];
  const code = files.filter((file) => /\.[jt]s$/.test(file) && !APART.test(file)).sort();
  const hash = createHash('sha256');
  for (const file of code) hash.update(`${file}\n`).update(fs.readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

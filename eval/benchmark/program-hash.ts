import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Folders whose code decides what is measured, with what is below them. */
const FOLDERS = ['lib', 'datasets/layouts', 'eval/metrics'];
/** Here without what is below: data lies in `datasets/data`, and the benchmark below `eval` only calls what measures. */
const FOLDERS_ALONE = ['datasets', 'eval'];
/** What only arranges or shows. */
const APART = /^eval\/(command|metrics-table|published|recipes|recipe-options|results)\.|(^|\/)command\.|\.d\.[cm]?ts$/;

/**
 * sha256 of the code that reads sets, scores and measures, as it lies on the disk: by the version alone, results of an
 * earlier state of a working copy would be taken for current.
 *
 * @param root folder of the code: the checkout, or `dist` of the built package
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

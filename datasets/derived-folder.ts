import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeFolderSync } from '../lib/files/make-folder';
import { cacheFolder } from '../lib/files/cache-folder';
import { DatasetError } from '../lib/errors';
import { withFileLock } from '../lib/files/file-lock';
import type { DatasetProblem } from './sample';

const problemsFile = 'problems.json';

/**
 * A folder of files made from a set's own, such as the tiles that KolektorSDD's images are cut into, or the union of
 * several masks. It is in the cache folder under `sets`, so that nothing is written into the set, is made once for
 * equal sources (names, sizes, times), replaces the one made from earlier ones, and appears only when it is complete.
 *
 * @param recipe what is made and in which version: another recipe gives another folder
 * @param sources files that it is made from
 * @param write fills the folder that it is given, and says what could not be made; what it throws passes through
 * @returns the folder, and what could not be made
 * @throws DatasetError `dataset/cache` where it cannot be written
 */
export async function derivedFolder(
  root: string,
  recipe: string,
  sources: readonly string[],
  write: (folder: string) => Promise<readonly DatasetProblem[]>,
): Promise<{ readonly folder: string; readonly problems: readonly DatasetProblem[] }> {
  const hash = createHash('sha256').update(`${recipe}\n`);
  for (const file of sources) {
    const { size, mtimeMs } = fs.statSync(file);
    hash.update(`${path.relative(root, file)}\t${size}\t${mtimeMs}\n`);
  }
  const parent = path.join(cacheFolder(), 'sets');
  const place = createHash('sha256').update(fs.realpathSync(root)).digest('hex').slice(0, 8);
  const family = `${path.basename(root).replace(/[^\w.-]+/g, '_')}-${recipe}-${place}-`;
  const folder = path.join(parent, `${family}${hash.digest('hex').slice(0, 12)}`);
  const present = (): { folder: string; problems: readonly DatasetProblem[] } | undefined =>
    fs.existsSync(folder)
      ? { folder, problems: JSON.parse(fs.readFileSync(path.join(folder, problemsFile), 'utf8')) as DatasetProblem[] }
      : undefined;
  const ready = present();
  if (ready !== undefined) return ready;
  return withFileLock(`${folder}.lock`, async () => {
    const made = present();
    if (made !== undefined) return made;
    const draft = path.join(parent, `.${path.basename(folder)}.${randomUUID().slice(0, 8)}`);
    try {
      makeFolderSync(draft);
      const problems = await write(draft);
      fs.writeFileSync(path.join(draft, problemsFile), JSON.stringify(problems));
      fs.renameSync(draft, folder);
      removeOlder(parent, family, folder);
      return { folder, problems };
    } catch (error) {
      fs.rmSync(draft, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined || !['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR'].includes(code)) throw error;
      throw new DatasetError(
        'dataset/cache',
        `files made from ${root} cannot be kept in ${parent} (${code}). Free some space, or choose another folder with CRANE_CACHE.`,
        { root, folder, code },
        { cause: error },
      );
    }
  });
}

/** What was made from the set as it was before. */
function removeOlder(parent: string, family: string, folder: string): void {
  for (const older of fs.readdirSync(parent).filter((name) => name.startsWith(family) && !name.endsWith('.lock'))) {
    if (older !== path.basename(folder)) fs.rmSync(path.join(parent, older), { recursive: true, force: true });
  }
}

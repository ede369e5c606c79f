import * as path from 'node:path';
import { makeCategory, makeSample } from '../sample';
import { realPath } from '../inventory';
import { listFolders, listImages } from '../listing';
import type { Layout } from './layout';

/** Any folder that has images somewhere in it, without labels: it can be scored, not evaluated or trained on. */
export const bareFolderLayout: Layout = {
  name: 'bare-folder',
  looksFor: 'images, in folders or not, without labels: they can be scored (crane detect), not evaluated',
  fits: (root) => imagesUnder(root).length > 0,
  read(root) {
    const name = path.basename(root);
    const samples = imagesUnder(root).map((image) => makeSample(name, image, null, []));
    return { categories: [makeCategory(name, samples)], problems: [], hasMasks: false };
  },
};

/** Links to folders are followed, and each folder is entered once, however many links lead to it. */
function imagesUnder(folder: string, entered = new Set<string>()): string[] {
  const real = realPath(folder) ?? folder;
  if (entered.has(real)) return [];
  entered.add(real);
  return [...listImages(folder), ...listFolders(folder).flatMap((child) => imagesUnder(child, entered))];
}

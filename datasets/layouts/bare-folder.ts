import * as path from 'node:path';
import { makeCategory, makeSample } from '../sample';
import { listFolders, listImages } from '../listing';
import type { Layout } from './layout';

/** Any folder that has pictures somewhere in it, without labels: it can be scored, not evaluated or trained on. */
export const bareFolderLayout: Layout = {
  name: 'bare-folder',
  looksFor: 'pictures',
  fits: (root) => imagesUnder(root).length > 0,
  read(root) {
    const name = path.basename(root);
    const samples = imagesUnder(root).map((image) => makeSample(name, image, null, null));
    return { categories: [makeCategory(name, samples)], problems: [], hasMasks: false };
  },
};

/** Links to folders are followed; a depth limit ends circles of them. */
function imagesUnder(folder: string, depth = 16): string[] {
  const deeper = depth === 0 ? [] : listFolders(folder).flatMap((child) => imagesUnder(child, depth - 1));
  return [...listImages(folder), ...deeper];
}

import * as path from 'node:path';
import { derivedFolder } from '../derived-folder';
import { writeTiles, type Part } from '../kolektor-tiles';
import { statOf } from '../inventory';
import { listFolders, listImages, stem } from '../listing';
import { makeCategory, makeSample, type DatasetProblem } from '../sample';
import { missingMask, type Layout } from './layout';
import { mvtecLayout } from './mvtec';

/**
 * KolektorSDD as distributed (docs/method.md#industrial-sets): `kosNN/PartM.jpg` with `PartM_label.bmp`, 399 tall
 * images without a split. It is scored in the tiles that AdaCLIP's re-packed archive holds: each image cut in three
 * thirds along its height, a tile anomalous where its label has a pixel that is not 0; all anomalous tiles and a
 * quarter of the normal ones are the test split. The quarter is scikit-learn's for seed 42 over tiles sorted by name;
 * AdaCLIP's script takes them in the order of its disk, which nobody can repeat.
 */
export const kolektorLayout: Layout = {
  name: 'kolektor',
  looksFor: 'kosNN/PartM.jpg with kosNN/PartM_label.bmp (KolektorSDD)',
  fits: (root) => partsOf(root).parts.length > 0,
  read(root, hints) {
    const { parts, problems } = partsOf(root);
    return {
      // Until they are cut, whole parts, whose labels say which thirds are anomalous.
      categories: [
        makeCategory(
          'SDD',
          parts.map(({ image, label }) => makeSample('SDD', image, 'defect', [label])),
        ),
      ],
      problems,
      hasMasks: true,
      derive: async () => {
        const sources = parts.flatMap(({ image, label }) => [image, label]);
        const tiles = await derivedFolder(root, 'tiles-1', sources, (draft) =>
          writeTiles(parts, path.join(draft, 'SDD'), hints.onProgress),
        );
        const samples = mvtecLayout.read(tiles.folder, hints).categories.flatMap((category) => category.samples);
        return { categories: [makeCategory('SDD', samples)], problems: tiles.problems };
      },
    };
  },
};

function partsOf(root: string): { parts: Part[]; problems: DatasetProblem[] } {
  const problems: DatasetProblem[] = [];
  const parts = listFolders(root)
    .filter((folder) => /^kos\d+$/i.test(path.basename(folder)))
    .flatMap((folder) => {
      const files = listImages(folder).filter((file) => statOf(file)?.isFile() === true);
      const labels = new Map(files.map((file) => [stem(file).toLowerCase(), file]));
      return files
        .filter((file) => /^part\d+$/i.test(stem(file)))
        .flatMap((image): Part[] => {
          const label = labels.get(`${stem(image).toLowerCase()}_label`);
          if (label === undefined)
            problems.push({
              ...missingMask(image, `${path.join(folder, stem(image))}_label.bmp`),
              message: `${image} has no label ${stem(image)}_label.bmp and is left out`,
            });
          return label === undefined ? [] : [{ name: `${path.basename(folder)}_${stem(image)}`, image, label }];
        });
    });
  return { parts, problems };
}

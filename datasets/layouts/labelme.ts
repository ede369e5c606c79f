import * as path from 'node:path';
import { z } from 'zod';
import { DatasetError } from '../../lib/errors';
import { statOf } from '../inventory';
import { readJsonFile, readListFile } from '../list-file';
import { listFiles, listFolders, listImages, stem } from '../listing';
import { isNormalClass, readOutlined, type OutlinedImage } from '../outlined-images';
import type { Outline } from '../outlines';
import type { DatasetProblem } from '../sample';
import { testSplitOf } from '../splits';
import type { Layout } from './layout';

const labelMeFile = z.object({
  shapes: z.array(
    z.object({
      label: z.string(),
      points: z.array(z.tuple([z.number(), z.number()])),
      shape_type: z.string().nullish(),
    }),
  ),
  imageWidth: z.int().positive().nullish(),
  imageHeight: z.int().positive().nullish(),
});

/**
 * LabelMe: `NAME.json` with `shapes` beside `NAME.jpg`, in the folder itself or in those in it, of which the one called test
 * is read. Polygons are outlines; rectangles are boxes; an image without a file, or without shapes, is normal.
 */
export const labelMeLayout: Layout = {
  name: 'labelme',
  looksFor: 'NAME.json with "shapes" beside NAME.jpg (LabelMe), its polygons masks, its rectangles labels only',
  fits: (root) => foldersIn(root).some((folder) => labelsIn(folder).some(looksRight)),
  read(root, hints) {
    const problems: DatasetProblem[] = [];
    const { test, others } = testSplitOf(foldersIn(root), (folder) => (folder === root ? '' : path.basename(folder)));
    const images = test.flatMap((folder) => {
      const labels = new Map(labelsIn(folder).map((file) => [keyOf(file), file]));
      return listImages(folder).map((image) => readLabel(image, labels.get(keyOf(image)), problems));
    });
    const left = others.flatMap((folder) => [...listImages(folder), ...labelsIn(folder)]);
    return readOutlined(root, hints, { images, problems, others: left });
  },
};

function foldersIn(root: string): string[] {
  return [root, ...listFolders(root)].filter((folder) => listImages(folder).length > 0);
}

/** JSON files that have the name of an image beside them. */
function labelsIn(folder: string): string[] {
  const images = new Set(listImages(folder).map(keyOf));
  return listFiles(folder).filter(
    (file) => /\.json$/i.test(file) && images.has(keyOf(file)) && statOf(file)?.isFile() === true,
  );
}

function looksRight(file: string): boolean {
  // The image itself may come before the shapes in it, so that a beginning is not enough.
  return /"(shapes|imagePath|version|flags)"\s*:/.test(readListFile(file, 4096));
}

function keyOf(file: string): string {
  return stem(file).toLowerCase().normalize('NFC');
}

function readLabel(image: string, label: string | undefined, problems: DatasetProblem[]): OutlinedImage {
  const empty = { image, label: label ?? null, size: null, outlines: [], boxes: 0, classes: [] };
  if (label === undefined) return empty;
  const parsed = labelMeFile.safeParse(readJsonFile(label));
  if (!parsed.success) {
    const reason = z.prettifyError(parsed.error).split('\n').slice(0, 6).join('; ');
    throw new DatasetError(
      'dataset/list',
      `${label} cannot be read as a label of LabelMe: ${reason}`,
      { path: label },
      { cause: parsed.error },
    );
  }
  const { shapes, imageWidth, imageHeight } = parsed.data;
  const marking = shapes.filter(({ label: name }) => !isNormalClass(name));
  const outlines: Outline[] = [];
  for (const { label: name, points, shape_type: kind } of marking) {
    if (kind === 'rectangle') continue;
    if ((kind ?? 'polygon') === 'polygon' && points.length >= 3)
      outlines.push({ kind: 'polygon', points: points.flat() });
    else
      problems.push({
        kind: 'bad-row',
        severity: 'error',
        path: label,
        message: `${label} marks ${name} by a ${kind ?? 'polygon'} of ${points.length} points; expected a polygon of at least three points`,
      });
  }
  const boxes = marking.length - outlines.length;
  const size = imageWidth && imageHeight ? { width: imageWidth, height: imageHeight } : null;
  if (size === null && outlines.length > 0) {
    problems.push({
      kind: 'bad-row',
      severity: 'error',
      path: label,
      message: `${label} does not say the width and height of its image (imageWidth, imageHeight), and its points are in pixels`,
    });
    return { ...empty, boxes: marking.length, classes: marking.map((shape) => shape.label) };
  }
  return { ...empty, size, outlines, boxes, classes: marking.map((shape) => shape.label) };
}

import * as path from 'node:path';
import { z } from 'zod';
import { DatasetError } from '../../lib/errors';
import { statOf } from '../inventory';
import { readJsonFile, readListFile } from '../list-file';
import { childFolder, listFiles, listFolders, stem } from '../listing';
import { isNormalClass, readOutlined, type OutlinedImage } from '../outlined-images';
import { unpackRuns, type Outline } from '../outlines';
import { isInside } from '../path-in-set';
import type { DatasetProblem } from '../sample';
import { testSplitOf } from '../splits';
import type { Layout } from './layout';

const side = z.int().positive();
const id = z.union([z.number(), z.string()]);
const runs = z.object({ size: z.tuple([side, side]), counts: z.union([z.string(), z.array(z.int().nonnegative())]) });
const cocoFile = z.object({
  images: z.array(z.object({ id, file_name: z.string().min(1), width: side.nullish(), height: side.nullish() })),
  annotations: z.array(
    z.object({
      id: id.optional(),
      image_id: id,
      category_id: id.nullish(),
      segmentation: z.union([runs, z.array(z.array(z.number()))]).nullish(),
    }),
  ),
  categories: z.array(z.object({ id, name: z.string() })).default([]),
});
type Coco = z.infer<typeof cocoFile>;
type Annotation = Coco['annotations'][number];

/** A folder with more JSON files has one for each image, which is another form. */
const MOST_LISTS = 12;

/**
 * Exports in the form of COCO: a JSON file with `images`, `annotations` and `categories`, whose segmentations are polygons
 * or runs, packed or not; in the folder itself, in `annotations/`, or beside the images of each split
 * (`test/_annotations.coco.json`). Of several, the one called test is read. An image without annotations is normal. All
 * annotations of an image count together; those with only a box give a label without a mask.
 */
export const cocoLayout: Layout = {
  name: 'coco',
  looksFor:
    'a JSON file with "images", "annotations" and "categories" (COCO), its segmentations polygons or runs, in the folder, in annotations/ or in test/, valid/, train/',
  fits: (root) => listsIn(root).length > 0,
  read(root, hints) {
    const problems: DatasetProblem[] = [];
    const { test, others } = testSplitOf(
      listsIn(root),
      (file) => `${path.dirname(file) === root ? '' : path.basename(path.dirname(file))} ${stem(file)}`,
    );
    const images = test.flatMap((file) => readCoco(root, file, problems));
    const left = others.flatMap((file) => [file, ...imagesOf(root, file)]);
    return readOutlined(root, hints, { images, problems, others: left });
  },
};

function listsIn(root: string): string[] {
  const folders = [
    root,
    ...listFolders(root),
    ...listFolders(root).flatMap((folder) => childFolder(folder, 'annotations') ?? []),
  ];
  return folders.flatMap((folder) => {
    const files = listFiles(folder).filter(
      (file) => /\.json$/i.test(file) && !path.basename(file).startsWith('.') && statOf(file)?.isFile() === true,
    );
    return files.length > MOST_LISTS ? [] : files.filter(looksRight);
  });
}

/** By the names in its beginning, since such files are large, and then by its parts. */
function looksRight(file: string): boolean {
  if (!/"(info|licenses|images|annotations|categories)"\s*:/.test(readListFile(file, 65536))) return false;
  try {
    const content = readJsonFile(file);
    return (
      typeof content === 'object' &&
      content !== null &&
      'images' in content &&
      Array.isArray(content.images) &&
      'annotations' in content &&
      Array.isArray(content.annotations)
    );
  } catch (error) {
    if (error instanceof DatasetError) return false;
    throw error;
  }
}

function parseCoco(file: string): Coco {
  const parsed = cocoFile.safeParse(readJsonFile(file));
  if (parsed.success) return parsed.data;
  const reason = z.prettifyError(parsed.error).split('\n').slice(0, 6).join('; ');
  throw new DatasetError(
    'dataset/list',
    `${file} cannot be read as a list in the form of COCO: ${reason}`,
    { path: file },
    { cause: parsed.error },
  );
}

/** For a list that is not read: those that exist. */
function imagesOf(root: string, file: string): string[] {
  const parsed = cocoFile.safeParse(readJsonFile(file));
  return parsed.success ? parsed.data.images.flatMap((image) => resolveImage(root, file, image.file_name) ?? []) : [];
}

function readCoco(root: string, file: string, problems: DatasetProblem[]): OutlinedImage[] {
  const { images, annotations, categories } = parseCoco(file);
  const names = new Map(categories.map((category) => [category.id, category.name]));
  const byImage = new Map<Annotation['image_id'], Annotation[]>(images.map((image) => [image.id, []]));
  for (const annotation of annotations) {
    const known = byImage.get(annotation.image_id);
    if (known !== undefined) known.push(annotation);
    else
      problems.push(fault(file, annotation, `belongs to the image ${annotation.image_id}, which is not in the list`));
  }
  if (byImage.size < images.length)
    problems.push({
      kind: 'bad-row',
      severity: 'error',
      path: file,
      message: `${file} gives several images the same id, so their annotations cannot be assigned`,
    });
  return images.flatMap(({ id: image, file_name: listed, width, height }): OutlinedImage[] => {
    const place = resolveImage(root, file, listed);
    if (place === undefined) {
      problems.push({
        kind: 'missing-image',
        severity: 'error',
        path: path.join(path.dirname(file), listed),
        message: `${file} names ${listed}, but there is no such file in the set`,
      });
      return [];
    }
    const size = width && height ? { width, height } : null;
    const outlined = { image: place, label: file, size, outlines: [] as Outline[], boxes: 0, classes: [] as string[] };
    for (const annotation of byImage.get(image) ?? []) {
      const name =
        annotation.category_id == null
          ? 'anomaly'
          : (names.get(annotation.category_id) ?? `class ${annotation.category_id}`);
      if (isNormalClass(name)) continue;
      const found = outlinesOf(annotation, size);
      if (typeof found === 'string') problems.push(fault(file, annotation, found));
      const outlines = typeof found === 'string' ? [] : found;
      outlined.classes.push(name);
      outlined.outlines.push(...outlines);
      if (outlines.length === 0) outlined.boxes++;
    }
    return [outlined];
  });
}

/** None for a box. @returns what is wrong with it, where something is */
function outlinesOf({ segmentation }: Annotation, size: OutlinedImage['size']): Outline[] | string {
  if (segmentation == null) return [];
  if (size === null) return 'has an outline in pixels of an image whose width and height the list does not say';
  if (Array.isArray(segmentation)) {
    const odd = segmentation.find(
      (points) => points.length < 6 || points.length % 2 === 1 || !points.every(Number.isFinite),
    );
    return odd === undefined
      ? segmentation.map((points) => ({ kind: 'polygon', points }))
      : `has a polygon of ${odd.length} numbers; expected pairs for at least three points`;
  }
  const [height, width] = segmentation.size;
  if (width !== size.width || height !== size.height)
    return `has runs for ${width}x${height} pixels, and its image ${size.width}x${size.height}`;
  const counts = typeof segmentation.counts === 'string' ? unpackRuns(segmentation.counts) : segmentation.counts;
  const pixels = counts?.reduce((sum, count) => sum + count, 0);
  return counts !== undefined && pixels === width * height
    ? [{ kind: 'runs', counts }]
    : `has runs of ${pixels ?? 'no readable number of'} pixels, and its image ${width * height}`;
}

function fault(file: string, annotation: Annotation, what: string): DatasetProblem {
  const named = annotation.id === undefined ? 'an annotation' : `annotation ${annotation.id}`;
  return { kind: 'bad-row', severity: 'error', path: file, message: `${file}: ${named} ${what}` };
}

/** Beside the list, in the set, or in its folder of images; never outside of the set. */
function resolveImage(root: string, file: string, listed: string): string | undefined {
  const plain = listed.replaceAll('\\', '/');
  const folder = path.dirname(file);
  const split = stem(file)
    .replace(/^(instances|annotations)_/, '')
    .replace(/\d{4}$/, '');
  const places = [folder, path.dirname(folder), root, path.join(folder, split), path.join(root, split)].flatMap(
    (place) => [place, path.join(place, 'images')],
  );
  const found = [...places, path.join(root, 'images', split)].map((place) => path.resolve(place, plain));
  return found.find((place) => isInside(root, place) && statOf(place)?.isFile() === true);
}

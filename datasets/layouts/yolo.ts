import * as path from 'node:path';
import { parse } from 'yaml';
import { statOf } from '../inventory';
import { readListFile } from '../list-file';
import { childFile, childFolder, listFiles, listFolders, listImages, stem } from '../listing';
import { isNormalClass, readOutlined, type OutlinedImage } from '../outlined-images';
import type { Outline } from '../outlines';
import type { DatasetProblem } from '../sample';
import { testSplitOf, type Split } from '../splits';
import type { Layout } from './layout';

/** A folder of images and that of their labels, which may be the same. */
interface LabelledFolder {
  /** What the split is called. */
  readonly name: string;
  readonly images: string;
  readonly labels: string;
}

/** `class x y x y …`, fractions of the image's width and height; or a box, `class x y width height`. */
const row = /^\d+(\s+[-+]?[\d.]+(e[-+]?\d+)?){4,}$/i;
/** Files of the same kind as labels that are none. */
const listNames = new Set(['classes.txt', 'train.txt', 'val.txt', 'valid.txt', 'test.txt']);

/**
 * Exports for YOLO: a text file for each image, with a line `class x1 y1 x2 y2 x3 y3 …` for each object, in fractions of the
 * image's sides. In `images/test` with `labels/test`, `test/images` with `test/labels`, without splits, or beside the
 * images. `data.yaml` or `classes.txt` name the classes. An empty file, or none, means that nothing is there. Lines of five
 * numbers are boxes.
 */
export const yoloLayout: Layout = {
  name: 'yolo',
  looksFor:
    'images/ and labels/ with NAME.txt, lines of "class x1 y1 x2 y2 x3 y3 ..." in fractions (YOLO segmentation), also in folders test/, valid/, train/ or beside the images; boxes give labels per image only',
  fits: (root) =>
    foldersIn(root).some((folder) => labelledBy(folder).some(([, label]) => label !== undefined && looksRight(label))),
  read(root, hints) {
    const problems: DatasetProblem[] = [];
    const { test, others }: Split<LabelledFolder> = testSplitOf(foldersIn(root), ({ name }) => name);
    const names = classNames(root, test, problems);
    const images = test.flatMap((folder) =>
      labelledBy(folder).map(([image, label]) => readLabel(image, label, names, problems)),
    );
    const left = others.flatMap(({ images: folder, labels }) => [...listImages(folder), ...textsIn(labels)]);
    const lists = [...listFiles(root), ...test.flatMap(({ labels }) => listFiles(labels))].filter((file) =>
      isList(path.basename(file)),
    );
    return readOutlined(root, hints, {
      images,
      problems: [...problems, ...test.flatMap(strayLabels)],
      others: [...left, ...lists],
    });
  },
};

function isList(name: string): boolean {
  return listNames.has(name.toLowerCase()) || /\.(ya?ml|names)$/i.test(name);
}

function foldersIn(root: string): LabelledFolder[] {
  const [images, labels] = [childFolder(root, 'images'), childFolder(root, 'labels')];
  if (images !== undefined && labels !== undefined) {
    const splits = listFolders(images).flatMap((folder) => {
      const twin = childFolder(labels, path.basename(folder));
      return twin === undefined ? [] : [{ name: path.basename(folder), images: folder, labels: twin }];
    });
    return [...(listImages(images).length > 0 ? [{ name: '', images, labels }] : []), ...splits];
  }
  const below = listFolders(root).flatMap((folder) => {
    const [inner, twin] = [childFolder(folder, 'images'), childFolder(folder, 'labels')];
    return inner !== undefined && twin !== undefined
      ? [{ name: path.basename(folder), images: inner, labels: twin }]
      : [];
  });
  if (below.length > 0) return below;
  // Beside the images: only where there is a text file with an image's name.
  return [root, ...listFolders(root)]
    .map((folder) => ({ name: folder === root ? '' : path.basename(folder), images: folder, labels: folder }))
    .filter((folder) => labelledBy(folder).some(([, label]) => label !== undefined));
}

function textsIn(folder: string): string[] {
  return listFiles(folder).filter(
    (file) =>
      /\.txt$/i.test(file) &&
      !isList(path.basename(file)) &&
      !path.basename(file).startsWith('.') &&
      statOf(file)?.isFile() === true,
  );
}

/** Images with their labels, by name, ignoring case. */
function labelledBy({ images, labels }: LabelledFolder): (readonly [string, string | undefined])[] {
  const texts = new Map(textsIn(labels).map((file) => [keyOf(file), file]));
  return listImages(images).map((image) => [image, texts.get(keyOf(image))] as const);
}

function strayLabels(folder: LabelledFolder): DatasetProblem[] {
  const taken = new Set(labelledBy(folder).map(([, label]) => label));
  const strays = textsIn(folder.labels).filter((file) => !taken.has(file) && folder.images !== folder.labels);
  return strays.map((file) => ({
    kind: 'stray-mask',
    severity: 'warning',
    path: file,
    message: `no image belongs to the label ${file}`,
  }));
}

function keyOf(file: string): string {
  return stem(file).toLowerCase().normalize('NFC');
}

/** Whether a label begins as YOLO's do; a long line is looked at as far as a box goes. */
function looksRight(label: string): boolean {
  return row.test(
    readListFile(label, 4096)
      .trimStart()
      .split(/\r?\n/, 1)
      .flatMap((line) => line.trim().split(/\s+/).slice(0, 5))
      .join(' '),
  );
}

/** From `data.yaml` and the like, else from `classes.txt`; classes without a name go by their number. */
function classNames(
  root: string,
  folders: readonly LabelledFolder[],
  problems: DatasetProblem[],
): ReadonlyMap<number, string> {
  const yaml = listFiles(root).find((file) => /\.ya?ml$/i.test(file) && statOf(file)?.isFile() === true);
  const listed = [root, ...folders.map(({ labels }) => labels)].flatMap(
    (folder) => childFile(folder, 'classes.txt') ?? [],
  )[0];
  if (yaml !== undefined) {
    const content = yamlOf(yaml, problems);
    if ('kpt_shape' in content)
      problems.push({
        kind: 'bad-row',
        severity: 'error',
        path: yaml,
        message: `${yaml} describes key points (kpt_shape); expected outlines`,
      });
    const names: unknown = 'names' in content ? content.names : undefined;
    if (typeof names === 'object' && names !== null)
      return new Map(Object.entries(names).map(([number, name]) => [Number(number), String(name)]));
  }
  if (listed === undefined) return new Map();
  return new Map(
    readListFile(listed)
      .split(/\r?\n/)
      .map((name, number) => [number, name.trim()] as const)
      .filter(([, name]) => name !== ''),
  );
}

function yamlOf(file: string, problems: DatasetProblem[]): object {
  try {
    const content: unknown = parse(readListFile(file));
    return typeof content === 'object' && content !== null ? content : {};
  } catch (error) {
    problems.push({
      kind: 'bad-row',
      severity: 'warning',
      path: file,
      message: `${file} cannot be read, so classes go by their numbers: ${error instanceof Error ? error.message : String(error)}`,
    });
    return {};
  }
}

function readLabel(
  image: string,
  label: string | undefined,
  names: ReadonlyMap<number, string>,
  problems: DatasetProblem[],
): OutlinedImage {
  const outlines: Outline[] = [];
  const classes: string[] = [];
  let boxes = 0;
  for (const [index, text] of (label === undefined ? '' : readListFile(label)).split(/\r?\n/).entries()) {
    const line = text.trim();
    if (line === '') continue;
    const [number, ...values] = line.split(/\s+/).map(Number) as [number, ...number[]];
    const fault = faultOf(line, values);
    if (fault !== undefined)
      problems.push({
        kind: 'bad-row',
        severity: 'error',
        path: label as string,
        message: `${label} line ${index + 1} ${fault}`,
      });
    const name = Number.isInteger(number) ? (names.get(number) ?? `class ${number}`) : 'anomaly';
    if (isNormalClass(name)) continue;
    classes.push(name);
    if (fault !== undefined || values.length === 4) boxes++;
    else outlines.push({ kind: 'polygon', points: values });
  }
  return { image, label: label ?? null, size: null, outlines, boxes, classes };
}

/** A little beyond the edge is left by rounding. */
const BEYOND = 0.01;

function faultOf(line: string, values: readonly number[]): string | undefined {
  if (!row.test(line) || values.some((value) => !Number.isFinite(value)))
    return 'is not a class and numbers; expected "class x1 y1 x2 y2 x3 y3 ..."';
  if (values.length !== 4 && (values.length < 6 || values.length % 2 === 1))
    return `has ${values.length} numbers after the class; expected 4 for a box, or pairs, 6 numbers or more, for an outline`;
  if (values.some((value) => value < -BEYOND || value > 1 + BEYOND))
    return 'has numbers outside 0 to 1; expected fractions of the width and height of the image, not pixels';
  return undefined;
}

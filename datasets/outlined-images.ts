import * as fs from 'node:fs';
import * as path from 'node:path';
import { ImageError } from '../lib/errors';
import { DEFAULT_MAX_PIXELS, readFrame } from '../lib/image/decode';
import type { ImageFrame } from '../lib/image/decoded-image';
import type { OnProgress } from '../lib/progress';
import { derivedFolder } from './derived-folder';
import { statOf } from './inventory';
import type { LayoutHints, LayoutReading } from './layouts/layout';
import { stem } from './listing';
import { writeMask } from './mask-content';
import { fillPolygon, fillRuns, type Outline } from './outlines';
import { makeCategory, makeSample, type Category, type DatasetProblem, type Sample } from './sample';

/** An image and what a label says about it. */
export interface OutlinedImage {
  readonly image: string;
  /** File of the label; null where there is none, which means that nothing is marked. */
  readonly label: string | null;
  /** Size of the image that the outlines were drawn on; null: of the image's file, and polygons are fractions of it. */
  readonly size: { readonly width: number; readonly height: number } | null;
  readonly outlines: readonly Outline[];
  /** Places marked without an outline: boxes, which do not say which pixels something covers, and what could not be read. */
  readonly boxes: number;
  /** Names of the classes that are marked. */
  readonly classes: readonly string[];
}

export interface OutlinedSet {
  readonly images: readonly OutlinedImage[];
  readonly problems: readonly DatasetProblem[];
  readonly others: readonly string[];
}

/** Classes that mark what is as it should be. */
const normalClasses = new Set([
  'good',
  'ok',
  'normal',
  'background',
  '_background_',
  'no defect',
  'no_defect',
  'defect-free',
  'defect_free',
]);

export function isNormalClass(name: string): boolean {
  return normalClasses.has(name.toLowerCase());
}

/**
 * The samples of a set whose labels are outlines. An image on which nothing is marked is normal. Outlines become masks in
 * files once the layout is chosen, see {@link fillPolygon} for the rule; where all labels are boxes, the set has labels per
 * image only.
 */
export function readOutlined(
  root: string,
  hints: LayoutHints,
  { images, problems, others }: OutlinedSet,
): LayoutReading {
  const category = hints.category ?? path.basename(root);
  const hasMasks = images.some(({ outlines }) => outlines.length > 0);
  const isMarked = ({ outlines, boxes }: OutlinedImage): boolean => outlines.length + boxes > 0;
  const isOutlined = (image: OutlinedImage): boolean => image.outlines.length > 0 && image.boxes === 0;
  const samples = images.map((image) =>
    makeSample(
      category,
      image.image,
      isMarked(image) ? defectOf(image) : null,
      isOutlined(image) ? [image.label as string] : [],
    ),
  );
  const boxed = hasMasks ? images.filter(({ boxes }) => boxes > 0).map(boxedOnly) : [];
  const onlyBoxes = !hasMasks && images.some(isMarked) ? [labelledByBoxes(root)] : [];
  const unlabelled = images.filter(({ label }) => label === null);
  return {
    categories: [makeCategory(category, samples)],
    problems: [...problems, ...boxed, ...onlyBoxes, ...withoutLabel(root, unlabelled)],
    hasMasks,
    labels: [...new Set(images.flatMap(({ label }) => label ?? []))],
    others,
    ...(hasMasks
      ? { derive: () => drawMasks(root, category, samples, images.filter(isOutlined), hints.onProgress) }
      : {}),
  };
}

function defectOf({ classes }: OutlinedImage): string {
  return [...new Set(classes)].sort().join('+') || 'anomaly';
}

function boxedOnly({ image, label, boxes }: OutlinedImage): DatasetProblem {
  const message = `${label} marks ${boxes} ${boxes === 1 ? 'place' : 'places'} of ${image} by boxes, or in an unreadable form, so the anomalous pixels are unknown; expected outlines, as for other images`;
  return { kind: 'missing-mask', severity: 'error', path: image, message };
}

function labelledByBoxes(root: string): DatasetProblem {
  return {
    kind: 'boxes',
    severity: 'warning',
    path: root,
    message: `${root} has no readable outline: boxes say that an image is anomalous but not which pixels are, so the set is read as labels per image, without masks`,
  };
}

function withoutLabel(root: string, images: readonly OutlinedImage[]): DatasetProblem[] {
  const [first] = images;
  if (first === undefined) return [];
  const count = `${images.length} ${images.length === 1 ? 'image has no label file and is' : 'images have no label file and are'}`;
  return [
    {
      kind: 'unlabelled-image',
      severity: 'warning',
      path: root,
      message: `${count} taken as normal, such as ${first.image}`,
    },
  ];
}

async function drawMasks(
  root: string,
  category: string,
  samples: readonly Sample[],
  images: readonly OutlinedImage[],
  onProgress?: OnProgress,
): Promise<{ categories: readonly Category[]; problems: readonly DatasetProblem[] }> {
  const nameOf = (index: number): string =>
    `${String(index).padStart(6, '0')}-${stem((images[index] as OutlinedImage).image)}_mask.png`;
  const labels = [...new Set(images.flatMap(({ label }) => label ?? []))];
  const files = images.map(({ image }) => image).filter((image) => statOf(image) !== undefined);
  const { folder, problems } = await derivedFolder(root, 'outlines-1', [...labels, ...files], async (draft) => {
    const failures: DatasetProblem[] = [];
    const task = 'draw masks from outlines';
    onProgress?.({ kind: 'start', task, total: images.length, unit: 'images' });
    for (const [index, image] of images.entries()) {
      const mask = await maskOf(image, failures);
      if (mask !== undefined) await writeMask(path.join(draft, nameOf(index)), mask);
      onProgress?.({ kind: 'advance', task, done: index + 1, total: images.length });
    }
    onProgress?.({ kind: 'done', task });
    return failures;
  });
  const masks = new Map(images.map(({ image }, index) => [image, path.join(folder, nameOf(index))]));
  const drawn = samples.map((sample): Sample => {
    const file = masks.get(sample.imagePath);
    const maskPath = file !== undefined && fs.existsSync(file) ? file : null;
    return { ...sample, maskPath, hasMask: maskPath !== null };
  });
  return { categories: [makeCategory(category, drawn)], problems };
}

async function maskOf(
  { image, label, size, outlines }: OutlinedImage,
  problems: DatasetProblem[],
): Promise<{ width: number; height: number; data: Uint8Array } | undefined> {
  const complain = (kind: DatasetProblem['kind'], message: string): undefined =>
    void problems.push({ kind, severity: 'error', path: image, message });
  if (statOf(image)?.isFile() !== true) return undefined; // Named by whoever opens the set.
  const file = await sizeOfFile(image).catch((error: unknown) => {
    if (!(error instanceof ImageError)) throw error;
    return complain('unreadable', error.message);
  });
  if (file === undefined) return undefined;
  const { width, height } = size ?? file;
  const turned = file.orientation > 4;
  const fits =
    (width === file.width && height === file.height) || (turned && width === file.height && height === file.width);
  if (!fits)
    return complain(
      'mask-size',
      `${label} describes ${image} as ${width}x${height}, but it is ${file.width}x${file.height}`,
    );
  if (width * height > DEFAULT_MAX_PIXELS)
    return complain('mask-size', `${image} has ${width}x${height} pixels, more than can be marked`);
  // Programs differ in whether they turn a photograph before people draw on it; only other sides tell.
  if (file.orientation > 1 && (size === null || width === height || !turned)) {
    return complain(
      'mask-size',
      `${image} has the EXIF orientation ${file.orientation}, by which it is turned, but ${label} does not say whether its outlines were drawn before or after; save the image turned`,
    );
  }
  const mask = { width, height, data: new Uint8Array(width * height) };
  for (const outline of outlines) {
    if (outline.kind === 'runs') fillRuns(mask, outline.counts);
    else
      fillPolygon(
        mask,
        size === null ? outline.points.map((value, at) => value * (at % 2 === 0 ? width : height)) : outline.points,
      );
  }
  return mask;
}

/** As the pixels are in the file. @throws ImageError */
async function sizeOfFile(file: string): Promise<ImageFrame> {
  const { width, height, orientation } = await readFrame(file);
  return orientation > 4 ? { width: height, height: width, orientation } : { width, height, orientation };
}

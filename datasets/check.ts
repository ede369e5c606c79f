import { ImageError } from '../lib/errors';
import { decodeImage } from '../lib/image/decode';
import { loadMaskAtOwnSize } from '../lib/image/preprocess';
import { MemoryBudget, type MemoryClaim } from '../lib/memory-budget';
import type { OnProgress } from '../lib/progress';
import { standInRecordOf } from './stand-in-record';
import { describeReading } from './dataset';
import { findRegisteredDataset, type ExpectedCounts } from './registry';
import {
  compareText,
  countSamples,
  type Dataset,
  type DatasetCounts,
  type DatasetProblem,
  type Sample,
} from './sample';

export interface DatasetReport {
  readonly name: string;
  readonly root: string;
  readonly layout: string;
  readonly hasMasks: boolean;
  /** What was read, in one line. */
  readonly reading: string;
  /** Images, lists and labels in the folder that are not part of the set as it is read. */
  readonly leftOut: readonly string[];
  readonly counts: DatasetCounts;
  /** Images that the whole set has; null where no figure is known for this layout. */
  readonly expected: ExpectedCounts | null;
  readonly categories: readonly ({ readonly name: string; readonly defects: readonly string[] } & DatasetCounts)[];
  /** What the names showed, and what opening every file showed. */
  readonly problems: readonly DatasetProblem[];
  /** Consequences of what the set is, though nothing is wrong with it, such as metrics that are not defined. */
  readonly notes: readonly string[];
}

/** Images decoded at the same time. */
const concurrency = 4;

/**
 * Opens every image and mask of a set in full and compares: sizes of masks and images, masks without a defect on
 * anomalous images and with one on normal images, and the counts with those of the registry.
 */
export async function checkDataset(dataset: Dataset, onProgress?: OnProgress): Promise<DatasetReport> {
  const samples = dataset.categories.flatMap((category) => category.samples);
  const task = `check ${dataset.name}`;
  onProgress?.({ kind: 'start', task, total: samples.length, unit: 'images' });
  const found: DatasetProblem[] = [];
  const queue = [...samples];
  const memory = new MemoryBudget();
  const told = new Map<Note, number>();
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let sample = queue.shift(); sample !== undefined; sample = queue.shift()) {
      const next = sample;
      found.push(
        ...(await memory.run((claim) => checkSample(next, claim, (note) => told.set(note, (told.get(note) ?? 0) + 1)))),
      );
      onProgress?.({ kind: 'advance', task, done: ++done, total: samples.length });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  onProgress?.({ kind: 'done', task });
  found.sort((a, b) => compareText(a.path, b.path));
  return {
    name: dataset.name,
    root: dataset.root,
    layout: dataset.layout,
    hasMasks: dataset.hasMasks,
    reading: describeReading(dataset),
    leftOut: dataset.leftOut,
    counts: countSamples(dataset.categories),
    expected: expectedCounts(dataset),
    categories: dataset.categories.map((category) => ({
      name: category.name,
      defects: [...new Set(category.samples.filter((sample) => sample.anomalous).map((sample) => sample.defect))].sort(
        compareText,
      ),
      ...countSamples([category]),
    })),
    problems: [...dataset.problems, ...compareCounts(dataset), ...found],
    notes: [
      ...notesOn(dataset),
      ...[...told].sort().map(([note, images]) => `${images} image${images === 1 ? '' : 's'} ${NOTES[note]}`),
    ],
  };
}

function notesOn({ categories, hasLabels, hasMasks }: Dataset): string[] {
  if (!hasLabels)
    return ['Nothing says which images are anomalous: they can be scored (crane detect), not evaluated or trained on.'];
  const { images, normal, anomalous } = countSamples(categories);
  if (images === 0) return [];
  const notes = hasMasks
    ? []
    : ['No masks: pixel metrics are not defined, and prompts are trained on image labels alone (`pixelWeight: 0`).'];
  if (normal === 0)
    notes.push(`Every image is anomalous: image metrics are not defined${hasMasks ? '; pixel metrics are' : ''}.`);
  if (anomalous === 0) notes.push('No image is anomalous: no metric is defined, and prompts cannot be trained on it.');
  return notes;
}

/** What is not a fault of an image, but worth knowing. */
const NOTES = {
  pages: 'of several pages or frames: the first of each is read.',
  turned:
    'turned by EXIF orientation, with a mask: masks follow the pixels of the image file, unless their size or their own tag says that they are upright.',
} as const;
type Note = keyof typeof NOTES;

async function checkSample(sample: Sample, memory: MemoryClaim, tell: (note: Note) => void): Promise<DatasetProblem[]> {
  const image = await attempt(() => decodeImage(sample.imagePath, { memory }));
  if (image instanceof Error) return [unreadable(sample.imagePath, image)];
  if (image.pages !== undefined) tell('pages');
  if (sample.maskPath === null) return [];
  if (image.orientation > 1) tell('turned');
  const mask = await attempt(() => loadMaskAtOwnSize(sample.maskPath as string, { memory, image }));
  if (mask instanceof Error) return [unreadable(sample.maskPath, mask)];
  const problems: DatasetProblem[] = [];
  if (mask.width !== image.width || mask.height !== image.height) {
    const message = `${sample.maskPath} is ${mask.width}x${mask.height}, its image ${image.width}x${image.height}`;
    problems.push({ kind: 'mask-size', severity: 'warning', path: sample.maskPath, message });
  }
  const marks = mask.data.includes(1);
  if (sample.anomalous && !marks) {
    problems.push({
      kind: 'empty-mask',
      severity: 'warning',
      path: sample.maskPath,
      message: `${sample.maskPath} marks nothing, though its image is anomalous`,
    });
  }
  if (!sample.anomalous && marks) {
    problems.push({
      kind: 'filled-mask',
      severity: 'warning',
      path: sample.maskPath,
      message: `${sample.maskPath} marks a defect, though its image is normal`,
    });
  }
  return problems;
}

async function attempt<T>(body: () => Promise<T>): Promise<T | Error> {
  try {
    return await body();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function unreadable(file: string, error: Error): DatasetProblem {
  const kind = error instanceof ImageError && error.code === 'image/mask-shape' ? 'mask-size' : 'unreadable';
  return { kind, severity: 'error', path: file, message: error.message };
}

/** For a synthetic stand-in: what was written. */
function expectedCounts({ name, root, layout }: Dataset): ExpectedCounts | null {
  const fake = standInRecordOf(root);
  if (fake !== undefined) return { normal: fake.normal, anomalous: fake.anomalous, sure: true };
  const expected = findRegisteredDataset(name)?.expected ?? null;
  return expected?.layouts?.includes(layout) === false ? null : expected;
}

/** Only for whole sets: a set with categories missing has said so already. */
function compareCounts(dataset: Dataset): DatasetProblem[] {
  const expected = expectedCounts(dataset);
  if (expected === null || dataset.problems.some((problem) => problem.kind === 'missing-category')) return [];
  const { normal, anomalous } = countSamples(dataset.categories);
  if (normal === expected.normal && anomalous === expected.anomalous) return [];
  const origin = expected.sure ? '' : ' (as commonly quoted)';
  const message = `${dataset.root} has ${normal} normal and ${anomalous} anomalous images; the whole set has ${expected.normal} and ${expected.anomalous}${origin}`;
  return [{ kind: 'count', severity: 'warning', path: dataset.root, message }];
}

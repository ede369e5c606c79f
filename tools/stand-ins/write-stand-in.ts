import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CraneError, DatasetError, UsageError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { findRegisteredDataset, registeredDatasets, type RegisteredDataset } from '../../datasets/registry';
import { drawPicture, GENERATOR_VERSION } from '../../datasets/synthetic/draw';
import { standInRecordFile, type StandInRecord } from '../../datasets/stand-in-record';
import { writePicture, type Picture } from './image-files';
import { standInForms, type StandInImage, type StandInPlan } from './form';
import { planStandIn, type StandInOptions } from './plan';

export interface WriteStandInOptions extends StandInOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface StandIn extends StandInPlan {
  readonly name: string;
  /** The set's own folder. */
  readonly root: string;
}

/** Names of the sets that have stand-ins: the fourteen of the paper. */
export const standInNames: readonly string[] = registeredDatasets
  .filter(({ native }) => native !== null)
  .map(({ name }) => name);

/**
 * Writes a small synthetic stand-in for a registered set, in the layout of the real one, into `folder/NAME`: for tests,
 * and to try a benchmark before the real sets are present. Equal arguments give equal images. `fake.json` marks it as
 * synthetic.
 *
 * @param name a name of {@link standInNames}
 * @returns its folder, and every image that it has
 * @throws UsageError `synthetic/name`, `synthetic/options`; DatasetError `synthetic/occupied` where something else is
 *   in its place, `synthetic/write`; the signal's reason
 */
export async function writeStandIn(name: string, folder: string, options: WriteStandInOptions = {}): Promise<StandIn> {
  const entry = findRegisteredDataset(name);
  if (entry === undefined || entry.native === null)
    throw new UsageError(
      'synthetic/name',
      `there is no synthetic stand-in for "${name}"; known: ${standInNames.join(', ')}`,
      { name },
    );
  checkOptions(options);
  const { onProgress, signal } = options;
  const plan = planStandIn(entry, options);
  const root = path.join(path.resolve(folder), entry.folders[0] ?? entry.name);
  refuseOccupied(root);
  const draft = path.join(path.dirname(root), `.${path.basename(root)}.${randomUUID().slice(0, 8)}`);
  const files = pictureFiles(plan);
  const task = `write a synthetic ${entry.name}`;
  onProgress?.({ kind: 'start', task, total: files.size, unit: 'images' });
  try {
    let done = 0;
    for (const [file, images] of files) {
      signal?.throwIfAborted();
      await writeImages(draft, file, images);
      onProgress?.({ kind: 'advance', task, done: ++done, total: files.size });
    }
    for (const [file, content] of Object.entries(plan.lists)) writeText(path.join(draft, file), content);
    writeText(path.join(draft, standInRecordFile), `${JSON.stringify(recordOf(entry, plan, options), null, 2)}\n`);
    fs.rmSync(root, { recursive: true, force: true });
    fs.renameSync(draft, root);
  } catch (error) {
    fs.rmSync(draft, { recursive: true, force: true });
    if (signal?.aborted === true || error instanceof CraneError) throw error;
    throw new DatasetError(
      'synthetic/write',
      `the synthetic set could not be written to ${root}: ${error instanceof Error ? error.message : String(error)}. Free some space or choose another folder.`,
      { folder: root },
      { cause: error },
    );
  }
  onProgress?.({ kind: 'done', task });
  return { ...plan, name: entry.name, root };
}

function checkOptions({ seed = 0, imagesPerCategory = 6, imageSize = 96, form = 'native' }: StandInOptions): void {
  const inRange = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  if (
    inRange(seed, 0, 2 ** 31) &&
    inRange(imagesPerCategory, 2, 1000) &&
    inRange(imageSize, 16, 1024) &&
    standInForms.includes(form)
  )
    return;
  throw new UsageError(
    'synthetic/options',
    `a synthetic stand-in needs a seed of 0 or more, 2 to 1000 images per category, 16 to 1024 pixels and one of the forms ${standInForms.join(', ')}; found ${seed}, ${imagesPerCategory}, ${imageSize}, ${form}`,
    { seed, imagesPerCategory, imageSize, form },
  );
}

/** Only an earlier stand-in is replaced, never a real set. */
function refuseOccupied(root: string): void {
  const there = fs.existsSync(root) ? fs.readdirSync(root) : [];
  if (there.length === 0 || there.includes(standInRecordFile)) return;
  throw new DatasetError(
    'synthetic/occupied',
    `${root} is not a synthetic stand-in, so it was not replaced. Choose another folder.`,
    { folder: root },
  );
}

/** Images by file: one, or three stacked vertically. */
function pictureFiles({ images, others }: StandInPlan): Map<string, StandInImage[]> {
  const files = new Map<string, StandInImage[]>();
  for (const image of [...images, ...others]) files.set(image.image, [...(files.get(image.image) ?? []), image]);
  for (const stacked of files.values()) stacked.sort((a, b) => (a.third ?? 0) - (b.third ?? 0));
  return files;
}

async function writeImages(root: string, file: string, images: readonly StandInImage[]): Promise<void> {
  const drawn = images.map(({ picture }) => drawPicture(picture));
  const [{ size }, { mask }] = [drawn[0], images[0]] as [{ size: number }, StandInImage];
  const height = size * drawn.length;
  await writeAt(root, file, {
    data: Buffer.concat(drawn.map(({ pixels }) => pixels)),
    width: size,
    height,
    channels: 3,
  });
  if (mask === null) return;
  const marks = Buffer.concat(drawn.map((picture) => picture.mask)).map((value) => 255 * value);
  await writeAt(root, mask, { data: marks, width: size, height, channels: 1 });
}

async function writeAt(root: string, file: string, picture: Picture): Promise<void> {
  const place = path.join(root, file);
  fs.mkdirSync(path.dirname(place), { recursive: true });
  await writePicture(place, picture);
}

function writeText(file: string, content: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

function recordOf({ name }: RegisteredDataset, { images }: StandInPlan, options: StandInOptions): StandInRecord {
  const { seed = 0, imagesPerCategory = 6, imageSize = 96, form = 'native' } = options;
  const anomalous = images.filter((image) => image.anomalous).length;
  return {
    fakeOf: name,
    generator: GENERATOR_VERSION,
    seed,
    imagesPerCategory,
    imageSize,
    form,
    normal: images.length - anomalous,
    anomalous,
  };
}

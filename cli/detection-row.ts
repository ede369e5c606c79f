import type { Detection } from '../lib/detection';
import { ImageError, UsageError } from '../lib/errors';
import { MAP_FORMS, saveMapFiles, type MapFile, type SavedForm } from './map-files';
import { asFlags } from '../terminal/option-flags';

/** Options for what `crane detect` writes, and how. */
export interface SavingArguments {
  out?: string | undefined;
  save?: string | undefined;
  threshold?: number | undefined;
  perImageScale: boolean;
}

/** System errors that would affect every file. */
const NOTHING_CAN_BE_WRITTEN = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** One line of `--json`. Where an image failed, `error` says why, and unknown values are null. */
export interface Row {
  readonly path: string;
  readonly score: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly seconds: number | null;
  readonly files: readonly string[];
  readonly error?: string;
}

export function failedRow(source: string, error: string): Row {
  return { path: source, score: null, width: null, height: null, seconds: null, files: [], error: asFlags(error) };
}

/** Memory needed to save an image's maps: the map, the image, and what is rendered. */
export function savingBytes({ width, height }: Detection): number {
  return 16 * width * height;
}

/** Saves the maps of one image, and returns its row. @throws where nothing can be written any more */
export async function savedRow(
  { source, score, width, height, seconds, map }: Detection,
  files: readonly MapFile[],
  args: SavingArguments,
): Promise<Row> {
  const row = { path: source, score, width, height, seconds };
  try {
    const written = await saveMapFiles(map, files, {
      ...(args.threshold === undefined ? {} : { threshold: args.threshold }),
      ...(args.perImageScale ? { scale: 'image' as const } : {}),
    });
    return { ...row, files: written };
  } catch (error) {
    // An image that has vanished, or a name that the disk refuses, fails alone; a full disk fails every image.
    if (!(error instanceof ImageError) || NOTHING_CAN_BE_WRITTEN.has(error.data['code'])) throw error;
    return { ...row, files: [], error: asFlags(error.message) };
  }
}

/** @throws UsageError for unknown forms, and where the threshold or folder they need is missing */
export function formsFrom(args: SavingArguments): SavedForm[] {
  const { save = 'overlay', threshold, out } = args;
  const forms = [...new Set(save.split(',').map((part) => part.trim()))];
  const unknown = forms.filter((form) => !(MAP_FORMS as readonly string[]).includes(form));
  if (unknown.length > 0) {
    throw new UsageError(
      'usage/save',
      `--save ${save}: "${unknown.join('", "')}" is not known; choose from ${MAP_FORMS.join(', ')}`,
      { unknown },
    );
  }
  if (args.save !== undefined && out === undefined) {
    throw new UsageError('usage/out', `--save ${save} says what to write, but not where: add --out FOLDER`, {});
  }
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1)) {
    throw new UsageError(
      'usage/threshold',
      `--threshold ${threshold}: expected a number from 0 to 1, the range of anomaly maps`,
      { found: threshold },
    );
  }
  if (forms.includes('mask') && threshold === undefined) {
    throw new UsageError(
      'usage/threshold',
      '--save mask needs --threshold T, from 0 to 1: pixels at or above it are white',
      {},
    );
  }
  return forms as SavedForm[];
}

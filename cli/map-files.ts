import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { AnomalyMap, SaveMapOptions } from '../lib/anomaly-map';
import { stemOf } from '../lib/crane';
import { UsageError } from '../lib/errors';

/** What `--save` can write for each image; `npy` is the map at the size of the network's input. */
export const MAP_FORMS = ['overlay', 'heatmap', 'mask', 'npy'] as const;
export type SavedForm = (typeof MAP_FORMS)[number];

export interface MapFile {
  readonly form: SavedForm;
  readonly file: string;
}

/**
 * Names the files of each source after the image. Images with the same name are distinguished by the folders before it,
 * or numbered. Names that are too long for a disk are cut. The same image given twice has the same files.
 * @param sources paths or URLs
 * @returns for each source, its files in `folder`, which must exist
 * @throws UsageError `usage/overwrite` where a file would replace one of the images
 */
export function planMapFiles(sources: readonly string[], folder: string, forms: readonly SavedForm[]): MapFile[][] {
  const identities = sources.map(identityOf);
  const distinct = [...new Map(sources.map((source, index) => [identities[index] as string, source])).entries()];
  const proposed = namesApart(distinct.map(([, source]) => source));
  const taken = new Set<string>();
  const planned = new Map<string, MapFile[]>();
  distinct.forEach(([identity], index) => {
    const name = proposed[index] as string;
    let files = filesNamed(name, folder, forms);
    // Many disks ignore case.
    for (let twin = 2; files.some(({ file }) => taken.has(file.toLowerCase())); twin++)
      files = filesNamed(`${name}-${twin}`, folder, forms);
    files.forEach(({ file }) => taken.add(file.toLowerCase()));
    planned.set(identity, files);
  });
  refuseOverwriting([...planned.values()].flat(), new Set(identities), folder);
  return identities.map((identity) => planned.get(identity) as MapFile[]);
}

/** How many names are remembered, so that memory stays bounded even after months. */
const NAMES_REMEMBERED = 100_000;

/**
 * Names the files of images that arrive one by one below a folder: after the image, in the same subfolders of another.
 * A name taken by another image gets a number; an image that comes again keeps its files.
 */
export class MirroredMapFiles {
  private readonly owners = new Map<string, string>();

  /** @throws UsageError `usage/overwrite` where files could replace images, or be mistaken for images */
  constructor(
    private readonly folder: string,
    private readonly out: string,
    private readonly forms: readonly SavedForm[],
  ) {
    const place = path.relative(identityOf(out), identityOf(folder));
    if (place === '' || (!place.startsWith('..') && !path.isAbsolute(place))) {
      throw new UsageError(
        'usage/overwrite',
        `--out ${out}: the watched folder is ${place === '' ? 'the same' : 'inside it'}, so results would be written among the images. Choose another folder.`,
        { folder, out },
      );
    }
  }

  /** @param source path of an image in the folder or below it */
  filesOf(source: string): MapFile[] {
    const below = path.dirname(path.relative(this.folder, source));
    const folder = path.join(this.out, below);
    let files = filesNamed(stemOf(source), folder, this.forms);
    for (let twin = 2; files.some(({ file }) => this.isOthers(file, source)); twin++)
      files = filesNamed(`${stemOf(source)}-${twin}`, folder, this.forms);
    for (const { file } of files) this.owners.set(file.toLowerCase(), source);
    for (const name of this.owners.keys()) {
      if (this.owners.size <= NAMES_REMEMBERED) break;
      this.owners.delete(name);
    }
    return files;
  }

  private isOthers(file: string, source: string): boolean {
    const owner = this.owners.get(file.toLowerCase());
    return owner !== undefined && owner !== source;
  }
}

/** Writes the planned files of one map. @throws as `AnomalyMap.save` */
export async function saveMapFiles(
  map: AnomalyMap,
  files: readonly MapFile[],
  drawing: Omit<SaveMapOptions, 'as'>,
): Promise<string[]> {
  for (const { form, file } of files) {
    if (form === 'npy') await map.saveNative(file);
    else await map.save(file, { as: form, ...drawing });
  }
  return files.map(({ file }) => file);
}

/** Most disks allow no more bytes in a file name. */
const LONGEST_NAME = 255;

/** With several forms, the name of each but the overlay says what it is. */
function filesNamed(name: string, folder: string, forms: readonly SavedForm[]): MapFile[] {
  const endings = forms.map((form) => (form === 'npy' ? '.npy' : form === 'overlay' ? '.png' : `-${form}.png`));
  const fitting = cut(name, LONGEST_NAME - Math.max(...endings.map((ending) => ending.length)));
  return forms.map((form, index) => ({ form, file: path.join(folder, `${fitting}${endings[index]}`) }));
}

/** A name of at most so many bytes: its beginning and, if it was cut, a hash that keeps it distinct. */
function cut(name: string, bytes: number): string {
  if (Buffer.byteLength(name) <= bytes) return name;
  const end = `-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
  let kept = '';
  let room = bytes - end.length;
  for (const character of name) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return `${kept}${end}`;
}

function refuseOverwriting(files: readonly MapFile[], identities: ReadonlySet<string>, folder: string): void {
  const real = identityOf(folder);
  const lost = files.find(({ file }) => identities.has(path.join(real, path.basename(file))));
  if (lost === undefined) return;
  throw new UsageError(
    'usage/overwrite',
    `--out ${folder}: the ${lost.form} ${lost.file} would replace an image of that name. Choose another folder.`,
    { file: lost.file },
  );
}

/**
 * Stems; shared ones are preceded by as many folders as distinguish them. Images with the same stem in one folder
 * cannot be distinguished this way and get the same name.
 */
function namesApart(sources: readonly string[]): string[] {
  const places = sources.map((source) => partsOf(source).join('\0'));
  const names = new Map([...new Set(places)].map((place) => [place, nameOf(place, 1)]));
  const deepest = Math.max(1, ...[...names.keys()].map((place) => place.split('\0').length));
  for (let depth = 2; depth <= deepest; depth++) {
    const counts = new Map<string, number>();
    for (const name of names.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const [place, name] of names) {
      if ((counts.get(name) as number) > 1) names.set(place, nameOf(place, depth));
    }
  }
  return places.map((place) => names.get(place) as string);
}

function nameOf(place: string, depth: number): string {
  return place.split('\0').slice(-depth).join('-');
}

/** The folders and the stem of a source, made safe for file names. */
function partsOf(source: string): string[] {
  const file = isUrl(source) ? pathOfUrl(source) : source;
  const folders = path
    .dirname(file)
    .split(/[\\/]/)
    .filter((part) => /[^.]/.test(part));
  return [...folders, stemOf(file) || 'image'].map((part) => part.replaceAll(/[\\/:*?"<>|\0]/g, '_'));
}

function pathOfUrl(url: string): string {
  const { pathname } = new URL(url);
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

export function isUrl(source: string): boolean {
  return /^\w{2,}:\/\//.test(source) && URL.canParse(source);
}

/** A key that is the same for the same image, however its path is spelt. */
function identityOf(source: string): string {
  if (isUrl(source)) return source;
  try {
    return fs.realpathSync(source);
  } catch {
    return path.resolve(source);
  }
}

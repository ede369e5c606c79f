import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatasetError, UsageError } from '../lib/errors';
import { realPath, takeInventory, type CountedFile } from './inventory';
import { layouts } from './layouts';
import { bareFolderLayout } from './layouts/bare-folder';
import type { Layout, LayoutHints, LayoutReading } from './layouts/layout';
import { listFolders } from './listing';
import { registeredDatasetOfFolder, type RegisteredDataset } from './registry';
import type { DatasetProblem, Sample } from './sample';

/** A layout that fits, and how well it does. */
export interface Candidate {
  /** The folder given, or one in it that holds the set. */
  readonly root: string;
  readonly layout: Layout;
  readonly reading: LayoutReading;
  /** Files of the set that it gives a meaning to: images, masks and labels of its test split. */
  readonly explains: number;
  /** `explains` less what it misses, such as masks that it expects. */
  readonly score: number;
}

export interface LayoutChoice {
  readonly chosen: Candidate;
  /** Every layout that fits, the chosen one first, then from the best to the worst. */
  readonly candidates: readonly Candidate[];
  /** Images, lists and labels that no part of the chosen reading names. */
  readonly leftOut: readonly CountedFile[];
  /** What a person should know about the choice. */
  readonly problems: readonly DatasetProblem[];
}

export interface ChoiceOptions {
  /** What the registry, or the caller, says about a set whose root is this folder. */
  readonly hintsFor: (root: string) => LayoutHints;
  /** The registered set that is looked for: its usual layouts go first where several explain as many files. */
  readonly entry: RegisteredDataset | undefined;
  /** Only this layout. */
  readonly only?: Layout | undefined;
  /** Take a folder of images without labels where nothing else fits. */
  readonly allowUnlabelled: boolean;
}

/**
 * Chooses the layout that explains most files. A folder in the folder counts as well where nothing in the folder itself
 * explains half of its images, as archives unpack. Names decide only between layouts that explain equally many.
 *
 * @throws DatasetError `dataset/layout` where none fits, or several folders are sets; what reading the only layout throws
 */
export function chooseLayout(folder: string, options: ChoiceOptions): LayoutChoice {
  const { only, entry } = options;
  const preferred = (entry?.layouts ?? []).flatMap((name) => layouts.filter((layout) => layout.name === name));
  const tried =
    only === undefined ? [...preferred, ...layouts.filter((layout) => !preferred.includes(layout))] : [only];
  const here = tried.filter((layout) => layout.fits(folder));
  const search = new Search(folder, options);
  const own = here.flatMap((layout) => search.candidate(folder, layout));
  // A folder that has a list of its own, be it damaged, is the set itself.
  const enough =
    search.failure !== undefined || own.some((candidate) => search.explainsHalf(candidate) || hasFaultyList(candidate));
  const below = enough || only === bareFolderLayout ? [] : search.below(tried);
  // A stable sort: of equals, the first that was tried.
  const candidates = [...own, ...below].sort((a, b) => b.score - a.score);
  const [chosen] = candidates;
  if (chosen !== undefined) return search.choiceOf(chosen, candidates);
  if (search.failure !== undefined) throw search.failure;
  if (only === undefined && options.allowUnlabelled && bareFolderLayout.fits(folder)) {
    const bare = search.candidate(folder, bareFolderLayout);
    return search.choiceOf(bare[0] as Candidate, bare);
  }
  throw noLayout(folder, tried);
}

/** Archives unpack to nested folders: they are searched this deep, and no wider, since any folder may be named. */
const NESTED_FOLDERS = 3;
const MOST_FOLDERS = 300;

class Search {
  /** Why a layout that fits could not be read. */
  failure: DatasetError | undefined;
  private readonly failures: DatasetProblem[] = [];
  private inventory: readonly CountedFile[] | undefined;

  constructor(
    private readonly folder: string,
    private readonly options: ChoiceOptions,
  ) {}

  /** None where a list of it cannot be read: another layout may do without. */
  candidate(root: string, layout: Layout): Candidate[] {
    try {
      const reading = layout.read(root, this.options.hintsFor(root));
      const files = new Set(explainedFiles(reading));
      const explains = this.files().filter(({ real }) => files.has(real)).length;
      return [{ root, layout, reading, explains, score: explains - wanting(reading) }];
    } catch (error) {
      if (!(error instanceof DatasetError)) throw error;
      this.failure ??= error;
      this.failures.push({ kind: 'unreadable', severity: 'warning', path: root, message: error.message });
      return [];
    }
  }

  explainsHalf({ reading, explains }: Candidate): boolean {
    const others = new Set((reading.others ?? []).flatMap((file) => realPath(file) ?? []));
    const pictures = this.files().filter(({ kind, real }) => kind === 'picture' && !others.has(real));
    return 2 * explains >= pictures.length;
  }

  /** Layouts of the only folder below that fits one, at the least depth at which any does; among several, of the one that has the name of the set. */
  below(tried: readonly Layout[]): Candidate[] {
    const { entry } = this.options;
    let level = [this.folder];
    for (let depth = 1; depth <= NESTED_FOLDERS; depth++) {
      level = level.flatMap(listFolders);
      if (level.length > MOST_FOLDERS) return [];
      const found = level.filter((root) => tried.some((layout) => layout.fits(root)));
      if (found.length === 0) continue;
      const called = found.find(
        (root) => entry !== undefined && registeredDatasetOfFolder(path.basename(root)) === entry,
      );
      if (called === undefined && found.length > 1) {
        const sets = `${found.length} folders in it are: ${found.slice(0, 5).join(', ')}. Give one of them.`;
        this.failures.push({
          kind: 'left-out',
          severity: 'warning',
          path: this.folder,
          message: `most of ${this.folder} is in no known layout, but ${sets}`,
        });
        this.failure ??= new DatasetError('dataset/layout', `${this.folder} is in no known layout, but ${sets}`, {
          path: this.folder,
          nested: found,
        });
        return [];
      }
      const root = called ?? (found[0] as string);
      return tried.filter((layout) => layout.fits(root)).flatMap((layout) => this.candidate(root, layout));
    }
    return [];
  }

  choiceOf(chosen: Candidate, candidates: readonly Candidate[]): LayoutChoice {
    const own = keysOf(chosen);
    const agreeing = candidates.filter((candidate) => sameKeys(keysOf(candidate), own));
    // A list that agrees with the folders is part of them.
    const known = new Set(
      agreeing.flatMap(({ reading }) => [
        ...explainedFiles(reading),
        ...(reading.others ?? []).flatMap((file) => realPath(file) ?? []),
      ]),
    );
    const leftOut = this.files().filter(({ real }) => !known.has(real));
    const rivals = candidates.filter(
      (candidate) => candidate !== chosen && candidate.score === chosen.score && !agreeing.includes(candidate),
    );
    return { chosen, candidates, leftOut, problems: [...this.failures, ...tie(chosen, rivals)] };
  }

  private files(): readonly CountedFile[] {
    return (this.inventory ??= takeInventory(this.folder));
  }
}

function hasFaultyList({ reading }: Candidate): boolean {
  return reading.problems.some(
    ({ kind, severity }) => severity === 'error' && (kind === 'bad-row' || kind === 'missing-image'),
  );
}

function samplesOf({ categories }: LayoutReading): Sample[] {
  return categories.flatMap(({ samples }) => samples);
}

/** Files of the test split, without links. */
function explainedFiles(reading: LayoutReading): string[] {
  const named = samplesOf(reading).flatMap(({ imagePath, maskPath, maskParts }) => [
    imagePath,
    ...(maskParts ?? (maskPath === null ? [] : [maskPath])),
  ]);
  return [...named, ...(reading.labels ?? [])].flatMap((file) => realPath(file) ?? []);
}

/** Anomalous images whose mask is missing, and any other errors. */
function wanting(reading: LayoutReading): number {
  const unmasked = reading.hasMasks
    ? samplesOf(reading).filter(({ anomalous, hasMask }) => anomalous && !hasMask).length
    : 0;
  return (
    unmasked +
    reading.problems.filter(
      ({ kind, severity }) => severity === 'error' && kind !== 'missing-mask' && kind !== 'missing-folder',
    ).length
  );
}

/** What a reading says about each image. */
function keysOf({ reading }: Candidate): ReadonlySet<string> {
  return new Set(
    samplesOf(reading).map(({ imagePath, maskPath, anomalous }) =>
      [realPath(imagePath) ?? imagePath, (anomalous && maskPath && realPath(maskPath)) || '-', anomalous].join('\n'),
    ),
  );
}

function sameKeys(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((key) => b.has(key));
}

function tie({ root, layout, explains }: Candidate, rivals: readonly Candidate[]): DatasetProblem[] {
  if (rivals.length === 0) return [];
  const names = rivals.map((rival) => rival.layout.name);
  const message = `${root} fits the layouts ${[layout.name, ...names].join(' and ')} equally well (${explains} files each), but they read it differently. ${layout.name} is used; \`layout: '${names[0]}'\` reads it the other way`;
  return [{ kind: 'ambiguous', severity: 'warning', path: root, message }];
}

function noLayout(folder: string, tried: readonly Layout[]): DatasetError {
  const looked = tried.map((candidate) => `  ${candidate.name}: ${candidate.looksFor}`).join('\n');
  const children = fs.readdirSync(folder).sort();
  const has =
    children.length === 0
      ? 'it is empty'
      : `it has ${children.slice(0, 8).join(', ')}${children.length > 8 ? `, and ${children.length - 8} more` : ''}`;
  const not = tried.length === 1 ? `does not have the layout ${tried[0]?.name}` : 'is in no known layout';
  return new DatasetError('dataset/layout', `${folder} ${not}: ${has}. Looked for:\n${looked}`, {
    path: folder,
    children: children.slice(0, 50),
  });
}

/** The layout of this name, upper or lower case, the plain folder of images among them. @throws UsageError `dataset/unknown-layout` */
export function layoutNamed(name: string): Layout {
  const found = [...layouts, bareFolderLayout].find((layout) => layout.name === name.toLowerCase());
  if (found !== undefined) return found;
  const names = [...layouts, bareFolderLayout].map((layout) => layout.name);
  throw new UsageError('dataset/unknown-layout', `there is no layout "${name}"; known: ${names.join(', ')}`, {
    name,
    names,
  });
}

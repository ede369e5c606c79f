import * as path from 'node:path';
import { DatasetError } from '../lib/errors';
import type { OnProgress } from '../lib/progress';
import { chooseLayout, layoutNamed, type Candidate, type LayoutChoice } from './choose-layout';
import { dataFolder } from './data-folder';
import type { CountedFile } from './inventory';
import type { LayoutHints, LayoutReading } from './layouts/layout';
import { locate, type Located } from './locate';
import { registeredDatasetOfFolder, type RegisteredDataset } from './registry';
import type { DatasetProblem } from './sample';

export interface SurveyOptions {
  /** Folder that registered names are looked for in. Default: `dataFolder()`. */
  readonly dataFolder?: string | undefined;
  /** Name of the layout to read by. Default: the one that explains most files. */
  readonly layout?: string | undefined;
  /** Take a folder of images without labels as well. Default false. */
  readonly allowUnlabelled?: boolean | undefined;
  /**
   * Images without a mask are normal, where only masks say which are anomalous. Default false: the mask of such an image is
   * missing, and the set is incomplete. Where folders or a list say what an image is, this changes nothing.
   */
  readonly normalWithoutMask?: boolean | undefined;
  /** Is informed of work that some sets need once, such as cutting KolektorSDD into tiles. */
  readonly onProgress?: OnProgress | undefined;
}

/** What the names in a set say, before any image is opened. */
export interface Survey {
  /** Registered name, or the name of the folder. */
  readonly name: string;
  /** The folder that was given. */
  readonly folder: string;
  /** The folder that holds the set: the one given, or one in it. */
  readonly root: string;
  readonly entry: RegisteredDataset | undefined;
  readonly layout: string;
  readonly reading: LayoutReading;
  /** Every layout that fits, the chosen one first. */
  readonly candidates: readonly Candidate[];
  /** Images, lists and labels that are not part of the set as it is read. */
  readonly leftOut: readonly CountedFile[];
  /** What a person should know about the choice of the layout. */
  readonly problems: readonly DatasetProblem[];
}

/**
 * Finds a set and the layout that explains most of its files, and reads it by names and lists alone.
 * @throws DatasetError as `openDataset`, except for what images decide
 */
export function surveyDataset(nameOrFolder: string, options: SurveyOptions = {}): Survey {
  const located = locate(nameOrFolder, options.dataFolder ?? dataFolder());
  const entryOf = (root: string): RegisteredDataset | undefined =>
    located.entry ?? (root === located.root ? undefined : registeredDatasetOfFolder(path.basename(root)));
  const hintsFor = (root: string): LayoutHints => hintsOf(entryOf(root), options);
  const { chosen, candidates, leftOut, problems } =
    located.layout === undefined ? choose(located, hintsFor, options) : named(located, hintsFor, options);
  const entry = entryOf(chosen.root);
  return {
    name: entry?.name ?? located.name,
    folder: located.root,
    root: chosen.root,
    entry,
    layout: chosen.layout.name,
    reading: chosen.reading,
    candidates,
    leftOut,
    problems,
  };
}

function choose(
  { root, entry }: Located,
  hintsFor: (root: string) => LayoutHints,
  { layout, allowUnlabelled = false }: SurveyOptions,
): LayoutChoice {
  return chooseLayout(root, {
    hintsFor,
    entry,
    allowUnlabelled,
    only: layout === undefined ? undefined : layoutNamed(layout),
  });
}

/** A list that a person named is used as it is, whatever else is beside it. */
function named(
  { root, layout }: Located,
  hintsFor: (root: string) => LayoutHints,
  options: SurveyOptions,
): LayoutChoice {
  if (layout === undefined || (options.layout !== undefined && layoutNamed(options.layout).name !== layout.name)) {
    throw new DatasetError(
      'dataset/layout',
      `a CSV list is read by the layout csv, not by ${options.layout}; leave the layout out, or give the folder`,
      { layout: options.layout },
    );
  }
  const reading = layout.read(root, hintsFor(root));
  const explains = reading.categories.reduce((sum, { samples }) => sum + samples.length, 0);
  const chosen = { root, layout, reading, explains, score: explains };
  return { chosen, candidates: [chosen], leftOut: [], problems: [] };
}

function hintsOf(entry: RegisteredDataset | undefined, { normalWithoutMask, onProgress }: SurveyOptions): LayoutHints {
  return {
    category: entry?.categories.length === 1 ? (entry.categories[0] as string) : null,
    expectMasks: entry?.hasMasks ?? true,
    registered: entry !== undefined,
    unlabelled: entry?.native?.layout === 'yes-no' ? entry.native.unlabelled : undefined,
    normalWithoutMask,
    onProgress,
  };
}

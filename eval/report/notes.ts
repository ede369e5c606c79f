import type { BenchmarkResults, LeftOut } from '../benchmark/benchmark-results';
import { findRegisteredDataset } from '../../datasets/registry';

/** Problems of the sets that were scored, each sentence once. */
export function problemNotes({ datasets }: Pick<BenchmarkResults, 'datasets'>): string[] {
  return [...new Set(datasets.flatMap(({ problems = [] }) => problems))];
}

/** A set without figures; recipes that left it out for the same reason share one note. */
export interface LeftOutNote {
  readonly title: string;
  readonly recipes: readonly string[];
  readonly text: string;
}

/** What was left out, and why, in the order of the results. */
export function leftOutNotes({ leftOut }: Pick<BenchmarkResults, 'leftOut'>): LeftOutNote[] {
  const notes = new Map<string, { title: string; recipes: string[]; text: string }>();
  for (const entry of leftOut) {
    const text = textOf(entry);
    const key = JSON.stringify([entry.name, text]);
    const note = notes.get(key) ?? { title: findRegisteredDataset(entry.name)?.title ?? entry.name, recipes: [], text };
    note.recipes.push(entry.recipe);
    notes.set(key, note);
  }
  return [...notes.values()];
}

/** For a missing set, where to get it and where to put it; otherwise the error. */
function textOf({ message, get }: LeftOut): string {
  return get === undefined
    ? message.replace(/\s+/g, ' ')
    : `not on disk; get it from ${get.source} (licence: ${get.licence}) and unpack it to ${get.place}`;
}

/** Images that could not be read, row by row. */
export function unreadNotes({
  datasets,
}: Pick<BenchmarkResults, 'datasets'>): {
  readonly recipe: string;
  readonly title: string;
  readonly failures: readonly { readonly path: string; readonly message: string }[];
}[] {
  return datasets.flatMap(({ recipe, title, failures = [] }) =>
    failures.length === 0 ? [] : [{ recipe, title, failures }],
  );
}

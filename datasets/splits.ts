import * as path from 'node:path';

const testNames = new Set(['test', 'testing', 'tests', 'test_set', 'testset']);
const validationNames = new Set(['val', 'valid', 'validation', 'dev']);
const trainingNames = new Set(['train', 'training', 'trainval', 'train_set', 'trainset']);

export interface Split<Item> {
  /** What is scored. */
  readonly test: readonly Item[];
  /** Known, but reserved for training. */
  readonly others: readonly Item[];
}

/**
 * Which of several parts is the test split, by their names: the one called test; without one, that for validation, where
 * there is one for training beside it; else all of them.
 *
 * @param nameOf a folder's name, or a file's without suffix
 */
export function testSplitOf<Item>(parts: readonly Item[], nameOf: (part: Item) => string): Split<Item> {
  const called = (names: ReadonlySet<string>): readonly Item[] =>
    parts.filter((part) => words(nameOf(part)).some((word) => names.has(word)));
  const [test, validation, training] = [called(testNames), called(validationNames), called(trainingNames)];
  const chosen = test.length > 0 ? test : training.length > 0 && validation.length > 0 ? validation : parts;
  const known = new Set([...validation, ...training]);
  return { test: chosen, others: parts.filter((part) => !chosen.includes(part) && known.has(part)) };
}

/** Whether a folder has the name of a split, which says nothing about its content. */
export function isSplit(folder: string): boolean {
  const name = path.basename(folder).toLowerCase();
  return [testNames, validationNames, trainingNames].some((names) => names.has(name));
}

/** `instances_val2017` says val. */
function words(name: string): string[] {
  const lower = name.toLowerCase();
  return [lower, ...lower.split(/[^a-z]+/)];
}

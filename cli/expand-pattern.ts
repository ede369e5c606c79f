import { globSync } from 'tinyglobby';

/** Whether a name that matches no file could be a pattern that a shell would have expanded. */
export function isPattern(name: string): boolean {
  return /[*?{[]/.test(name);
}

/** Files and folders that match a pattern such as `parts/*.png`, in a fixed order, without hidden ones. */
export function expandPattern(pattern: string): string[] {
  // Order by code units: the same on every machine and in every locale.
  return globSync(pattern, { onlyFiles: false, expandDirectories: false }).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

import { globSync } from 'tinyglobby';

/** Whether a name that no file has could be a pattern, such as a shell would have expanded. */
export function isPattern(name: string): boolean {
  return /[*?{[]/.test(name);
}

/** Files and folders that a pattern such as `parts/*.png` means, in a fixed order; hidden ones left out. */
export function expandPattern(pattern: string): string[] {
  // Order by code units: the same on every machine and in every locale.
  return globSync(pattern, { onlyFiles: false, expandDirectories: false }).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

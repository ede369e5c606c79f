/**
 * Whether prompts were trained on a set, alone or among others, so that its figures would not be zero-shot.
 * @param auxiliary names of the sets that the prompts were trained on, separated by commas; null where unknown
 */
export function isAuxiliarySet(auxiliary: string | null, set: string): boolean {
  if (auxiliary === null) return false;
  const plain = (name: string): string => name.trim().toLowerCase();
  // A set may have a comma in its name.
  return [auxiliary, ...auxiliary.split(',')].map(plain).includes(plain(set));
}

/**
 * Whether prompts were trained on a set, alone or among others, so that its figures would not be zero-shot.
 * @param auxiliary names that the prompts say they were trained on, with commas between; null where they do not say
 */
export function isAuxiliarySet(auxiliary: string | null, set: string): boolean {
  if (auxiliary === null) return false;
  const plain = (name: string): string => name.trim().toLowerCase();
  // A set may have a comma in its name.
  return [auxiliary, ...auxiliary.split(',')].map(plain).includes(plain(set));
}

/**
 * Whether prompts were trained on a set, alone or among others, so that its figures would not be zero-shot.
 * @param auxiliary names that the prompts say they were trained on, with commas between; null where they do not say
 */
export function isAuxiliarySet(auxiliary: string | null, set: string): boolean {
  const names = (auxiliary ?? '').split(',').map((name) => name.trim().toLowerCase());
  return names.includes(set.toLowerCase());
}

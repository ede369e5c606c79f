/** Longer texts are cut where a message shows them. */
const LONGEST_SHOWN = 100;

/** A name out of a file, for a message: quoted where it holds anything but letters, digits and usual signs, and cut. */
export function shownName(name: string): string {
  const cut = name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name;
  return /^[\w.:/@+\- \u2026]*$/.test(cut) && cut !== '' ? cut : JSON.stringify(cut);
}

/** What a file holds instead of what was looked for, for a message. */
export function heldInstead(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined) return 'it holds no tensors';
  if (names.length === 1) return `it holds 1 tensor, ${shownName(first)}`;
  return `it holds ${names.length} tensors, such as ${names.slice(0, 3).map(shownName).join(', ')}`;
}

/** Quotes text for a shell where needed. */
export function shellWord(text: string): string {
  return /[^\w./@:,=+-]/.test(text) || text === '' ? `'${text.replaceAll("'", `'\\''`)}'` : text;
}

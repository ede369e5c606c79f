/**
 * Characters that would act on a terminal instead of being shown: control characters except tabs and line ends, marks
 * that change text direction or end a line, and lone surrogates.
 */
// eslint-disable-next-line no-control-regex
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/gu;
const LINE_ENDS = /[\t\n]/g;
const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** Text made safe for a terminal. Names of files and categories come from outside and may contain anything. */
export function shown(text: string): string {
  return text.replace(ACTING, escaped);
}

/** Like `shown`, for text that must stay on one line, such as a name. */
export function shownInLine(text: string): string {
  return shown(text).replace(LINE_ENDS, escaped);
}

/** A message with names inserted, whose line ends are not the message's. */
export function withNamesInLine(message: string, names: Iterable<unknown>): string {
  let text = message;
  for (const name of names) {
    if (typeof name === 'string' && /[\n\r]/.test(name)) text = text.replaceAll(name, shownInLine(name));
  }
  return text;
}

/** JSON with the same value, harmless to a terminal. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(ACTING, (character) => `\\u${hexadecimal(character, 4)}`);
}

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return SHORT[character] ?? (code < 0x100 ? `\\x${hexadecimal(character, 2)}` : `\\u${hexadecimal(character, 4)}`);
}

function hexadecimal(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, '0');
}

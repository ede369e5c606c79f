/** A text longer than this is cut. */
const LONGEST = 80;

/**
 * A value that came from a file, as a message may show it: short, on one line, and without looking inside, since a list may
 * be nested so deeply that writing it out ends the program, and an object may have no text at all.
 */
export function shownValue(value: unknown): string {
  switch (typeof value) {
    case 'string': return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
    case 'number': case 'boolean': case 'undefined': return String(value);
    case 'bigint': return value < 1n << 64n && value > -1n << 64n ? String(value) : 'an integer of more than 64 bits';
    case 'object': return value === null ? 'null' : Array.isArray(value) ? `a list of ${value.length}` : 'an object';
    case 'function': case 'symbol': return `a ${typeof value}`;
  }
}

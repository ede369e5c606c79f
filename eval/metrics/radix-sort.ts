/**
 * Sorting of millions of float32 scores: as 32-bit whole numbers in the same order, eleven bits at a time.
 */

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
const SIGN = 0x8000_0000;

/**
 * Writes the sort key of every float32 in place: larger score, larger key. -0 must have been made +0, and NaN refused.
 *
 * @param bits the bits of the scores, replaced by their keys
 */
export function scoresToKeys(bits: Uint32Array): void {
  for (let at = 0; at < bits.length; at++) {
    const value = bits[at] as number;
    bits[at] = value >= SIGN ? ~value : value ^ SIGN;
  }
}

/** The float32 score of a key. */
export function scoreOfKey(key: number): number {
  const bits = Uint32Array.of(key >= SIGN ? key ^ SIGN : ~key);
  return new Float32Array(bits.buffer)[0] as number;
}

/** The key of one float32 score. */
export function keyOfScore(score: number): number {
  const bits = new Uint32Array(Float32Array.of(score + 0).buffer);
  scoresToKeys(bits);
  return bits[0] as number;
}

/** Sorts keys ascending. The array given becomes working space: use only the result. Needs as much memory again. */
export function sortKeys(keys: Uint32Array): Uint32Array {
  let from: Uint32Array = keys;
  let to: Uint32Array = new Uint32Array(keys.length);
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    const starts = digitStarts(from, shift);
    if (starts === undefined) continue;
    scatter(from, to, starts, shift);
    [from, to] = [to, from];
  }
  return from;
}

export interface KeyedValues {
  readonly keys: Uint32Array;
  /** In step with the keys. */
  readonly values: Uint32Array;
}

/** Sorts keys ascending and moves values along; stable. What is given becomes working space, as with `sortKeys`. */
export function sortPairs(pairs: KeyedValues): KeyedValues {
  let from = pairs;
  let to: KeyedValues = { keys: new Uint32Array(pairs.keys.length), values: new Uint32Array(pairs.values.length) };
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    const starts = digitStarts(from.keys, shift);
    if (starts === undefined) continue;
    scatterPairs(from, to, starts, shift);
    [from, to] = [to, from];
  }
  return from;
}

/** Where the keys of each digit begin after this pass; undefined when all share one digit, so that nothing moves. */
function digitStarts(keys: Uint32Array, shift: number): Uint32Array | undefined {
  const starts = new Uint32Array(DIGITS);
  for (let at = 0; at < keys.length; at++) starts[((keys[at] as number) >>> shift) & (DIGITS - 1)]!++;
  if (starts.includes(keys.length)) return undefined;
  let start = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = starts[digit] as number;
    starts[digit] = start;
    start += count;
  }
  return starts;
}

function scatter(from: Uint32Array, to: Uint32Array, starts: Uint32Array, shift: number): void {
  for (let at = 0; at < from.length; at++) {
    const key = from[at] as number;
    to[starts[(key >>> shift) & (DIGITS - 1)]!++] = key;
  }
}

function scatterPairs(from: KeyedValues, to: KeyedValues, starts: Uint32Array, shift: number): void {
  const { keys: fromKeys, values: fromValues } = from;
  const { keys: toKeys, values: toValues } = to;
  for (let at = 0; at < fromKeys.length; at++) {
    const key = fromKeys[at] as number;
    const target = starts[(key >>> shift) & (DIGITS - 1)]!++;
    toKeys[target] = key;
    toValues[target] = fromValues[at] as number;
  }
}

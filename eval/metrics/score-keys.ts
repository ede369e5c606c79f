/**
 * Scores as 32-bit integers in the same order, so that pixels can be sorted and counted by the bits of their float32
 * scores. Equal keys mean equal scores; nothing is rounded.
 */

const SIGN = 0x8000_0000;

/** The key of a score from its bits as a signed integer; 0 and -0 share a key. Unsigned 32 bits. */
export function keyOfBits(bits: number): number {
  // The bits of -0, which is the same score as 0.
  if (bits === (SIGN | 0)) return SIGN;
  return (bits ^ ((bits >> 31) | SIGN)) >>> 0;
}

/** The float32 score of a key. */
export function scoreOfKey(key: number): number {
  const bits = Uint32Array.of(key >= SIGN ? key ^ SIGN : ~key);
  return new Float32Array(bits.buffer)[0] as number;
}

/** The key of one score, rounded to float32. */
export function keyOfScore(score: number): number {
  return keyOfBits(new Int32Array(Float32Array.of(score).buffer)[0] as number);
}

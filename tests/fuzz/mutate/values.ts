import type { Random } from '../random';

/** Numbers at which readers go wrong: ends of ranges, signs, and what rounds. */
const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  4n,
  7n,
  8n,
  16n,
  31n,
  32n,
  33n,
  64n,
  100n,
  127n,
  128n,
  255n,
  256n,
  1000n,
  4096n,
  32767n,
  32768n,
  65535n,
  65536n,
  1n << 20n,
  1n << 24n,
  (1n << 31n) - 1n,
  1n << 31n,
  (1n << 32n) - 1n,
  1n << 32n,
  1n << 40n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 53n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** A number for a field of `width` bytes: an edge, or a step away from what stands there. */
export function fieldValue(random: Random, width: number, found: bigint): bigint {
  const bits = 8 * width;
  const value = random.chance(0.45)
    ? found + BigInt(random.below(9) - 4)
    : random.chance(0.15)
      ? found * BigInt(1 + random.below(4))
      : random.chance(0.1)
        ? BigInt(random.below(0x10000))
        : random.pick(EDGES) - BigInt(random.chance(0.2) ? random.below(3) : 0);
  return BigInt.asUintN(bits, value);
}

/** Names that mean something to JavaScript, to file systems or to terminals, and some that are merely odd. */
export const HOSTILE_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'polluted',
  '__metadata__',
  'length',
  '0',
  '-1',
  '',
  ' ',
  '.',
  '..',
  '../escape',
  'a/../../escape',
  '/crane-fuzz-escape',
  'C:/escape',
  'a\\..\\escape',
  'a\0b',
  'x'.repeat(300),
  'y'.repeat(5000),
  '\u001b[31m',
  '\ud800',
  'é\u0301',
  '\u202e',
  'NUL',
  'good',
  'a/b/c',
  'weight',
  'null',
  'undefined',
  'true',
  '1e9',
  '%s',
  '$&',
  '\n',
];

/** Overwrites, cuts, repeats or inserts bytes anywhere: what no structure foresees. */
export function disturbBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length);
  const length = Math.min(1 + random.below(random.chance(0.8) ? 8 : 64), bytes.length - at);
  switch (random.below(6)) {
    case 0: {
      // a few bits
      const changed = Uint8Array.from(bytes);
      if (changed.length > 0) changed[at] = (changed[at] as number) ^ (1 << random.below(8));
      return changed;
    }
    case 1: {
      const changed = Uint8Array.from(bytes);
      for (let index = at; index < at + length; index++) changed[index] = random.chance(0.3) ? 0xff : random.below(256);
      return changed;
    }
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default:
      return Buffer.concat([
        bytes.subarray(0, at),
        Uint8Array.from({ length }, () => random.below(256)),
        bytes.subarray(at),
      ]);
  }
}

/** A number in a file at a known place. */
export interface Field {
  readonly at: number;
  readonly width: 1 | 2 | 4 | 8;
  readonly big?: boolean;
}

export function readField(bytes: Buffer, { at, width, big = false }: Field): bigint {
  let value = 0n;
  for (let index = 0; index < width; index++)
    value = (value << 8n) | BigInt(bytes[at + (big ? index : width - 1 - index)] ?? 0);
  return value;
}

export function writeField(bytes: Buffer, { at, width, big = false }: Field, value: bigint): void {
  for (let index = 0; index < width; index++) {
    const place = at + (big ? width - 1 - index : index);
    if (place < bytes.length) bytes[place] = Number((value >> BigInt(8 * index)) & 0xffn);
  }
}

/** Makes some fields lie: edges, small steps, or the value of another field. */
export function lieInFields(random: Random, bytes: Buffer, fields: readonly Field[]): void {
  if (fields.length === 0) return;
  for (let count = random.few(4); count > 0; count--) {
    const field = random.pick(fields);
    const from = random.chance(0.15) ? random.pick(fields) : field;
    const value = readField(bytes, from);
    writeField(bytes, field, from === field ? fieldValue(random, field.width, value) : value);
  }
}

/** Bytes by a rule; only the lowest eight bits of each value count. */
export function madeBytes(length: number, rule: (at: number) => number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = rule(at);
  return bytes;
}

export const randomBytes = (random: Random, length: number): Buffer => madeBytes(length, () => random.below(256));

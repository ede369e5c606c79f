import type { Random } from '../random';
import { disturbBytes, HOSTILE_NAMES } from './values';

/** JSON as it is written: keys may stand twice or be called `__proto__`, and a literal may be any text. */
export type Json =
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, Json])[] }
  | { readonly kind: 'array'; readonly items: readonly Json[] }
  | { readonly kind: 'literal'; readonly text: string };

export function jsonOf(value: unknown): Json {
  if (Array.isArray(value)) return { kind: 'array', items: value.map(jsonOf) };
  if (typeof value === 'object' && value !== null)
    return { kind: 'object', members: Object.entries(value).map(([key, member]) => [key, jsonOf(member)] as const) };
  return { kind: 'literal', text: JSON.stringify(value) };
}

export function textOf(json: Json): string {
  switch (json.kind) {
    case 'object':
      return `{${json.members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member)}`).join()}}`;
    case 'array':
      return `[${json.items.map(textOf).join()}]`;
    case 'literal':
      return json.text;
  }
}

const POLLUTION = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
const LITERALS: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '1',
  '2',
  '1.5',
  '1e308',
  '1e999',
  '-1e999',
  '1e-7',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551616',
  '4294967296',
  '[]',
  '{}',
  '[[]]',
  '""',
  '"0"',
  '"F32"',
  '"f32"',
  '"I64"',
  '"BOOL"',
  '"F8_E4M3"',
  '{"toString":1,"valueOf":2}',
  '{"toJSON":1}',
  '{"length":3}',
  POLLUTION,
  '[1,2,3]',
  '"\\u0000"',
  '"\\ud800"',
  '{"then":1}',
];
const BROKEN: readonly string[] = [
  'NaN',
  'Infinity',
  "'a'",
  '01',
  '+1',
  '.5',
  '1.',
  '"',
  '{',
  ']',
  '//',
  'undefined',
  '\u0000',
];

/** Changes some of the values and keys, now and then the text itself. @param words texts and keys that the reader knows */
export function mutateJson(random: Random, original: Json, words: readonly string[]): Buffer {
  let json = original;
  for (let round = random.few(5); round > 0; round--) json = mutateAnywhere(random, json, words);
  const bytes = Buffer.from(textOf(json));
  const disturbed = random.chance(0.06) ? disturbBytes(random, bytes) : bytes;
  return Buffer.from(random.chance(0.02) ? Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), disturbed]) : disturbed);
}

/** Goes down into a value, or changes it where it stands. */
function mutateAnywhere(random: Random, json: Json, words: readonly string[]): Json {
  const children = json.kind === 'object' ? json.members.length : json.kind === 'array' ? json.items.length : 0;
  if (children > 0 && random.chance(0.8)) {
    const at = random.below(children);
    if (json.kind === 'array')
      return { kind: 'array', items: json.items.with(at, mutateAnywhere(random, json.items[at] as Json, words)) };
    if (json.kind === 'object') {
      const [key, member] = json.members[at] as readonly [string, Json];
      return { kind: 'object', members: json.members.with(at, [key, mutateAnywhere(random, member, words)]) };
    }
  }
  return mutateHere(random, json, words);
}

function mutateHere(random: Random, json: Json, words: readonly string[]): Json {
  if (random.chance(0.2)) return made(random, words);
  switch (json.kind) {
    case 'array':
      return { kind: 'array', items: mutatedList(random, json.items, () => made(random, words)) };
    case 'object': {
      const { members } = json;
      if (members.length > 0 && random.chance(0.3)) {
        const at = random.below(members.length);
        return {
          kind: 'object',
          members: members.with(at, [name(random, words), (members[at] as readonly [string, Json])[1]]),
        };
      }
      return {
        kind: 'object',
        members: mutatedList(
          random,
          members,
          () =>
            [
              name(random, words),
              members.length > 0 && random.chance(0.5) ? random.pick(members)[1] : made(random, words),
            ] as const,
        ),
      };
    }
    case 'literal': {
      const number = Number(json.text);
      if (Number.isFinite(number) && random.chance(0.6))
        return {
          kind: 'literal',
          text: String(
            random.pick([number + 1, number - 1, -number, number * 2, number / 2, number + 4, number * 2 ** 20]),
          ),
        };
      if (json.text.startsWith('"') && random.chance(0.6))
        return { kind: 'literal', text: JSON.stringify(name(random, words)) };
      return made(random, words);
    }
  }
}

function mutatedList<T>(random: Random, items: readonly T[], make: () => T): readonly T[] {
  const at = random.below(items.length);
  switch (items.length === 0 ? 0 : random.below(4)) {
    case 0:
      return items.toSpliced(at, 0, make());
    case 1:
      return items.toSpliced(at, 1);
    case 2:
      return items.toSpliced(at, 0, items[at] as T);
    default: {
      const other = random.below(items.length);
      return items.with(at, items[other] as T).with(other, items[at] as T);
    }
  }
}

const name = (random: Random, words: readonly string[]): string =>
  random.pick(random.chance(0.5) && words.length > 0 ? words : HOSTILE_NAMES);

function made(random: Random, words: readonly string[]): Json {
  if (random.chance(0.03)) {
    // Deeper than a program that calls itself for each level can go.
    const depth = random.pick([50, 1000, 20_000]);
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ] as const);
    return { kind: 'literal', text: `${open.repeat(depth)}1${close.repeat(depth)}` };
  }
  if (random.chance(0.02)) return { kind: 'literal', text: JSON.stringify('z'.repeat(random.pick([1000, 100_000]))) };
  if (random.chance(0.04)) return { kind: 'literal', text: random.pick(BROKEN) };
  return {
    kind: 'literal',
    text: random.chance(0.25) && words.length > 0 ? JSON.stringify(random.pick(words)) : random.pick(LITERALS),
  };
}

import { WeightsError } from '../errors';
import { RandomAccessFile, readBytes } from '../files/byte-section';
import { shownName } from '../files/shown-name';

/** The index of a model in hundreds of files, or the header of one with tens of thousands of tensors. */
export const LARGEST_JSON = 10_000_000;
/** A tensor takes three: its own, its shape and its place; and four keys. */
const MOST_CONTAINERS = 150_000;
const MOST_KEYS = 200_000;
const DEEPEST = 64;

/**
 * Reads a file of JSON, such as an index of shards or a configuration: a regular file of no more than `LARGEST_JSON` bytes.
 * @throws WeightsError `weights/unreadable` for anything but a regular file, `weights/limit`, `weights/format`
 */
export function readJsonFile(path: string): unknown {
  const file = new RandomAccessFile(path);
  try {
    if (file.size > LARGEST_JSON) {
      throw new WeightsError(
        'weights/limit',
        `${path} has ${file.size} bytes; at most ${LARGEST_JSON} are read of JSON beside weights`,
        { path, size: file.size },
      );
    }
    return parseJson(
      readBytes(file, 0, file.size),
      (reason) => new WeightsError('weights/format', `${path}: it ${reason}`, { path }),
    );
  } finally {
    file.close();
  }
}

/**
 * Parses JSON that a stranger wrote: UTF-8, each key once in its object, and no deeper or fuller than weights need.
 * @param invalid makes the error from a reason such as "is not JSON"
 */
export function parseJson(bytes: Uint8Array, invalid: (reason: string) => WeightsError): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('is not JSON');
  }
  const written = survey(text, invalid);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('is not JSON');
  }
  // JSON.parse silently keeps the last of equal keys; other readers keep the first.
  if (countKeys(value) !== written) throw invalid(`gives the same key twice in one object${repeatedKey(text)}`);
  return value;
}

/** How many keys are written, before the text is parsed. */
function survey(text: string, invalid: (reason: string) => WeightsError): number {
  let [keys, containers, depth] = [0, 0, 0];
  for (const { sign } of signsIn(text)) {
    if (sign === ':' && ++keys > MOST_KEYS) throw invalid(`has more than ${MOST_KEYS} keys, and is not read`);
    if (sign === ':') continue;
    if (sign === '}' || sign === ']') depth--;
    else if (sign !== '"' && (++containers > MOST_CONTAINERS || ++depth > DEEPEST)) {
      throw invalid(
        `nests deeper than ${DEEPEST} levels or has more than ${MOST_CONTAINERS} lists and objects, and is not read`,
      );
    }
  }
  return keys;
}

interface Sign {
  /** The brackets, the colon, and the quote for a whole string. */
  readonly sign: string;
  readonly start: number;
  readonly end: number;
}

function* signsIn(text: string): Generator<Sign> {
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at);
    const start = at;
    if (sign === '"') {
      for (at++; at < text.length && text.charAt(at) !== '"'; at++) if (text.charAt(at) === '\\') at++;
    } else if (!'{}[]:'.includes(sign)) {
      continue;
    }
    yield { sign, start, end: at + 1 };
  }
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  let keys = Array.isArray(value) ? 0 : members.length;
  for (const member of members) keys += countKeys(member);
  return keys;
}

/** The first key that its object has twice, for the message. */
function repeatedKey(text: string): string {
  const open: Set<string>[] = [];
  let last = '';
  for (const { sign, start, end } of signsIn(text)) {
    const keys = open.at(-1);
    if (sign === '{' || sign === '[') open.push(new Set());
    else if (sign === '}' || sign === ']') open.pop();
    else if (sign === '"') last = text.slice(start + 1, end - 1);
    else if (keys?.has(last)) return `: ${shownName(last)}`;
    else keys?.add(last);
  }
  return '';
}

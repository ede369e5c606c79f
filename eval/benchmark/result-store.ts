import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeResults } from '../results';
import { canonicalJson, hashOfValue } from './canonical-json';

/** Raised whenever what is stored changes its form or meaning; what was stored before is then measured again. */
const STORE_VERSION = 1;

/**
 * Keeps what has been measured, so that a benchmark goes on where it was stopped. Each result lies in a file of its own,
 * written whole or not at all and named after everything that the result depends on. What depends on something else lies
 * in another file, so nothing has to be thrown away and nothing stale is taken for current.
 */
export class ResultStore {
  /** @param fresh ignore what is there; it is replaced as results come */
  constructor(
    private readonly folder: string,
    private readonly fresh = false,
  ) {}

  /** What was stored under a key in an earlier run, or by this one; undefined where nothing was, or not completely. */
  read<T>(key: object): T | undefined {
    if (this.fresh && !this.written.has(hashOfValue(key))) return undefined;
    try {
      const stored = JSON.parse(fs.readFileSync(this.fileOf(key), 'utf8'), reviveThresholds) as {
        readonly key: unknown;
        readonly value: T;
      } | null;
      return canonicalJson(stored?.key) === canonicalJson(versioned(key)) ? stored?.value : undefined;
    } catch {
      // Not there, or not readable: it will be made again.
      return undefined;
    }
  }

  /** @throws CraneError `results/unwritable` */
  write(key: object, value: unknown): void {
    writeResults(this.fileOf(key), { key: versioned(key), value }, 0);
    this.written.add(hashOfValue(key));
  }

  private readonly written = new Set<string>();

  private fileOf(key: object): string {
    return path.join(this.folder, `${hashOfValue(versioned(key)).slice(0, 32)}.json`);
  }
}

function versioned(key: object): object {
  return { ...key, store: STORE_VERSION };
}

/**
 * Curves begin at an infinite threshold and may end at the other infinity (see `Curve`), which JSON has as null.
 * For `JSON.parse`.
 */
export function reviveThresholds(name: string, value: unknown): unknown {
  if (name !== 'thresholds' || !Array.isArray(value)) return value;
  return value.map((threshold: unknown, place) => threshold ?? (place === 0 ? Infinity : -Infinity));
}

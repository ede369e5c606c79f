import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeResults } from '../results';
import { canonicalJson, hashOfValue } from './canonical-json';

/** Raised whenever stored results change in form or meaning; older results are then measured again. */
const STORE_VERSION = 1;

/**
 * Keeps what has been measured, so that a benchmark resumes where it was stopped. Each result is in a separate file,
 * written atomically and named after everything that the result depends on. A result that depends on something else is
 * in another file, so nothing needs to be deleted and nothing stale passes for current.
 */
export class ResultStore {
  /** @param fresh ignore stored results; new ones replace them */
  constructor(
    private readonly folder: string,
    private readonly fresh = false,
  ) {}

  /** The result stored under a key by this or an earlier run; undefined where there is none, or an incomplete one. */
  read<T>(key: object): T | undefined {
    if (this.fresh && !this.written.has(hashOfValue(key))) return undefined;
    try {
      const stored = JSON.parse(fs.readFileSync(this.fileOf(key), 'utf8'), reviveThresholds) as {
        readonly key: unknown;
        readonly value: T;
      } | null;
      return canonicalJson(stored?.key) === canonicalJson(versioned(key)) ? stored?.value : undefined;
    } catch {
      // Missing or unreadable: it will be measured again.
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
 * Curves begin at an infinite threshold and may end at the other infinity (see `Curve`), which JSON stores as null.
 * For `JSON.parse`.
 */
export function reviveThresholds(name: string, value: unknown): unknown {
  if (name !== 'thresholds' || !Array.isArray(value)) return value;
  return value.map((threshold: unknown, place) => threshold ?? (place === 0 ? Infinity : -Infinity));
}

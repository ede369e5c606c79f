import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../errors';
import { parseJson, readJsonFile } from './json-file';

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The folder of a weights file, or the folder given. */
export const folderOf = (source: string): string => (fs.statSync(source).isDirectory() ? source : path.dirname(source));

/**
 * A JSON object beside weights; undefined where there is no such file.
 * @throws WeightsError `weights/config` for a file that holds no JSON object, and what `readJsonFile` throws
 */
export function readJsonObject(file: string): Json | undefined {
  if (isAbsent(file)) return undefined;
  const value = readJsonFile(file);
  if (isObject(value)) return value;
  throw notAnObject(file);
}

/** Other obstacles, such as a dangling link, are left to the reader to report. */
function isAbsent(file: string): boolean {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

const notAnObject = (name: string): WeightsError =>
  new WeightsError('weights/config', `${name} is not a JSON object`, { path: name });

/** @param name what the text is, for the message. @throws WeightsError `weights/config` */
export function parseJsonObject(text: string, name: string): Json {
  const value = parseJson(Buffer.from(text), () => notAnObject(name));
  if (isObject(value)) return value;
  throw notAnObject(name);
}

/** Says that something is not set: an unknown field with such a value switches nothing on. */
const isOff = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value as object).length === 0);

/**
 * One object of a configuration, whose fields are read one by one. What cannot be honoured is refused by name, and so, at
 * the end, is any field that was not read: an unknown field might change what the network computes.
 */
export class ConfigurationFields {
  private readonly known = new Set<string>();

  /**
   * @param file for messages
   * @param section where the object is in the file, such as `model_cfg.vision_cfg`; empty for the whole file
   */
  constructor(
    readonly file: string,
    readonly section: string,
    private readonly fields: Json,
  ) {}

  /** The value as it is; undefined where it is left out or null. */
  value(name: string): unknown {
    this.known.add(name);
    return Object.hasOwn(this.fields, name) ? (this.fields[name] ?? undefined) : undefined;
  }

  /** An object below a name; without one an empty object. @throws WeightsError `weights/config` for another value */
  below(name: string): ConfigurationFields {
    const value = this.value(name) ?? {};
    if (!isObject(value)) throw this.refusal(name, 'an object');
    return new ConfigurationFields(this.file, this.spell(name), value);
  }

  /** @throws WeightsError `weights/config` for anything but text */
  text(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.refusal(name, 'a text');
  }

  /** @throws WeightsError `weights/config` for anything but true or false */
  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.refusal(name, 'true or false');
  }

  /** @throws WeightsError `weights/config` for anything but a finite number above 0 */
  positive(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value) && value > 0)) return value;
    throw this.refusal(name, 'a number above 0');
  }

  /** @throws WeightsError `weights/config` for anything but a whole number of 1 or more */
  count(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) return value;
    throw this.refusal(name, 'a whole number, 1 or more');
  }

  /** Refuses every value but these. Left out, a field has the first of them. @throws WeightsError `weights/config` */
  only(name: string, ...legal: readonly unknown[]): void {
    const value = this.value(name);
    if (value === undefined || legal.some((one) => JSON.stringify(one) === JSON.stringify(value))) return;
    throw this.refusal(
      name,
      `${legal.map((one) => JSON.stringify(one)).join(' or ')}, the only ${legal.length === 1 ? 'value' : 'values'} that can be computed here`,
    );
  }

  /** Refuses a field that is set at all. @throws WeightsError `weights/config` */
  unset(...names: readonly string[]): void {
    for (const name of names) {
      const value = this.value(name);
      if (value !== undefined && !isOff(value)) throw this.refusal(name, 'nothing, since it cannot be computed here');
    }
  }

  /** Refuses a size that is not the weights' own. @throws WeightsError `weights/config` */
  same(name: string, found: number | readonly number[] | string): void {
    const value = this.value(name);
    if (value === undefined || JSON.stringify(value) === JSON.stringify(found)) return;
    throw this.refusal(name, `${JSON.stringify(found)}, as the weights have it; they belong to another configuration`);
  }

  /** Fields that change nothing that is computed here. */
  ignore(names: readonly string[] | RegExp): void {
    const matching = names instanceof RegExp ? Object.keys(this.fields).filter((name) => names.test(name)) : names;
    matching.forEach((name) => this.known.add(name));
  }

  /** Refuses fields that were not read and are set. @throws WeightsError `weights/config` */
  finish(): void {
    const unknown = Object.entries(this.fields).find(([name, value]) => !this.known.has(name) && !isOff(value));
    if (unknown === undefined) return;
    const [name, value] = unknown;
    throw new WeightsError(
      'weights/config',
      `${this.file}: ${this.spell(name)} is ${shown(value)}; the field is unknown and might change what the network computes. ` +
        'If it does not, take it out of the file.',
      { path: this.file, field: this.spell(name), found: value },
    );
  }

  /** That a field has a value which cannot be honoured. */
  refusal(name: string, expected: string): WeightsError {
    const value = this.fields[name];
    return new WeightsError(
      'weights/config',
      `${this.file}: ${this.spell(name)} is ${shown(value)}; expected ${expected}`,
      { path: this.file, field: this.spell(name), found: value, expected },
    );
  }

  private spell(name: string): string {
    return this.section === '' ? name : `${this.section}.${name}`;
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

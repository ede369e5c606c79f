import type { Argv, Options } from 'yargs';
import { z } from 'zod';
import { UsageError } from '../lib/errors';
import { DEFAULT_METHOD, methods, type MethodOptionsInput } from '../lib/methods/registry';
import { dashed } from './option-flags';

interface MethodOption {
  readonly schema: unknown;
  readonly describe: string;
  /** The heading that it stands below in the help. */
  readonly group: string;
}

/** The options of all methods by name. `spatial` names weights, too, and is an option of every command. */
const OPTIONS: ReadonlyMap<string, MethodOption> = new Map(
  methods
    .flatMap(({ name, title, options }) =>
      Object.entries(options.shape).map(([option, schema]): [string, MethodOption] => [
        option,
        {
          schema: withoutDefault(schema),
          describe: (schema as z.ZodType).description ?? '',
          group: name === DEFAULT_METHOD ? 'Model:' : `${title}:`,
        },
      ]),
    )
    .filter(([option], place, all) => option !== 'spatial' && all.findIndex(([other]) => other === option) === place),
);

/** The method fills in what is not given. */
function withoutDefault(schema: unknown): unknown {
  return schema instanceof z.ZodDefault ? withoutDefault(schema.unwrap()) : schema;
}

/** An option of each method's for a command, as its schema has it: numbers, choices, yes or no, lists with commas. */
export function methodFlags<T>(argv: Argv<T>): Argv<T> {
  const flags = [...OPTIONS].map(([name, { schema, describe, group }]): [string, Options] => [
    dashed(name),
    { describe, group, ...kindOf(schema) },
  ]);
  return argv.options(Object.fromEntries(flags)) as unknown as Argv<T>;
}

function kindOf(schema: unknown): Options {
  if (schema instanceof z.ZodBoolean) return { type: 'boolean' };
  if (schema instanceof z.ZodEnum) return { choices: schema.options };
  return { type: schema instanceof z.ZodArray ? 'string' : 'number' };
}

/** Whether an option takes several numbers. */
export function isListOption(name: string): boolean {
  return OPTIONS.get(name)?.schema instanceof z.ZodArray;
}

/**
 * The options of methods among a command's arguments; what was not given is left out.
 * @throws UsageError for lists that are not of numbers; the rest is checked when the model is loaded
 */
export function methodOptionsFrom(args: object): Omit<MethodOptionsInput, 'spatial'> {
  const values = args as Readonly<Record<string, unknown>>;
  const given = [...OPTIONS.keys()].filter((name) => values[name] !== undefined);
  return Object.fromEntries(
    given.map((name) => [name, isListOption(name) ? numbersOf(name, String(values[name])) : values[name]]),
  );
}

function numbersOf(name: string, text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.every((part) => /^[1-9]\d*$/.test(part))) return parts.map(Number);
  throw new UsageError(
    'usage/options',
    `--${dashed(name)} ${text}: expected whole numbers from 1 with commas: ${OPTIONS.get(name)?.describe}`,
    { found: text },
  );
}

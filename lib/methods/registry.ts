import type { z } from 'zod';
import { UsageError } from '../errors';
import { definedOptions } from '../defined-options';
import { nearestName } from '../nearest-name';
import { optionsError } from '../option-errors';
import { craneMethod } from './crane';
import { winclipMethod } from './winclip';
import type { Method } from './method';

/** Every method by its name. To add a method, add its folder and a line here. */
const METHODS = { crane: craneMethod, winclip: winclipMethod };

/** How anomalies are found, by the name that `method` takes. */
export type MethodName = keyof typeof METHODS;
/** The names of all methods. */
export const METHOD_NAMES = Object.keys(METHODS) as readonly MethodName[];
export const DEFAULT_METHOD: MethodName = 'crane';

type SchemaOf<Name extends MethodName> = (typeof METHODS)[Name]['options'];
type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never;

/** The options of all methods together; a caller gives options of one method, or none. */
export type MethodOptionsInput = Together<
  { readonly [Name in MethodName]: Partial<z.input<SchemaOf<Name>>> }[MethodName]
>;

type TrainingSchemaOf<Name extends MethodName> = (typeof METHODS)[Name] extends {
  readonly training: { readonly options: infer Schema extends z.ZodType };
}
  ? Schema
  : never;

/**
 * The training options specific to each method, together, as methods complete them.
 * @interface
 */
export type LearningOptions = Together<{ readonly [Name in MethodName]: z.output<TrainingSchemaOf<Name>> }[MethodName]>;
/**
 * The same, as callers give them.
 * @interface
 */
export type LearningOptionsInput = Together<
  { readonly [Name in MethodName]: Partial<z.input<TrainingSchemaOf<Name>>> }[MethodName]
>;

/** A method's name with its options as it completes them. */
export type MethodOptions = {
  readonly [Name in MethodName]: { readonly method: Name; readonly options: z.output<SchemaOf<Name>> };
}[MethodName];

/** Every method, for lists and messages that cover all of them. */
export const methods: readonly Method[] = Object.values(METHODS);

/** @throws UsageError that lists the known methods */
export function methodNamed(name: string = DEFAULT_METHOD): Method {
  const known: Readonly<Record<string, Method>> = METHODS;
  const method = Object.hasOwn(known, name) ? known[name] : undefined;
  if (method !== undefined) return method;
  const near = nearestName(name.toLowerCase(), METHOD_NAMES);
  throw new UsageError(
    'usage/method',
    `there is no method "${name}". Known: ${METHOD_NAMES.join(', ')}.${near === undefined ? '' : ` Did you mean ${near}?`}`,
    { found: name, known: METHOD_NAMES },
  );
}

/**
 * Checks a method's options as far as possible without a backbone, before anything is loaded.
 * @throws UsageError naming the option, what was found and what is allowed
 */
export function checkMethodOptions({ name, options: schema }: Method, input: object): void {
  const { shape } = schema;
  const given = definedOptions(input);
  const foreign = Object.keys(given).filter(
    (option) => !Object.hasOwn(shape, option) && methods.some((other) => Object.hasOwn(other.options.shape, option)),
  );
  if (foreign.length > 0) {
    throw new UsageError(
      'usage/options',
      `${foreign.map((option) => `\`${option}\``).join(', ')}: the method ${name} has no such option; it has ${Object.keys(
        shape,
      )
        .map((option) => `\`${option}\``)
        .join(', ')}`,
      { method: name, found: foreign, expected: Object.keys(shape) },
    );
  }
  const parsed = schema.partial().safeParse(given);
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
}

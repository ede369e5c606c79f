import type { z } from 'zod';
import { UsageError } from './errors';

type Issue = z.core.$ZodIssue;

/**
 * What a schema finds wrong, in a sentence for each option, under the option's name.
 * @param input what was given
 */
export function optionsError(issues: readonly Issue[], input: Readonly<Record<string, unknown>>): UsageError {
  const message = issues
    .map(
      (issue) =>
        `\`${issue.path.join('.') || 'options'}\` ${foundAt(input, issue.path)}: expected ${expectedBy(issue)}`,
    )
    .join('\n');
  return new UsageError('usage/options', message, { issues });
}

function foundAt(input: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce(
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Readonly<Record<PropertyKey, unknown>>)[key] : undefined,
    input,
  );
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'not given');
}

function expectedBy(issue: Issue): string {
  switch (issue.code) {
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${entriesOf(issue.origin, issue.minimum)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${entriesOf(issue.origin, issue.maximum)}`;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected;
    default:
      return issue.message;
  }
}

function entriesOf(origin: string, count: number | bigint): string {
  return origin !== 'array' ? '' : Number(count) === 1 ? ' entry' : ' entries';
}

const KINDS: Readonly<Record<string, string>> = {
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  string: 'a text',
};

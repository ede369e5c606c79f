import type { Argv } from 'yargs';

/** An example: what it does, and the command line. */
export type Example = readonly [what: string, command: string];

/** Adds examples below the help, each command on a separate line, so that narrow terminals do not break them. */
export function withExamples<T>(argv: Argv<T>, examples: readonly Example[]): Argv<T> {
  return argv.epilogue(
    ['Examples:', ...examples.flatMap(([what, command]) => [`  ${command}`, `      ${what}`])].join('\n'),
  );
}

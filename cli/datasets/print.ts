import type { Argv } from 'yargs';
import type { ExpectedCounts } from '../../datasets/registry';

export interface JsonOption {
  readonly json: boolean;
}

export const withJson = <T>(yargs: Argv<T>): Argv<T & JsonOption> =>
  yargs.option('json', {
    type: 'boolean',
    default: false,
    describe: 'One JSON value on standard output instead of text',
  });

export { print, printJson } from '../../terminal/output';

/** Normal and anomalous images, as `467 / 1258`. */
export function countsText({ normal, anomalous }: { readonly normal: number; readonly anomalous: number }): string {
  return `${normal} / ${anomalous}`;
}

/** Like `countsText`, with `~` before counts that are quoted, not verified. */
export function expectedText(expected: ExpectedCounts | null): string {
  return expected === null ? '' : `${expected.sure ? '' : '~'}${countsText(expected)}`;
}

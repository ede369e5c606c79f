import type { Argv } from 'yargs';
import { layoutNamed } from '../datasets/choose-layout';
import { layouts } from '../datasets/layouts';
import { bareFolderLayout } from '../datasets/layouts/bare-folder';
import { print } from './output';

/** What `setOptions` adds to a command's arguments. */
export interface SetArguments {
  layout?: string | undefined;
  normalWithoutMask?: boolean | undefined;
}

/** Options for reading a data set: the same for every command that reads one. */
export function setOptions<T>(argv: Argv<T>, group: string): Argv<T & SetArguments> {
  return argv
    .option('layout', {
      type: 'string',
      defaultDescription: 'the one that explains most files',
      describe: 'how the set is arranged on disk; "list" shows the layouts',
      group,
    })
    .option('normal-without-mask', {
      type: 'boolean',
      describe: 'treat images without a mask as normal, in sets where only masks mark anomalies',
      group,
    }) as unknown as Argv<T & SetArguments>;
}

/** The options given, as `openDataset` takes them. @throws UsageError for an unknown layout */
export function setOptionsFrom({ layout, normalWithoutMask }: SetArguments): {
  layout?: string;
  normalWithoutMask?: boolean;
} {
  return {
    ...(layout === undefined ? {} : { layout: layoutNamed(layout).name }),
    ...(normalWithoutMask === undefined ? {} : { normalWithoutMask }),
  };
}

/** Shows the layouts if they were requested, and returns whether they were; the command then ends. */
export function showedLayouts({ layout }: SetArguments): boolean {
  if (layout !== 'list') return false;
  for (const { name, looksFor } of [...layouts, bareFolderLayout]) print(`${name.padEnd(14)}${looksFor}`);
  return true;
}

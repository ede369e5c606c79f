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

/** Options that say how a set of images is read: the same for every command that reads one. */
export function setOptions<T>(argv: Argv<T>, group: string): Argv<T & SetArguments> {
  return argv
    .option('layout', {
      type: 'string',
      defaultDescription: 'the one that explains most files',
      describe: 'how the set lies on disk; list names the layouts',
      group,
    })
    .option('normal-without-mask', {
      type: 'boolean',
      describe: 'images without a mask are normal, where only masks say which are not',
      group,
    }) as unknown as Argv<T & SetArguments>;
}

/** What was given, as `openDataset` takes it. @throws UsageError for a layout that there is not */
export function setOptionsFrom({ layout, normalWithoutMask }: SetArguments): {
  layout?: string;
  normalWithoutMask?: boolean;
} {
  return {
    ...(layout === undefined ? {} : { layout: layoutNamed(layout).name }),
    ...(normalWithoutMask === undefined ? {} : { normalWithoutMask }),
  };
}

/** Whether the layouts are asked for, which are shown then and nothing else is done. */
export function showedLayouts({ layout }: SetArguments): boolean {
  if (layout !== 'list') return false;
  for (const { name, looksFor } of [...layouts, bareFolderLayout]) print(`${name.padEnd(14)}${looksFor}`);
  return true;
}

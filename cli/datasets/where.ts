import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../lib/errors';
import { dataFolder, findDatasetFolder } from '../../datasets/data-folder';
import { findRegisteredDataset, registeredDatasets, type RegisteredDataset } from '../../datasets/registry';
import { howToGet } from './list';
import { print, printJson, withJson, type JsonOption } from './print';

export const whereCommand: CommandModule<object, JsonOption & { name: string }> = {
  command: 'where <name>',
  describe: 'Show where a set comes from, its licence, and where to put it',
  builder: (yargs) =>
    withJson(yargs).positional('name', { type: 'string', demandOption: true, describe: 'Registered name' }),
  handler: ({ name, json }) => {
    const entry = registeredEntry(name);
    const data = dataFolder();
    const folder = findDatasetFolder(entry, data);
    const place = folder ?? path.join(data, entry.folders[0] ?? entry.name);
    if (json) return printJson({ ...entry, get: howToGet(entry), present: folder !== undefined, place }, 2);
    print(describeWhere(entry, place, folder !== undefined));
  },
};

/** The entry with a name. @throws UsageError that lists the known names */
export function registeredEntry(name: string): RegisteredDataset {
  const entry = findRegisteredDataset(name);
  const names = registeredDatasets.map((item) => item.name);
  if (entry === undefined)
    throw new UsageError('dataset/unknown-name', `no set is registered as "${name}". Known: ${names.join(', ')}.`, {
      name,
      names,
    });
  return entry;
}

function describeWhere(entry: RegisteredDataset, place: string, present: boolean): string {
  const expected =
    entry.expected &&
    `${entry.expected.normal} normal and ${entry.expected.anomalous} anomalous images${entry.expected.sure ? '' : ' (as commonly quoted)'}`;
  return [
    `${entry.title} (${entry.kind})`,
    `  from      ${entry.source}`,
    `  licence   ${entry.licence}`,
    `  get it    ${howToGet(entry)}`,
    `  download  ${entry.downloadSize ?? 'size unknown'}`,
    `  test      ${expected ?? 'number of images unknown'}; ${entry.hasMasks ? 'with masks' : 'labels per image only, no masks'}`,
    `  forms     ${entry.layouts.join(', ')}; in a folder named ${entry.folders.join(' or ')}, or in any other, given by path`,
    `  ${present ? 'here     ' : 'goes to  '} ${place}`,
  ].join('\n');
}

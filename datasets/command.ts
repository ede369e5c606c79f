import * as path from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { createProgressReporter } from '../cli/progress-bar';
import { formatTable } from '../cli/table';
import { UsageError } from '../lib/errors';
import { checkDataset, type DatasetReport } from './check';
import { dataFolder, findDatasetFolder } from './data-folder';
import { openDataset } from './dataset';
import { drawnSetNames, drawSet } from './ensure-synthetic';
import { findRegisteredDataset, registeredDatasets, type RegisteredDataset } from './registry';
import type { DatasetProblem } from './sample';

interface JsonOption {
  readonly json: boolean;
}

const withJson = <T>(yargs: Argv<T>): Argv<T & JsonOption> =>
  yargs.option('json', { type: 'boolean', default: false, describe: 'One JSON value on standard output instead of text' });

const listCommand: CommandModule<object, JsonOption> = {
  command: 'list',
  describe: 'All registered sets, and which of them are in the data folder',
  builder: (yargs) => withJson(yargs),
  handler: ({ json }) => {
    const data = dataFolder();
    const entries = registeredDatasets.map((entry) => ({ ...entry, folder: findDatasetFolder(entry, data) ?? null }));
    if (json) return print(JSON.stringify({ dataFolder: data, datasets: entries }, null, 2));
    const rows = entries.map((entry) => [
      entry.name,
      entry.title,
      entry.kind,
      entry.categories.length > 0 ? String(entry.categories.length) : '',
      entry.expected ? `${entry.expected.sure ? '' : '~'}${entry.expected.normal} / ${entry.expected.anomalous}` : '',
      entry.hasMasks ? 'yes' : 'no',
      entry.licence,
      entry.folder === null ? '-' : 'present',
    ]);
    print(`Data folder: ${data}\n`);
    print(formatTable([
      { title: 'name' }, { title: 'set' }, { title: 'kind' }, { title: 'categories', align: 'right' },
      { title: 'normal / anomalous', align: 'right' }, { title: 'masks' }, { title: 'licence' }, { title: 'here' },
    ], rows));
    print('\n~ as commonly quoted, not counted. "crane datasets where NAME" says where to get a set.');
  },
};

const checkCommand: CommandModule<object, JsonOption & { set: string; categories?: string[] }> = {
  command: 'check <set>',
  describe: 'Open every file of a set, match every mask, count, and list what is wrong',
  builder: (yargs) =>
    withJson(yargs)
      .positional('set', { type: 'string', demandOption: true, describe: 'Registered name, or a folder' })
      .option('categories', { type: 'string', array: true, describe: 'Only these categories' }) as Argv<JsonOption & { set: string }>,
  handler: async ({ set, json, categories }) => {
    const dataset = await openDataset(set, { allowIncomplete: true, ...(categories && { categories }) });
    const report = await checkDataset(dataset, createProgressReporter(process.stderr, { json }));
    if (json) print(JSON.stringify(report, null, 2));
    else printReport(report);
    if (report.problems.some((problem) => problem.severity === 'error')) process.exitCode = 1;
  },
};

const synthesizeCommand: CommandModule<object, JsonOption & { out: string; seed: number }> = {
  command: 'synthesize',
  describe: `Draw ${drawnSetNames.join(' and ')}`,
  builder: (yargs) =>
    withJson(yargs)
      .option('out', { type: 'string', default: dataFolder(), defaultDescription: 'the data folder', describe: 'Folder to write both sets into; a set of that name there is replaced' })
      .option('seed', { type: 'number', default: 0, describe: 'Another seed draws other images of the same kinds' }),
  handler: async ({ out, seed, json }) => {
    if (!Number.isInteger(seed) || seed < 0) throw new UsageError('usage/seed', `--seed is a whole number from 0, found ${seed}`, { seed });
    const onProgress = createProgressReporter(process.stderr, { json });
    const folders: string[] = [];
    for (const name of drawnSetNames) folders.push(await drawSet(name, path.resolve(out), { seed, onProgress }));
    if (json) print(JSON.stringify({ seed, folders }));
    else folders.forEach((folder) => print(folder));
  },
};

const whereCommand: CommandModule<object, JsonOption & { name: string }> = {
  command: 'where <name>',
  describe: 'Where a set comes from, its licence, and where it goes',
  builder: (yargs) => withJson(yargs).positional('name', { type: 'string', demandOption: true, describe: 'Registered name' }),
  handler: ({ name, json }) => {
    const entry = findRegisteredDataset(name);
    const names = registeredDatasets.map((item) => item.name);
    if (entry === undefined) throw new UsageError('dataset/unknown-name', `no set is registered as "${name}". Known: ${names.join(', ')}.`, { name, names });
    const data = dataFolder();
    const folder = findDatasetFolder(entry, data);
    const place = folder ?? path.join(data, entry.folders[0] ?? entry.name);
    if (json) return print(JSON.stringify({ ...entry, present: folder !== undefined, place }, null, 2));
    print(describeWhere(entry, place, folder !== undefined));
  },
};

/** `crane datasets list|check|synthesize|where`. */
export const datasetsCommand: CommandModule = {
  command: 'datasets',
  describe: 'Known sets of images: which are there, whether they are whole, where to get them',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(checkCommand)
      .command(synthesizeCommand)
      .command(whereCommand)
      .demandCommand(1, 'Say what to do: list, check, synthesize or where.'),
  handler: () => undefined,
};

function describeWhere(entry: RegisteredDataset, place: string, present: boolean): string {
  const expected = entry.expected && `${entry.expected.normal} normal and ${entry.expected.anomalous} anomalous images${entry.expected.sure ? '' : ' (as commonly quoted)'}`;
  return [
    `${entry.title} (${entry.kind})`,
    `  from      ${entry.source}`,
    `  licence   ${entry.licence}`,
    `  download  ${entry.downloadSize ?? 'size not known'}`,
    `  test      ${expected ?? 'number of images not known'}; ${entry.hasMasks ? 'with masks' : 'labels per image only, no masks'}`,
    `  forms     ${entry.layouts.join(', ')}; folder called ${entry.folders.join(' or ')}`,
    `  ${present ? 'here     ' : 'goes to  '} ${place}`,
  ].join('\n');
}

/** Longer lists are for `--json`. */
const shownProblems = 20;

function printReport(report: DatasetReport): void {
  print(`${report.name}: ${report.root}`);
  print(`Layout ${report.layout}${report.hasMasks ? '' : '; labels per image only, no masks'}\n`);
  const cells = (name: string, counts: DatasetReport['counts']): string[] => [name, ...[counts.images, counts.normal, counts.anomalous, counts.masks].map(String)];
  const rows = report.categories.map((category) => [...cells(category.name, category), shortList(category.defects)]);
  const sum = report.categories.length > 1 ? [null, cells('all', report.counts)] : [];
  print(formatTable([
    { title: 'category' }, { title: 'images', align: 'right' }, { title: 'normal', align: 'right' },
    { title: 'anomalous', align: 'right' }, { title: 'masks', align: 'right' }, { title: 'kinds of defects' },
  ], [...rows, ...sum]));
  const errors = report.problems.filter((problem) => problem.severity === 'error');
  const warnings = report.problems.filter((problem) => problem.severity === 'warning');
  printProblems('error', errors);
  printProblems('warning', warnings);
  if (report.problems.length === 0) print('\nEvery file was opened and nothing is wrong.');
}

/** Drawn sets have twenty kinds of defects, wider than any terminal. */
function shortList(names: readonly string[]): string {
  return names.length <= 6 ? names.join(', ') : `${names.length} kinds: ${names.slice(0, 4).join(', ')}, …`;
}

function printProblems(title: string, problems: readonly DatasetProblem[]): void {
  if (problems.length === 0) return;
  print(`\n${problems.length} ${title}${problems.length === 1 ? '' : 's'}:`);
  problems.slice(0, shownProblems).forEach((problem) => print(`  ${problem.message}`));
  if (problems.length > shownProblems) print(`  and ${problems.length - shownProblems} more; --json lists all`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

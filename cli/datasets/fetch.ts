import type { CommandModule } from 'yargs';
import { withExamples } from '../../terminal/examples';
import { interruptible } from '../../terminal/interrupt';
import { say } from '../../terminal/output';
import { createProgressReporter } from '../../terminal/progress-bar';
import { countSamples, openDataset } from '../../datasets/dataset';
import { fetchDataset } from '../../datasets/fetch';
import { registeredDatasets } from '../../datasets/registry';
import { countsText, expectedText, print, printJson, withJson, type JsonOption } from './print';
import { registeredEntry } from './where';

interface FetchArguments extends JsonOption {
  name: string;
  acceptLicense: boolean;
  keepArchives: boolean;
}

const fetchable = registeredDatasets.filter(({ archives }) => archives.length > 0).map(({ name }) => name);

export const fetchCommand: CommandModule<object, FetchArguments> = {
  command: 'fetch <name>',
  describe: `Download a set from its official address: ${fetchable.join(', ')}`,
  builder: (yargs) =>
    withExamples(
      withJson(yargs)
        .positional('name', { type: 'string', demandOption: true, describe: 'Registered name' })
        .option('accept-license', {
          type: 'boolean',
          default: false,
          describe: 'Confirm that you have read and accept the terms of the set; without this, they are shown',
        })
        .option('keep-archives', {
          type: 'boolean',
          default: false,
          describe: 'Keep the downloaded archives in .downloads in the data folder',
        }) as never,
      [
        ['show the licence of a set', 'crane datasets fetch visa'],
        ['download it, or resume an earlier download', 'crane datasets fetch visa --accept-license'],
      ],
    ) as never,
  handler: async ({ name, json, acceptLicense, keepArchives }) => {
    const entry = registeredEntry(name);
    const onProgress = createProgressReporter(process.stderr, { json });
    const { folder, fetched } = await interruptible((signal) =>
      fetchDataset(entry, {
        acceptLicense,
        keepArchives,
        onProgress,
        signal,
        onWait: (holder) => say(`${entry.name} is being fetched by process ${holder?.pid ?? '?'}; waiting for it`),
      }),
    );
    const dataset = await openDataset(entry.name, { allowIncomplete: true, onProgress });
    const counts = countSamples(dataset.categories);
    if (json) return printJson({ name: entry.name, folder, fetched, counts, problems: dataset.problems }, 2);
    print(`${entry.title} ${fetched ? 'is in' : 'was already in'} ${folder}`);
    print(`Licence: ${entry.licence}`);
    print(
      `Found ${countsText(counts)} normal and anomalous images, expected ${expectedText(entry.expected)}. "crane datasets check ${entry.name}" opens every file.`,
    );
    if (dataset.problems.some(({ severity }) => severity === 'error')) process.exitCode = 1;
  },
};

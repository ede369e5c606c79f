import type { CommandModule } from 'yargs';
import { withExamples } from '../../terminal/examples';
import { createProgressReporter } from '../../terminal/progress-bar';
import { formatTable } from '../../terminal/table';
import { CraneError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { dataFolder, findDatasetFolder } from '../../datasets/data-folder';
import { countSamples, openDataset } from '../../datasets/dataset';
import { registeredDatasets, type RegisteredDataset } from '../../datasets/registry';
import type { DatasetCounts } from '../../datasets/sample';
import { countsText, expectedText, print, printJson, withJson, type JsonOption } from './print';

/** What was found on disk of a registered set. */
interface Found {
  readonly folder: string;
  readonly layout: string | null;
  readonly counts: DatasetCounts | null;
  /** Problems visible from its file names; null where there are none. */
  readonly trouble: string | null;
}

export const listCommand: CommandModule<object, JsonOption> = {
  command: 'list',
  describe: 'All registered sets: expected and found counts, licence, address, and how to get them',
  builder: (yargs) =>
    withExamples(withJson(yargs), [
      ['all registered sets, and which are present', 'crane datasets list'],
      ['sets in another folder', 'CRANE_DATA=/mnt/sets crane datasets list'],
    ]),
  handler: async ({ json }) => {
    const data = dataFolder();
    const onProgress = createProgressReporter(process.stderr, { json });
    const entries: { entry: RegisteredDataset; found: Found | null }[] = [];
    for (const entry of registeredDatasets) entries.push({ entry, found: await lookAt(entry, data, onProgress) });
    if (json)
      return printJson(
        {
          dataFolder: data,
          datasets: entries.map(({ entry, found }) => ({
            ...entry,
            get: howToGet(entry),
            folder: found?.folder ?? null,
            found,
          })),
        },
        2,
      );
    print(`Data folder: ${data}\n`);
    print(
      formatTable(
        [
          { title: 'name' },
          { title: 'set' },
          { title: 'categories', align: 'right' },
          { title: 'expected', align: 'right' },
          { title: 'found', align: 'right' },
          { title: 'masks' },
        ],
        entries.map(({ entry, found }) => [
          entry.name,
          entry.title,
          String(entry.categories.length || ''),
          expectedText(entry.expected),
          found === null ? '-' : found.counts === null ? '?' : countsText(found.counts),
          entry.hasMasks ? 'yes' : 'no',
        ]),
      ),
    );
    print(
      '\nexpected, found: normal / anomalous images of the test split;\n~ as commonly quoted, not counted; - not present; ? cannot be read\n',
    );
    print(
      formatTable(
        [{ title: 'name' }, { title: 'how to get it' }, { title: 'licence' }],
        entries.map(({ entry }) => [
          entry.name,
          howToGet(entry).replace(/^crane datasets (\w+).*/, '$1'),
          entry.licence,
        ]),
      ),
    );
    print(
      '\nfetch: crane datasets fetch NAME --accept-license\nsynthesize: crane datasets synthesize\nby hand: download from the address below and unpack into a folder NAME in the data folder',
    );
    print('\nOfficial addresses:');
    entries.forEach(({ entry }) => print(`  ${entry.name.padEnd(20)}${entry.source}`));
    const troubles = entries.flatMap(({ entry, found }) =>
      found?.trouble == null ? [] : [`  ${entry.name.padEnd(20)}${found.trouble}`],
    );
    if (troubles.length > 0) print(`\nWorth knowing:\n${troubles.join('\n')}`);
  },
};

async function lookAt(entry: RegisteredDataset, data: string, onProgress: OnProgress): Promise<Found | null> {
  const folder = findDatasetFolder(entry, data);
  if (folder === undefined) return null;
  try {
    const { layout, categories, problems } = await openDataset(entry.name, {
      dataFolder: data,
      allowIncomplete: true,
      onProgress,
    });
    const more = problems.length > 1 ? `; ${problems.length - 1} more: crane datasets check ${entry.name}` : '';
    return {
      folder,
      layout,
      counts: countSamples(categories),
      trouble: problems[0] === undefined ? null : `${problems[0].message}${more}`,
    };
  } catch (error) {
    if (!(error instanceof CraneError)) throw error;
    return { folder, layout: null, counts: null, trouble: error.message };
  }
}

/** In a few words; the address is printed elsewhere. */
export function howToGet({ name, kind, archives }: RegisteredDataset): string {
  if (kind === 'drawn') return 'crane datasets synthesize';
  return archives.length > 0 ? `crane datasets fetch ${name} --accept-license` : 'by hand';
}

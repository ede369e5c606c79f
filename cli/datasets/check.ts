import type { CommandModule } from 'yargs';
import { withExamples } from '../../terminal/examples';
import { createProgressReporter } from '../../terminal/progress-bar';
import { setOptions, setOptionsFrom, showedLayouts, type SetArguments } from '../../terminal/set-options';
import { formatTable } from '../../terminal/table';
import { shownInLine } from '../../terminal/terminal-text';
import { checkDataset, type DatasetReport } from '../../datasets/check';
import { dataFolder, presentDatasets } from '../../datasets/data-folder';
import { openDataset } from '../../datasets/dataset';
import { surveyDataset, type Survey } from '../../datasets/survey';
import type { DatasetProblem } from '../../datasets/sample';
import { dryRunJson, printDryRun } from './dry-run';
import { expectedText, print, printJson, withJson, type JsonOption } from './print';

interface CheckArguments extends JsonOption, SetArguments {
  set?: string | undefined;
  categories?: string[] | undefined;
  dryRun: boolean;
}

export const checkCommand: CommandModule<object, CheckArguments> = {
  command: 'check [set]',
  describe: 'Open every file of the test split of a set, match masks, count images, and list problems',
  builder: (yargs) =>
    withExamples(
      setOptions(withJson(yargs), 'Options:')
        .positional('set', {
          type: 'string',
          describe: 'Registered name, folder or CSV list; default: every set in the data folder',
        })
        .option('categories', { type: 'string', array: true, describe: 'Only these categories' })
        .option('dry-run', {
          type: 'boolean',
          default: false,
          describe: 'Show how each file would be read, without opening an image',
        }) as never,
      [
        ['a set in the data folder', 'crane datasets check mvtec'],
        ['any folder in a known layout', 'crane datasets check sets/castings'],
        ['how each file would be read', 'crane datasets check sets/castings --dry-run'],
        ['for programs', 'crane datasets check visa --json'],
      ],
    ) as never,
  handler: async (args) => {
    const { set, json, categories, dryRun } = args;
    if (showedLayouts(args)) return;
    const how = { allowUnlabelled: true, ...setOptionsFrom(args) };
    const sets = set === undefined ? presentDatasets().map(({ name }) => name) : [set];
    if (sets.length === 0)
      return print(`There is no set in ${dataFolder()}. "crane datasets list" shows all sets and how to get them.`);
    if (dryRun) {
      const surveys = sets.map((name) => surveyDataset(name, how));
      if (json) printJson(set === undefined ? surveys.map(dryRunJson) : dryRunJson(surveys[0] as Survey), 2);
      else surveys.forEach(printDryRun);
      return;
    }
    const onProgress = createProgressReporter(process.stderr, { json });
    const reports: DatasetReport[] = [];
    for (const name of sets) {
      const dataset = await openDataset(name, {
        ...how,
        allowIncomplete: true,
        onProgress,
        ...(categories && { categories }),
      });
      const report = await checkDataset(dataset, onProgress);
      reports.push(report);
      if (!json) printReport(report);
      if (report.problems.some((problem) => problem.severity === 'error')) process.exitCode = 1;
    }
    if (json) printJson(set === undefined ? reports : reports[0], 2);
  },
};

/** `--json` has the full lists. */
const shownProblems = 20;

function printReport(report: DatasetReport): void {
  print(`${report.name}: ${report.root}`);
  print(`${report.reading}\n`);
  const cells = (name: string, counts: DatasetReport['counts']): string[] => [
    name,
    ...[counts.images, counts.normal, counts.anomalous, counts.masks].map(String),
  ];
  const rows = report.categories.map((category) => [...cells(category.name, category), shortList(category.defects)]);
  const sum = report.categories.length > 1 ? [null, cells('all', report.counts)] : [];
  print(
    formatTable(
      [
        { title: 'category' },
        { title: 'images', align: 'right' },
        { title: 'normal', align: 'right' },
        { title: 'anomalous', align: 'right' },
        { title: 'masks', align: 'right' },
        { title: 'kinds of defects' },
      ],
      [...rows, ...sum],
    ),
  );
  if (report.expected !== null)
    print(
      `\nThe complete set: ${expectedText(report.expected)} normal and anomalous images${report.expected.sure ? '' : ' (~ as commonly quoted)'}.`,
    );
  if (report.notes.length > 0) print(`\n${report.notes.join('\n')}`);
  printProblems(
    'error',
    report.problems.filter((problem) => problem.severity === 'error'),
  );
  printProblems(
    'warning',
    report.problems.filter((problem) => problem.severity === 'warning'),
  );
  print(report.problems.length === 0 ? '\nAll files were opened, and no problems were found.\n' : '');
}

/** Synthetic sets have twenty kinds of defects, wider than any terminal. */
function shortList(names: readonly string[]): string {
  return names.length <= 6 ? names.join(', ') : `${names.length} kinds: ${names.slice(0, 4).join(', ')}, …`;
}

function printProblems(title: string, problems: readonly DatasetProblem[]): void {
  if (problems.length === 0) return;
  print(`\n${problems.length} ${title}${problems.length === 1 ? '' : 's'}:`);
  problems.slice(0, shownProblems).forEach((problem) => print(`  ${shownInLine(problem.message)}`));
  if (problems.length > shownProblems) print(`  and ${problems.length - shownProblems} more; --json lists all`);
}

import { formatTable, type TableColumn } from '../../terminal/table';
import type { BenchmarkResults } from '../benchmark/benchmark-results';
import { METRIC_TITLES, metricsLegend, percent } from '../metrics-table';
import { PUBLISHED_METRIC_IDS, type PublishedMetricId } from '../published';
import { costColumns, costRow } from './costs';
import { leftOutNotes, problemNotes, unreadNotes } from './notes';
import { changeTable, matrixGrids, STUDIED_METRIC_IDS } from './studies';
import {
  domainSize,
  leftOutWord,
  LEVELS,
  notInLevel,
  signed,
  standsInLevel,
  type Level,
  type PaperEntry,
  type PaperTable,
} from './paper-table';

const right = { align: 'right' } as const;

/** A benchmark as Markdown: the paper's table with notes, for places where no page can be opened. */
export function benchmarkMarkdown(results: BenchmarkResults, table: PaperTable): string {
  const { run, datasets, corruptions, matrix } = results;
  const parts = [
    '# Crane benchmark',
    `${datasets.length} ${datasets.length === 1 ? 'row' : 'rows'} of recipe and set, on ${escapeMarkdown(run.date)} with crane-tfjs ${escapeMarkdown(run.version)}.` +
      (run.complete ? '' : ' **Incomplete**: some rows were not finished when this was written.'),
    'Per cent. In brackets: the figure that the paper prints, and the difference from it in percentage points.' +
      comparison(results),
    ...LEVELS.flatMap((level) => levelPart(table, level)),
    metricsLegend(PUBLISHED_METRIC_IDS),
    ...doubtsPart(table),
    '## Cost',
    formatTable(
      costColumns.map(({ title, numeric }): TableColumn => ({ title, ...(numeric ? right : {}) })),
      datasets.map((row) => costRow(row).map(escapeMarkdown)),
      'markdown',
    ),
    ...(matrix
      ? [
          '## Prompts trained on each set',
          ...matrixGrids(matrix).flatMap(({ recipe, metric, rows }) => [
            `${escapeMarkdown(recipe)}, ${METRIC_TITLES[metric]} (\`${metric}\`): trained on the set of the row, scored on that of the column.`,
            formatTable(
              [{ title: 'trained on' }, ...matrix.targets.map((title) => ({ title: escapeMarkdown(title), ...right }))],
              rows.map(({ auxiliary, values }) => [
                escapeMarkdown(auxiliary),
                ...values.map((value) => (value === undefined ? '–' : percent(value))),
              ]),
              'markdown',
            ),
          ]),
        ]
      : []),
    ...(corruptions
      ? [
          '## Degraded images',
          'Change in percentage points from the original images, mean over the sets.',
          formatTable(
            [
              { title: 'recipe' },
              { title: 'degraded by' },
              { title: 'strength', ...right },
              { title: 'sets', ...right },
              ...STUDIED_METRIC_IDS.map((id) => ({ title: METRIC_TITLES[id], ...right })),
            ],
            changeTable(corruptions).map(({ recipe, kind, strength, sets, change }) => [
              escapeMarkdown(recipe),
              kind,
              String(strength),
              String(sets),
              ...STUDIED_METRIC_IDS.map((id) => (change[id] === null ? 'n/a' : signed(100 * change[id]))),
            ]),
            'markdown',
          ),
        ]
      : []),
    ...notesPart(results),
    '## Reproduction',
    fenced(run.command),
    `Seed ${run.seed}, Node ${escapeMarkdown(run.node)}; machine: ${Object.entries(run.machine)
      .map(([name, value]) => `${escapeMarkdown(name)} ${escapeMarkdown(String(value))}`)
      .join(', ')}.`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function notesPart(results: BenchmarkResults): string[] {
  const problems = problemNotes(results).map((problem) => `- ${escapeMarkdown(problem)}`);
  const lines = [
    ...leftOutNotes(results).map(
      ({ title, recipes, text }) =>
        `- ${escapeMarkdown(title)}, by ${escapeMarkdown(recipes.join(', '))}: ${escapeMarkdown(text)}`,
    ),
    ...unreadNotes(results).map(
      ({ recipe, title, failures }) =>
        `- ${escapeMarkdown(title)}, by ${escapeMarkdown(recipe)}: ${failures.length} images could not be read and are excluded from all figures; the first: ${escapeMarkdown(failures[0]?.message ?? '')}`,
    ),
  ];
  return [
    ...(problems.length === 0 ? [] : ['## Incomplete sets', problems.join('\n')]),
    ...(lines.length === 0 ? [] : ['## Left out', lines.join('\n')]),
  ];
}

/** What the differences mean. */
function comparison({ datasets }: BenchmarkResults): string {
  if (datasets.every(({ comparable }) => comparable) || datasets.every(({ published }) => published === null))
    return '';
  return " Rows marked \\* were not made with the paper's network, prompts and options on the whole set. Their differences compare models, and say nothing about how well the paper is reproduced.";
}

function levelPart(table: PaperTable, level: Level): string[] {
  const groups = table.groups.map(({ title, sets, average }) => ({
    title,
    lines: [
      ...sets.filter((line) => standsInLevel(line, level)),
      ...(average && standsInLevel(average, level) ? [average] : []),
    ],
  }));
  const rows = groups.flatMap(({ title, lines }) =>
    lines.length === 0
      ? []
      : [
          [`**${title}**`],
          ...lines.map(({ title: set, entries }) => [
            escapeMarkdown(set),
            ...entries.flatMap((entry) => level.metrics.map((id) => cellText(entry, id))),
          ]),
        ],
  );
  if (rows.length === 0) return [];
  const columns = [
    { title: 'set' },
    ...table.recipes.flatMap(({ name }) =>
      level.metrics.map((id) => ({ title: `${escapeMarkdown(name)} ${METRIC_TITLES[id]}`, ...right })),
    ),
  ];
  const missing = [...notInLevel(table, level)].map(
    ([reason, names]) => `Not in this table: ${names.map(escapeMarkdown).join(', ')} (${escapeMarkdown(reason)}).`,
  );
  return [`## ${level.title}`, formatTable(columns, rows, 'markdown'), ...partialAverages(table), ...missing];
}

function partialAverages({ groups }: PaperTable): string[] {
  return groups.flatMap(({ domain, average }) => {
    if (domain === null || average === null) return [];
    const counts = average.entries.flatMap((entry) =>
      'row' in entry && 'sets' in entry.row ? [entry.row.sets.length] : [],
    );
    const whole = domainSize(domain);
    return counts.every((count) => count === whole)
      ? []
      : [
          `The ${domain} average is over ${[...new Set(counts)].join(' or ')} of ${whole} sets; in brackets: the mean of the printed figures of the same sets.`,
        ];
  });
}

function cellText(entry: PaperEntry, id: PublishedMetricId): string {
  if (!('row' in entry)) return leftOutWord(entry);
  const { value, published, difference, doubt } = entry.cells[id];
  const mark = doubt ? '†' : '';
  if (value === null) return published === null ? 'n/a' : `n/a (${published.toFixed(1)}${mark})`;
  const star = entry.comparable || published === null ? '' : '\\*';
  return `${percent(value)}${star}${published === null || difference === null ? '' : ` (${published.toFixed(1)}${mark}, ${signed(difference)})`}`;
}

function doubtsPart({ groups }: PaperTable): string[] {
  const doubts = groups
    .flatMap(({ sets, average }) => [...sets, ...(average ? [average] : [])])
    .flatMap(({ entries }) =>
      entries.flatMap((entry) =>
        'row' in entry ? PUBLISHED_METRIC_IDS.flatMap((id) => entry.cells[id].doubt ?? []) : [],
      ),
    );
  if (doubts.length === 0) return [];
  return [
    [
      '† Printed figures known to be wrong:',
      ...doubts.map(
        ({ method, of, metric, printed, likely, reason }) =>
          `- ${method}, ${of}, \`${metric}\`: printed ${printed.toFixed(1)}${likely === null ? '' : `, likely ${likely.toFixed(1)}`}; ${escapeMarkdown(reason)}`,
      ),
    ].join('\n'),
  ];
}

/**
 * Text that Markdown shows unchanged, on one line. Bars are left to `formatTable`, which escapes them within tables;
 * outside of tables they mean nothing.
 */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, ' ')
    .replace(/[\\`*_{}[\]#~$!]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/^(\s*\d*)([-+.)])(?=\s|$)/, '$1\\$2');
}

/** Code in a fence longer than any run of backticks inside. */
function fenced(code: string): string {
  const longest = Math.max(2, ...[...code.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}sh\n${code}\n${fence}`;
}

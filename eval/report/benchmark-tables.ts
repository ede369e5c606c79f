import type { BenchmarkRow } from '../benchmark/benchmark-results';
import { METRIC_IDS, type MetricId } from '../metrics/metric-ids';
import { METRIC_TITLES, percent } from '../metrics-table';
import {
  PAPER_SETS,
  paperDomain,
  PUBLISHED_AVERAGES,
  PUBLISHED_DOUBTS,
  PUBLISHED_METHODS,
  PUBLISHED_RESULTS,
  type PublishedDoubt,
  type PublishedMethod,
  type PublishedMetricId,
  type PublishedRow,
} from '../published';
import { findRegisteredDataset } from '../../datasets/registry';
import { costColumns, costRow } from './costs';
import { breakable, html, type Html } from './html';
import {
  domainSize,
  doubtOf,
  leftOutWord,
  LEVELS,
  notInLevel,
  signed,
  standsInLevel,
  type Level,
  type PaperEntry,
  type PaperLine,
  type PaperTable,
} from './paper-table';

/** The two halves of the paper's table: recipes side by side, groups with their averages. */
export function accuracyTables(table: PaperTable, linkOf: (set: string) => string | undefined): Html {
  return html`${LEVELS.map((level) => levelTable(table, level, linkOf))}${partialAverages(table)}`;
}

function levelTable(table: PaperTable, level: Level, linkOf: (set: string) => string | undefined): Html | null {
  const { recipes, groups } = table;
  const parts = groups.map(({ title, sets, average }) => ({
    title,
    sets: sets.filter((line) => standsInLevel(line, level)),
    average: average && standsInLevel(average, level) ? average : null,
  }));
  if (parts.every(({ sets }) => sets.length === 0)) return null;
  return html`
<div class="scrolling" role="region" aria-label="${level.title}" tabindex="0"><table class="paper"><caption><span><b>${level.title}</b>: ${level.question}. Per cent; below each figure, the printed one and the difference in percentage points.</span></caption>
<thead><tr><th scope="col" rowspan="2">set</th>${recipes.map(({ name, method }) => html`<th scope="colgroup" class="first" colspan="${level.metrics.length}">${name} <small>prints: ${method}</small></th>`)}</tr>
<tr>${recipes.map(() => level.metrics.map((id, at) => html`<th scope="col"${at === 0 && html` class="first"`}>${METRIC_TITLES[id]} <code>${breakable(id)}</code></th>`))}</tr></thead>
${parts.map(
  ({ title, sets, average }) =>
    sets.length > 0 &&
    html`<tbody><tr class="group"><th scope="rowgroup" colspan="${1 + recipes.length * level.metrics.length}"><span>${title}</span></th></tr>
${sets.map((line) => tableLine(line, level, linkOf(line.name)))}${average && tableLine(average, level, undefined)}</tbody>`,
)}</table></div>
${[...notInLevel(table, level)].map(([reason, names]) => html`<p class="note">Not in this table: ${names.join(', ')}. ${sentence(reason)}</p>`)}`;
}

function sentence(reason: string): string {
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
}

function tableLine({ name, title, entries }: PaperLine, level: Level, link: string | undefined): Html {
  const head = link === undefined ? html`${title}` : html`<a href="${link}">${title}</a>`;
  return html`<tr${name.startsWith('average of ') && html` class="average"`}><th scope="row">${head}</th>${entries.map((entry) => entryCells(entry, level))}</tr>
`;
}

function entryCells(entry: PaperEntry, level: Level): Html {
  if (!('row' in entry)) {
    const word = leftOutWord(entry);
    return html`<td class="none first" colspan="${level.metrics.length}">${entry.leftOut ? html`<abbr title="${entry.leftOut.message}">${word}</abbr>` : word}</td>`;
  }
  return html`${level.metrics.map((id, at) => {
    const { value, reason, published, difference, doubt } = entry.cells[id];
    const mark = doubt && doubtMark(doubt);
    const figure =
      value === null
        ? html`<abbr class="none" title="${reason ?? 'not defined'}">n/a</abbr>`
        : html`<b>${percent(value)}</b>`;
    const printed =
      published === null
        ? html`<small> </small>`
        : html`<small>${published.toFixed(1)}${mark}${difference !== null && html` <span class="${tone(difference, entry.comparable)}">${signed(difference)}</span>`}</small>`;
    return html`<td${at === 0 && html` class="first"`}>${figure}${printed}</td>`;
  })}`;
}

function tone(difference: number, comparable: boolean): string {
  return !comparable || Math.abs(difference) < 0.05 ? 'even' : difference > 0 ? 'up' : 'down';
}

function doubtMark(doubt: PublishedDoubt): Html {
  return html`<a class="doubt" href="#doubt-${PUBLISHED_DOUBTS.indexOf(doubt)}" aria-label="known to be wrong" title="${doubt.reason}">†</a>`;
}

function partialAverages({ groups }: PaperTable): Html {
  return html`${groups.map(({ domain, average }) => {
    if (domain === null || average === null) return null;
    const counts = [
      ...new Set(
        average.entries.flatMap((entry) => ('row' in entry && 'sets' in entry.row ? [entry.row.sets.length] : [])),
      ),
    ];
    const whole = domainSize(domain);
    if (counts.every((count) => count === whole)) return null;
    return html`<p class="note">The ${domain} average is over ${counts.join(' or ')} of ${whole} sets; the printed figure beside it is the mean of the printed figures of the same sets.</p>`;
  })}`;
}

/** Known errors in the paper's table. The page shows that table whole, so every one of them can be linked to. */
export function doubtList(): Html {
  return html`<ul class="reasons doubts">${PUBLISHED_DOUBTS.map(({ method, of, metric, printed, likely, reason }, index) => html`<li id="doubt-${index}">† ${method}, ${titleOf(of)}, <code>${metric}</code>: printed ${printed.toFixed(1)}${likely !== null && `, likely ${likely.toFixed(1)}`}; ${reason}</li>`)}</ul>`;
}

function titleOf(name: string): string {
  return findRegisteredDataset(name)?.title ?? name;
}

/** Every method in the paper's table, for comparison. */
export function publishedTables(): Html {
  const lines = (['industrial', 'medical'] as const).map((domain) => ({
    domain,
    rows: [
      ...PAPER_SETS.filter((name) => paperDomain(name) === domain).map((name) => ({
        name,
        rowOf: (method: PublishedMethod): PublishedRow => PUBLISHED_RESULTS[name][method],
      })),
      {
        name: `average of ${domain}`,
        rowOf: (method: PublishedMethod): PublishedRow => PUBLISHED_AVERAGES[domain][method],
      },
    ],
  }));
  return html`${LEVELS.map(
    (level) => html`
<div class="scrolling" role="region" aria-label="Printed, ${level.title}" tabindex="0"><table class="printed-table"><caption><span><b>${level.title}</b>, as printed: ${level.metrics.map((id) => METRIC_TITLES[id]).join(' / ')} in per cent.</span></caption>
<thead><tr><th scope="col">set</th>${PUBLISHED_METHODS.map((method) => html`<th scope="col">${method}</th>`)}</tr></thead>
${lines.map(
  ({ domain, rows }) =>
    html`<tbody>${rows
      .filter(({ rowOf }) => PUBLISHED_METHODS.some((method) => rowOf(method)[level.metrics[0]] !== null))
      .map(
        ({
          name,
          rowOf,
        }) => html`<tr${name === `average of ${domain}` && html` class="average"`}><th scope="row">${titleOf(name)}</th>${PUBLISHED_METHODS.map((method) => html`<td>${level.metrics.map((id, at) => html`${at > 0 && ' / '}${printedFigure(rowOf(method), name, method, id)}`)}</td>`)}</tr>
`,
      )}</tbody>`,
)}</table></div>`,
  )}`;
}

function printedFigure(row: PublishedRow, of: string, method: PublishedMethod, id: PublishedMetricId): Html {
  const doubt = doubtOf(of, method, id);
  return html`${row[id]?.toFixed(1) ?? '–'}${doubt && doubtMark(doubt)}`;
}

/** All metrics of each row, including those that the paper does not print. */
export function wholeTable(rows: readonly BenchmarkRow[], reasonOf: (row: BenchmarkRow, id: MetricId) => string): Html {
  return html`<div class="scrolling" role="region" aria-label="Every metric" tabindex="0"><table data-sortable><caption><span>Per cent, mean over the categories of each set.</span></caption>
<thead><tr>${['set', 'recipe', 'images'].map((title) => html`<th scope="col"><span>${title}</span></th>`)}${METRIC_IDS.map((id) => html`<th scope="col"><span>${METRIC_TITLES[id]}</span> <code>${breakable(id)}</code></th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr><th scope="row">${row.title}</th><td data-value="${rows.findIndex(({ recipe }) => recipe === row.recipe)}">${row.recipe}</td><td>${row.images}</td>${METRIC_IDS.map(
        (id) => {
          const value = row.mean[id];
          return value === null
            ? html`<td class="none" data-value=""><abbr title="${reasonOf(row, id)}">n/a</abbr></td>`
            : html`<td class="metric" data-value="${value}" style="--v:${value.toFixed(3)}">${percent(value)}</td>`;
        },
      )}</tr>`,
  )}</tbody></table></div>`;
}

/** The cost of each row: time, memory, size and operations. */
export function costTable(rows: readonly BenchmarkRow[]): Html {
  return html`<div class="scrolling" role="region" aria-label="Cost" tabindex="0"><table class="costs"><thead><tr>${costColumns.map(({ title }) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${costRow(row).map((text, at) => (at === 0 ? html`<th scope="row">${text}</th>` : html`<td>${text}</td>`))}</tr>`)}</tbody></table></div>`;
}

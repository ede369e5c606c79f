import type { CategoryEvaluation, Evaluation, GroupEvaluation } from '../evaluation';
import { METRIC_IDS, type MetricId, type MetricValues } from '../metrics/metric-ids';
import { METRIC_TITLES, percent } from '../metrics-table';
import { breakable, html, type Html } from './html';

const NO_CATEGORY = 'not defined in any category';
const NOT_IN_GROUP = 'not defined for these images: both normal and anomalous ones are needed';

interface Row {
  readonly name: string;
  readonly images: number;
  readonly anomalous: number;
  readonly metrics: MetricValues;
  readonly reason: (id: MetricId) => string;
  /** Link within the page. */
  readonly link?: string;
}

/** The table of a set: a row per category, the mean, and the means of the groups of defects. */
export function categoryTable(
  { categories, mean, groups }: Evaluation,
  linkOf: (category: string) => string | undefined,
): Html {
  const rows = categories.map(({ name, images, anomalous, metrics, reasons }) => {
    const link = linkOf(name);
    return {
      name,
      images,
      anomalous,
      metrics,
      reason: (id: MetricId) => reasons[id] ?? 'not defined',
      ...(link === undefined ? {} : { link }),
    };
  });
  const totals = [
    { name: 'mean', of: categories, metrics: mean },
    ...groups.map((group) => ({ name: group.name, of: group.categories, metrics: group.mean })),
  ];
  return html`${scrolling(
    'Metrics by category',
    html`<table data-sortable><caption><span>Per cent; the mean gives every category equal weight. Longer bars are better.</span></caption>
${head()}
<tbody>${rows.map(tableRow)}</tbody>
<tfoot>${totals.map(({ name, of, metrics }) => tableRow({ name, ...counts(of), metrics, reason: () => NO_CATEGORY }))}</tfoot></table>`,
  )}
${undefinedList(categories)}${groups.length === 0 ? '' : groupTables(groups)}`;
}

/** The same for each group of defects, collapsed. */
function groupTables(groups: readonly GroupEvaluation[]): Html {
  return html`<details><summary>By category for ${groups.map(({ name }) => name).join(' and ')}</summary>${groups.map(
    (group) =>
      scrolling(
        group.name,
        html`<table data-sortable><caption><span>${group.name}: all normal images, and the anomalous ones of these kinds. Per cent.</span></caption>
${head()}
<tbody>${group.categories.map((category) => tableRow({ ...category, reason: () => NOT_IN_GROUP }))}</tbody>
<tfoot>${tableRow({ name: 'mean', ...counts(group.categories), metrics: group.mean, reason: () => NO_CATEGORY })}</tfoot></table>`,
      ),
  )}</details>`;
}

function scrolling(label: string, table: Html): Html {
  return html`<div class="scrolling" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}

function head(): Html {
  return html`<thead><tr>${['category', 'images', 'anomalous'].map((title) => html`<th scope="col"><span>${title}</span></th>`)}${METRIC_IDS.map(
    (id) => html`<th scope="col"><span>${METRIC_TITLES[id]}</span> <code>${breakable(id)}</code></th>`,
  )}</tr></thead>`;
}

function tableRow({ name, images, anomalous, metrics, reason, link }: Row): Html {
  return html`
<tr><th scope="row">${link === undefined ? name : html`<a href="${link}">${name}</a>`}</th><td>${images}</td><td>${anomalous}</td>${METRIC_IDS.map(
    (id) => {
      const value = metrics[id];
      if (value === null) return html`<td class="none" data-value=""><abbr title="${reason(id)}">n/a</abbr></td>`;
      return html`<td class="metric" data-value="${value}" style="--v:${value.toFixed(3)}">${percent(value)}</td>`;
    },
  )}</tr>`;
}

function counts(of: readonly { readonly images: number; readonly anomalous: number }[]): {
  images: number;
  anomalous: number;
} {
  return {
    images: of.reduce((sum, { images }) => sum + images, 0),
    anomalous: of.reduce((sum, { anomalous }) => sum + anomalous, 0),
  };
}

/** Touch screens show no tooltips, so the reasons are listed below the table too. */
function undefinedList(categories: readonly CategoryEvaluation[]): Html {
  const reasons = new Map<string, { ids: Set<MetricId>; names: string[] }>();
  for (const { name, reasons: own } of categories) {
    for (const id of METRIC_IDS) {
      const reason = own[id];
      if (reason === undefined) continue;
      const entry = reasons.get(reason) ?? { ids: new Set<MetricId>(), names: [] };
      entry.ids.add(id);
      if (!entry.names.includes(name)) entry.names.push(name);
      reasons.set(reason, entry);
    }
  }
  if (reasons.size === 0) return html``;
  return html`<ul class="reasons">${[...reasons].map(
    ([reason, { ids, names }]) =>
      html`<li>n/a in ${names.join(', ')}: ${reason} <small>(${[...ids].join(', ')})</small></li>`,
  )}</ul>`;
}

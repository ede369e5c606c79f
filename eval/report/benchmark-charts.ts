import type { BenchmarkResults } from '../benchmark/benchmark-results';
import { METRIC_TITLES } from '../metrics-table';
import { PUBLISHED_METRIC_IDS, type PublishedMetricId } from '../published';
import { barChart } from './bars';
import { breakable, html, type Html } from './html';
import type { PaperLine, PaperTable } from './paper-table';
import { LEAST_AXES, radarChart, type RadarSeries } from './radar';

const RADARS = [
  'image/auroc',
  'pixel/auroc',
  'pixel/aupro/paper200@0.3',
] as const satisfies readonly PublishedMetricId[];

/** Radar charts over the sets, and bars for each metric of the paper, printed figures beside the measured ones. */
export function benchmarkCharts(table: PaperTable): Html {
  const lines = table.groups.flatMap(({ sets }) => sets);
  const printed = lines.some(({ entries }) => entries.some((entry) => 'row' in entry && entry.row.published !== null));
  const radars = RADARS.map((id) => radarOf(id, lines, table.recipes));
  return html`<ul class="keys">${table.recipes.map(({ name }, place) => html`<li class="s${place}"><i class="swatch"></i>${name}</li>`)}${
    printed &&
    html`${radars.some((radar) => radar !== null) && html`<li><svg class="key" viewBox="0 0 34 12" width="34" height="12" aria-hidden="true"><path class="grid printed" d="M1 6H33"/></svg>printed, around the radar</li>`}<li><i class="tick"></i>printed, across a bar</li>`
  }</ul>
<div class="radars">${radars}</div>
<div class="bar-panels">${PUBLISHED_METRIC_IDS.map((id) => barsOf(id, lines, table.recipes))}</div>`;
}

function heading(id: PublishedMetricId): Html {
  return html`<figcaption><h3>${METRIC_TITLES[id]} <code>${breakable(id)}</code></h3></figcaption>`;
}

/** Sets for which anything was measured. */
function measured(id: PublishedMetricId, lines: readonly PaperLine[]): readonly PaperLine[] {
  return lines.filter(({ entries }) => entries.some((entry) => 'row' in entry && entry.cells[id].value !== null));
}

function valuesOf(
  id: PublishedMetricId,
  lines: readonly PaperLine[],
  place: number,
): { readonly value: number | null; readonly printed: number | null }[] {
  return lines.map(({ entries }) => {
    const entry = entries[place];
    if (!entry || !('row' in entry)) return { value: null, printed: null };
    const { value, published } = entry.cells[id];
    return { value, printed: published === null ? null : published / 100 };
  });
}

function radarOf(id: PublishedMetricId, all: readonly PaperLine[], recipes: BenchmarkResults['recipes']): Html | null {
  const lines = measured(id, all);
  if (lines.length < LEAST_AXES) return null;
  const series = recipes.flatMap(({ name, method }, place): RadarSeries[] => {
    const values = valuesOf(id, lines, place);
    const again = recipes.findIndex((recipe) => recipe.method === method) < place;
    return [
      ...(again || values.every(({ printed }) => printed === null)
        ? []
        : [{ name: `${method}, printed`, values: values.map(({ printed }) => printed), place, printed: true }]),
      { name, values: values.map(({ value }) => value), place, printed: false },
    ];
  });
  const axes = lines.map(({ title }) => short(title));
  return html`<figure class="panel">${heading(id)}${radarChart({
    axes,
    series,
    description: `${METRIC_TITLES[id]} by set: ${spoken(
      axes,
      series.filter(({ printed }) => !printed),
    )}`,
  })}</figure>`;
}

/** Drops the bracketed part of a set's title, for which a chart has no room. */
function short(title: string): string {
  return title.replace(/ \([^()]*\)$/, '');
}

function spoken(
  names: readonly string[],
  series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[],
): string {
  return names
    .map(
      (name, at) =>
        `${name} ${series.map(({ name: recipe, values }) => `${recipe} ${values[at] === null || values[at] === undefined ? 'n/a' : (100 * values[at]).toFixed(1)}`).join(', ')}`,
    )
    .join('; ');
}

function barsOf(id: PublishedMetricId, all: readonly PaperLine[], recipes: BenchmarkResults['recipes']): Html | null {
  const lines = measured(id, all);
  if (lines.length === 0) return null;
  const series = recipes.map(({ name }, place) => ({ name, values: valuesOf(id, lines, place) }));
  const groups = lines.map(({ title }, at) => ({
    name: short(title),
    bars: series.map(({ values }) => values[at] as { value: number | null; printed: number | null }),
  }));
  const words = spoken(
    lines.map(({ title }) => title),
    series.map(({ name, values }) => ({ name, values: values.map(({ value }) => value) })),
  );
  return html`<figure class="panel">${heading(id)}${barChart(
    groups,
    recipes.map(({ name }) => name),
    `${METRIC_TITLES[id]} by set: ${words}`,
  )}</figure>`;
}

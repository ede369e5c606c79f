import type { CorruptionRow, MatrixStudy } from '../benchmark/benchmark-results';
import { CORRUPTION_KINDS, CORRUPTIONS, type CorruptionKind } from '../benchmark/corruptions';
import { METRIC_TITLES, percent } from '../metrics-table';
import { ChartFrame, niceTicks, round } from './chart-frame';
import { breakable, html, trusted, type Html } from './html';
import { signed } from './paper-table';
import { changeTable, matrixGrids, STUDIED_METRIC_IDS, type MeanChange, type StudiedMetricId } from './studies';

/** Tables of auxiliary by target sets; the deeper the colour, the higher the figure. */
export function matrixTables(study: MatrixStudy): Html {
  const { targets, leftOut, epochs, seed } = study;
  return html`<p>Prompts are trained on the set of the row and used on the set of the column, ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}, seed ${seed}. The deeper the colour, the higher the figure within its table.
A dash stands where prompts would meet the set that they were trained on.</p><div class="heats">${matrixGrids(
    study,
  ).map(({ recipe, metric, rows }) => {
    const all = rows.flatMap(({ values }) => values).filter((value) => typeof value === 'number');
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const label = `${recipe}, ${METRIC_TITLES[metric]}`;
    return html`
<div class="scrolling" role="region" aria-label="${label}" tabindex="0"><table class="heat"><caption><span><b>${label}</b> <code>${metric}</code>, per cent</span></caption>
<thead><tr><th scope="col">trained on ↓ used on →</th>${targets.map((target) => html`<th scope="col">${breakable(target)}</th>`)}</tr></thead>
<tbody>${rows.map(
      ({ auxiliary, values }) =>
        html`<tr><th scope="row">${breakable(auxiliary)}</th>${values.map((value) => {
          if (value === undefined) return html`<td class="none">–</td>`;
          if (value === null) return html`<td class="none">n/a</td>`;
          return html`<td style="--v:${(high > low ? (value - low) / (high - low) : 1).toFixed(3)}">${percent(value)}</td>`;
        })}</tr>`,
    )}</tbody></table></div>`;
  })}</div>
${leftOut.length > 0 && html`<ul class="reasons">${leftOut.map(({ recipe, auxiliary, target, message }) => html`<li>${recipe}, ${auxiliary}${target === null ? '' : html` on ${target}`}: ${message}</li>`)}</ul>`}`;
}

/** How far figures fall as images get worse: a chart per recipe and metric, a line per kind of degradation. */
export function corruptionCharts(rows: readonly CorruptionRow[]): Html {
  const changes = changeTable(rows);
  const kinds = CORRUPTION_KINDS.filter((kind) => rows.some((row) => row.kind === kind));
  const recipes = [...new Set(changes.map(({ recipe }) => recipe))];
  const charts = recipes.flatMap((recipe) =>
    STUDIED_METRIC_IDS.flatMap((metric) => {
      const own = changes.filter((change) => change.recipe === recipe && change.change[metric] !== null);
      return own.length === 0 ? [] : [changeChart(recipe, metric, kinds, own)];
    }),
  );
  return html`<p>Change in percentage points from the original images, mean over the sets, from barely visible (1) to heavy (5).</p>
<ul class="keys">${kinds.map((kind) => html`<li class="s${CORRUPTION_KINDS.indexOf(kind)}"><svg class="key" viewBox="0 0 34 12" width="34" height="12" aria-hidden="true"><path class="outline" d="M1 6H33"/>${marker(kind, 17, 6)}</svg>${kind} <small>${levelsOf(kind, rows)}, ${CORRUPTIONS[kind].unit}</small></li>`)}</ul>
<div class="bar-panels">${charts}</div>
<details><summary>Every set and strength</summary>${corruptionTable(rows)}</details>`;
}

function levelsOf(kind: CorruptionKind, rows: readonly CorruptionRow[]): string {
  return [...new Map(rows.filter((row) => row.kind === kind).map(({ strength, level }) => [strength, level]))]
    .map(([strength, level]) => `${strength}: ${level}`)
    .join(', ');
}

function changeChart(
  recipe: string,
  metric: StudiedMetricId,
  kinds: readonly CorruptionKind[],
  changes: readonly MeanChange[],
): Html {
  const points = changes.map(({ change }) => 100 * (change[metric] as number));
  const yTicks = niceTicks(Math.min(0, ...points), Math.max(0, ...points), 5);
  const xTicks = [0, 1, 2, 3, 4, 5];
  const frame = new ChartFrame({ width: 320, height: 260, xTicks, yTicks, xTitle: 'strength', yTitle: 'points' });
  const lines = kinds.map((kind) => {
    const own = changes.filter((change) => change.kind === kind).sort((one, other) => one.strength - other.strength);
    const [xs, ys] = [
      [0, ...own.map(({ strength }) => strength)],
      [0, ...own.map(({ change }) => 100 * (change[metric] as number))],
    ];
    return { kind, xs, ys };
  });
  const spoken = lines.map(({ kind, ys }) => `${kind} ${signed(ys.at(-1) as number)}`).join(', ');
  return html`<figure class="panel"><figcaption><h3>${recipe}: ${METRIC_TITLES[metric]} <code>${breakable(metric)}</code></h3></figcaption>${frame.draw(
    `Change of ${METRIC_TITLES[metric]} of ${recipe} at the heaviest strength: ${spoken}`,
    html`<path class="base" d="M${frame.x(0)} ${round(frame.y(0))}H${frame.x(5)}"/>${lines.map(
      ({ kind, xs, ys }) =>
        html`<g class="s${CORRUPTION_KINDS.indexOf(kind)}"><title>${kind}</title><path class="outline" d="${trusted(frame.line(xs, ys))}"/>${ys.map(
          (y, at) =>
            at > 0 &&
            marker(kind, round(frame.x(xs[at] as number)), round(frame.y(y)), `${kind} ${xs[at]}: ${signed(y)}`),
        )}</g>`,
    )}`,
  )}</figure>`;
}

/** Shapes tell lines apart where colours do not. */
function marker(kind: CorruptionKind, x: number, y: number, title?: string): Html {
  const inner = title === undefined ? '' : html`<title>${title}</title>`;
  const shapes: Readonly<Record<CorruptionKind, string>> = {
    noise: `M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0Z`,
    blur: `M${x - 3.2} ${y - 3.2}h6.4v6.4h-6.4Z`,
    brightness: `M${x} ${y - 4.4}L${x + 4.2} ${y + 3.2}H${x - 4.2}Z`,
    jpeg: `M${x} ${y - 4.6}L${x + 4.6} ${y}L${x} ${y + 4.6}L${x - 4.6} ${y}Z`,
  };
  return html`<path class="marker" d="${trusted(shapes[kind])}">${inner}</path>`;
}

function corruptionTable(rows: readonly CorruptionRow[]): Html {
  return html`<div class="scrolling" role="region" aria-label="Degraded images" tabindex="0"><table><caption><span>Per cent, and the change in percentage points.</span></caption>
<thead><tr>${['recipe', 'set', 'degraded by', 'strength'].map((title) => html`<th scope="col">${title}</th>`)}${STUDIED_METRIC_IDS.map((id) => html`<th scope="col">${METRIC_TITLES[id]} <code>${breakable(id)}</code></th>`)}</tr></thead>
<tbody>${rows.map(
    ({ recipe, name, kind, strength, mean, change }) =>
      html`<tr><th scope="row">${recipe}</th><td>${name}</td><td>${kind}</td><td>${strength}</td>${STUDIED_METRIC_IDS.map(
        (id) =>
          mean[id] === null
            ? html`<td class="none">n/a</td>`
            : html`<td>${percent(mean[id])} <small>${change[id] === null ? '' : signed(100 * change[id])}</small></td>`,
      )}</tr>`,
  )}</tbody></table></div>`;
}

import type { BenchmarkResults, BenchmarkRow } from '../benchmark/benchmark-results';
import type { MetricId } from '../metrics/metric-ids';
import { benchmarkCharts } from './benchmark-charts';
import { benchmarkManifest } from './benchmark-manifest';
import { accuracyTables, costTable, doubtList, publishedTables, wholeTable } from './benchmark-tables';
import { curveStyle } from './curves';
import { html, trusted, type Html } from './html';
import { leftOutNotes, problemNotes, unreadNotes } from './notes';
import { POLICY } from './page';
import type { PaperTable } from './paper-table';
import type { FittedThumbnails } from '../gallery/picture-budget';
import { setAnchor, setNames, setSections, type ReportedRow } from './set-sections';
import { SORTING_SCRIPT } from './sorting';
import { corruptionCharts, matrixTables } from './study-charts';
import { STYLE } from './style';
import { BENCHMARK_STYLE } from './benchmark-style';
import { THRESHOLD_SCRIPT } from './threshold';

export interface BenchmarkPageContent {
  readonly results: BenchmarkResults;
  readonly table: PaperTable;
  readonly rows: readonly ReportedRow[];
  readonly reasonOf: (row: BenchmarkRow, metric: MetricId) => string;
  /** How the thumbnails of `rows` were made to fit. */
  readonly fitted: Pick<FittedThumbnails, 'ofEachKind' | 'side'>;
  /** `data:` URL. */
  readonly colourBar: string;
}

const MOSAIC = 8;
const FAILURES_SHOWN = 20;

/** The whole page as one document. Pure: the same content gives the same page. */
export function benchmarkPage(content: BenchmarkPageContent): string {
  const { results, table, rows, reasonOf, colourBar } = content;
  const { datasets, run, corruptions, matrix } = results;
  const categories = Math.max(0, ...rows.map(({ details }) => details?.evaluation.categories.length ?? 0));
  const parts = [
    { id: 'table', title: 'Table', body: tableSection(content) },
    ...(datasets.length > 0 ? [{ id: 'charts', title: 'Charts', body: benchmarkCharts(table) }] : []),
    ...(datasets.length > 0
      ? [
          {
            id: 'cost',
            title: 'Cost',
            body: html`<p>Images per second cover the way from file to map, without masks and metrics. Memory is the peak of the whole process. Operations follow from the model's definition; a multiplication and an addition count as two.</p>${costTable(datasets)}`,
          },
        ]
      : []),
    ...(corruptions && corruptions.length > 0
      ? [{ id: 'degraded', title: 'Degraded images', body: corruptionCharts(corruptions) }]
      : []),
    ...(matrix && matrix.cells.length > 0
      ? [{ id: 'matrix', title: 'Prompts trained on each set', body: matrixTables(matrix) }]
      : []),
    ...(datasets.length > 0
      ? [{ id: 'sets', title: 'Set by set', body: html`${thumbnailsNote(content)}${setSections(rows, colourBar)}` }]
      : []),
    { id: 'notes', title: 'Notes', body: notes(results) },
    { id: 'run', title: 'Run', body: benchmarkManifest(results) },
  ];
  const page = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><meta http-equiv="Content-Security-Policy" content="${POLICY}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/>
<title>Crane benchmark</title><link rel="icon" href="data:,"/>
<style>${trusted(STYLE + BENCHMARK_STYLE + curveStyle(categories))}</style></head>
<body><header><div class="intro"><p class="kicker">Crane · zero-shot anomaly detection</p><h1>Benchmark</h1>
${summary(results)}
<nav aria-label="Parts of this page">${parts.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav></div>
${mosaic(rows)}</header>
<main>${notices(results)}${parts.map(
    ({ id, title, body }) => html`
<section id="${id}"><h2>${title}</h2>${body}</section>`,
  )}</main>
<footer>Written by crane-tfjs ${run.version} on <time datetime="${run.date}">${run.date.slice(0, 10)}</time>. The same figures for programs: <code>results.json</code>, as a table of lines <code>report.csv</code>, as text <code>report.md</code>.</footer>
<script>${trusted(SORTING_SCRIPT + THRESHOLD_SCRIPT)}</script></body></html>
`;
  return page.markup;

  function tableSection({ results: { datasets: all } }: BenchmarkPageContent): Html {
    return html`${accuracyTables(table, (name) => setAnchor(all, name))}
<details><summary>Every metric, including those that the paper does not print</summary>${wholeTable(all, reasonOf)}</details>
<details><summary>The paper's whole table, and what is known to be wrong in it</summary>${publishedTables()}${doubtList()}</details>`;
  }
}

function summary({ datasets, recipes, run }: BenchmarkResults): Html {
  const sets = setNames(datasets);
  const images = sets.reduce((sum, name) => sum + (datasets.find((row) => row.name === name)?.images ?? 0), 0);
  if (datasets.length === 0) return html`<p class="summary">No set was scored; the notes below say why.</p>`;
  const backbones = [...new Set(datasets.map(({ model }) => `${model.backbone} at ${model.options.imageSize} px`))];
  return html`<p class="summary">Crane scored <b>${images} images</b> of <b>${count(sets.length, 'set')}</b> by ${count(recipes.length, 'recipe')}, ${recipes.map(({ name }, at) => html`${at > 0 && (at === recipes.length - 1 ? ' and ' : ', ')}<b>${name}</b>`)}, in ${duration(run.seconds)}. Backbone <b>${backbones.join(', ')}</b>.</p>`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} seconds`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

function count(number: number, one: string): string {
  return `${number} ${number === 1 ? one : `${one}s`}`;
}

/** Reasons for caution about these figures. */
function notices({ datasets, run }: BenchmarkResults): Html | null {
  const compared = datasets.filter(({ published }) => published !== null);
  const lines = [
    ...(run.complete ? [] : ['Incomplete: some rows were not finished when this was written.']),
    ...(compared.some(({ comparable }) => !comparable)
      ? [
          `${compared.every(({ comparable }) => !comparable) ? 'These figures' : 'Some figures, with differences in grey,'} were not made with the paper's network, prompts and options on the whole set. Differences from the printed figures then compare models, and say nothing about how well the paper is reproduced.`,
        ]
      : []),
    ...new Set(datasets.flatMap(({ model }) => model.warnings)),
    ...problemNotes({ datasets }),
  ];
  return lines.length === 0
    ? null
    : html`<section class="notice" role="note"><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

/** The clearest find of the first sets. */
function mosaic(rows: readonly ReportedRow[]): Html | null {
  const names = setNames(rows.map(({ row }) => row));
  const tiles = names.flatMap((name, index) => {
    for (const {
      row,
      shown: { selection, thumbnails },
    } of rows.filter((one) => one.row.name === name)) {
      for (const { images } of selection.categories) {
        const [image] = images.found;
        const found = image && thumbnails.get(image.path);
        if (image && found) return [{ title: row.title, index, image, found }];
      }
    }
    return [];
  });
  if (tiles.length === 0) return null;
  return html`<div class="mosaic">${tiles
    .slice(0, MOSAIC)
    .map(
      ({ title, index, image, found }) =>
        html`<a href="#set-${index}"><img src="${found.overlay}" width="144" height="144" alt="Anomaly map over ${title}, ${image.defect}"/><span>${title}</span></a>`,
    )}</div>`;
}

function thumbnailsNote({ fitted: { ofEachKind, side }, rows }: BenchmarkPageContent): Html | null {
  if (rows.every(({ shown }) => shown.thumbnails.size === 0)) return null;
  return html`<p>For each category, at most ${ofEachKind} of the anomalous images with the highest scores, of those with the lowest, and of the normal ones with the highest; no image is shown twice${
    side === null ? '' : `. To keep this page small, images were scaled to ${side} px`
  }. For sets with very many categories, only those with the lowest image AUROC are shown.</p>`;
}

/** What has no figures, and why; and images that could not be read. */
function notes(results: BenchmarkResults): Html {
  const [leftOut, unread] = [leftOutNotes(results), unreadNotes(results)];
  return html`<ul class="about">${results.recipes.map(({ name, method, about, variantOf }) => html`<li><b>${name}</b>: the paper's ${method}, ${about}${variantOf !== null && `; a variant of ${variantOf}`}</li>`)}</ul>
${leftOut.length > 0 && html`<h3>Left out</h3><ul class="about">${leftOut.map(({ title, recipes, text }) => html`<li><b>${title}</b>${results.recipes.length > 1 && html` <small>${recipes.join(', ')}</small>`}: ${text}</li>`)}</ul>`}
${unread.map(({ recipe, title, failures }) => html`<details><summary>${recipe}, ${title}: ${count(failures.length, 'image')} could not be read and ${failures.length === 1 ? 'is' : 'are'} excluded from all figures</summary><ul class="about">${failures.slice(0, FAILURES_SHOWN).map(({ path, message }) => html`<li>${!message.includes(path) && html`<code>${path}</code> `}${message}</li>`)}</ul>${failures.length > FAILURES_SHOWN && html`<p>and ${failures.length - FAILURES_SHOWN} more; results.json lists all</p>`}</details>`)}
${leftOut.length === 0 && unread.length === 0 && html`<p>Nothing was left out, and every image could be read.</p>`}`;
}

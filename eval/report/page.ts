import type { ModelDescription } from '../../lib/crane';
import { isAuxiliarySet } from '../auxiliary-set';
import type { Evaluation } from '../evaluation';
import type { RunManifest } from '../results';
import { curveCharts, curveStyle } from './curves';
import { keyFigures } from './figures';
import { categoryAnchor, gallery, mosaic } from './gallery';
import { scoreHistograms } from './histograms';
import { html, trusted, type Html } from './html';
import { learnedPart, runManifest } from './manifest';
import type { Thumbnails } from '../gallery/pictures';
import type { Selection } from '../gallery/selection';
import { SORTING_SCRIPT } from './sorting';
import { STYLE } from './style';
import { categoryTable } from './tables';
import { THRESHOLD_SCRIPT } from './threshold';

export interface PageContent {
  readonly evaluation: Evaluation;
  readonly model: ModelDescription;
  readonly run: RunManifest;
  readonly selection: Selection;
  readonly thumbnails: ReadonlyMap<string, Thumbnails>;
  /** `data:` URL. */
  readonly colourBar: string;
}

/** Forbids the page to load anything, so that it stays self-contained even if someone edits it. */
export const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const FAILURES_SHOWN = 100;

/** The whole page as one document. Pure: the same content gives the same page. */
export function reportPage(content: PageContent): string {
  const { evaluation, model, run, selection, thumbnails, colourBar } = content;
  const shown = { selection, thumbnails, colourBar, root: evaluation.root };
  const page = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><meta http-equiv="Content-Security-Policy" content="${POLICY}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/>
<title>${evaluation.dataset} - Crane report</title><link rel="icon" href="data:,"/>
<style>${trusted(STYLE + curveStyle(evaluation.categories.length))}</style></head>
<body><header><div class="intro"><p class="kicker">Crane · ${isAuxiliarySet(model.auxiliary, evaluation.dataset) ? 'anomaly detection' : 'zero-shot anomaly detection'}</p><h1>${evaluation.dataset}</h1>
${summary(evaluation, model)}
<nav aria-label="Parts of this page"><a href="#categories">Categories</a><a href="#scores">Scores</a><a href="#curves">Curves</a><a href="#images">Images</a><a href="#run">Run</a></nav></div>
${mosaic(shown, 8)}</header>
<main>${warnings(model)}${failures(evaluation)}
${keyFigures(evaluation)}
<section id="categories"><h2>Categories</h2>${categoryTable(evaluation, (name) => categoryAnchor(selection, name))}</section>
<section id="scores"><h2>Scores</h2><p>How anomalous each image is as a whole: <span class="swatch normal"></span>normal images upwards, <span class="swatch anomalous"></span>anomalous images downwards, on one scale for all categories.
The dashed line is the threshold with the category's best F1. It was chosen using the labels, so it shows what is possible, not what to expect in production. Move it to see what other thresholds find and miss.</p>${scoreHistograms(evaluation.categories)}</section>
<section id="curves"><h2>Curves</h2>${curveCharts(evaluation.categories)}</section>
<section id="images"><h2>Images</h2><p>For each category, the clearest finds and the images on which the model is weakest. An image is marked as missed or as a false alarm where the threshold with the best F1 gets it wrong.</p>${gallery(shown)}</section>
<section id="run"><h2>Run</h2>${runManifest(model, run)}</section></main>
<footer>Written by crane-tfjs ${run.version} on <time datetime="${run.date}">${run.date.slice(0, 10)}</time>. The same figures for programs: <code>results.json</code>.</footer>
<script>${trusted(SORTING_SCRIPT + THRESHOLD_SCRIPT)}</script></body></html>
`;
  return page.markup;
}

/** What was scored, with what, and what the model had seen before. */
function summary(evaluation: Evaluation, model: ModelDescription): Html {
  const { categories, dataset, seconds } = evaluation;
  const images = categories.reduce((sum, category) => sum + category.images, 0);
  const anomalous = categories.reduce((sum, category) => sum + category.anomalous, 0);
  const seen =
    learnedPart(model) === null
      ? html`Nothing was trained for it: it has seen no image of any set.`
      : isAuxiliarySet(model.auxiliary, evaluation.dataset)
        ? html`Its prompts were trained on <b>this same set</b>, so these figures are <strong>not zero-shot</strong>.`
        : model.auxiliary === null
          ? html`Its prompt file does not say which set the prompts were trained on.`
          : html`Its prompts were trained on <b>${model.auxiliary}</b> alone and have seen no image of ${dataset}.`;
  return html`<p class="summary">Crane scored <b>${count(images, 'image')}</b> in ${count(categories.length, 'category', 'categories')}, ${anomalous} of them anomalous.
${seen} Backbone <b>${model.backbone}</b> at ${model.options.imageSize} px, ${(seconds / Math.max(1, images)).toFixed(2)} s per image on ${model.backend.name}.</p>`;
}

function count(number: number, one: string, several = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`;
}

/** Reasons for caution about these figures. */
function warnings({ warnings: given }: ModelDescription): Html | null {
  if (given.length === 0) return null;
  return html`<section class="notice" role="note"><ul>${given.map((warning) => html`<li>${warning}</li>`)}</ul></section>`;
}

function failures({ failures: failed }: Evaluation): Html | null {
  if (failed.length === 0) return null;
  return html`<section class="notice"><details><summary>${count(failed.length, 'image')} could not be read and ${failed.length === 1 ? 'is' : 'are'} excluded from all figures</summary>
<ul>${failed.slice(0, FAILURES_SHOWN).map(({ path, message }) => html`<li>${message.includes(path) ? '' : html`<code>${path}</code> `}${message}</li>`)}</ul>${
    failed.length > FAILURES_SHOWN && html`<p>and ${failed.length - FAILURES_SHOWN} more; results.json lists all</p>`
  }</details></section>`;
}

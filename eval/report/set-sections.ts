import type { BenchmarkRow, RowDetails } from '../benchmark/benchmark-results';
import { percent } from '../metrics-table';
import { curveCharts } from './curves';
import { categoryAnchor, gallery } from './gallery';
import { scoreHistograms } from './histograms';
import { demoted, html, trusted, type Html } from './html';
import { learnedPart } from './manifest';
import type { SetThumbnails } from '../gallery/picture-budget';
import { categoryTable } from './tables';

/** A row with everything that the page shows for it. */
export interface ReportedRow {
  readonly row: BenchmarkRow;
  /** Null where its file cannot be read. */
  readonly details: RowDetails | null;
  readonly shown: SetThumbnails;
}

/** Link to a set's section of the page; undefined where it has none. */
export function setAnchor(rows: readonly BenchmarkRow[], name: string): string | undefined {
  const index = setNames(rows).indexOf(name);
  return index < 0 ? undefined : `#set-${index}`;
}

export function setNames(rows: readonly BenchmarkRow[]): string[] {
  return [...new Set(rows.map(({ name }) => name))];
}

/** One section per set, collapsed where there are several: categories, scores, curves and images by recipe. */
export function setSections(reported: readonly ReportedRow[], colourBar: string): Html {
  const names = setNames(reported.map(({ row }) => row));
  return html`${names.map((name, index) => {
    const own = reported.filter(({ row }) => row.name === name);
    const [{ row: first }] = own as [ReportedRow];
    return html`
<details class="set" id="set-${index}"${names.length === 1 && trusted(' open')}><summary><h3>${first.title}</h3> <small>${own.map(
      ({ row: { recipe, mean } }) =>
        html`<span>${recipe}: I-AUROC <b>${percent(mean['image/auroc'])}</b> P-AUROC <b>${percent(mean['pixel/auroc'])}</b> AUPRO <b>${percent(mean['pixel/aupro/paper200@0.3'])}</b></span>`,
    )}</small></summary>
${own.map((one, at) => recipePart(one, `set${index}-${at}-`, colourBar))}</details>`;
  })}`;
}

function recipePart({ row, details, shown }: ReportedRow, scope: string, colourBar: string): Html {
  const { recipe, model, images, anomalous, categories } = row;
  const seen =
    learnedPart(model) === null
      ? 'nothing was trained'
      : model.auxiliary === null
        ? 'prompts whose training set is not recorded'
        : `prompts trained on ${model.auxiliary}`;
  const intro = html`<h4>${recipe}</h4><p class="note">${images} images, ${anomalous} of them anomalous, in ${categories.length} ${categories.length === 1 ? 'category' : 'categories'}; ${seen}; backbone ${model.backbone} at ${model.options.imageSize} px${model.spatial !== null && html`, guided by ${model.spatial}`}.</p>`;
  if (details === null)
    return html`<section class="recipe">${intro}<p class="empty">Its details (<code>${row.details}</code>) cannot be read, so categories, scores, curves and images are missing here.</p></section>`;
  const { evaluation } = details;
  const { selection, thumbnails } = shown;
  const parts = html`${categoryTable(evaluation, (name) => categoryAnchor(selection, name, scope))}
<h3>Scores</h3>${scoreHistograms(evaluation.categories)}
<h3>Curves</h3>${curveCharts(evaluation.categories, scope)}
<h3>Images</h3>${details.thumbnails === null ? html`<p class="note">None were made in this run.</p>` : selection.categories.length === 0 ? html`<p class="note">There is no room left for the images of this set.</p>` : gallery({ selection, thumbnails, colourBar, root: evaluation.root, scope })}`;
  return html`<section class="recipe">${intro}${demoted(parts, 2)}</section>`;
}

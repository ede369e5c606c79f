import type { Evaluation } from '../evaluation';
import type { MetricId } from '../metrics/metric-ids';
import { percent } from '../metrics-table';
import { breakable, html, type Html } from './html';

interface KeyFigure {
  readonly id: MetricId;
  readonly title: string;
  readonly meaning: string;
}

/** The figures that papers quote, by the question they answer. */
const QUESTIONS: readonly { readonly question: string; readonly figures: readonly KeyFigure[] }[] = [
  {
    question: 'Which images are anomalous?',
    figures: [
      {
        id: 'image/auroc',
        title: 'Image AUROC',
        meaning: 'how often an anomalous image scores higher than a normal one',
      },
      { id: 'image/f1max', title: 'Image F1-max', meaning: 'best balance of precision and recall over all thresholds' },
    ],
  },
  {
    question: 'Where is the defect?',
    figures: [
      {
        id: 'pixel/auroc',
        title: 'Pixel AUROC',
        meaning: 'how often an anomalous pixel scores higher than a normal one',
      },
      {
        id: 'pixel/aupro/paper200@0.3',
        title: 'AUPRO',
        meaning: 'how much of each defect is covered, small or large, up to 30 % false positives',
      },
      { id: 'pixel/f1max', title: 'Pixel F1-max', meaning: 'best balance of precision and recall over all thresholds' },
    ],
  },
];

/** Means over categories as cards, with a dot for every category. */
export function keyFigures(evaluation: Evaluation): Html {
  return html`<section class="figures" aria-label="Key figures">${QUESTIONS.map(
    ({ question, figures }) => html`
<div class="question" style="--cards:${figures.length}"><h2>${question}</h2>
<div class="cards">${figures.map((figure) => card(figure, evaluation))}</div></div>`,
  )}
</section>`;
}

function card({ id, title, meaning }: KeyFigure, { categories, mean }: Evaluation): Html {
  const value = mean[id];
  const reason =
    categories.map(({ reasons }) => reasons[id]).find((text) => text !== undefined) ?? 'not defined in any category';
  const measured = categories.flatMap(({ name, metrics }) => {
    const own = metrics[id];
    return own === null ? [] : [{ name, value: own }];
  });
  const lowest = measured.reduce<(typeof measured)[number] | undefined>(
    (low, one) => (low && low.value <= one.value ? low : one),
    undefined,
  );
  return html`
<div class="card"><h3>${title} <code>${breakable(id)}</code></h3>
<p class="figure">${value === null ? html`<abbr title="${reason}">n/a</abbr>` : html`${percent(value)}<small>%</small>`}</p>
${dots(measured)}
<p class="note">${value === null ? reason : meaning}${lowest && measured.length > 1 ? html`. Lowest: <b>${lowest.name}</b> ${percent(lowest.value)}` : ''}</p></div>`;
}

/** One dot per category, on a scale of 0 to 100 %. */
function dots(measured: readonly { readonly name: string; readonly value: number }[]): Html {
  const place = (value: number): string => (4 + 192 * value).toFixed(1);
  return html`<svg class="dots" viewBox="0 0 200 22" aria-hidden="true"><path d="M4 6H196M4 2v8M100 2v8M196 2v8"/><text x="4" y="20">0</text><text x="100" y="20">50</text><text x="196" y="20">100</text>${measured.map(
    ({ name, value }) =>
      html`<circle cx="${place(value)}" cy="6" r="3.2"><title>${name}: ${percent(value)}</title></circle>`,
  )}</svg>`;
}

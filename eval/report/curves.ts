import type { CategoryEvaluation, CurvesOfCategory } from '../evaluation';
import type { MetricId } from '../metrics/metric-ids';
import { percent } from '../metrics-table';
import { ChartFrame } from './chart-frame';
import { breakable, html, trusted, type Html } from './html';

interface Panel {
  readonly curve: keyof CurvesOfCategory;
  readonly id: string;
  readonly title: string;
  /** The metric that is the area below the curve. */
  readonly metric: MetricId;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xTicks: readonly number[];
  /** The line of a model that guesses. */
  readonly chance: boolean;
}

const WHOLE = [0, 0.25, 0.5, 0.75, 1] as const;
const RATE = 'false positive rate';

const PANELS: readonly Panel[] = [
  { curve: 'imageRoc', id: 'image-roc', title: 'Image ROC', metric: 'image/auroc', xTitle: RATE, yTitle: 'true positive rate', xTicks: WHOLE, chance: true },
  { curve: 'pixelRoc', id: 'pixel-roc', title: 'Pixel ROC', metric: 'pixel/auroc', xTitle: RATE, yTitle: 'true positive rate', xTicks: WHOLE, chance: true },
  { curve: 'pixelPrecisionRecall', id: 'pixel-pr', title: 'Pixel precision and recall', metric: 'pixel/ap', xTitle: 'recall', yTitle: 'precision', xTicks: WHOLE, chance: false },
  { curve: 'pixelPro', id: 'pixel-pro', title: 'PRO, up to its limit', metric: 'pixel/aupro/exact@0.3', xTitle: RATE, yTitle: 'mean overlap of the defects', xTicks: [0, 0.1, 0.2, 0.3], chance: false },
];

/** Four charts with a thin line a category. Choosing a category, or pointing at a line, brings it forward in all four. */
export function curveCharts(categories: readonly CategoryEvaluation[]): Html {
  return html`<div class="curves"><fieldset class="picks"><legend>Bring forward</legend>${[
    pick('all', 'lowest', true),
    ...categories.map(({ name }, index) => pick(index, name, false)),
  ]}</fieldset>
<div class="panels">${PANELS.map((panel) => panelOf(panel, categories))}</div></div>`;
}

function pick(index: number | 'all', name: string, chosen: boolean): Html {
  return html`<span class="pick k${index}"><input type="radio" name="curve" id="pick-${index}"${trusted(chosen ? ' checked' : '')}/><label for="pick-${index}">${name}</label></span>`;
}

/** Style that brings the lines of the chosen category forward; it works without script. */
export function curveStyle(categories: number): string {
  return Array.from({ length: categories }, (_, index) => emphasis(index)).join('');
}

function emphasis(index: number): string {
  const when = `.curves:has(#pick-${index}:checked,.k${index}:hover,.c${index}:hover)`;
  return `${when} .curve.c${index}.c${index}{--line:var(--accent);--weight:2.6;opacity:1}${when} .v${index}{display:inline}`;
}

function panelOf({ curve, id, title, metric, xTitle, yTitle, xTicks, chance }: Panel, categories: readonly CategoryEvaluation[]): Html {
  const drawn = categories.flatMap((category, index) => {
    const points = category.curves[curve];
    return points === null ? [] : [{ name: category.name, index, points, value: category.metrics[metric] }];
  });
  const heading = html`<figcaption><h3>${title} <code>${breakable(metric)}</code></h3></figcaption>`;
  if (drawn.length === 0) {
    const reason = categories.map(({ reasons }) => reasons[metric]).find((text) => text !== undefined) ?? 'no category has both normal and anomalous samples';
    return html`<figure class="panel">${heading}<p class="empty">Not defined: ${reason}.</p></figure>`;
  }
  const frame = new ChartFrame({ width: 320, height: 300, xTicks, yTicks: WHOLE, xTitle, yTitle });
  const lowest = drawn.reduce((low, one) => ((one.value ?? 2) < (low.value ?? 2) ? one : low));
  const place = html` x="${frame.x(xTicks.at(-1) as number)}" y="${frame.strip}"`;
  return html`<figure class="panel">${heading}${frame.draw(
    `${title}: ${drawn.map(({ name, value }) => `${name} ${percent(value)}`).join(', ')}`,
    html`${chance && html`<path class="chance" d="${frame.line([0, 1], [0, 1])}"/>`}${drawn.map(
      ({ name, index, points, value }) => html`
<g class="curve c${index}${index === lowest.index ? ' lowest' : ''}"><title>${name}: ${percent(value)}</title><defs><path id="${id}-${index}" d="${frame.line(points.x, points.y)}"/></defs><use class="touch" href="#${id}-${index}"/><use class="line" href="#${id}-${index}"/></g>`,
    )}
<g class="values">${drawn.map(
      ({ name, index, value }) => html`<text class="end v${index}${index === lowest.index ? ' lowest' : ''}"${place}>${name} ${percent(value)}</text>`,
    )}</g>`,
  )}</figure>`;
}

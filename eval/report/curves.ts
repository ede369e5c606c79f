import type { CategoryEvaluation, CurvesOfCategory } from '../evaluation';
import { precisionRecallCurve, type Curve } from '../metrics/curves';
import type { MetricId } from '../metrics/metric-ids';
import { rankScores } from '../metrics/ranking';
import { percent } from '../metrics-table';
import { ChartFrame } from './chart-frame';
import { breakable, html, trusted, type Html } from './html';

interface Panel {
  readonly curve: (category: CategoryEvaluation) => Curve | null;
  readonly id: string;
  readonly title: string;
  /** The metric that is the area under the curve. */
  readonly metric: MetricId;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xTicks: readonly number[];
  /** Whether to draw the line of a model that guesses. */
  readonly chance: boolean;
}

const kept =
  (curve: keyof CurvesOfCategory): Panel['curve'] =>
  ({ curves }) =>
    curves[curve];

/** From the image scores, which the evaluation keeps individually. */
function imagePrecisionRecall({ scores, metrics }: CategoryEvaluation): Curve | null {
  if (metrics['image/ap'] === null) return null;
  const of = (bad: boolean): number[] => scores.filter(({ anomalous }) => anomalous === bad).map(({ score }) => score);
  return precisionRecallCurve(rankScores(of(false), of(true)));
}

const WHOLE = [0, 0.25, 0.5, 0.75, 1] as const;
const RATE = 'false positive rate';

const PANELS: readonly Panel[] = [
  {
    curve: kept('imageRoc'),
    id: 'image-roc',
    title: 'Image ROC',
    metric: 'image/auroc',
    xTitle: RATE,
    yTitle: 'true positive rate',
    xTicks: WHOLE,
    chance: true,
  },
  {
    curve: imagePrecisionRecall,
    id: 'image-pr',
    title: 'Image PR',
    metric: 'image/ap',
    xTitle: 'recall',
    yTitle: 'precision',
    xTicks: WHOLE,
    chance: false,
  },
  {
    curve: kept('pixelRoc'),
    id: 'pixel-roc',
    title: 'Pixel ROC',
    metric: 'pixel/auroc',
    xTitle: RATE,
    yTitle: 'true positive rate',
    xTicks: WHOLE,
    chance: true,
  },
  {
    curve: kept('pixelPrecisionRecall'),
    id: 'pixel-pr',
    title: 'Pixel PR',
    metric: 'pixel/ap',
    xTitle: 'recall',
    yTitle: 'precision',
    xTicks: WHOLE,
    chance: false,
  },
  {
    curve: kept('pixelPro'),
    id: 'pixel-pro',
    title: 'PRO to its limit',
    metric: 'pixel/aupro/exact@0.3',
    xTitle: RATE,
    yTitle: 'mean overlap of the defects',
    xTicks: [0, 0.1, 0.2, 0.3],
    chance: false,
  },
];

/**
 * A chart for each curve, with a thin line per category. Choosing a category, or pointing at a line, highlights it in
 * all of them.
 * @param scope prefix of the ids, unique to each set on a page
 */
export function curveCharts(categories: readonly CategoryEvaluation[], scope = ''): Html {
  const panels = PANELS.map((panel) => ({ panel, lines: linesOf(panel, categories) }));
  const missing = panels.filter(({ lines }) => lines.length === 0);
  return html`<div class="curves">${
    categories.length > 1 &&
    missing.length < panels.length &&
    html`<fieldset class="picks"><legend>Highlight</legend>${[
      pick('all', 'lowest', scope),
      ...categories.map(({ name }, index) => pick(index, name, scope)),
    ]}</fieldset>`
  }
<div class="panels">${panels.map(({ panel, lines }) => lines.length > 0 && panelOf(panel, lines, scope))}</div>
${missing.map(({ panel: { title, metric } }) => html`<p class="note">${title} <code>${metric}</code> is not defined: ${reasonOf(metric, categories)}.</p>`)}</div>`;
}

function reasonOf(metric: MetricId, categories: readonly CategoryEvaluation[]): string {
  return (
    categories.map(({ reasons }) => reasons[metric]).find((text) => text !== undefined) ??
    'no category has both normal and anomalous samples'
  );
}

function pick(index: number | 'all', name: string, scope: string): Html {
  const id = `${scope}pick-${index}`;
  return html`<span class="pick k${index}"><input type="radio" name="${scope}curve" id="${id}"${trusted(index === 'all' ? ' checked' : '')}/><label for="${id}">${name}</label></span>`;
}

/** Style that highlights the lines of the chosen category; it works without script. */
export function curveStyle(categories: number): string {
  return Array.from({ length: categories }, (_, index) => emphasis(index)).join('');
}

function emphasis(index: number): string {
  const when = `.curves:has(.k${index} input:checked,.k${index}:hover,.c${index}:hover)`;
  return `${when} .curve.c${index}.c${index}{--line:var(--accent);--weight:2.6;opacity:1}${when} .v${index}{display:inline}`;
}

interface Line {
  readonly name: string;
  /** Index of the category. */
  readonly index: number;
  readonly points: Curve;
  readonly value: number | null;
}

function linesOf({ curve, metric }: Panel, categories: readonly CategoryEvaluation[]): Line[] {
  return categories.flatMap((category, index) => {
    const points = curve(category);
    return points === null ? [] : [{ name: category.name, index, points, value: category.metrics[metric] }];
  });
}

function panelOf(
  { id: panel, title, metric, xTitle, yTitle, xTicks, chance }: Panel,
  drawn: readonly Line[],
  scope: string,
): Html {
  const id = `${scope}${panel}`;
  const heading = html`<figcaption><h3>${title} <code>${breakable(metric)}</code></h3></figcaption>`;
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
      ({ name, index, value }) =>
        html`<text class="end v${index}${index === lowest.index ? ' lowest' : ''}"${place}>${name} ${percent(value)}</text>`,
    )}</g>`,
  )}</figure>`;
}

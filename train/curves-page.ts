import { ChartFrame, niceTicks, round } from '../eval/report/chart-frame';
import { html, trusted, type Html, type Insertable } from '../eval/report/html';
import { STYLE } from '../eval/report/style';
import type { MetricId } from '../eval/metrics/metric-ids';
import type { EpochRecord } from './epoch-record';
import type { RunFile } from './run-file';
import type { StepLine } from './step-log';

export interface CurvesContent {
  readonly run: RunFile;
  readonly steps: readonly StepLine[];
}

type LossName = 'total' | 'focal' | 'dice' | 'image';

const LOSSES: readonly { readonly name: LossName; readonly title: string; readonly note: string }[] = [
  { name: 'total', title: 'Loss', note: 'what is minimised: focal + dice + weighted image loss' },
  { name: 'focal', title: 'Focal loss', note: 'of patches, summed over layers' },
  { name: 'dice', title: 'Dice loss', note: 'of whole masks, summed over layers' },
  { name: 'image', title: 'Image loss', note: 'cross-entropy, unweighted' },
];

const METRICS: readonly { readonly id: MetricId; readonly label: string }[] = [
  { id: 'image/auroc', label: 'image AUROC' },
  { id: 'image/ap', label: 'image AP' },
  { id: 'pixel/auroc', label: 'pixel AUROC' },
  { id: 'pixel/ap', label: 'pixel AP' },
];

/** Longer runs are shown as means over equal stretches, since a chart is only a few hundred pixels wide. */
const DRAWN_STEPS = 400;

/** Forbids the page to load anything, so that it remains a single file. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const OWN_STYLE = `
.panels.losses{grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.steps{fill:none;stroke:var(--quiet);stroke-width:1.2;stroke-linejoin:round}
.epochs{fill:none;stroke:var(--accent);stroke-width:2.2;stroke-linejoin:round}
.mark{fill:var(--accent)}
.ends{stroke:var(--rule);stroke-dasharray:2 4;fill:none}
.best{fill:var(--anomalous)}
.chart .best-name{fill:var(--wrong);font-weight:650}
.key i{display:inline-block;width:1.6em;border-top:3px solid var(--quiet);vertical-align:.25em;margin:0 .35em 0 .9em}
.key i.mean{border-color:var(--accent)}
tr.chosen>*{font-weight:700}
.command{display:block;font-size:.875rem;padding:10px 14px;background:var(--sheet);border:1px solid var(--rule);border-radius:10px;white-space:pre-wrap}
`;

/** Losses and validation metrics of a run as one page that opens offline. Pure: the same content gives the same page. */
export function curvesPage({ run, steps }: CurvesContent): string {
  const { auxiliary, backbone, training, status, epochs } = run;
  const page = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><meta http-equiv="Content-Security-Policy" content="${POLICY}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/>
<title>${auxiliary.name} - Crane training</title><link rel="icon" href="data:,"/>
<style>${trusted(STYLE + OWN_STYLE)}</style></head>
<body><header><div class="intro"><p class="kicker">Crane · training of prompts</p><h1>${auxiliary.name}</h1>
<p class="summary">${status === 'finished' ? 'Trained' : 'In training'} on <b>${auxiliary.images} images</b>, ${auxiliary.anomalous} of them anomalous; backbone <b>${backbone.name}</b> at ${run.options.imageSize} px.
${epochs.length} of ${training.epochs} epochs are complete, seed ${training.seed}.${bestSentence(run)}</p></div></header>
<main><section><h2>Losses</h2><p class="key"><i></i>every step${steps.length > DRAWN_STEPS && `, ${Math.ceil(steps.length / DRAWN_STEPS)} together`}<i class="mean"></i>mean of each epoch</p>
<div class="panels losses">${LOSSES.map((loss) => lossPanel(loss, steps, epochs))}</div></section>
${validationSection(run)}
<section><h2>Epochs</h2>${epochTable(run)}</section>
<section class="run"><h2>Run</h2>${runDetails(run)}</section></main>
<footer>Written by crane-tfjs ${run.versions['crane']}. The same figures for programs: <code>losses.jsonl</code> and <code>run.json</code>.</footer></body></html>
`;
  return page.markup;
}

function bestSentence({ best, epochs }: RunFile): Html | null {
  if (best === null || epochs.length === 0) return null;
  return best.by === 'validation'
    ? html` Best on the held-out images: <b>epoch ${best.epoch}</b>, with a mean of image and pixel AUROC of ${percent(best.value)}.`
    : html` Lowest loss: <b>epoch ${best.epoch}</b>; no images were held out for validation (validate).`;
}

function lossPanel(
  { name, title, note }: (typeof LOSSES)[number],
  steps: readonly StepLine[],
  epochs: readonly EpochRecord[],
): Html {
  const heading = html`<figcaption><h3>${title}</h3><small>${note}</small></figcaption>`;
  if (steps.length === 0)
    return html`<figure class="panel">${heading}<p class="empty">No step is complete.</p></figure>`;
  const line = thinned(steps.map((step) => ({ x: step.step, y: step[name] })));
  const ends = epochs.map(({ epoch }) => lastStepOf(epoch, steps));
  const means = epochs.map((epoch, index) => ({
    x: ((ends[index - 1] ?? 0) + (ends[index] as number) + 1) / 2,
    y: epoch[name],
  }));
  const values = [...line, ...means].map(({ y }) => y);
  const frame = new ChartFrame({
    width: 420,
    height: 230,
    xTicks: spanOfSteps(steps.length),
    yTicks: niceTicks(Math.min(0, ...values), Math.max(...values), 4),
    xTitle: 'step',
    yTitle: title.toLowerCase(),
  });
  const [bottom, top] = [frame.y(frame.options.yTicks[0] as number), frame.y(frame.options.yTicks.at(-1) as number)];
  return html`<figure class="panel">${heading}${frame.draw(
    `${title} over ${steps.length} steps, from ${figure(line[0]?.y)} to ${figure(line.at(-1)?.y)}`,
    html`<path class="ends" d="${trusted(
      ends
        .slice(0, -1)
        .map((end) => `M${round(frame.x(end + 0.5))} ${bottom}V${top}`)
        .join(''),
    )}"/>
<path class="steps" d="${trusted(pathOf(frame, line))}"/><path class="epochs" d="${trusted(pathOf(frame, means))}"/>${means.map(
      ({ x, y }, index) =>
        html`<circle class="mark" cx="${round(frame.x(x))}" cy="${round(frame.y(y))}" r="3.2"><title>epoch ${index + 1}: ${figure(y)}</title></circle>`,
    )}`,
  )}</figure>`;
}

function validationSection({ epochs, auxiliary, best }: RunFile): Html | null {
  if (auxiliary.validation === 0) return null;
  const measured = epochs.filter(({ validation }) => validation !== null);
  if (measured.length === 0) return html`<section><h2>Validation</h2><p>No epoch is complete.</p></section>`;
  const panels = METRICS.map(({ id, label }) => {
    const points = measured.flatMap(({ epoch, validation }) => {
      const value = validation?.[id];
      return typeof value === 'number' ? [{ x: epoch, y: 100 * value }] : [];
    });
    const heading = html`<figcaption><h3>${label}</h3><small>${points.length > 0 ? `last ${points.at(-1)?.y.toFixed(1)} %` : 'undefined on these images'}</small></figcaption>`;
    if (points.length === 0) return html`<figure class="panel">${heading}<p class="empty">Undefined.</p></figure>`;
    const [low, high] = [Math.min(...points.map(({ y }) => y)), Math.max(...points.map(({ y }) => y))];
    const frame = new ChartFrame({
      width: 320,
      height: 220,
      xTicks: wholeTicks(Math.max(2, epochs.length)),
      yTicks: niceTicks(Math.max(0, low - 1), Math.min(100, high + 1), 4),
      xTitle: 'epoch',
      yTitle: 'per cent',
    });
    return html`<figure class="panel">${heading}${frame.draw(
      `${label} by epoch: ${points.map(({ x, y }) => `epoch ${x} ${figure(y)} %`).join(', ')}`,
      html`<path class="epochs" d="${trusted(pathOf(frame, points))}"/>${points.map(
        ({ x, y }) =>
          html`<circle class="${x === best?.epoch ? 'best' : 'mark'}" cx="${round(frame.x(x))}" cy="${round(frame.y(y))}" r="${x === best?.epoch ? 4.6 : 3.2}"><title>epoch ${x}: ${figure(y)} %</title></circle>`,
      )}`,
    )}</figure>`;
  });
  return html`<section><h2>Validation</h2><p>Metrics on ${auxiliary.validation} images of the same set that were held out from training, computed as by "crane eval": means over categories. The larger dot marks the best epoch. These images come from the training set, so the figures are not zero-shot.</p><div class="panels">${panels}</div></section>`;
}

function epochTable({ epochs, best, auxiliary }: RunFile): Html {
  if (epochs.length === 0) return html`<p class="empty">No epoch is complete.</p>`;
  const metrics = auxiliary.validation > 0 ? METRICS : [];
  return html`<div class="scrolling"><table><thead><tr>${['epoch', 'loss', 'focal', 'dice', 'image', ...metrics.map(({ label }) => label), 'prompts'].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${epochs.map(
    ({ epoch, total, focal, dice, image, validation, file }) =>
      html`<tr class="${epoch === best?.epoch ? 'chosen' : ''}"><th scope="row">${epoch}${epoch === best?.epoch && ' (best)'}</th>${[total, focal, dice, image].map((value) => html`<td>${value.toFixed(4)}</td>`)}${metrics.map(
        ({ id }) => html`<td>${typeof validation?.[id] === 'number' ? percent(validation[id]) : 'n/a'}</td>`,
      )}<td>${file === null ? 'not kept' : html`<code>${file}</code>`}</td></tr>`,
  )}</tbody></table></div>`;
}

function runDetails({
  auxiliary,
  backbone,
  spatial,
  training,
  precision,
  versions,
  commandLine,
  commit,
  skipped,
  seconds,
  started,
  start,
}: RunFile): Html {
  const rows = (entries: readonly (readonly [string, Insertable])[]): Html =>
    html`<dl>${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
  return html`<p>To repeat this run:</p><code class="command">${commandLine}</code><div class="manifest"><div><h3>Data and weights</h3>${rows(
    [
      ['set', auxiliary.name],
      ['categories', auxiliary.categories.join(', ')],
      ['files, sha256', html`<code>${auxiliary.files}</code>`],
      ['held out', `${auxiliary.validation} images`],
      ['left out', skipped.length === 0 ? 'nothing' : `${skipped.length} unreadable images, listed in run.json`],
      ['backbone', html`${backbone.name} <code>${backbone.sha256}</code>`],
      ...(spatial === null ? [] : [['spatial model', html`${spatial.name} <code>${spatial.sha256}</code>`] as const]),
      ['started from', start === null ? 'fresh prompts' : html`${start.name} <code>${start.sha256}</code>`],
    ],
  )}</div><div><h3>Options</h3>${rows([
    ...Object.entries(training).map(
      ([name, value]) => [words(name), Array.isArray(value) ? value.join(', ') : String(value)] as const,
    ),
    ['features', precision],
  ])}</div><div><h3>Circumstances</h3>${rows([
    ['started', started],
    ['encoding', `${seconds.encode.toFixed(1)} s`],
    ['training', `${seconds.train.toFixed(1)} s`],
    ...Object.entries(versions),
    [
      'commit',
      commit === null
        ? 'not in a repository'
        : html`<code>${commit.commit}</code>${commit.changed && ', with changes'}`,
    ],
  ])}</div></div>`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Means over equal stretches if there are more points than a chart can show. */
function thinned(points: readonly Point[]): Point[] {
  const stretch = Math.ceil(points.length / DRAWN_STEPS);
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, index) => {
    const part = points.slice(index * stretch, (index + 1) * stretch);
    const mean = (of: (point: Point) => number): number =>
      part.reduce((sum, point) => sum + of(point), 0) / part.length;
    return { x: mean(({ x }) => x), y: mean(({ y }) => y) };
  });
}

function pathOf(frame: ChartFrame, points: readonly Point[]): string {
  return points
    .map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${round(frame.x(x))} ${round(frame.y(y))}`)
    .join('');
}

function lastStepOf(epoch: number, steps: readonly StepLine[]): number {
  return steps.reduce((last, step) => (step.epoch === epoch ? step.step : last), 0);
}

function spanOfSteps(count: number): number[] {
  return niceTicks(0, Math.max(2, count), 5).filter((tick) => Number.isInteger(tick));
}

function wholeTicks(last: number): number[] {
  const step = Math.max(1, Math.ceil((last - 1) / 8));
  return Array.from({ length: Math.ceil((last - 1) / step) + 1 }, (_, index) => 1 + index * step);
}

function figure(value: number | undefined): string {
  return value === undefined ? 'none' : String(Number(value.toPrecision(4)));
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

/** `learningRate` as `learning rate`. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

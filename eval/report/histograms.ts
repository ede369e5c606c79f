import type { CategoryEvaluation, ScoredImage } from '../evaluation';
import { percent } from '../metrics-table';
import { niceTicks, round } from './chart-frame';
import { breakable, html, trusted, type Html } from './html';
import { imageThreshold } from '../gallery/selection';
import { confusionAt, scoreList, type Confusion } from './threshold';

const BINS = 32;
const SIZE = { width: 260, height: 136, left: 8, right: 8, middle: 60, reach: 50 } as const;

/** Score distributions by category: normal images upwards, anomalous ones downwards, on one scale for the whole set. */
export function scoreHistograms(categories: readonly CategoryEvaluation[]): Html {
  const scores = categories.flatMap((category) => category.scores.map(({ score }) => score));
  if (scores.length === 0) return html`<p class="empty">No image was scored.</p>`;
  const ticks = niceTicks(Math.min(...bounded(scores, Math.min)), Math.max(...bounded(scores, Math.max)), 5);
  return html`<div class="histograms">${categories.map((category) => histogram(category, ticks))}</div>`;
}

/** Extremes, found a thousand at a time: a call cannot take a hundred thousand arguments. */
function bounded(values: readonly number[], extreme: (...of: number[]) => number): number[] {
  return Array.from({ length: Math.ceil(values.length / 1000) }, (_, part) =>
    extreme(...values.slice(part * 1000, part * 1000 + 1000)),
  );
}

function histogram(category: CategoryEvaluation, ticks: readonly number[]): Html {
  const { name, scores, metrics } = category;
  const [low, high] = [ticks[0] as number, ticks.at(-1) as number];
  const place = (score: number): number =>
    round(SIZE.left + ((score - low) / (high - low)) * (SIZE.width - SIZE.left - SIZE.right));
  const normal = binned(
    scores.filter((image) => !image.anomalous),
    low,
    high,
  );
  const anomalous = binned(
    scores.filter((image) => image.anomalous),
    low,
    high,
  );
  const highest = Math.max(1, ...normal, ...anomalous);
  const bars = (counts: readonly number[], direction: 1 | -1, what: string): Html[] =>
    counts.flatMap((count, bin) => {
      if (count === 0) return [];
      const from = low + (bin * (high - low)) / BINS;
      const to = low + ((bin + 1) * (high - low)) / BINS;
      const length = round((count / highest) * SIZE.reach);
      const top = direction === 1 ? SIZE.middle - 1 - length : SIZE.middle + 1;
      return [
        html`<rect x="${place(from)}" y="${round(top)}" width="${round(place(to) - place(from) - 0.8)}" height="${length}"><title>${from.toFixed(3)} to ${to.toFixed(3)}: ${count} ${what}</title></rect>`,
      ];
    });
  const found = thresholdOf(category);
  const line = SIZE.width - SIZE.left - SIZE.right;
  const data =
    found &&
    html` data-label="${name}" data-threshold="${found.threshold}" data-low="${low}" data-high="${high}" data-width="${line}" data-normal="${found.normal}" data-anomalous="${found.anomalous}"`;
  return html`
<figure class="histogram"${data}><figcaption><h3>${breakable(name)}</h3> <span>AUROC ${percent(metrics['image/auroc'])}</span></figcaption>
<svg class="chart" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${`Scores of ${name}: ${verdict(category, found)}`}">
<path class="grid" d="${trusted(ticks.map((tick) => `M${place(tick)} 8V${SIZE.height - 22}`).join(''))}"/>
<g class="normal">${bars(normal, 1, 'normal')}</g><g class="anomalous">${bars(anomalous, -1, 'anomalous')}</g>
<path class="base" d="M${place(low)} ${SIZE.middle}H${place(high)}"/>${
    found && html`<path class="threshold" d="M${place(found.threshold)} 4V${SIZE.height - 20}"/>`
  }
<g class="ticks">${ticks.map((tick) => html`<text class="middle" x="${place(tick)}" y="${SIZE.height - 6}">${tick}</text>`)}</g></svg>
${found ? confusionTable(found) : html`<p class="note">${verdict(category, null)}</p>`}</figure>`;
}

interface FoundThreshold {
  /** The lowest score called anomalous, rounded like the lists. */
  readonly threshold: number;
  readonly confusion: Confusion;
  /** Scores for the slider, see `scoreList`. */
  readonly normal: string;
  readonly anomalous: string;
}

/** The threshold with the best F1 and its outcome; null where there is one class only. */
function thresholdOf(category: CategoryEvaluation): FoundThreshold | null {
  const best = imageThreshold(category);
  if (best === null) return null;
  const threshold = Number(scoreList([best]));
  const [normal, anomalous] = [false, true].map((bad) =>
    scoreList(category.scores.filter((image) => image.anomalous === bad).map(({ score }) => score)),
  ) as [string, string];
  const numbers = (list: string): number[] => list.split(' ').map(Number);
  return { threshold, confusion: confusionAt(numbers(normal), numbers(anomalous), threshold), normal, anomalous };
}

/** What the script updates when the slider moves. */
function confusionTable({ threshold, confusion }: FoundThreshold): Html {
  const show = (field: keyof Confusion): Html => {
    const value = confusion[field];
    const text = field === 'precision' || field === 'recall' || field === 'f1' ? percent(value) : String(value);
    return html`<b data-show="${field}">${text}</b>`;
  };
  return html`<p class="verdict note"><span>anomalous at or above <b data-show="threshold">${threshold.toFixed(3)}</b></span> </p>
<table class="confusion"><thead><tr><td></td><th scope="col">called anomalous</th><th scope="col">called normal</th></tr></thead>
<tbody><tr><th scope="row"><span class="swatch anomalous"></span>anomalous</th><td>${show('found')}</td><td class="bad">${show('missed')}</td></tr>
<tr><th scope="row"><span class="swatch normal"></span>normal</th><td class="bad">${show('alarms')}</td><td>${show('passed')}</td></tr></tbody></table>
<p class="note">precision ${show('precision')} · recall ${show('recall')} · F1 ${show('f1')}</p>`;
}

function binned(images: readonly ScoredImage[], low: number, high: number): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (const { score } of images) {
    const bin = Math.min(BINS - 1, Math.floor(((score - low) / (high - low)) * BINS));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/** The outcome of the threshold with the best F1, in words. */
function verdict({ anomalous, images }: CategoryEvaluation, found: FoundThreshold | null): string {
  if (found === null) return `${images - anomalous} normal, ${anomalous} anomalous`;
  const { missed, alarms } = found.confusion;
  return `at or above ${found.threshold.toFixed(3)}: ${missed} of ${anomalous} missed, ${alarms} of ${images - anomalous} false alarms`;
}

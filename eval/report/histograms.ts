import type { CategoryEvaluation, ScoredImage } from '../evaluation';
import { percent } from '../metrics-table';
import { niceTicks, round } from './chart-frame';
import { breakable, html, trusted, type Html } from './html';
import { imageThreshold } from './selection';

const BINS = 32;
const SIZE = { width: 260, height: 136, left: 8, right: 8, middle: 60, reach: 50 } as const;

/** How the scores of each category fall: normal images upwards, anomalous ones downwards, on one scale for the whole set. */
export function scoreHistograms(categories: readonly CategoryEvaluation[]): Html {
  const scores = categories.flatMap((category) => category.scores.map(({ score }) => score));
  if (scores.length === 0) return html`<p class="empty">No image was scored.</p>`;
  const ticks = niceTicks(Math.min(...bounded(scores, Math.min)), Math.max(...bounded(scores, Math.max)), 5);
  return html`<div class="histograms">${categories.map((category) => histogram(category, ticks))}</div>`;
}

/** The extreme of each thousand: a call cannot take a hundred thousand arguments. */
function bounded(values: readonly number[], extreme: (...of: number[]) => number): number[] {
  return Array.from({ length: Math.ceil(values.length / 1000) }, (_, part) => extreme(...values.slice(part * 1000, part * 1000 + 1000)));
}

function histogram(category: CategoryEvaluation, ticks: readonly number[]): Html {
  const { name, scores, metrics } = category;
  const [low, high] = [ticks[0] as number, ticks.at(-1) as number];
  const place = (score: number): number => round(SIZE.left + ((score - low) / (high - low)) * (SIZE.width - SIZE.left - SIZE.right));
  const normal = binned(scores.filter((image) => !image.anomalous), low, high);
  const anomalous = binned(scores.filter((image) => image.anomalous), low, high);
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
  const threshold = imageThreshold(category);
  return html`
<figure class="histogram"><figcaption><h3>${breakable(name)}</h3> <span>AUROC ${percent(metrics['image/auroc'])}</span></figcaption>
<svg class="chart" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${`Scores of ${name}: ${verdict(category, threshold)}`}">
<path class="grid" d="${trusted(ticks.map((tick) => `M${place(tick)} 8V${SIZE.height - 22}`).join(''))}"/>
<g class="normal">${bars(normal, 1, 'normal')}</g><g class="anomalous">${bars(anomalous, -1, 'anomalous')}</g>
<path class="base" d="M${place(low)} ${SIZE.middle}H${place(high)}"/>${
    threshold === null ? '' : html`<path class="threshold" d="M${place(threshold)} 4V${SIZE.height - 20}"><title>threshold ${threshold.toFixed(3)}</title></path>`
  }
<g class="ticks">${ticks.map((tick) => html`<text class="middle" x="${place(tick)}" y="${SIZE.height - 6}">${tick}</text>`)}</g></svg>
<p class="note">${verdict(category, threshold)}</p></figure>`;
}

function binned(images: readonly ScoredImage[], low: number, high: number): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (const { score } of images) {
    const bin = Math.min(BINS - 1, Math.floor(((score - low) / (high - low)) * BINS));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/** What the threshold with the best F1 makes of the images, in words. */
function verdict({ scores, anomalous, images }: CategoryEvaluation, threshold: number | null): string {
  if (threshold === null) return `${images - anomalous} normal, ${anomalous} anomalous`;
  const missed = scores.filter((image) => image.anomalous && image.score < threshold).length;
  const alarms = scores.filter((image) => !image.anomalous && image.score >= threshold).length;
  return `from ${threshold.toFixed(3)} on: ${missed} of ${anomalous} missed, ${alarms} of ${images - anomalous} false alarms`;
}

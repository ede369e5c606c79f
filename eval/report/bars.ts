import { round } from './chart-frame';
import { html, trusted, type Html } from './html';

export interface BarGroup {
  readonly name: string;
  /** One bar each, in the order of the series. */
  readonly bars: readonly {
    /** 0..1; null where there is none. */
    readonly value: number | null;
    /** 0..1: position of the mark across the bar. */
    readonly printed: number | null;
  }[];
}

const SIZE = { width: 400, left: 96, right: 40, top: 8, bar: 11, gap: 9, bottom: 22 } as const;
const TICKS = [0, 0.25, 0.5, 0.75, 1] as const;
const LONGEST_NAME = 15;

/**
 * Horizontal bars from 0 to 1, grouped by name, each followed by its value in per cent, with a mark at the printed one.
 */
export function barChart(groups: readonly BarGroup[], series: readonly string[], description: string): Html {
  const groupHeight = series.length * SIZE.bar + SIZE.gap;
  const bottom = SIZE.top + groups.length * groupHeight;
  const place = (value: number): number =>
    round(SIZE.left + Math.max(0, Math.min(1, value)) * (SIZE.width - SIZE.left - SIZE.right));
  const bar = (group: BarGroup, top: number, index: number): Html | null => {
    const { value, printed } = group.bars[index] as BarGroup['bars'][number];
    const y = top + index * SIZE.bar;
    const title = `${group.name}, ${series[index]}: ${value === null ? 'n/a' : (100 * value).toFixed(1)}${printed === null ? '' : `, printed ${(100 * printed).toFixed(1)}`}`;
    return html`<g class="s${index}"><title>${title}</title>${
      value === null
        ? html`<text class="none" x="${SIZE.left + 4}" y="${y + 9}">n/a</text>`
        : html`<rect x="${SIZE.left}" y="${y + 1}" width="${round(place(value) - SIZE.left)}" height="${SIZE.bar - 2}" rx="1.5"/><text class="value" x="${round(Math.max(place(value), printed === null ? 0 : place(printed) + 1) + 4)}" y="${y + 9}">${(100 * value).toFixed(1)}</text>`
    }${printed !== null && html`<path class="mark" d="M${place(printed)} ${y - 0.5}V${y + SIZE.bar + 0.5}"/>`}</g>`;
  };
  return html`<svg class="chart bars" viewBox="0 0 ${SIZE.width} ${bottom + SIZE.bottom}" role="img" aria-label="${description}"><path class="grid" d="${trusted(TICKS.map((tick) => `M${place(tick)} ${SIZE.top - 4}V${bottom}`).join(''))}"/>
${groups.map((group, index) => {
  const top = SIZE.top + index * groupHeight;
  return html`<text class="end name" x="${SIZE.left - 6}" y="${round(top + (series.length * SIZE.bar) / 2 + 4)}">${shortened(group.name)}</text>${series.map((_, at) => bar(group, top, at))}`;
})}
<g class="ticks">${TICKS.map((tick) => html`<text class="middle" x="${place(tick)}" y="${bottom + 14}">${100 * tick}</text>`)}</g></svg>`;
}

function shortened(name: string): string {
  const letters = [...name];
  return letters.length <= LONGEST_NAME ? name : `${letters.slice(0, LONGEST_NAME - 1).join('')}…`;
}

import { html, trusted, type Html } from './html';

export interface FrameOptions {
  readonly width: number;
  readonly height: number;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  readonly xTitle: string;
  readonly yTitle: string;
}

const MARGIN = { left: 46, right: 10, top: 24, bottom: 36 } as const;

/** The axes of a chart, and the mapping from values to positions. Units of the `viewBox`; scales are linear. */
export class ChartFrame {
  constructor(readonly options: FrameOptions) {}

  x(value: number): number {
    const { xTicks, width } = this.options;
    return MARGIN.left + share(value, xTicks) * (width - MARGIN.left - MARGIN.right);
  }

  y(value: number): number {
    const { yTicks, height } = this.options;
    return height - MARGIN.bottom - share(value, yTicks) * (height - MARGIN.top - MARGIN.bottom);
  }

  /** The middle of the free strip above the axes. */
  get strip(): number {
    return MARGIN.top - 9;
  }

  /** Path data through points, cut off at the last tick of x. */
  line(xs: readonly number[], ys: readonly number[]): string {
    const end = this.options.xTicks.at(-1) as number;
    let path = '';
    for (let at = 0; at < xs.length; at++) {
      const [x, y] = [xs[at] as number, ys[at] as number];
      if (x > end) {
        const [beforeX, beforeY] = [xs[at - 1] as number, ys[at - 1] as number];
        return `${path}L${round(this.x(end))} ${round(this.y(beforeY + ((y - beforeY) * (end - beforeX)) / (x - beforeX)))}`;
      }
      path += `${at === 0 ? 'M' : 'L'}${round(this.x(x))} ${round(this.y(y))}`;
    }
    return path;
  }

  /** Grid, numbers and titles, with the content of the chart in between. */
  draw(description: string, content: Html): Html {
    const { width, height, xTicks, yTicks, xTitle, yTitle } = this.options;
    const [left, right] = [this.x(xTicks[0] as number), this.x(xTicks.at(-1) as number)];
    const [bottom, top] = [this.y(yTicks[0] as number), this.y(yTicks.at(-1) as number)];
    const grid = [
      ...xTicks.map((tick) => `M${round(this.x(tick))} ${bottom}V${top}`),
      ...yTicks.map((tick) => `M${left} ${round(this.y(tick))}H${right}`),
    ];
    return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${description}"><path class="grid" d="${trusted(grid.join(''))}"/>
<g class="ticks">${xTicks.map((tick) => html`<text class="middle" x="${round(this.x(tick))}" y="${bottom + 14}">${label(tick)}</text>`)}${yTicks.map(
      (tick) => html`<text class="end" x="${left - 5}" y="${round(this.y(tick) + 3.5)}">${label(tick)}</text>`,
    )}</g>
<text class="middle axis" x="${round((left + right) / 2)}" y="${height - 5}">${xTitle}</text>
<text class="middle axis" transform="translate(11 ${round((top + bottom) / 2)}) rotate(-90)">${yTitle}</text>
${content}</svg>`;
  }
}

/** One decimal is a fraction of a pixel. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** About `count` round steps that cover a range. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high - low > 1e-9 ? high - low : 1e-3;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) as number);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(10)));
}

function share(value: number, ticks: readonly number[]): number {
  const [low, high] = [ticks[0] as number, ticks.at(-1) as number];
  return (value - low) / (high - low);
}

function label(tick: number): string {
  return String(tick);
}

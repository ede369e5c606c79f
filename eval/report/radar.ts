import { round } from './chart-frame';
import { html, trusted, type Html } from './html';

export interface RadarSeries {
  readonly name: string;
  /** 0..1, in the order of the axes; null where there is none. */
  readonly values: readonly (number | null)[];
  /** Colour: series with the same place belong together. */
  readonly place: number;
  /** Dashed and unfilled: printed figures beside measured ones. */
  readonly printed: boolean;
}

export interface RadarOptions {
  readonly axes: readonly string[];
  readonly series: readonly RadarSeries[];
  readonly description: string;
}

/** Fewer axes do not enclose an area. */
export const LEAST_AXES = 3;
const SIZE = { width: 440, height: 350, radius: 146 } as const;
const CENTRE = { x: SIZE.width / 2, y: SIZE.height / 2 } as const;

/** Values around a centre, one axis each, on rings from a step below the smallest value. Needs `LEAST_AXES` axes. */
export function radarChart({ axes, series, description }: RadarOptions): Html {
  const values = series.flatMap((one) => one.values).filter((value) => value !== null);
  const { low, step } = rings(values.length === 0 ? 0 : Math.min(...values));
  const at = (axis: number, share: number): string => {
    const angle = (2 * Math.PI * axis) / axes.length - Math.PI / 2;
    return `${round(CENTRE.x + share * SIZE.radius * Math.cos(angle))} ${round(CENTRE.y + share * SIZE.radius * Math.sin(angle))}`;
  };
  const shareOf = (value: number): number => Math.max(0, Math.min(1, (value - low) / (1 - low)));
  const levels = Array.from({ length: Math.round((1 - low) / step) }, (_, index) => low + (index + 1) * step);
  const ring = (level: number): string =>
    `${axes.map((_, axis) => `${axis === 0 ? 'M' : 'L'}${at(axis, shareOf(level))}`).join('')}Z`;
  const spokes = axes.map((_, axis) => `M${CENTRE.x} ${CENTRE.y}L${at(axis, 1)}`).join('');
  return html`<svg class="chart radar" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${description}"><path class="grid" d="${trusted(levels.map(ring).join('') + spokes)}"/>
${series.map(
  ({ name, values: own, place, printed }) =>
    html`<g class="s${place}${printed ? ' printed' : ''}"><title>${name}</title><path class="outline" d="${trusted(outline(own, (axis, value) => at(axis, shareOf(value))))}"/>${
      !printed &&
      own.map((value, axis) => {
        if (value === null) return null;
        const [x, y] = at(axis, shareOf(value)).split(' ') as [string, string];
        return html`<circle cx="${x}" cy="${y}" r="3"><title>${name}, ${axes[axis]}: ${(100 * value).toFixed(1)}</title></circle>`;
      })
    }</g>`,
)}
<g class="ticks">${levels.map((level) => html`<text class="ring" x="${CENTRE.x + 4}" y="${round(CENTRE.y - shareOf(level) * SIZE.radius + 11)}">${Math.round(100 * level)}</text>`)}${axes.map(
    (name, axis) => {
      const [x, y] = at(axis, 1.07).split(' ').map(Number) as [number, number];
      const side = Math.abs(x - CENTRE.x) < 12 ? 'middle' : x > CENTRE.x ? 'start' : 'end';
      return html`<text class="${side}" x="${x}" y="${round(y + (y < CENTRE.y - SIZE.radius * 0.9 ? -2 : y > CENTRE.y + SIZE.radius * 0.9 ? 11 : 4))}">${name}</text>`;
    },
  )}</g></svg>`;
}

/** Where the rings begin and how far apart they are, so that there are three to five. */
export function rings(smallest: number): { readonly low: number; readonly step: number } {
  const tenths = Math.max(0, Math.min(7, Math.floor(smallest * 10 + 1e-9) - 1));
  return tenths >= 6 ? { low: tenths / 10, step: 0.1 } : { low: (tenths - (tenths % 2)) / 10, step: 0.2 };
}

/** A closed path where every axis has a value, otherwise the pieces between the gaps. */
function outline(values: readonly (number | null)[], at: (axis: number, value: number) => string): string {
  if (values.every((value) => value !== null))
    return `${values.map((value, axis) => `${axis === 0 ? 'M' : 'L'}${at(axis, value)}`).join('')}Z`;
  const gap = values.indexOf(null);
  let path = '';
  let open = false;
  for (let step = 0; step <= values.length; step++) {
    const axis = (gap + step) % values.length;
    const value = values[axis] as number | null;
    if (value !== null) path += `${open ? 'L' : 'M'}${at(axis, value)}`;
    open = value !== null;
  }
  return path;
}

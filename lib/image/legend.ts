import type { Colormap, Scale } from './colormap';
import { textPaths, textWidth } from './stroke-font';

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface LegendContent {
  readonly colours: Colormap;
  readonly scale: Scale;
  /** The scale is that of this image alone; the margin says so. */
  readonly ownScale: boolean;
  readonly score?: number;
  /** Colour of the outline of the true mask. */
  readonly truth?: string;
  readonly predicted?: { readonly colour: string; readonly threshold: number };
}

/** The margin to the right of an image, and the size of the whole. */
export interface Legend {
  readonly canvasWidth: number;
  readonly canvasHeight: number;
  readonly svg: string;
}

const INK = '#22262e';
const WARNING = '#b34700';

/** Height of the digits for an image: readable on small images, in proportion on large ones. */
function textSize({ width, height }: Size): number {
  return Math.min(48, Math.max(8, Math.round(Math.min(width, height) / 48)));
}

/**
 * Lays out the margin from top to bottom: score, the note about the scale, the colour bar with its values, the outlines.
 * Images too low for it get a white strip below.
 */
export function legendFor(picture: Size, content: LegendContent): Legend {
  const size = textSize(picture);
  const line = Math.round(size * 1.9);
  const labels = tickLabels(content.scale);
  const barWidth = Math.round(size * 1.6);

  const head: { text: string; colour: string }[] = [];
  if (content.score !== undefined) head.push({ text: `score ${content.score.toFixed(2)}`, colour: INK });
  if (content.ownScale) head.push({ text: 'own scale', colour: WARNING });
  const foot: { text: string; line: string }[] = [];
  if (content.truth !== undefined) foot.push({ text: 'true mask', line: content.truth });
  if (content.predicted)
    foot.push({ text: `≥ ${content.predicted.threshold.toFixed(2)}`, line: content.predicted.colour });

  const sample = size * 1.8;
  const inner = Math.max(
    barWidth + size * 0.9 + Math.max(...labels.map(({ text }) => textWidth(text, size))),
    ...head.map(({ text }) => textWidth(text, size)),
    ...foot.map(({ text }) => sample + size * 0.7 + textWidth(text, size)),
  );
  const canvasWidth = picture.width + Math.ceil(inner + 2 * size * 1.2);
  const barLeast = labels.length * size * 1.5;
  const canvasHeight = Math.max(picture.height, Math.ceil((head.length + foot.length) * line + barLeast + 3 * size));

  const left = picture.width + Math.round(size * 1.2);
  let top = Math.round(size * 1.2);
  let svg = '';
  for (const { text, colour } of head) {
    svg += textPaths(text, left, top, size, colour);
    top += line;
  }
  if (head.length > 0) top += Math.round(size * 0.3);
  const bottom = canvasHeight - Math.round(size * 1.4) - foot.length * line;
  svg += colorBar(left, top, barWidth, bottom - top, content.colours);
  for (const { text, place } of labels) {
    const y = Math.round(bottom - place * (bottom - top));
    svg += `<path d="M${left + barWidth} ${y}h${size * 0.4}" stroke="${INK}" stroke-width="${Math.max(1, size / 10)}"/>`;
    svg += textPaths(text, left + barWidth + size * 0.9, y - size / 2, size, INK);
  }
  let y = bottom + line - size * 0.7;
  for (const { text, line: colour } of foot) {
    const middle = y + size * 0.6;
    svg +=
      `<path d="M${left} ${middle}h${sample}" stroke="${INK}" stroke-width="${size * 0.5}" stroke-linecap="round"/>` +
      `<path d="M${left} ${middle}h${sample}" stroke="${colour}" stroke-width="${size * 0.25}" stroke-linecap="round"/>` +
      textPaths(text, left + sample + size * 0.7, y, size, INK);
    y += line;
  }
  return { canvasWidth, canvasHeight, svg };
}

/** Six values on the fixed scale, one decimal; on others five, with as many decimals as they need to differ. */
function tickLabels({ low, high }: Scale): { text: string; place: number }[] {
  const steps = low === 0 && high === 1 ? 5 : 4;
  const digits = Math.min(6, Math.max(1, Math.ceil(1 - Math.log10((high - low) / steps))));
  return Array.from({ length: steps + 1 }, (_, step) => ({
    text: (low + ((high - low) * step) / steps).toFixed(steps === 5 ? 1 : digits),
    place: step / steps,
  }));
}

/** Stops every eighth level; in between, the colours are nearly linear. */
function colorBar(x: number, y: number, width: number, height: number, colours: Colormap): string {
  const stops = Array.from({ length: 33 }, (_, stop) => {
    const at = Math.min(255, stop * 8) * 3;
    return `<stop offset="${stop / 32}" stop-color="rgb(${colours[at]},${colours[at + 1]},${colours[at + 2]})"/>`;
  });
  return (
    `<defs><linearGradient id="bar" x1="0" y1="1" x2="0" y2="0">${stops.join('')}</linearGradient></defs>` +
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="url(#bar)" stroke="${INK}" stroke-width="1"/>`
  );
}

/** The mark of a scale of its own for images without a margin: a label in the lower left corner. */
export function ownScaleBadge(picture: Size, scale: Scale): string {
  const text = `own scale ${scale.low.toFixed(2)} - ${scale.high.toFixed(2)}`;
  const wanted = textSize(picture);
  const size = Math.min(wanted, (picture.width * 0.9 * wanted) / (textWidth(text, wanted) + wanted * 1.2));
  const height = size * 2.1;
  const top = picture.height - height;
  return (
    `<rect x="0" y="${top}" width="${textWidth(text, size) + size * 1.2}" height="${height}" fill="${WARNING}"/>` +
    textPaths(text, size * 0.6, top + size * 0.55, size, '#ffffff')
  );
}

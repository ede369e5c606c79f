/**
 * Text as strokes in SVG, for the labels on heatmaps: servers and containers often have no fonts at all, and then text
 * elements come out empty without an error. Digits, lower-case letters and a few signs.
 *
 * Glyphs stand on y = 10, digits and ascenders begin at 0, other letters at 3.2, descenders end at 13.
 */
const BOWL_LEFT = 'M5 5.6C4.6 4.1 3.7 3.2 2.5 3.2C1 3.2 0 4.6 0 6.6S1 10 2.5 10C3.7 10 4.6 9.1 5 7.6';
const BOWL_RIGHT = 'M0 5.6C0.4 4.1 1.3 3.2 2.5 3.2C4 3.2 5 4.6 5 6.6S4 10 2.5 10C1.3 10 0.4 9.1 0 7.6';
const ARCH = 'M0 6C0.3 4.2 1.3 3.2 2.6 3.2C4 3.2 4.8 4.2 4.8 5.8V10';

/** Path and width of each sign, without the space after it. */
const GLYPHS: Readonly<Record<string, readonly [path: string, width: number]>> = {
  '0': ['M3 0C1 0 0 2 0 5S1 10 3 10S6 8 6 5S5 0 3 0Z', 6],
  '1': ['M1 2L3.6 0V10', 6],
  '2': ['M0.3 2.5C0.5 1 1.5 0 3 0S5.8 1.1 5.8 2.8C5.8 4.5 4.5 5.8 0.2 10H6', 6],
  '3': [
    'M0.3 1.7C0.8 0.6 1.8 0 3 0C4.6 0 5.6 1 5.6 2.4S4.6 4.8 2.4 4.8C4.8 4.8 6 5.8 6 7.3S4.7 10 3 10C1.6 10 0.5 9.4 0 8.2',
    6,
  ],
  '4': ['M4.6 10V0L0 7H6.2', 6.2],
  '5': ['M5.5 0H1L0.5 4.6C1.2 4 2 3.7 3 3.7C4.8 3.7 6 5 6 6.8S4.8 10 3 10C1.6 10 0.6 9.4 0 8.3', 6],
  '6': [
    'M5.3 1C4.8 0.4 4 0 3.2 0C1.2 0 0 2.2 0 5.8C0 8.5 1.2 10 3 10S6 8.7 6 6.9S4.8 3.9 3.1 3.9C1.6 3.9 0.3 4.9 0.1 6.4',
    6,
  ],
  '7': ['M0 0H6L2 10', 6],
  '8': [
    'M3 4.7C1.5 4.7 0.5 3.7 0.5 2.4S1.5 0 3 0S5.5 1.1 5.5 2.4S4.5 4.7 3 4.7C1.2 4.7 0 5.8 0 7.3S1.2 10 3 10S6 8.8 6 7.3S4.8 4.7 3 4.7Z',
    6,
  ],
  '9': [
    'M0.7 9C1.2 9.6 2 10 2.8 10C4.8 10 6 7.8 6 4.2C6 1.5 4.8 0 3 0S0 1.3 0 3.1S1.2 6.1 2.9 6.1C4.4 6.1 5.7 5.1 5.9 3.6',
    6,
  ],
  '.': ['M0.4 9.8V10', 0.8],
  '-': ['M0 5.8H3.6', 3.6],
  '%': [
    'M5.6 0.6L1 9.6M1.5 0C0.6 0 0 0.8 0 1.9S0.6 3.8 1.5 3.8S3 3 3 1.9S2.4 0 1.5 0ZM5.2 6.2C4.3 6.2 3.7 7 3.7 8.1S4.3 10 5.2 10S6.7 9.2 6.7 8.1S6.1 6.2 5.2 6.2Z',
    6.7,
  ],
  '≥': ['M0 1.6L5.6 4.5L0 7.4M0 10H5.6', 5.6],
  ' ': ['', 2.6],
  a: [`M5 3.2V10${BOWL_LEFT}`, 5],
  b: [`M0 0V10${BOWL_RIGHT}`, 5],
  c: ['M5 4.7C4.6 3.7 3.8 3.2 2.8 3.2C1.1 3.2 0 4.6 0 6.6S1.1 10 2.8 10C3.8 10 4.6 9.5 5 8.5', 5],
  d: [`M5 0V10${BOWL_LEFT}`, 5],
  e: ['M0 6.4H5C5 4.4 4 3.2 2.6 3.2C1 3.2 0 4.6 0 6.6S1.1 10 2.8 10C3.8 10 4.5 9.6 5 8.8', 5],
  f: ['M3.4 0.1C2 -0.3 1.2 0.5 1.2 2V10M0 3.2H3.2', 3.2],
  g: [`M5 3.2V10.5C5 12.2 4 13 2.5 13C1.5 13 0.7 12.6 0.3 12${BOWL_LEFT}`, 5],
  h: [`M0 0V10${ARCH}`, 4.8],
  i: ['M0 3.2V10M0 0.4V0.6', 0.2],
  j: ['M1.2 3.2V11C1.2 12.4 0.6 13 -0.4 13M1.2 0.4V0.6', 1.2],
  k: ['M0 0V10M4.6 3.2L0 7.4M1.8 5.8L4.8 10', 4.8],
  l: ['M0 0V10', 0.2],
  m: [
    'M0 3.2V10M0 6C0.2 4.2 1 3.2 2.1 3.2C3.3 3.2 3.9 4.2 3.9 5.8V10M3.9 6C4.1 4.2 4.9 3.2 6 3.2C7.2 3.2 7.8 4.2 7.8 5.8V10',
    7.8,
  ],
  n: [`M0 3.2V10${ARCH}`, 4.8],
  o: ['M2.7 3.2C1.1 3.2 0 4.6 0 6.6S1.1 10 2.7 10S5.4 8.6 5.4 6.6S4.3 3.2 2.7 3.2Z', 5.4],
  p: [`M0 3.2V13${BOWL_RIGHT}`, 5],
  q: [`M5 3.2V13${BOWL_LEFT}`, 5],
  r: ['M0 3.2V10M0 6.4C0.3 4.4 1.4 3.1 3.2 3.3', 3.2],
  s: [
    'M4.4 4.4C4 3.6 3.2 3.2 2.3 3.2C1 3.2 0.2 3.9 0.2 4.9C0.2 7.2 4.6 5.8 4.6 8.1C4.6 9.3 3.7 10 2.3 10C1.2 10 0.4 9.6 0 8.7',
    4.6,
  ],
  t: ['M1.4 1V8.4C1.4 9.6 2 10.1 3.3 9.9M0 3.2H3.2', 3.3],
  u: ['M0 3.2V7.4C0 9 0.8 10 2.2 10C3.5 10 4.5 9 4.8 7.2M4.8 3.2V10', 4.8],
  v: ['M0 3.2L2.5 10L5 3.2', 5],
  w: ['M0 3.2L1.9 10L3.8 3.2L5.7 10L7.6 3.2', 7.6],
  x: ['M0 3.2L4.8 10M4.8 3.2L0 10', 4.8],
  y: ['M0 3.2L2.6 9.8M5 3.2L2 11.6C1.6 12.7 1 13.1 0 12.9', 5],
  z: ['M0 3.2H4.6L0 10H4.8', 4.8],
};

const CAP_HEIGHT = 10;
const SPACING = 2.2;
const STROKE = 1.25;

/** Width in pixels of a line of text whose digits are `size` pixels high. Unknown signs take the place of a space. */
export function textWidth(text: string, size: number): number {
  const widths = [...text].map((sign) => (GLYPHS[sign] ?? GLYPHS[' '])?.[1] ?? 0);
  return (
    ((widths.reduce((sum, width) => sum + width, 0) + Math.max(0, widths.length - 1) * SPACING) * size) / CAP_HEIGHT
  );
}

/**
 * A line of text as an SVG group.
 *
 * @param x left edge
 * @param y upper edge of the digits; the text stands on y + size
 * @param size height of a digit in pixels
 */
export function textPaths(text: string, x: number, y: number, size: number, colour: string): string {
  let at = 0;
  const paths = [...text].map((sign) => {
    const [path, width] = GLYPHS[sign] ?? ['', 2.6];
    const placed = path === '' ? '' : `<path transform="translate(${at.toFixed(2)} 0)" d="${path}"/>`;
    at += width + SPACING;
    return placed;
  });
  return (
    `<g transform="translate(${x} ${y}) scale(${size / CAP_HEIGHT})" fill="none" stroke="${colour}" ` +
    `stroke-width="${STROKE}" stroke-linecap="round" stroke-linejoin="round">${paths.join('')}</g>`
  );
}

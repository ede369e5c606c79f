import sharp from 'sharp';
import { ImageError, UsageError } from '../errors';
import { COLORMAPS, level, type ColormapName, type Scale } from './colormap';
import { findContours, maskContours, type Contour } from './contour';
import type { RgbImage } from './decoded-image';
import { legendFor, ownScaleBadge, type Legend } from './legend';
import type { ScoreMap } from './map-file';
import { drawOutline } from './outline';
import type { Mask } from './preprocess';
import { resizeMap } from './resize-map';

export interface HeatmapOptions {
  /** Default 'turbo'. */
  readonly colormap?: ColormapName;
  /**
   * Values between which the colours run. 'fixed' (default) is 0 to 1, so that colours mean the same on every image. 'image'
   * is the smallest to the largest value of this map: it makes normal images glow too, and is marked on the image.
   */
  readonly scale?: 'fixed' | 'image' | Scale;
  /** Adds a margin on the right with the colour bar and a legend. Default true; without it the result has the image's size. */
  readonly colorBar?: boolean;
  /** Outlined in white: the true mask. Of another size than the map it is stretched. */
  readonly mask?: Mask;
  /** Outlined in magenta: where the map reaches this value. */
  readonly threshold?: number;
  /** Printed in the margin. */
  readonly score?: number;
  /** Default 'png'. */
  readonly format?: 'png' | 'jpeg' | 'webp';
}

/** How an overlay looks. */
export interface OverlayOptions extends HeatmapOptions {
  /** How much of the image the strongest colours hide, 0..1. Default 0.65. Low values hide less. */
  readonly opacity?: number;
}

const FIXED: Scale = { low: 0, high: 1 };
const TRUTH = [255, 255, 255] as const;
const PREDICTED = [255, 43, 214] as const;

/**
 * The map in colours.
 *
 * @param map float32 [height, width]
 * @returns an image file of the map's size, plus the margin
 * @throws UsageError `map/scale` for a scale that is not ascending; ImageError where sizes and data do not fit
 */
export async function renderHeatmap(map: ScoreMap, options: HeatmapOptions = {}): Promise<Buffer> {
  const { width, height } = checked(map);
  const scale = scaleOf(map, options.scale);
  const colours = COLORMAPS[options.colormap ?? 'turbo'];
  const pixels = new Uint8Array(width * height * 3);
  for (let at = 0, write = 0; at < map.data.length; at++, write += 3) {
    const colour = level(map.data[at] as number, scale) * 3;
    pixels[write] = colours[colour] as number;
    pixels[write + 1] = colours[colour + 1] as number;
    pixels[write + 2] = colours[colour + 2] as number;
  }
  return finish({ width, height, data: pixels }, map, colours, scale, options);
}

/**
 * The map in colours over the image. The colours grow denser with the value: what is normal stays visible as it is, and
 * the colour bar shows the same mixture, over grey.
 *
 * @param map float32 [height, width]; of another size than the image it is resized bilinearly
 * @param image uint8 [height, width, 3]
 * @returns an image file of the image's own size, plus the margin
 * @throws as {@link renderHeatmap}
 */
export async function renderOverlay(map: ScoreMap, image: RgbImage, options: OverlayOptions = {}): Promise<Buffer> {
  checked(map);
  const { width, height } = image;
  if (image.data.length !== width * height * 3) {
    throw new ImageError(
      'image/size-mismatch',
      `${width} x ${height} x 3 samples expected, found ${image.data.length}`,
      { width, height },
    );
  }
  const fitted =
    map.width === width && map.height === height
      ? map
      : { width, height, data: resizeMap(map.data, map.width, map.height, width, height) };
  const scale = scaleOf(map, options.scale);
  const colours = COLORMAPS[options.colormap ?? 'turbo'];
  const cover = coverage(options.opacity ?? 0.65);
  const pixels = new Uint8Array(width * height * 3);
  const under = image.data;
  for (let at = 0, write = 0; at < fitted.data.length; at++, write += 3) {
    const place = level(fitted.data[at] as number, scale);
    const share = cover[place] as number;
    // Colour by colour without an inner loop, which would take most of the time.
    pixels[write] = mixed(under[write] as number, colours[place * 3] as number, share);
    pixels[write + 1] = mixed(under[write + 1] as number, colours[place * 3 + 1] as number, share);
    pixels[write + 2] = mixed(under[write + 2] as number, colours[place * 3 + 2] as number, share);
  }
  const overGrey = colours.map((colour, at) =>
    Math.round(128 + (colour - 128) * (cover[Math.floor(at / 3)] as number)),
  );
  return finish({ width, height, data: pixels }, fitted, overGrey, scale, options);
}

/** Rounded by hand: storing a byte truncates. */
function mixed(under: number, colour: number, share: number): number {
  return (under + (colour - under) * share + 0.5) | 0;
}

/**
 * The pixels at or above a threshold, white on black.
 *
 * @returns a PNG of one channel, 0 and 255, of the map's size
 */
export async function renderMask(map: ScoreMap, threshold: number): Promise<Buffer> {
  const { width, height } = checked(map);
  const pixels = Uint8Array.from(map.data, (value) => (value >= threshold ? 255 : 0));
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
}

/** How much of the image each level hides: rising smoothly from nothing, full from the middle of the scale on. */
function coverage(opacity: number): Float64Array {
  return Float64Array.from({ length: 256 }, (_, place) => {
    const rise = Math.min(1, place / 128);
    return opacity * rise * rise * (3 - 2 * rise);
  });
}

function checked(map: ScoreMap): ScoreMap {
  if (map.data.length === 0 || map.data.length !== map.width * map.height) {
    throw new ImageError(
      'map/shape',
      `a map of ${map.width} x ${map.height} values expected, found ${map.data.length} values`,
      { width: map.width, height: map.height },
    );
  }
  return map;
}

function scaleOf(map: ScoreMap, wanted: HeatmapOptions['scale']): Scale {
  if (wanted === undefined || wanted === 'fixed') return FIXED;
  if (wanted !== 'image') {
    if (wanted.low < wanted.high) return wanted;
    throw new UsageError('map/scale', `an ascending scale expected, found ${wanted.low} to ${wanted.high}`, {
      ...wanted,
    });
  }
  let low = Infinity;
  let high = -Infinity;
  for (const value of map.data) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  // A constant map has no scale of its own; it is shown at the low end.
  return low < high
    ? { low, high }
    : { low: Number.isFinite(low) ? low : 0, high: (Number.isFinite(low) ? low : 0) + 1 };
}

/** Draws outlines, margin and marks, and encodes. */
async function finish(
  picture: RgbImage,
  map: ScoreMap,
  colours: Uint8Array,
  scale: Scale,
  options: HeatmapOptions,
): Promise<Buffer> {
  const { width, height } = picture;
  const ownScale = options.scale === 'image';
  drawOutlines(picture, map, options);
  const legend: Legend | undefined =
    options.colorBar === false
      ? undefined
      : legendFor(
          { width, height },
          {
            colours,
            scale,
            ownScale,
            ...(options.score === undefined ? {} : { score: options.score }),
            ...(options.mask === undefined ? {} : { truth: hex(TRUTH) }),
            ...(options.threshold === undefined
              ? {}
              : { predicted: { colour: hex(PREDICTED), threshold: options.threshold } }),
          },
        );
  const canvas = legend ? await withMargin(picture, legend) : picture;
  let image = sharp(canvas.data, { raw: { width: canvas.width, height: canvas.height, channels: 3 } });
  if (ownScale && !legend) {
    image = image.composite([
      { input: svgOf(ownScaleBadge({ width, height }, scale), 0, width, height), left: 0, top: 0 },
    ]);
  }
  switch (options.format ?? 'png') {
    case 'png':
      // The usual level, 6, takes two thirds more time for a file that is an eighth smaller.
      return image.removeAlpha().png({ compressionLevel: 2 }).toBuffer();
    case 'jpeg':
      return image.removeAlpha().jpeg({ quality: 92, chromaSubsampling: '4:4:4' }).toBuffer();
    case 'webp':
      return image.removeAlpha().webp({ quality: 92 }).toBuffer();
  }
}

/** The image with its margin. Only the margin is drawn: drawing on all of it would take longer than everything else. */
async function withMargin(picture: RgbImage, { canvasWidth, canvasHeight, svg }: Legend): Promise<RgbImage> {
  const { width, height } = picture;
  const margin = canvasWidth - width;
  const strip = await sharp({ create: { width: margin, height: canvasHeight, channels: 3, background: '#ffffff' } })
    .composite([{ input: svgOf(svg, width, margin, canvasHeight), left: 0, top: 0 }])
    .removeAlpha()
    .raw()
    .toBuffer();
  const data = new Uint8Array(canvasWidth * canvasHeight * 3).fill(255);
  for (let row = 0; row < canvasHeight; row++) {
    const start = row * canvasWidth * 3;
    if (row < height) data.set(picture.data.subarray(row * width * 3, (row + 1) * width * 3), start);
    data.set(strip.subarray(row * margin * 3, (row + 1) * margin * 3), start + width * 3);
  }
  return { width: canvasWidth, height: canvasHeight, data };
}

/** A file of the drawing from `left` on. */
function svgOf(drawing: string, left: number, width: number, height: number): Buffer {
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${left} 0 ${width} ${height}">${drawing}</svg>`,
  );
}

function hex(colour: readonly number[]): string {
  return `#${Buffer.from(colour).toString('hex')}`;
}

/** Each outline twice, a bright line on a wider dark one, so that it shows on any colour. */
function drawOutlines(picture: RgbImage, map: ScoreMap, options: HeatmapOptions): void {
  const { width, height } = picture;
  const line = Math.min(6, Math.max(1.4, Math.min(width, height) / 350));
  const draw = (contours: readonly Contour[], colour: readonly [number, number, number]): void =>
    drawOutline(picture, contours, [
      { width: line * 2, colour: [0, 0, 0], opacity: 0.75 },
      { width: line, colour, opacity: 1 },
    ]);
  if (options.threshold !== undefined) draw(findContours(map.data, width, height, options.threshold), PREDICTED);
  if (options.mask) {
    const across = width / options.mask.width;
    const down = height / options.mask.height;
    const contours = maskContours(options.mask);
    draw(
      contours.map((contour) => contour.map((value, at) => value * (at % 2 === 0 ? across : down))),
      TRUTH,
    );
  }
}

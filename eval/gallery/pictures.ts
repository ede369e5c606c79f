import sharp, { type Sharp } from 'sharp';
import type { Crane } from '../../lib/crane';
import type { Detection } from '../../lib/detection';
import { decodeImage } from '../../lib/image/decode';
import { toRgb, type RgbImage } from '../../lib/image/decoded-image';
import { renderOverlay } from '../../lib/image/heatmap';
import { loadMaskAtOwnSize, type Mask, type MaskOptions } from '../../lib/image/preprocess';
import type { OnProgress } from '../../lib/progress';
import type { ScoredImage } from '../evaluation';
import { SHOWN_KINDS, type Selection } from './selection';

/** An image and its anomaly map, small enough to embed in the page. */
export interface Thumbnails {
  /** `data:` URLs of WebP images of equal size. */
  readonly original: string;
  readonly overlay: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Pixels of the longer side. */
const LONGEST_SIDE = 288;
/** Tried until the file is small enough; the last is used anyway, since noise and fine textures hardly compress. */
const QUALITIES = [80, 60, 40, 20] as const;
const MOST_BYTES = 14_000;

/**
 * Detects the selected images again and makes thumbnails of them, one batch in memory at a time.
 *
 * @returns thumbnails by path of the image, without images that can no longer be read
 * @throws what the model throws
 */
export async function renderThumbnails(
  crane: Crane,
  { categories }: Selection,
  onProgress?: OnProgress,
): Promise<ReadonlyMap<string, Thumbnails>> {
  const wanted = categories.map(({ category, images }) => ({
    className: crane.className ?? category.name,
    images: new Map(SHOWN_KINDS.flatMap((kind) => images[kind].map((image) => [image.path, image] as const))),
  }));
  const thumbnails = new Map<string, Thumbnails>();
  const [task, total] = ['report', wanted.reduce((sum, { images }) => sum + images.size, 0)];
  onProgress?.({ kind: 'start', task, total, unit: 'images' });
  for (const { className, images } of wanted) {
    for await (const detection of crane.stream(images.keys(), { className, onFailure: () => undefined })) {
      const image = images.get(detection.source) as ScoredImage;
      thumbnails.set(image.path, await thumbnailsOf(detection, image, crane.description.preprocessing.reference));
      onProgress?.({ kind: 'advance', task, done: thumbnails.size, total });
    }
  }
  onProgress?.({ kind: 'done', task });
  return thumbnails;
}

async function thumbnailsOf(
  { source, map }: Detection,
  { maskPath }: ScoredImage,
  reference: boolean,
): Promise<Thumbnails> {
  const decoded = await decodeImage(source, { reference });
  const small = await shrink({ width: decoded.width, height: decoded.height, data: toRgb(decoded) });
  const mask = maskPath === null ? undefined : await readableMask(maskPath, { reference, image: decoded });
  const scores = map.native ?? { data: map, width: map.width, height: map.height };
  const overlay = await renderOverlay(scores, small, { colorBar: false, ...(mask ? { mask } : {}) });
  const { width, height } = small;
  return {
    original: await dataUrl(sharp(small.data, { raw: { width, height, channels: 3 } })),
    overlay: await dataUrl(sharp(overlay)),
    width,
    height,
  };
}

async function shrink({ width, height, data }: RgbImage): Promise<RgbImage> {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  if (scale === 1) return { width, height, data };
  const target = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const small = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ ...target, fit: 'fill' })
    .raw()
    .toBuffer();
  return { ...target, data: new Uint8Array(small.buffer, small.byteOffset, small.byteLength) };
}

/** A thumbnail without the mask's contour is better than no report. */
async function readableMask(file: string, options: MaskOptions): Promise<Mask | undefined> {
  return loadMaskAtOwnSize(file, options).catch(() => undefined);
}

/** The colours of an overlay over grey, from 0 to 1: the scale shared by all thumbnails of a page. */
export async function renderColourBar(): Promise<string> {
  const [width, height] = [256, 8];
  const data = Float32Array.from({ length: width * height }, (_, at) => (at % width) / (width - 1));
  const grey = { width, height, data: new Uint8Array(width * height * 3).fill(128) };
  return dataUrl(sharp(await renderOverlay({ data, width, height }, grey, { colorBar: false })));
}

async function dataUrl(image: Sharp): Promise<string> {
  let bytes: Buffer | undefined;
  for (const quality of QUALITIES) {
    bytes = await image.clone().webp({ quality, smartSubsample: true }).toBuffer();
    if (bytes.length <= MOST_BYTES) break;
  }
  return `data:image/webp;base64,${(bytes as Buffer).toString('base64')}`;
}

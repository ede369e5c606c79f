import { readTiffHeader } from './tiff-header';

/** What an image file is, judged by its first bytes; "av1" is AVIF, other codecs in HEIF files are not read. */
export type FileKind = 'png' | 'jpeg' | 'webp' | 'tiff' | 'gif' | 'heif' | 'bmp';

/**
 * The kind of an image file by its signature, so that no decoder is tried on anything else: libvips would take text for
 * SVG, and follow its references.
 *
 * @returns undefined for everything else
 */
export function kindOf(bytes: Uint8Array): FileKind | undefined {
  const text = (from: number, to: number): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', from, to);
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(text(0, 4))) return 'tiff';
  if (['GIF87a', 'GIF89a'].includes(text(0, 6))) return 'gif';
  if (text(4, 8) === 'ftyp') return 'heif';
  return bytes.length >= 26 && text(0, 2) === 'BM' ? 'bmp' : undefined;
}

/** Compressions of TIFF, by number, that do not give back the samples as they were. WebP and JPEG XL may, and do not say. */
const LOSSY_TIFF = [6, 7, 33003, 33004, 33005, 34712, 34887, 34892, 50001, 50002, 52546];

/**
 * Whether a file's samples are near the original values but not equal to them: JPEG, AVIF (which may be lossless, and does not say
 * so where it can be found), WebP but for its lossless form, and TIFF compressed as one of these.
 */
export function isLossy(kind: FileKind, bytes: Uint8Array): boolean {
  if (kind === 'jpeg' || kind === 'heif') return true;
  if (kind === 'webp') return isLossyWebp(bytes);
  return kind === 'tiff' && LOSSY_TIFF.includes(readTiffHeader(bytes)?.compression ?? 1);
}

/** By the first chunk of pixels: `VP8 ` or `VP8L`; those of an animation lie inside its frames. Source: WebP container specification. */
function isLossyWebp(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    if (name === 'VP8 ') return true;
    if (name === 'VP8L') return false;
    const size = view.getUint32(at + 4, true);
    at += name === 'ANMF' ? 8 + 16 : 8 + size + (size % 2);
  }
  return false;
}

import { ImageError } from '../errors';
import type { PixelMode } from './decoded-image';

/** A BMP image before it gets its source and reading mode. */
export interface BmpImage {
  readonly mode: Extract<PixelMode, '1' | 'L' | 'P' | 'RGB' | 'RGBA'>;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** Of a palette image: which colour each pixel has, [height, width]. */
  readonly indices?: Uint8Array;
}

const RAW = 0;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly bottomUp: boolean;
  readonly bits: number;
  readonly palette: Uint8Array;
  readonly masks: { readonly red: number; readonly green: number; readonly blue: number; readonly alpha: number };
  readonly pixels: number;
}

/**
 * Reads an uncompressed Windows bitmap of 1, 4, 8, 16, 24 or 32 bits; sharp has no reader for them, and the set BTAD
 * comes as BMP. Modes as Pillow gives them: a grey palette makes L (bilevel: 1), another one P; 32 bits are RGB
 * unless an alpha mask is declared.
 *
 * @param maxPixels refuses larger images before their pixels are allocated
 * @throws ImageError `image/corrupt`, `image/unsupported` (run-length compression), `image/too-many-pixels`
 */
export function decodeBmp(bytes: Uint8Array, source: string, maxPixels: number): BmpImage {
  const header = readBmpHeader(bytes, source);
  const { width, height, bits, bottomUp } = header;
  if (width * height > maxPixels) {
    throw new ImageError(
      'image/too-many-pixels',
      `${source}: ${width} x ${height} pixels, the limit is ${maxPixels}. Shrink it or raise maxPixels.`,
      { source, width, height, maxPixels },
    );
  }
  const stride = Math.floor((width * bits + 31) / 32) * 4;
  const wanted = header.pixels + stride * height;
  if (bytes.length < wanted) {
    throw corrupt(
      source,
      `${wanted} bytes expected for ${width} x ${height} pixels of ${bits} bits, found ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rowStart = (row: number): number => header.pixels + (bottomUp ? height - 1 - row : row) * stride;
  return bits <= 8 ? readIndexed(header, bytes, rowStart, source) : readDirect(header, view, rowStart);
}

/** @throws ImageError `image/corrupt`, `image/unsupported` */
export function readBmpHeader(bytes: Uint8Array, source: string): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pixels = view.getUint32(10, true);
  const size = view.getUint32(14, true);
  const old = size === 12;
  if (!old && (size < 40 || size > 256 || bytes.length < 14 + size))
    throw corrupt(source, `its header claims ${size} bytes`);
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(old ? 24 : 28, true);
  const compression = old ? RAW : view.getUint32(30, true);
  if (width < 1 || signedHeight === 0) throw corrupt(source, `its header claims ${width} x ${signedHeight} pixels`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw corrupt(source, `its header claims ${bits} bits per pixel`);
  const fields = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  if (compression !== RAW && !(fields && (bits === 16 || bits === 32))) {
    throw new ImageError(
      'image/unsupported',
      `${source}: a compressed BMP (kind ${compression}); only uncompressed BMP is read. Convert it to PNG.`,
      { source, compression },
    );
  }
  // The masks follow a 40-byte header or are part of a longer one: the same place either way.
  if (fields && bytes.length < 70) throw corrupt(source, 'its colour masks are cut off');
  const masks = fields
    ? {
        red: view.getUint32(54, true),
        green: view.getUint32(58, true),
        blue: view.getUint32(62, true),
        alpha: size >= 56 || compression === ALPHA_BIT_FIELDS ? view.getUint32(66, true) : 0,
      }
    : bits === 16
      ? { red: 0x7c00, green: 0x3e0, blue: 0x1f, alpha: 0 }
      : { red: 0xff0000, green: 0xff00, blue: 0xff, alpha: 0 };
  const entry = old ? 3 : 4;
  const declared = old ? 0 : view.getUint32(46, true);
  const colours = bits > 8 ? 0 : Math.min(declared || 2 ** bits, 2 ** bits);
  const palette = new Uint8Array(colours * 3);
  const paletteStart = 14 + size;
  if (bytes.length < paletteStart + colours * entry) throw corrupt(source, 'its palette is cut off');
  for (let colour = 0; colour < colours; colour++) {
    for (let channel = 0; channel < 3; channel++) {
      palette[colour * 3 + channel] = view.getUint8(paletteStart + colour * entry + 2 - channel);
    }
  }
  return { width, height: Math.abs(signedHeight), bottomUp: signedHeight > 0, bits, palette, masks, pixels };
}

function readIndexed(
  header: BmpHeader,
  bytes: Uint8Array,
  rowStart: (row: number) => number,
  source: string,
): BmpImage {
  const { width, height, bits, palette } = header;
  const colours = palette.length / 3;
  const last = 2 ** bits - 1;
  const grey = isGreyRamp(palette, bits);
  const mode = !grey ? 'P' : bits === 1 ? '1' : 'L';
  const channels = grey ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  const indices = new Uint8Array(grey ? 0 : width * height);
  let write = 0;
  for (let row = 0; row < height; row++) {
    const start = rowStart(row);
    for (let column = 0; column < width; column++) {
      const bit = column * bits;
      const index = ((bytes[start + (bit >> 3)] as number) >> (8 - bits - (bit & 7))) & last;
      if (index >= colours) throw corrupt(source, `a pixel has colour ${index}, its palette ends at ${colours - 1}`);
      if (!grey) indices[row * width + column] = index;
      for (let channel = 0; channel < channels; channel++) data[write++] = palette[index * 3 + channel] as number;
    }
  }
  return { mode, width, height, data, ...(grey ? {} : { indices }) };
}

/** Whether colour n is the grey n (of two colours: black and white, in this order). */
function isGreyRamp(palette: Uint8Array, bits: number): boolean {
  const colours = palette.length / 3;
  return palette.every((value, at) => {
    const colour = Math.floor(at / 3);
    return value === (bits === 1 && colours === 2 ? colour * 255 : colour);
  });
}

function readDirect(header: BmpHeader, view: DataView, rowStart: (row: number) => number): BmpImage {
  const { width, height, bits, masks } = header;
  const mode = masks.alpha === 0 ? 'RGB' : 'RGBA';
  const fields = [masks.red, masks.green, masks.blue, ...(masks.alpha === 0 ? [] : [masks.alpha])].map(bitField);
  const data = new Uint8Array(width * height * fields.length);
  let write = 0;
  for (let row = 0; row < height; row++) {
    let read = rowStart(row);
    for (let column = 0; column < width; column++, read += bits >> 3) {
      const pixel =
        bits === 32
          ? view.getUint32(read, true)
          : bits === 16
            ? view.getUint16(read, true)
            : view.getUint16(read, true) | (view.getUint8(read + 2) << 16);
      for (const { shift, largest } of fields) {
        const value = (pixel >>> shift) & largest;
        data[write++] = largest === 255 ? value : largest === 0 ? 0 : Math.trunc((value * 255) / largest);
      }
    }
  }
  return { mode, width, height, data };
}

/** Where a field of contiguous bits begins and its largest value. */
function bitField(mask: number): { shift: number; largest: number } {
  if (mask === 0) return { shift: 0, largest: 0 };
  const shift = 31 - Math.clz32(mask & -mask);
  return { shift, largest: mask >>> shift };
}

function corrupt(source: string, found: string): ImageError {
  return new ImageError('image/corrupt', `${source}: a damaged BMP: ${found}. Copy or export it again.`, { source });
}

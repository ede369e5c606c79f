import { crc32 } from 'node:zlib';

/** What a PNG file says about itself in its first chunk. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  readonly colour: 'grey' | 'rgb' | 'palette' | 'grey-alpha' | 'rgba';
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOURS: Readonly<Record<number, PngHeader['colour']>> = {
  0: 'grey',
  2: 'rgb',
  3: 'palette',
  4: 'grey-alpha',
  6: 'rgba',
};

/**
 * Reads the header, because a decoder that expands palettes and bilevel images no longer tells what they were, and
 * the mode decides how they are resampled.
 *
 * @returns undefined when the bytes are not those of a PNG file
 */
export function readPngHeader(bytes: Uint8Array): PngHeader | undefined {
  if (bytes.length < 33 || SIGNATURE.some((byte, at) => bytes[at] !== byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const colour = COLOURS[view.getUint8(25)];
  if (colour === undefined || view.getUint32(12) !== 0x49484452) return undefined;
  return { width: view.getUint32(16), height: view.getUint32(20), depth: view.getUint8(24), colour };
}

/**
 * A palette PNG as a grey one, whose levels are the palette's indices (times 255, 85, 17 or 1 at 1, 2, 4 or 8 bits, as
 * decoders spread them): the header's colour type is changed, and what belongs to colours alone is left out.
 */
export function pngOfIndices(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [bytes.subarray(0, 8)];
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 12 + view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const chunk = bytes.subarray(at, end);
    if (name === 'IHDR') parts.push(asGrey(chunk));
    else if (name === 'IDAT' || name === 'IEND') parts.push(chunk);
    at = end;
  }
  return Buffer.concat(parts);
}

function asGrey(header: Uint8Array): Uint8Array {
  const changed = Buffer.from(header);
  changed[17] = 0;
  changed.writeUInt32BE(crc32(changed.subarray(4, 21)), 21);
  return changed;
}

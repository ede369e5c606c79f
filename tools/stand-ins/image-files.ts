import { writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import sharp from 'sharp';
import { DatasetError } from '../../lib/errors';

/** Pixels to write: uint8 [height, width, channels]. */
export interface Picture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** Writes an image in the format of the file's suffix, as in the real sets. */
export async function writePicture(file: string, { data, width, height, channels }: Picture): Promise<void> {
  const suffix = path.extname(file).toLowerCase();
  if (suffix === '.bmp') return writeFile(file, bmp({ data, width, height, channels }));
  const raw = sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), {
    raw: { width, height, channels },
  }).toColourspace(channels === 1 ? 'b-w' : 'srgb');
  switch (suffix) {
    case '.png':
      await raw.png({ compressionLevel: 4 }).toFile(file);
      return;
    case '.jpg':
    case '.jpeg':
      await raw.jpeg({ quality: 92, chromaSubsampling: '4:4:4' }).toFile(file);
      return;
    case '.tif':
      await raw.tiff({ compression: 'none' }).toFile(file);
      return;
    default:
      throw new DatasetError(
        'dataset/no-format',
        `no image can be written as ${suffix}; supported: .png, .jpg, .jpeg, .tif and .bmp`,
        { file },
      );
  }
}

/**
 * An uncompressed BMP: 24-bit colour, or 8 bits with a grey palette. Rows start at the bottom, padded to four bytes.
 */
function bmp({ data, width, height, channels }: Picture): Buffer {
  const row = Math.ceil((width * channels) / 4) * 4;
  const palette = channels === 1 ? 256 * 4 : 0;
  const start = 54 + palette;
  const out = Buffer.alloc(start + row * height);
  out.write('BM', 0, 'latin1');
  out.writeUInt32LE(out.length, 2);
  out.writeUInt32LE(start, 10);
  out.writeUInt32LE(40, 14);
  out.writeInt32LE(width, 18);
  out.writeInt32LE(height, 22);
  out.writeUInt16LE(1, 26);
  out.writeUInt16LE(8 * channels, 28);
  out.writeUInt32LE(row * height, 34);
  for (let level = 0; level < palette / 4; level++) out.fill(level, 54 + 4 * level, 54 + 4 * level + 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * channels;
      const to = start + (height - 1 - y) * row + x * channels;
      // Blue comes first.
      for (let channel = 0; channel < channels; channel++)
        out[to + channel] = data[from + channels - 1 - channel] as number;
    }
  }
  return out;
}

import * as zlib from 'node:zlib';
import type { Random } from '../random';
import {
  disturbBytes,
  fieldValue,
  lieInFields,
  madeBytes,
  randomBytes,
  readField,
  writeField,
  type Field,
} from './values';

/** A chunk of a PNG file. Source: PNG specification, third edition, section 5.3. */
export interface PngChunk {
  readonly type: string;
  readonly data: Uint8Array;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const PNG_CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Chunks of a picture of 9 x 7 pixels. */
export function pngChunks(colour: number, depth: number, interlace = 0): PngChunk[] {
  const [width, height] = [9, 7];
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  const row = 1 + Math.ceil((width * depth * (PNG_CHANNELS[colour] as number)) / 8);
  // Enough rows for the passes of interlaced pictures as well; palettes have four colours.
  const pixels = madeBytes(row * height * (interlace === 0 ? 1 : 2), (at) =>
    at % row === 0 ? (interlace === 0 ? at / row : 0) % 5 : colour === 3 ? at % 3 : at * 37,
  );
  const palette = [{ type: 'PLTE', data: madeBytes(12, (at) => at * 20) }];
  return [
    { type: 'IHDR', data: header },
    ...(colour === 3 ? palette : []),
    { type: 'IDAT', data: zlib.deflateSync(pixels) },
    { type: 'IEND', data: Buffer.alloc(0) },
  ];
}

export function writePng(chunks: readonly PngChunk[], wrong: { readonly checksum?: number } = {}): Buffer {
  return Buffer.concat([
    SIGNATURE,
    ...chunks.flatMap(({ type, data }, index) => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(data.length, 0);
      head.write(type.slice(0, 4).padEnd(4), 4, 'latin1');
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32BE(
        (zlib.crc32(data, zlib.crc32(head.subarray(4))) ^ (wrong.checksum === index ? 1 : 0)) >>> 0,
      );
      return [head, data, checksum];
    }),
  ]);
}

const TYPES = [
  'IHDR',
  'PLTE',
  'IDAT',
  'IEND',
  'tRNS',
  'gAMA',
  'cHRM',
  'iCCP',
  'sRGB',
  'eXIf',
  'tEXt',
  'zTXt',
  'iTXt',
  'bKGD',
  'pHYs',
  'acTL',
  'fcTL',
  'fdAT',
  'sBIT',
  'AAAA',
  'aaaa',
  '\0\0\0\0',
];
const HEADER_FIELDS: readonly Field[] = [
  { at: 0, width: 4, big: true },
  { at: 4, width: 4, big: true },
  ...[8, 9, 10, 11, 12].map((at): Field => ({ at, width: 1 })),
];

export function mutatePng(random: Random, original: readonly PngChunk[]): Buffer {
  let chunks = [...original];
  for (let round = random.few(4); round > 0 && chunks.length > 0; round--) {
    const at = random.below(chunks.length);
    const chunk = chunks[at] as PngChunk;
    switch (random.below(8)) {
      case 0:
        chunks = chunks.toSpliced(at, 1);
        break;
      case 1:
        chunks = chunks.toSpliced(random.below(chunks.length + 1), 0, chunk);
        break;
      case 2:
        chunks = chunks.toSpliced(random.below(chunks.length + 1), 0, {
          type: random.pick(TYPES),
          data: randomBytes(random, random.below(40)),
        });
        break;
      case 3:
        chunks = chunks.with(at, { ...chunk, type: random.pick(TYPES) });
        break;
      case 4:
        chunks = chunks.with(at, { ...chunk, data: disturbBytes(random, chunk.data) });
        break;
      case 5: {
        // what is packed, not the packing
        const place = chunks.findIndex(({ type }) => type === 'IDAT');
        const pixels = place < 0 ? undefined : inflated((chunks[place] as PngChunk).data);
        if (pixels !== undefined)
          chunks = chunks.with(place, {
            type: 'IDAT',
            data: zlib.deflateSync(random.chance(0.03) ? Buffer.alloc(1 << 20) : disturbBytes(random, pixels)),
          });
        break;
      }
      default: {
        const header = chunks.findIndex(({ type, data }) => type === 'IHDR' && data.length === 13);
        if (header < 0) break;
        const data = Buffer.from((chunks[header] as PngChunk).data);
        const field = random.pick(HEADER_FIELDS);
        writeField(
          data,
          field,
          random.chance(0.6) && field.width === 1
            ? BigInt(random.pick([0, 1, 2, 3, 4, 6, 8, 16]))
            : fieldValue(random, field.width, readField(data, field)),
        );
        chunks = chunks.with(header, { type: 'IHDR', data });
      }
    }
  }
  const bytes = writePng(chunks, random.chance(0.05) ? { checksum: random.below(chunks.length) } : {});
  return random.chance(0.08) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

function inflated(data: Uint8Array): Buffer | undefined {
  try {
    return zlib.inflateSync(data, { maxOutputLength: 1 << 21 });
  } catch {
    return undefined;
  }
}

/** A value of a TIFF directory. Source: TIFF 6.0, section 2. */
interface TiffEntry {
  readonly tag: number;
  /** 3: 16 bits, 4: 32 bits. */
  readonly type: 3 | 4;
  readonly values: readonly number[];
}

export interface TiffSeed {
  readonly entries: readonly TiffEntry[];
  readonly pixels: Uint8Array;
  readonly big: boolean;
}

/** A picture of 8 x 6 pixels in one strip. */
export function tiffSeed({
  bits = 8,
  samples = 1,
  photometric = 1,
  format = 1,
  compression = 1,
  extra = [] as readonly TiffEntry[],
  big = false,
}): TiffSeed {
  const pixels = madeBytes(samples * bits * 6, (at) => at * 29);
  for (let at = 0; format === 3 && at < pixels.length; at += 4) {
    if (big) pixels.writeFloatBE(at / 100, at);
    else pixels.writeFloatLE(at / 100, at);
  }
  const packed = compression === 8 ? zlib.deflateSync(pixels) : pixels;
  const entry = (tag: number, ...values: readonly number[]): TiffEntry => ({ tag, type: 3, values });
  return {
    big,
    pixels: packed,
    entries: [
      entry(256, 8),
      entry(257, 6),
      entry(258, ...Array.from({ length: samples }, () => bits)),
      entry(259, compression),
      entry(262, photometric),
      { tag: 273, type: 4, values: [8] },
      entry(277, samples),
      entry(278, 6),
      { tag: 279, type: 4, values: [packed.length] },
      entry(284, 1),
      entry(339, ...Array.from({ length: samples }, () => format)),
      ...extra,
    ],
  };
}

/** @returns the file, and where its numbers stand */
export function writeTiff({ entries, pixels, big }: TiffSeed): {
  readonly bytes: Buffer;
  readonly fields: readonly Field[];
} {
  const ordered = [...entries].sort((a, b) => a.tag - b.tag);
  const start = 8 + pixels.length + (pixels.length % 2);
  const fields: Field[] = [
    { at: 2, width: 2, big },
    { at: 4, width: 4, big },
    { at: start, width: 2, big },
  ];
  let behind = start + 2 + 12 * ordered.length + 4;
  const width = { 3: 2, 4: 4 } as const;
  const bytes = Buffer.alloc(behind + ordered.reduce((sum, { type, values }) => sum + width[type] * values.length, 0));
  const put = (at: number, bytesOf: 1 | 2 | 4, value: number): void =>
    writeField(bytes, { at, width: bytesOf, big }, BigInt(value));
  bytes.write(big ? 'MM' : 'II', 0, 'latin1');
  put(2, 2, 42);
  put(4, 4, start);
  bytes.set(pixels, 8);
  put(start, 2, ordered.length);
  ordered.forEach(({ tag, type, values }, index) => {
    const at = start + 2 + 12 * index;
    fields.push(
      { at, width: 2, big },
      { at: at + 2, width: 2, big },
      { at: at + 4, width: 4, big },
      { at: at + 8, width: 4, big },
      { at: at + 8, width: 2, big },
    );
    put(at, 2, tag);
    put(at + 2, 2, type);
    put(at + 4, 4, values.length);
    const inline = values.length * width[type] <= 4;
    if (!inline) put(at + 8, 4, behind);
    values.forEach((value, place) => put((inline ? at + 8 : behind) + place * width[type], width[type], value));
    if (!inline) behind += values.length * width[type];
  });
  fields.push({ at: start + 2 + 12 * ordered.length, width: 4, big });
  return { bytes: bytes.subarray(0, Math.max(behind, start + 2 + 12 * ordered.length + 4)), fields };
}

const TAGS: readonly (readonly [number, readonly number[]])[] = [
  [254, [1]],
  [258, [1, 2, 4, 8, 12, 16, 32, 64]],
  [259, [1, 2, 3, 4, 5, 6, 7, 8, 32773, 50000, 34712]],
  [262, [0, 1, 2, 3, 4, 5, 6, 8]],
  [266, [1, 2]],
  [274, [0, 1, 3, 6, 8, 9]],
  [277, [0, 1, 2, 3, 4, 5, 200]],
  [278, [0, 1, 6, 65535]],
  [284, [1, 2]],
  [317, [2, 3]],
  [320, [0]],
  [322, [0, 16, 65535]],
  [323, [16]],
  [324, [8]],
  [325, [48]],
  [330, [8]],
  [338, [0, 1, 2]],
  [339, [1, 2, 3, 4, 6]],
  [347, [8]],
  [530, [2, 2]],
  [34377, [1]],
  [34665, [8]],
  [256, [0, 1, 8, 65535]],
  [257, [0, 1, 6, 65535]],
];

export function mutateTiff(random: Random, original: TiffSeed): Buffer {
  let { entries } = original;
  const structural = random.chance(0.7);
  for (let round = structural ? random.few(4) : 0; round > 0; round--) {
    const [tag, choices] = random.pick(TAGS);
    const values = Array.from({ length: random.chance(0.8) ? 1 : 1 + random.below(5) }, () => random.pick(choices));
    const changed: TiffEntry = { tag, type: random.chance(0.7) ? 3 : 4, values };
    const at = entries.findIndex((entry) => entry.tag === tag);
    entries = random.chance(0.15)
      ? entries.toSpliced(random.below(entries.length), 1)
      : at < 0 || random.chance(0.1)
        ? [...entries, changed]
        : entries.with(at, changed);
  }
  const pixels = random.chance(0.1) ? disturbBytes(random, original.pixels) : original.pixels;
  const { bytes, fields } = writeTiff({ ...original, entries, pixels });
  if (!structural || random.chance(0.2)) lieInFields(random, bytes, fields);
  return random.chance(0.05) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

const BMP_FIELDS: readonly Field[] = [
  { at: 2, width: 4 },
  { at: 10, width: 4 },
  { at: 14, width: 4 },
  { at: 18, width: 4 },
  { at: 22, width: 4 },
  { at: 26, width: 2 },
  { at: 28, width: 2 },
  { at: 30, width: 4 },
  { at: 34, width: 4 },
  { at: 46, width: 4 },
  { at: 50, width: 4 },
  { at: 54, width: 4 },
  { at: 58, width: 4 },
  { at: 62, width: 4 },
  { at: 66, width: 4 },
];

/** A bitmap of 5 x 4 pixels. @param size of its header: 12, 40, 108 or 124 */
export function bmpFile(bits: number, size = 40, compression = 0): Buffer {
  const colours = bits <= 8 ? 2 ** bits : 0;
  const entry = size === 12 ? 3 : 4;
  const masks = size === 40 && compression !== 0 ? 16 : 0;
  const start = 14 + size + masks + colours * entry;
  const stride = Math.floor((5 * bits + 31) / 32) * 4;
  const bytes = Buffer.alloc(start + stride * 4, 0x11);
  bytes.fill(0, 0, start);
  bytes.write('BM', 0, 'latin1');
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(start, 10);
  bytes.writeUInt32LE(size, 14);
  if (size === 12) [5, 4, 1, bits].forEach((value, index) => bytes.writeUInt16LE(value, 18 + 2 * index));
  else {
    bytes.writeInt32LE(5, 18);
    bytes.writeInt32LE(4, 22);
    bytes.writeUInt16LE(1, 26);
    bytes.writeUInt16LE(bits, 28);
    bytes.writeUInt32LE(compression, 30);
    if (size > 40 || masks > 0)
      [0xff0000, 0xff00, 0xff, 0xff000000].forEach((mask, index) => bytes.writeUInt32LE(mask, 54 + 4 * index));
  }
  for (let colour = 0; colour < colours; colour++)
    bytes.fill(colour & 0xff, 14 + size + masks + colour * entry, 14 + size + masks + colour * entry + 3);
  return bytes;
}

export function mutateBmp(random: Random, original: Buffer): Buffer {
  const bytes = Buffer.from(original);
  if (random.chance(0.85)) lieInFields(random, bytes, BMP_FIELDS);
  return random.chance(0.3) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

const DESCRIPTIONS = [
  '<f4',
  '<f8',
  '>f4',
  '|u1',
  '<i8',
  '<f2',
  '|b1',
  '<u8',
  '|O',
  '<c8',
  '|S5',
  '<U3',
  '=f4',
  'f4',
  '',
  '<f16',
  "[('a', '<f4')]",
  '__proto__',
  '<constructor',
  '|i1',
  '>u2',
];
const SHAPES = [
  '(3, 4)',
  '(12,)',
  '()',
  '(3, 4,)',
  '(0, 4)',
  '(1, 3, 4)',
  '(3, 4, 1)',
  '(-3, -4)',
  '(3L, 4L)',
  '(4294967296, 4294967296)',
  '(3, 4',
  '[3, 4]',
  '(3.0, 4)',
  '(99999999999999999999999,)',
  '(2, 2, 3)',
  '(3, 4, 0, 99999999999)',
  `(${'1, '.repeat(300)}12)`,
  '(1_2,)',
  '(3 4)',
];

/** An array file whose header is written anew from odd parts. Source: numpy.lib.format, versions 1 to 3. */
export function mutateNpy(random: Random): Buffer {
  const usual = random.chance(0.5);
  const description = random.chance(0.7) && usual ? '<f4' : random.pick(DESCRIPTIONS);
  const shape = random.chance(0.6) && usual ? '(3, 4)' : random.pick(SHAPES);
  const parts = [
    `'descr': ${description.startsWith('[') ? description : `'${description}'`}`,
    `'fortran_order': ${random.pick(['False', 'False', 'True', 'None', '0'])}`,
    `'shape': ${shape}`,
  ];
  if (random.chance(0.1)) parts.splice(random.below(parts.length), 1);
  if (random.chance(0.1)) parts.push(random.pick(parts.concat(["'extra': 1"])));
  const header = `{${parts.join(', ')}, }\n`;
  const version = random.chance(0.8) ? 1 : random.pick([0, 1, 2, 3, 4, 255]);
  const wide = version > 1;
  const prefix = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0${wide ? '\0\0\0\0' : '\0\0'}`, 'latin1');
  const length = { at: 8, width: wide ? 4 : 2 } as const;
  writeField(prefix, length, BigInt(header.length));
  if (random.chance(0.1)) writeField(prefix, length, fieldValue(random, length.width, BigInt(header.length)));
  const digits = Number(description.slice(2));
  const size = random.chance(0.7) && digits > 0 && digits < 20 ? digits : random.pick([0, 1, 3, 4]);
  const data = madeBytes(12 * size, (at) => (random.chance(0.02) ? 0xff : at & 0x3f));
  const bytes = Buffer.concat([prefix, Buffer.from(header, 'latin1'), data]);
  return random.chance(0.15) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

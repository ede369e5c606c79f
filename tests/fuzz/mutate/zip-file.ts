import * as zlib from 'node:zlib';
import type { Random } from '../random';
import { disturbBytes, HOSTILE_NAMES, lieInFields, type Field } from './values';

/** One entry of a zip archive that is about to be written. */
export interface ZipPart {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflated?: boolean;
  /** Sizes and place in a ZIP64 field. */
  readonly zip64?: boolean;
  /** Marked as a symbolic link. */
  readonly link?: boolean;
}

interface WrittenZip {
  readonly bytes: Buffer;
  /** Every number of its headers. */
  readonly fields: readonly Field[];
}

const field = (at: number, width: Field['width']): Field => ({ at, width });

/** Writes a right archive and says where its numbers stand. Source: PKWARE APPNOTE 6.3.10, section 4.3. */
export function writeZip(
  parts: readonly ZipPart[],
  options: { readonly zip64?: boolean; readonly comment?: string } = {},
): WrittenZip {
  const fields: Field[] = [];
  const pieces: Buffer[] = [];
  let at = 0;
  const put = (bytes: Buffer, places: readonly (readonly [number, Field['width']])[] = []): void => {
    for (const [place, width] of places) fields.push(field(at + place, width));
    pieces.push(bytes);
    at += bytes.length;
  };
  const written = parts.map((part) => {
    const name = Buffer.from(part.name);
    const stored = part.deflated === true ? zlib.deflateRawSync(part.content) : Buffer.from(part.content);
    const start = at;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(part.deflated === true ? 8 : 0, 8);
    local.writeUInt16LE(name.length & 0xffff, 26);
    put(Buffer.concat([local, name]), [
      [0, 4],
      [6, 2],
      [8, 2],
      [18, 4],
      [22, 4],
      [26, 2],
      [28, 2],
    ]);
    put(stored);
    return { ...part, name, stored, start };
  });
  const directoryStart = at;
  for (const { name, content, stored, start, deflated = false, zip64 = false, link = false } of written) {
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [content.length, stored.length, start].forEach((value, index) =>
        extra.writeBigUInt64LE(BigInt(value), 4 + 8 * index),
      );
    }
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt8(link ? 3 : 0, 5);
    header.writeUInt16LE(deflated ? 8 : 0, 10);
    header.writeUInt32LE(zlib.crc32(content), 16);
    header.writeUInt32LE(zip64 ? 0xffffffff : stored.length, 20);
    header.writeUInt32LE(zip64 ? 0xffffffff : content.length, 24);
    header.writeUInt16LE(name.length & 0xffff, 28);
    header.writeUInt16LE(extra.length, 30);
    header.writeUInt32LE(link ? 0xa1ff0000 : 0, 38);
    header.writeUInt32LE(zip64 ? 0xffffffff : start, 42);
    put(Buffer.concat([header, name]), [
      [0, 4],
      [4, 2],
      [8, 2],
      [10, 2],
      [16, 4],
      [20, 4],
      [24, 4],
      [28, 2],
      [30, 2],
      [32, 2],
      [34, 2],
      [38, 4],
      [42, 4],
    ]);
    put(
      extra,
      zip64
        ? [
            [0, 2],
            [2, 2],
            [4, 8],
            [12, 8],
            [20, 8],
          ]
        : [],
    );
  }
  const size = at - directoryStart;
  if (options.zip64 === true) {
    const record = Buffer.alloc(76);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(BigInt(parts.length), 24);
    record.writeBigUInt64LE(BigInt(parts.length), 32);
    record.writeBigUInt64LE(BigInt(size), 40);
    record.writeBigUInt64LE(BigInt(directoryStart), 48);
    record.writeUInt32LE(0x07064b50, 56);
    record.writeBigUInt64LE(BigInt(at), 64);
    record.writeUInt32LE(1, 72);
    put(record, [
      [0, 4],
      [4, 8],
      [16, 4],
      [20, 4],
      [24, 8],
      [32, 8],
      [40, 8],
      [48, 8],
      [56, 4],
      [60, 4],
      [64, 8],
    ]);
  }
  const comment = Buffer.from(options.comment ?? '');
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(parts.length & 0xffff, 8);
  end.writeUInt16LE(parts.length & 0xffff, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(directoryStart, 16);
  end.writeUInt16LE(comment.length, 20);
  put(Buffer.concat([end, comment]), [
    [0, 4],
    [4, 2],
    [6, 2],
    [8, 2],
    [10, 2],
    [12, 4],
    [16, 4],
    [20, 2],
  ]);
  return { bytes: Buffer.concat(pieces), fields };
}

/** The entries of an archive that is known to be right. */
export function readZip(bytes: Buffer): ZipPart[] {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  const parts: ZipPart[] = [];
  for (let at = bytes.readUInt32LE(end + 16), left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const [packed, nameLength, start] = [
      bytes.readUInt32LE(at + 20),
      bytes.readUInt16LE(at + 28),
      bytes.readUInt32LE(at + 42),
    ];
    const data = start + 30 + bytes.readUInt16LE(start + 26) + bytes.readUInt16LE(start + 28);
    const stored = bytes.subarray(data, data + packed);
    const deflated = bytes.readUInt16LE(at + 10) === 8;
    parts.push({
      name: bytes.toString('utf8', at + 46, at + 46 + nameLength),
      content: deflated ? zlib.inflateRawSync(stored) : stored,
      deflated,
    });
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return parts;
}

/** Writes an archive of changed entries, or one whose headers lie, or both. @param bombs whether entries may inflate to a megabyte */
export function mutateZip(
  random: Random,
  original: readonly ZipPart[],
  { names = HOSTILE_NAMES, bombs = true }: { readonly names?: readonly string[]; readonly bombs?: boolean } = {},
): Buffer {
  let parts = [...original];
  const structural = random.chance(0.5);
  for (let round = structural ? random.few(4) : 0; round > 0 && parts.length > 0; round--)
    parts = mutateParts(random, parts, names, bombs);
  const { bytes, fields } = writeZip(parts, {
    zip64: random.chance(0.3),
    ...(random.chance(0.1) ? { comment: 'PK\x05\x06' + 'c'.repeat(random.below(40)) } : {}),
  });
  if (!structural || random.chance(0.2)) {
    if (random.chance(0.9)) lieInFields(random, bytes, fields);
    else return Buffer.from(disturbBytes(random, bytes));
  }
  return bytes;
}

function mutateParts(random: Random, parts: readonly ZipPart[], names: readonly string[], bombs: boolean): ZipPart[] {
  const at = random.below(parts.length);
  const part = parts[at] as ZipPart;
  switch (random.below(10)) {
    case 0:
      return parts.toSpliced(at, 1);
    case 1:
      return parts.toSpliced(at, 0, part);
    case 2:
      return parts.toSpliced(random.below(parts.length), 0, { ...part, name: random.pick(names) });
    case 3:
      return parts.with(at, {
        ...part,
        name: random.chance(0.5) ? random.pick(names) : `${part.name}${random.pick(names)}`,
      });
    case 4:
      return parts.with(at, { ...part, deflated: part.deflated !== true });
    case 5:
      return parts.with(at, { ...part, zip64: part.zip64 !== true });
    case 6:
      return parts.with(at, { ...part, link: true });
    case 7:
      return parts.with(at, { ...part, content: disturbBytes(random, part.content) });
    case 8:
      return parts.with(at, { ...part, content: (parts[random.below(parts.length)] as ZipPart).content });
    default:
      return bombs && random.chance(0.1)
        ? parts.with(at, { ...part, content: ZEROS, deflated: true })
        : parts.with(at, { ...part, content: part.content.subarray(0, random.below(part.content.length)) });
  }
}

const ZEROS = new Uint8Array(1 << 20);

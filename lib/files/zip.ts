import * as zlib from 'node:zlib';
import type { WeightsErrorCode } from '../error-codes';
import { WeightsError } from '../errors';
import { type ByteSection, type RandomAccessFile, readBytes, subsection } from './byte-section';
import { shownName } from './shown-name';

/**
 * The directory of a zip archive, as much of the format as PyTorch writes and people re-pack: stored entries of any
 * size by random access, ZIP64, data descriptors, and deflated entries while they are small.
 * Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.
 */
export interface ZipEntry {
  readonly name: string;
  /** Size of the content in bytes. */
  readonly size: number;
  readonly compressedSize: number;
  readonly deflated: boolean;
  readonly crc: number;
  /** Where the stored bytes begin in the file. */
  readonly dataStart: number;
  /** Whether a Unix system would make a symbolic link of it, with the content as its target. */
  readonly link: boolean;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;

/** What writers leave that were told to skip checksums, as PyTorch can be. */
const NO_CHECKSUM = 0;

const LARGEST_DIRECTORY = 64 << 20;
const MOST_ENTRIES = 200_000;
/** Deflated entries are inflated in memory, so they must be small; PyTorch deflates nothing. */
const LARGEST_INFLATED = 64 << 20;

/** An open zip archive over a file. */
export class ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** The content that was inflated last: storages are read piece by piece, but one after the other. */
  private inflated: { readonly entry: ZipEntry; readonly bytes: Uint8Array } | undefined;

  /** Reads the directory and checks every entry's place. @throws WeightsError */
  constructor(private readonly file: RandomAccessFile) {
    const { directoryStart, directorySize, count } = this.findDirectory();
    this.entries = this.readDirectory(directoryStart, directorySize, count);
    this.refuseOverlaps(directoryStart);
  }

  /**
   * The content of an entry for random access. A deflated one is inflated as a whole when it is first read, and again where
   * another one was read in between. @throws WeightsError, from reading too
   */
  section(entry: ZipEntry): ByteSection {
    if (!entry.deflated) {
      const section = subsection(this.file, entry.dataStart, entry.size);
      return entry.crc === NO_CHECKSUM ? section : { ...section, checksum: entry.crc };
    }
    this.refuseLarge(entry);
    return {
      size: entry.size,
      readInto: (offset, target) => {
        if (!(offset >= 0) || !(offset + target.byteLength <= entry.size)) {
          throw new WeightsError(
            'weights/truncated',
            `bytes ${offset} to ${offset + target.byteLength} of ${entry.size}`,
          );
        }
        if (this.inflated?.entry !== entry) {
          this.inflated = undefined;
          this.inflated = { entry, bytes: this.inflate(entry) };
        }
        target.set(this.inflated.bytes.subarray(offset, offset + target.byteLength));
      },
    };
  }

  /** The whole content of a small entry, its checksum verified. @throws WeightsError */
  contents(entry: ZipEntry, largest: number): Uint8Array {
    if (entry.size > largest) {
      throw this.invalid(
        `${shownName(entry.name)} has ${entry.size} bytes; at most ${largest} are read`,
        'weights/limit',
      );
    }
    if (entry.deflated) return new Uint8Array(this.inflate(entry));
    return this.checked(entry, readBytes(this.file, entry.dataStart, entry.size));
  }

  private refuseLarge(entry: ZipEntry): void {
    if (entry.size <= LARGEST_INFLATED) return;
    throw this.invalid(
      `${shownName(entry.name)} is compressed and would inflate to ${entry.size} bytes; save it without compression`,
      'weights/limit',
    );
  }

  private inflate(entry: ZipEntry): Uint8Array {
    this.refuseLarge(entry);
    const packed = readBytes(this.file, entry.dataStart, entry.compressedSize);
    try {
      // One piece for all of it, which is then not put together from many.
      const chunkSize = Math.max(entry.size + 1, zlib.constants.Z_MIN_CHUNK);
      const bytes = zlib.inflateRawSync(packed, { maxOutputLength: Math.max(entry.size, 1), chunkSize });
      if (bytes.length === entry.size) return this.checked(entry, bytes);
    } catch (error) {
      if (error instanceof WeightsError) throw error;
      // Else reported below together with the case of a wrong length.
    }
    throw this.invalid(`${shownName(entry.name)} does not inflate to the ${entry.size} bytes that the directory gives`);
  }

  private checked(entry: ZipEntry, bytes: Uint8Array): Uint8Array {
    if (entry.crc === NO_CHECKSUM || zlib.crc32(bytes) === entry.crc) return bytes;
    throw this.invalid(`${shownName(entry.name)} does not match its checksum; the file is damaged`, 'weights/checksum');
  }

  private findDirectory(): { directoryStart: number; directorySize: number; count: number } {
    // The end record has 22 bytes and a comment of up to 65535.
    const tailLength = Math.min(this.file.size, 22 + 0xffff);
    const tailStart = this.file.size - tailLength;
    const tail = Buffer.from(readBytes(this.file, tailStart, tailLength).buffer);
    let at = tailLength - 22;
    while (at >= 0 && !(tail.readUInt32LE(at) === END && at + 22 + tail.readUInt16LE(at + 20) === tailLength)) at--;
    if (at < 0)
      throw this.invalid(
        'it has no zip directory at its end; it is damaged or was not fully downloaded',
        'weights/truncated',
      );
    let disk = tail.readUInt16LE(at + 4) | tail.readUInt16LE(at + 6);
    let count = tail.readUInt16LE(at + 10);
    let directorySize = tail.readUInt32LE(at + 12);
    let directoryStart = tail.readUInt32LE(at + 16);
    let directoryEnd = tailStart + at;
    if (at >= 20 && tail.readUInt32LE(at - 20) === END64_LOCATOR) {
      const recordStart = this.whole(tail.readBigUInt64LE(at - 20 + 8));
      const record = Buffer.from(readBytes(this.file, recordStart, 56).buffer);
      if (record.readUInt32LE(0) !== END64) throw this.invalid('its ZIP64 end record is not where the locator says');
      disk = record.readUInt32LE(16) | record.readUInt32LE(20);
      count = this.whole(record.readBigUInt64LE(32));
      directorySize = this.whole(record.readBigUInt64LE(40));
      directoryStart = this.whole(record.readBigUInt64LE(48));
      directoryEnd = recordStart;
    }
    if (disk !== 0) throw this.invalid('it is one part of several');
    if (directoryStart + directorySize > directoryEnd) throw this.invalid('its directory is outside the file');
    if (count > MOST_ENTRIES || directorySize > LARGEST_DIRECTORY) {
      throw this.invalid(`its directory claims ${count} entries in ${directorySize} bytes`, 'weights/limit');
    }
    return { directoryStart, directorySize, count };
  }

  private readDirectory(start: number, size: number, count: number): Map<string, ZipEntry> {
    const directory = Buffer.from(readBytes(this.file, start, size).buffer);
    const entries = new Map<string, ZipEntry>();
    let at = 0;
    for (let index = 0; index < count; index++) {
      if (at + 46 > size || directory.readUInt32LE(at) !== CENTRAL_HEADER)
        throw this.invalid(`directory entry ${index} is damaged`);
      const flags = directory.readUInt16LE(at + 8);
      const method = directory.readUInt16LE(at + 10);
      const nameLength = directory.readUInt16LE(at + 28);
      const extraLength = directory.readUInt16LE(at + 30);
      const commentLength = directory.readUInt16LE(at + 32);
      const next = at + 46 + nameLength + extraLength + commentLength;
      if (next > size) throw this.invalid(`directory entry ${index} is damaged`);
      const rawName = directory.subarray(at + 46, at + 46 + nameLength);
      const name = rawName.toString('utf8');
      this.refusePathTricks(name);
      if (entries.has(name)) throw this.invalid(`it has two entries named ${shownName(name)}`);
      if ((flags & 0x2041) !== 0) throw this.invalid(`${shownName(name)} is encrypted`);
      if (method !== 0 && method !== 8)
        throw this.invalid(`${shownName(name)} is packed with method ${method}; stored and deflated entries are read`);
      const [entrySize, compressedSize, headerStart] = this.sizes(
        directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength),
        [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)],
        name,
      );
      if (method === 0 && entrySize !== compressedSize)
        throw this.invalid(`${shownName(name)} is stored with two different sizes`);
      const dataStart = this.dataStart(headerStart, rawName, start);
      if (dataStart + compressedSize > start) throw this.invalid(`${shownName(name)} reaches into the directory`);
      entries.set(name, {
        name,
        size: entrySize,
        compressedSize,
        deflated: method === 8,
        crc: directory.readUInt32LE(at + 16),
        dataStart,
        link: isLink(directory, at),
      });
      at = next;
    }
    if (at !== size) throw this.invalid(`${size - at} bytes of its directory belong to no entry`);
    return entries;
  }

  /** Size, compressed size and header position, from the ZIP64 field for those that the 32-bit fields leave to it. */
  private sizes(
    extra: Buffer,
    short: readonly [number, number, number],
    name: string,
  ): readonly [number, number, number] {
    const values: [number, number, number] = [...short];
    for (let at = 0; at + 4 <= extra.length;) {
      const id = extra.readUInt16LE(at);
      const end = at + 4 + extra.readUInt16LE(at + 2);
      if (end > extra.length) break;
      if (id === 1) {
        let field = at + 4;
        for (const index of [0, 1, 2] as const) {
          if (values[index] !== 0xffffffff) continue;
          if (field + 8 > end) throw this.invalid(`${shownName(name)} has a damaged ZIP64 field`);
          values[index] = this.whole(extra.readBigUInt64LE(field));
          field += 8;
        }
      }
      at = end;
    }
    return values;
  }

  private dataStart(headerStart: number, rawName: Buffer, directoryStart: number): number {
    if (headerStart + 30 + rawName.length > directoryStart)
      throw this.invalid(`${shownName(rawName.toString('utf8'))} is outside the file`);
    const header = Buffer.from(readBytes(this.file, headerStart, 30 + rawName.length).buffer);
    const sameName = header.readUInt16LE(26) === rawName.length && header.subarray(30).equals(rawName);
    if (header.readUInt32LE(0) !== LOCAL_HEADER || !sameName) {
      throw this.invalid(`${shownName(rawName.toString('utf8'))} is not where the directory says`);
    }
    return headerStart + 30 + rawName.length + header.readUInt16LE(28);
  }

  private refusePathTricks(name: string): void {
    const tricky =
      name === '' || name.startsWith('/') || /[\\\0]|^[A-Za-z]:/.test(name) || name.split('/').includes('..');
    if (tricky)
      throw this.invalid(
        `its entry ${JSON.stringify(name.slice(0, 100))} points outside of the archive`,
        'weights/unsafe',
      );
  }

  private refuseOverlaps(directoryStart: number): void {
    const ordered = [...this.entries.values()].sort((a, b) => a.dataStart - b.dataStart);
    ordered.forEach((entry, index) => {
      // Behind each entry comes at least the next one's header of 30 bytes and its name.
      const next = ordered[index + 1];
      const limit = next ? next.dataStart - 30 - Buffer.byteLength(next.name) : directoryStart;
      if (entry.dataStart + entry.compressedSize > limit) {
        throw this.invalid(`${shownName(entry.name)} overlaps ${next ? shownName(next.name) : 'the directory'}`);
      }
    });
  }

  private whole(value: bigint): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.invalid(`it claims a size or place of ${value} bytes`);
    return Number(value);
  }

  private invalid(reason: string, code: WeightsErrorCode = 'weights/format'): WeightsError {
    return new WeightsError(code, `${this.file.path} is not a usable zip archive: ${reason}`, { path: this.file.path });
  }
}

/** Made on Unix (3), with the file type of a link in the upper half of the attributes. */
function isLink(directory: Buffer, at: number): boolean {
  return directory.readUInt8(at + 5) === 3 && ((directory.readUInt32LE(at + 38) >>> 16) & 0xf000) === 0xa000;
}

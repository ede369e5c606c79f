import { DatasetError } from '../../lib/errors';
import { readBytes, type RandomAccessFile } from '../../lib/files/byte-section';

/** A file or folder in a tar archive. */
export interface TarEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  /** Bytes of content. */
  readonly size: number;
  /** Where the content begins in the archive. */
  readonly start: number;
}

const BLOCK = 512;
/** Longer names and attributes are not plausible. */
const LARGEST_HEADER = 1 << 20;

/**
 * The entries of a tar archive, one after the other: POSIX ustar with its prefix, pax headers (path and size), and GNU's
 * long names. Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Interchange Format".
 * @throws DatasetError `dataset/archive` for a damaged or truncated archive
 */
export function* tarEntries(file: RandomAccessFile): Generator<TarEntry> {
  let longName: string | undefined;
  let attributes: ReadonlyMap<string, string> = new Map();
  for (let at = 0; ;) {
    if (at + BLOCK > file.size)
      throw damaged(file, 'it ends without the two empty blocks that close an archive; it was not fully downloaded');
    const header = Buffer.from(readBytes(file, at, BLOCK).buffer);
    if (header.every((byte) => byte === 0)) return;
    if (checksumOf(header) !== octal(header, 148, 8))
      throw damaged(file, `the header at byte ${at} does not match its checksum`);
    const size = Number(attributes.get('size') ?? octal(header, 124, 12));
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > file.size)
      throw damaged(file, `an entry of ${size} bytes at byte ${at} reaches beyond its end of ${file.size}`);
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156] as number);
    switch (type) {
      case 'L':
        longName = text(contentOf(file, start, size));
        continue;
      case 'x':
        attributes = paxAttributes(contentOf(file, start, size), file);
        continue;
      // Defaults for all entries that follow; names and sizes are never among them.
      case 'g':
        continue;
    }
    // GNU's own format keeps times where POSIX has the prefix, and marks itself by a blank.
    const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? text(header.subarray(345, 500)) : '';
    const plain = text(header.subarray(0, 100));
    yield {
      name: attributes.get('path') ?? longName ?? (prefix === '' ? plain : `${prefix}/${plain}`),
      kind: kindOf(type),
      size,
      start,
    };
    longName = undefined;
    attributes = new Map();
  }
}

function kindOf(type: string): TarEntry['kind'] {
  if (type === '0' || type === '\0' || type === '7') return 'file';
  if (type === '5') return 'folder';
  return type === '1' || type === '2' ? 'link' : 'other';
}

/** Sum of the header's bytes with the checksum's own eight taken as blanks. */
function checksumOf(header: Buffer): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

/** A number in octal digits, or, for large files, in binary with the first bit set. */
function octal(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if (((field[0] as number) & 0x80) !== 0)
    return field.reduce((value, byte, index) => value * 256 + (index === 0 ? byte & 0x7f : byte), 0);
  return Number.parseInt(text(field).trim() || '0', 8);
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function contentOf(file: RandomAccessFile, start: number, size: number): Buffer {
  if (size > LARGEST_HEADER) throw damaged(file, `it has a header of ${size} bytes`);
  return Buffer.from(readBytes(file, start, size).buffer);
}

/** Records `LENGTH KEY=VALUE\n`, the length counting itself. */
function paxAttributes(content: Buffer, file: RandomAccessFile): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (let at = 0; at < content.length;) {
    const blank = content.indexOf(0x20, at);
    const length = Number(content.toString('latin1', at, blank));
    const record = content.toString('utf8', blank + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (blank < 0 || !(length > 0) || at + length > content.length || equals < 0)
      throw damaged(file, 'a pax header is damaged');
    attributes.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return attributes;
}

function damaged(file: RandomAccessFile, reason: string): DatasetError {
  return new DatasetError(
    'dataset/archive',
    `${file.path} is not a usable tar archive: ${reason}. Delete it and fetch it again.`,
    { path: file.path },
  );
}

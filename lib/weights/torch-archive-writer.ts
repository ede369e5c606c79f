import * as zlib from 'node:zlib';
import { writeWeightsFile } from './safetensors';

/** A file inside a torch archive, by its name below the archive's root folder. */
export interface ArchiveRecord {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Storages start at multiples of this, so that PyTorch can map them into memory. */
const ALIGNMENT = 64;
/** Bit 3: sizes follow the content, unless there is none; bit 11: names are UTF-8. */
const flagsFor = (size: number): number => (size > 0 ? 0x0808 : 0x0800);

/**
 * Writes a zip archive exactly as PyTorch's own writer lays it out: stored records, each aligned by a padding field
 * named FB, its sizes behind it, and a ZIP64 end record. Appears complete or not at all.
 * Source: caffe2/serialize/inline_container.cc; the bytes equal PyTorch's.
 * @param root the folder that holds all records, by convention the file's name without its ending
 */
export function writeTorchArchive(target: string, root: string, records: readonly ArchiveRecord[]): void {
  writeWeightsFile(target, (write) => {
    let at = 0;
    const append = (bytes: Uint8Array): void => {
      write(bytes);
      at += bytes.byteLength;
    };
    const directory: Buffer[] = [];
    for (const { name, content } of records) {
      const path = Buffer.from(`${root}/${name}`);
      const crc = zlib.crc32(content);
      directory.push(centralHeader(path, crc, content.byteLength, at));
      append(localHeader(path, content.byteLength, at));
      append(content);
      if (content.byteLength > 0) append(sizesBehind(crc, content.byteLength));
    }
    const directoryStart = at;
    const directoryBytes = Buffer.concat(directory);
    append(directoryBytes);
    append(endRecords(records.length, directoryBytes.length, directoryStart));
  });
}

function localHeader(path: Buffer, size: number, at: number): Buffer {
  const start = at + 30 + path.length + 4;
  const padding = (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT;
  const header = Buffer.alloc(30 + path.length + 4 + padding, 'Z');
  header.fill(0, 0, 30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(flagsFor(size), 6);
  header.writeUInt16LE(path.length, 26);
  header.writeUInt16LE(4 + padding, 28);
  path.copy(header, 30);
  header.write('FB', 30 + path.length);
  header.writeUInt16LE(padding, 32 + path.length);
  return header;
}

function sizesBehind(crc: number, size: number): Buffer {
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(crc, 4);
  descriptor.writeUInt32LE(size, 8);
  descriptor.writeUInt32LE(size, 12);
  return descriptor;
}

function centralHeader(path: Buffer, crc: number, size: number, start: number): Buffer {
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(flagsFor(size), 8);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(size, 20);
  header.writeUInt32LE(size, 24);
  header.writeUInt16LE(path.length, 28);
  header.writeUInt32LE(start, 42);
  return Buffer.concat([header, path]);
}

function endRecords(count: number, directorySize: number, directoryStart: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(0x031e, 12);
  end.writeUInt16LE(45, 14);
  end.writeBigUInt64LE(BigInt(count), 24);
  end.writeBigUInt64LE(BigInt(count), 32);
  end.writeBigUInt64LE(BigInt(directorySize), 40);
  end.writeBigUInt64LE(BigInt(directoryStart), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(directoryStart + directorySize), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(count, 84);
  end.writeUInt16LE(count, 86);
  end.writeUInt32LE(directorySize, 88);
  end.writeUInt32LE(directoryStart, 92);
  return end;
}

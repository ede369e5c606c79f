import * as fs from 'node:fs';
import * as path from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * A shard is an append-only file: 16 bytes that identify it, then records, each
 *
 *     magic u32 | payload length u32 | key, 32 bytes | crc32 of the payload u32 | crc32 of these 44 bytes u32 | payload
 *
 * in little endian. One process writes a shard; any number may read it. A killed writer leaves at most one
 * incomplete record, at the end, which readers skip.
 */
const FILE_HEADER = Buffer.from('crane features 1');
const RECORD_MAGIC = 0x31434552;
const HEADER_BYTES = 48;
const KEY_BYTES = 32;

/** Bytes of a record besides its payload. */
export const RECORD_OVERHEAD = HEADER_BYTES;
export const SHARD_SUFFIX = '.features';

/** Where a payload is stored. */
export interface StoredRecord {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly checksum: number;
}

/**
 * The records of a shard by key, in hexadecimal; payloads are not read. Stops at the first incomplete or damaged record;
 * empty for a file that is missing or not a shard.
 */
export function scanShard(file: string): Map<string, StoredRecord> {
  const records = new Map<string, StoredRecord>();
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, 'r');
  } catch {
    return records;
  }
  try {
    const { size } = fs.fstatSync(descriptor);
    const start = Buffer.alloc(FILE_HEADER.length);
    if (fs.readSync(descriptor, start, 0, start.length, 0) < start.length || !start.equals(FILE_HEADER)) return records;
    const header = Buffer.alloc(HEADER_BYTES);
    for (let at = FILE_HEADER.length; at + HEADER_BYTES <= size;) {
      fs.readSync(descriptor, header, 0, HEADER_BYTES, at);
      if (header.readUInt32LE(0) !== RECORD_MAGIC || header.readUInt32LE(44) !== crc32(header.subarray(0, 44))) break;
      const length = header.readUInt32LE(4);
      const offset = at + HEADER_BYTES;
      if (offset + length > size) break;
      records.set(header.toString('hex', 8, 8 + KEY_BYTES), {
        file,
        offset,
        length,
        checksum: header.readUInt32LE(40),
      });
      at = offset + length;
    }
    return records;
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Reads payloads. Keeps shards open, so that one that is removed in the meantime can still be read. */
export class ShardReader {
  private readonly handles = new Map<string, Promise<fs.promises.FileHandle>>();

  /** The payload, at the start of its own buffer; null if it is damaged or missing. */
  async read({ file, offset, length, checksum }: StoredRecord): Promise<Uint8Array<ArrayBuffer> | null> {
    const payload = new Uint8Array(length);
    try {
      const handle = await this.open(file);
      for (let at = 0; at < length;) {
        const { bytesRead } = await handle.read(payload, at, length - at, offset + at);
        if (bytesRead === 0) return null;
        at += bytesRead;
      }
    } catch (error) {
      if (['ENOENT', 'EIO', 'ESTALE'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
    return crc32(payload) === checksum ? payload : null;
  }

  private open(file: string): Promise<fs.promises.FileHandle> {
    let handle = this.handles.get(file);
    if (handle === undefined) {
      handle = fs.promises.open(file, 'r');
      this.handles.set(file, handle);
      handle.catch(() => this.handles.delete(file));
    }
    return handle;
  }

  async close(): Promise<void> {
    const handles = [...this.handles.values()];
    this.handles.clear();
    await Promise.all(handles.map(async (handle) => (await handle).close()));
  }
}

/** How often, in milliseconds, written data are synced to the disk: at most this much work is lost in a power failure. */
const SYNC_INTERVAL = 2000;

/** Appends records to a new shard. If the process is killed, nothing that was appended is lost. */
export class ShardWriter {
  private readonly descriptor: number;
  private end = 0;
  private synced = performance.now();

  /** @throws the system's error if the file cannot be created */
  constructor(readonly file: string) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.descriptor = fs.openSync(file, 'wx');
    this.write(FILE_HEADER);
  }

  /** Length of the file in bytes. */
  get bytes(): number {
    return this.end;
  }

  /**
   * @param key 32 bytes in hexadecimal
   * @throws the system's error if the disk is full; records appended before stay intact
   */
  append(key: string, payload: Uint8Array): StoredRecord {
    const checksum = crc32(payload);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(RECORD_MAGIC, 0);
    header.writeUInt32LE(payload.byteLength, 4);
    header.write(key, 8, KEY_BYTES, 'hex');
    header.writeUInt32LE(checksum, 40);
    header.writeUInt32LE(crc32(header.subarray(0, 44)), 44);
    const start = this.end;
    try {
      this.write(header);
      this.write(payload);
    } catch (error) {
      fs.ftruncateSync(this.descriptor, start);
      this.end = start;
      throw error;
    }
    if (performance.now() - this.synced > SYNC_INTERVAL) this.sync();
    return { file: this.file, offset: start + HEADER_BYTES, length: payload.byteLength, checksum };
  }

  private write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;)
      at += fs.writeSync(this.descriptor, bytes, at, bytes.byteLength - at, this.end + at);
    this.end += bytes.byteLength;
  }

  private sync(): void {
    fs.fdatasyncSync(this.descriptor);
    this.synced = performance.now();
  }

  close(): void {
    try {
      this.sync();
    } finally {
      fs.closeSync(this.descriptor);
    }
  }
}

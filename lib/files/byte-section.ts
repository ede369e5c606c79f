import * as fs from 'node:fs';
import { WeightsError } from '../errors';
import { whyUnreadable } from './regular-file';

/** A run of bytes that can be read in any order: a whole file, a part of one, or memory. */
export interface ByteSection {
  readonly size: number;
  /** CRC-32 of all bytes, where it is known and should be checked when all of them are read. */
  readonly checksum?: number;
  /** Fills `target` with the bytes from `offset` on. @throws WeightsError where some are missing */
  readInto(offset: number, target: Uint8Array): void;
}

/** Bytes `[offset, offset + length)` of a section as a fresh array, aligned for every element type. */
export function readBytes(section: ByteSection, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  section.readInto(offset, bytes);
  return bytes;
}

/** A file read through its descriptor, so that only the requested parts are ever in memory. */
export class RandomAccessFile implements ByteSection {
  readonly size: number;
  private descriptor: number | undefined;

  /** @throws WeightsError where the file cannot be opened */
  constructor(readonly path: string) {
    try {
      // Checked before opening, because opening a pipe waits for its other end.
      if (!fs.statSync(path).isFile()) throw new Error('it is not a regular file');
      this.descriptor = fs.openSync(path, 'r');
      this.size = fs.fstatSync(this.descriptor).size;
    } catch (cause) {
      this.close();
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = code === undefined ? message : whyUnreadable(code, path);
      throw new WeightsError('weights/unreadable', `cannot open ${path}: ${reason}`, { path }, { cause });
    }
  }

  readInto(offset: number, target: Uint8Array): void {
    if (this.descriptor === undefined) {
      throw new WeightsError('weights/closed', `${this.path} was closed before it was read`, { path: this.path });
    }
    if (!(offset >= 0) || !(offset + target.byteLength <= this.size)) throw this.truncated(offset, target.byteLength);
    let filled = 0;
    while (filled < target.byteLength) {
      const count = fs.readSync(this.descriptor, target, filled, target.byteLength - filled, offset + filled);
      if (count === 0) throw this.truncated(offset, target.byteLength);
      filled += count;
    }
  }

  close(): void {
    if (this.descriptor !== undefined) fs.closeSync(this.descriptor);
    this.descriptor = undefined;
  }

  private truncated(offset: number, length: number): WeightsError {
    return new WeightsError(
      'weights/truncated',
      `${this.path} ends at ${this.size} bytes, but bytes ${offset} to ${offset + length} are needed; the file is damaged or was not fully downloaded`,
      { path: this.path, size: this.size, offset, length },
    );
  }
}

/** Part of another section. The caller has checked that it lies inside. */
export function subsection(section: ByteSection, start: number, size: number): ByteSection {
  return {
    size,
    readInto(offset, target) {
      if (!(offset >= 0) || !(offset + target.byteLength <= size)) {
        throw new WeightsError(
          'weights/truncated',
          `bytes ${offset} to ${offset + target.byteLength} of a section of ${size}`,
        );
      }
      section.readInto(start + offset, target);
    },
  };
}

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as zlib from 'node:zlib';
import { WeightsError } from '../../lib/errors';

/** A folder of its own for one test file; call `remove` at the end. */
export function scratchFolder(): {
  readonly folder: string;
  file(name: string, content: Uint8Array): string;
  remove(): void;
} {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-weights-'));
  return {
    folder,
    file(name, content) {
      const target = path.join(folder, name);
      fs.writeFileSync(target, content);
      return target;
    },
    remove: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}

/** The WeightsError that `body` throws; anything else thrown, or nothing, fails the test. */
export async function weightsError(body: () => unknown): Promise<WeightsError> {
  try {
    await body();
  } catch (error) {
    if (error instanceof WeightsError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

/** Equality of large arrays, bit by bit: jest's own comparison takes seconds for a megabyte. */
export function expectSameValues(found: Float32Array | Uint8Array, wanted: Float32Array | Uint8Array): void {
  const bytes = (values: Float32Array | Uint8Array): Buffer =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  expect(found.length).toBe(wanted.length);
  expect(bytes(found).equals(bytes(wanted))).toBe(true);
}

export interface ZipFile {
  readonly name: string;
  readonly content: Uint8Array;
  /** Deflate it. */
  readonly packed?: boolean;
  /** Lies to tell in the directory. */
  readonly lie?: {
    readonly size?: number;
    readonly compressedSize?: number;
    readonly start?: number;
    readonly crc?: number;
    readonly method?: number;
    readonly flags?: number;
    readonly localName?: string;
  };
  /** Put sizes and place into a ZIP64 field. */
  readonly zip64?: boolean;
}

/** A small zip writer apart from the library's, which can also lie. */
export function zip(
  files: readonly ZipFile[],
  options: { readonly comment?: string; readonly count?: number } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content, packed = false, lie = {}, zip64 = false } of files) {
    const stored = packed ? zlib.deflateRawSync(content) : Buffer.from(content);
    const localName = Buffer.from(lie.localName ?? name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(packed ? 8 : 0, 8);
    local.writeUInt16LE(localName.length, 26);
    const size = lie.size ?? content.length;
    const compressedSize = lie.compressedSize ?? stored.length;
    const start = lie.start ?? at;
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [size, compressedSize, start].forEach((value, index) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
    }
    const rawName = Buffer.from(name);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(lie.flags ?? 0, 8);
    central.writeUInt16LE(lie.method ?? (packed ? 8 : 0), 10);
    central.writeUInt32LE(lie.crc ?? zlib.crc32(content), 16);
    central.writeUInt32LE(zip64 ? 0xffffffff : compressedSize, 20);
    central.writeUInt32LE(zip64 ? 0xffffffff : size, 24);
    central.writeUInt16LE(rawName.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(zip64 ? 0xffffffff : start, 42);
    directory.push(central, rawName, extra);
    parts.push(local, localName, stored);
    at += local.length + localName.length + stored.length;
  }
  const directoryBytes = Buffer.concat(directory);
  const comment = Buffer.from(options.comment ?? '');
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(options.count ?? files.length, 8);
  end.writeUInt16LE(options.count ?? files.length, 10);
  end.writeUInt32LE(directoryBytes.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directoryBytes, end, comment]);
}

/** Hand-written pickles: opcodes and their arguments, one after the other. */
export const op = {
  proto: Buffer.of(0x80, 2),
  text: (value: string): Buffer =>
    Buffer.concat([Buffer.of(0x58), uint32(Buffer.byteLength(value)), Buffer.from(value)]),
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  int: (value: number): Buffer => {
    const bytes = Buffer.of(0x4a, 0, 0, 0, 0);
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  long: (value: bigint, length: number): Buffer =>
    Buffer.from([0x8a, length, ...Array.from({ length }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn))]),
  code: (characters: string): Buffer => Buffer.from(characters, 'latin1'),
};

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const pickle = (...parts: readonly Buffer[]): Buffer => Buffer.concat([op.proto, ...parts, op.code('.')]);

const tuple = (values: readonly number[]): Buffer => Buffer.concat([op.code('('), ...values.map(op.int), op.code('t')]);

export interface PickledView {
  readonly name?: string;
  readonly type?: string;
  readonly key?: string;
  readonly count?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
}

/** `_rebuild_tensor_v2(('storage', …), offset, shape, strides, False, OrderedDict())`. */
export function tensor({
  type = 'FloatStorage',
  key = '0',
  count = 6,
  offset = 0,
  shape = [2, 3],
  strides = [3, 1],
}: PickledView): Buffer {
  return Buffer.concat([
    op.global('torch._utils', '_rebuild_tensor_v2'),
    op.code('(('),
    op.text('storage'),
    op.global('torch', type),
    op.text(key),
    op.text('cpu'),
    op.int(count),
    op.code('tQ'),
    op.int(offset),
    tuple(shape),
    tuple(strides),
    op.code('\x89'),
    op.global('collections', 'OrderedDict'),
    op.code(')RtR'),
  ]);
}

/** A state dict of one or more views over storage 0, which holds the numbers 0, 1, 2, … as float32. */
export function checkpoint(views: readonly PickledView[], stored = 6): Buffer {
  const items = views.flatMap((view, index) => [op.text(view.name ?? `tensor${index}`), tensor(view)]);
  return torchZip(pickle(op.code('}('), ...items, op.code('u')), [
    { name: 'x/data/0', content: Buffer.from(Float32Array.from({ length: stored }, (_, index) => index).buffer) },
  ]);
}

export function torchZip(dataPickle: Uint8Array, more: readonly ZipFile[] = []): Buffer {
  return zip([
    { name: 'x/data.pkl', content: dataPickle },
    ...more,
    { name: 'x/version', content: Buffer.from('3\n') },
  ]);
}

import { openTensors } from '../../lib/weights/open';
import { RandomAccessFile } from '../../lib/files/byte-section';
import { ZipArchive } from '../../lib/files/zip';
import {
  checkpoint,
  op,
  pickle,
  scratchFolder,
  tensor,
  torchZip,
  weightsError,
  zip,
  type ZipFile,
} from '../weights/archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
let counter = 0;

function open(bytes: Uint8Array): ZipArchive {
  return new ZipArchive(new RandomAccessFile(scratch.file(`archive-${counter++}.zip`, bytes)));
}
const refuse = (bytes: Uint8Array): ReturnType<typeof weightsError> => weightsError(() => open(bytes));

function contents(archive: ZipArchive, name: string, largest = 1000): string {
  const entry = archive.entries.get(name);
  if (!entry) throw new Error(`no ${name}`);
  return Buffer.from(archive.contents(entry, largest)).toString();
}

const hello: ZipFile = { name: 'a/hello.txt', content: Buffer.from('hello') };
const world: ZipFile = { name: 'a/world.txt', content: Buffer.from('world'.repeat(50)), packed: true };

test('stored, deflated and ZIP64 entries, with a comment behind', () => {
  const archive = open(
    zip([hello, world, { ...hello, name: 'z', zip64: true }], { comment: 'PK\x05\x06 not the end' }),
  );
  expect([...archive.entries.keys()]).toEqual(['a/hello.txt', 'a/world.txt', 'z']);
  expect(contents(archive, 'a/hello.txt')).toBe('hello');
  expect(contents(archive, 'a/world.txt')).toBe('world'.repeat(50));
  expect(contents(archive, 'z')).toBe('hello');
});

test('a section reads any part', () => {
  const archive = open(zip([hello, world]));
  for (const [name, wanted] of [
    ['a/hello.txt', 'el'],
    ['a/world.txt', 'or'],
  ] as const) {
    const section = archive.section(archive.entries.get(name) as never);
    const part = new Uint8Array(2);
    section.readInto(1, part);
    expect(Buffer.from(part).toString()).toBe(wanted);
    expect(() => section.readInto(section.size - 1, part)).toThrow(/section|bytes/);
  }
});

test.each(['../x', 'a/../../x', '/etc/passwd', 'a\\..\\x', 'C:/x', 'a\0b', ''])(
  'the name %j is refused',
  async (name) => {
    const error = await refuse(zip([{ ...hello, name }]));
    expect(error.code).toBe('weights/unsafe');
  },
);

test.each<[string, readonly ZipFile[], RegExp]>([
  ['two entries of one name', [hello, hello], /two entries/],
  ['an encrypted entry', [{ ...hello, lie: { flags: 1 } }], /encrypted/],
  ['an unknown packing', [{ ...hello, lie: { method: 14 } }], /method 14/],
  ['a stored entry with two sizes', [{ ...hello, lie: { size: 50 } }], /two different sizes/],
  [
    'entries over each other',
    [hello, { ...hello, name: 'b', lie: { start: 0, localName: 'a/hello.txt' } }],
    /not where/,
  ],
  ['an entry that reaches into the next', [{ ...hello, lie: { size: 20, compressedSize: 20 } }, world], /overlaps/],
  ['an entry that reaches into the directory', [{ ...hello, lie: { size: 900, compressedSize: 900 } }], /directory/],
  ['an entry behind the end', [{ ...hello, lie: { start: 1 << 20 } }], /outside/],
  [
    'an entry of 2^62 bytes',
    [{ ...hello, zip64: true, lie: { size: 2 ** 62, compressedSize: 2 ** 62 } }],
    /claims a size/,
  ],
  ['a name that differs in front of the content', [{ ...hello, lie: { localName: 'a/jello.txt' } }], /not where/],
])('%s: an error', async (_, files, message) => {
  expect((await refuse(zip(files))).message).toMatch(message);
});

test('a ZIP64 field that is too short for what it must hold', async () => {
  const bytes = zip([{ ...hello, zip64: true }]);
  const field = bytes.lastIndexOf(Buffer.of(1, 0, 24, 0));
  bytes.writeUInt16LE(16, field + 2);
  expect((await refuse(bytes)).message).toContain('damaged ZIP64 field');
});

test('a directory that claims more or fewer entries than it has', async () => {
  expect((await refuse(zip([hello], { count: 2 }))).message).toContain('damaged');
  expect((await refuse(zip([hello, world], { count: 1 }))).message).toContain('belong to no entry');
  expect((await refuse(zip([hello]).subarray(0, 60))).code).toBe('weights/truncated');
});

describe('compression bombs', () => {
  const zeros = Buffer.alloc(80 << 20);

  test('an entry that would inflate beyond the limit', async () => {
    const archive = open(zip([{ name: 'x', content: zeros, packed: true }]));
    const entry = archive.entries.get('x') as never;
    expect((await weightsError(() => archive.section(entry))).code).toBe('weights/limit');
    expect((await weightsError(() => archive.contents(entry, 1 << 20))).code).toBe('weights/limit');
  });

  test('an entry that lies about what it inflates to', async () => {
    const archive = open(zip([{ name: 'x', content: zeros, packed: true, lie: { size: 100 } }]));
    const section = archive.section(archive.entries.get('x') as never);
    expect((await weightsError(() => section.readInto(0, new Uint8Array(1)))).message).toContain(
      'does not inflate to the 100 bytes',
    );
  });
});

test('a damaged content is found by its checksum', async () => {
  for (const file of [hello, world]) {
    const archive = open(zip([{ ...file, lie: { crc: 1234567 } }]));
    const entry = archive.entries.get(file.name) as never;
    expect((await weightsError(() => archive.contents(entry, 1000))).code).toBe('weights/checksum');
  }
  // A writer that computes no checksums leaves zero.
  expect(contents(open(zip([{ ...hello, lie: { crc: 0 } }])), hello.name)).toBe('hello');
});

describe('checkpoints in other archives', () => {
  test('a checkpoint that was packed again with compression reads the same', async () => {
    const values = Buffer.from(Float32Array.of(5, 6).buffer);
    const source = await openTensors(
      scratch.file(
        'packed.pt',
        zip([
          {
            name: 'r/data.pkl',
            content: pickle(op.code('}'), op.text('t'), tensor({ count: 2, shape: [2], strides: [1] }), op.code('s')),
            packed: true,
          },
          { name: 'r/data/0', content: values, packed: true },
        ]),
      ),
    );
    expect([...source.read('t')]).toEqual([5, 6]);
    source.close();
  });

  test.each<[string, Buffer, RegExp]>([
    ['no data.pkl', zip([hello]), /holds no data\.pkl/],
    [
      'two of them',
      zip([
        { name: 'a/data.pkl', content: pickle(op.code('}')) },
        { name: 'b/data.pkl', content: pickle(op.code('}')) },
      ]),
      /2 files named/,
    ],
    ['an empty one', torchZip(Buffer.alloc(0)), /breaks off/],
  ])('%s', async (_, bytes, message) => {
    const file = scratch.file(`odd-${counter++}.pt`, bytes);
    expect((await weightsError(() => openTensors(file))).message).toMatch(message);
  });

  test('tensors read right from an archive whose directory is ZIP64', async () => {
    const plain = checkpoint([{ name: 'a' }]);
    const end = plain.length - 22;
    const size = plain.readUInt32LE(end + 12);
    const start = plain.readUInt32LE(end + 16);
    const record = Buffer.alloc(76);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(3n, 24);
    record.writeBigUInt64LE(3n, 32);
    record.writeBigUInt64LE(BigInt(size), 40);
    record.writeBigUInt64LE(BigInt(start), 48);
    record.writeUInt32LE(0x07064b50, 56);
    record.writeBigUInt64LE(BigInt(end), 64);
    record.writeUInt32LE(1, 72);
    const tail = Buffer.from(plain.subarray(end));
    tail.writeUInt16LE(0xffff, 10);
    tail.writeUInt32LE(0xffffffff, 12);
    tail.writeUInt32LE(0xffffffff, 16);
    const source = await openTensors(scratch.file('zip64.pt', Buffer.concat([plain.subarray(0, end), record, tail])));
    expect([...source.read('a')]).toEqual([0, 1, 2, 3, 4, 5]);
    source.close();
  });
});

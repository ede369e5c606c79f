import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { unpack } from '../../../datasets/archives/unpack';
import { DatasetError } from '../../../lib/errors';
import { zip } from '../../weights/archives';
import { pax, tar, type TarFile } from './tar';

let scratch: string;

beforeEach(() => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-unpack-'));
});

afterEach(() => {
  fs.rmSync(scratch, { recursive: true, force: true });
});

const archive = (bytes: Uint8Array): string => {
  const file = path.join(scratch, 'archive');
  fs.writeFileSync(file, bytes);
  return file;
};

/** Every file below a folder with its content. */
function contents(folder: string): Record<string, string> {
  if (!fs.existsSync(folder)) return {};
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [path.relative(folder, file), fs.readFileSync(file, 'utf8')]),
  );
}

async function unpacked(bytes: Uint8Array): Promise<Record<string, string>> {
  const folder = path.join(scratch, 'deep', 'deeper', 'set');
  await unpack(archive(bytes), folder);
  return contents(folder);
}

test('zip: stored and deflated files in folders; what macOS adds is left out', async () => {
  const text = Buffer.from('a'.repeat(3000));
  const bytes = zip([
    { name: 'set/', content: Buffer.alloc(0) },
    { name: 'set/a ü.txt', content: Buffer.from('one') },
    { name: 'set/deep/b.txt', content: text, packed: true },
    { name: '__MACOSX/set/._a', content: Buffer.from('x') },
    { name: 'set/._a ü.txt', content: Buffer.from('x') },
  ]);
  expect(await unpacked(bytes)).toEqual({ 'set/a ü.txt': 'one', 'set/deep/b.txt': text.toString() });
});

test('tar: ustar with a prefix, pax names and sizes, long names of GNU, folders', async () => {
  const long = `${'deep/'.repeat(30)}picture.png`;
  const gnu = 'ustar  \0';
  const files: TarFile[] = [
    { name: 'set/', type: '5' },
    { name: 'a.txt', prefix: 'set/pre', content: 'one' },
    pax({ path: 'set/ünï.txt', mtime: '1.5' }),
    { name: 'short', content: 'two' },
    { name: '././@LongLink', type: 'L', content: `set/${long}\0`, magic: gnu },
    { name: 'set/deep', content: 'three', magic: gnu, prefix: 'times, not names' },
    { name: 'set/old', type: '\0', content: 'x'.repeat(1024) },
    { name: 'set/empty' },
  ];
  expect(await unpacked(tar(files))).toEqual({
    'set/pre/a.txt': 'one',
    'set/ünï.txt': 'two',
    [`set/${long}`]: 'three',
    'set/old': 'x'.repeat(1024),
    'set/empty': '',
  });
});

test("an archive of the system's own tar", async () => {
  fs.mkdirSync(path.join(scratch, 'in/pictures'), { recursive: true });
  const long = 'n'.repeat(180);
  fs.writeFileSync(path.join(scratch, 'in/pictures', long), 'content');
  fs.writeFileSync(path.join(scratch, 'in/pictures/b'), Buffer.alloc(5_000_000, 66));
  execFileSync('tar', ['-cf', path.join(scratch, 'out.tar'), '-C', path.join(scratch, 'in'), 'pictures']);
  const folder = path.join(scratch, 'deep', 'deeper', 'set');
  expect(await unpack(path.join(scratch, 'out.tar'), folder)).toBe(2);
  expect(fs.readFileSync(path.join(folder, 'pictures', long), 'utf8')).toBe('content');
  expect(fs.readFileSync(path.join(folder, 'pictures/b')).equals(Buffer.alloc(5_000_000, 66))).toBe(true);
});

describe('what must not be unpacked', () => {
  const good: TarFile = { name: 'set/good.txt', content: 'good' };
  const evil = Buffer.from('evil');

  /** A zip whose second entry is a link, as Unix systems mark it. */
  function zipWithLink(): Buffer {
    const bytes = zip([
      { name: 'good.txt', content: evil },
      { name: 'link', content: Buffer.from('/etc') },
    ]);
    const entry = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
    bytes.writeUInt8(3, entry + 5);
    bytes.writeUInt32LE((0xa1ff << 16) >>> 0, entry + 38);
    return bytes;
  }

  test.each<[string, Uint8Array, RegExp]>([
    [
      'a zip entry above the folder',
      zip([
        { name: 'good.txt', content: evil },
        { name: '../evil.txt', content: evil },
      ]),
      /"\.\.\/evil\.txt" points outside/,
    ],
    ['one hidden in the middle', zip([{ name: 'a/../../evil.txt', content: evil }]), /points outside/],
    ['an absolute zip entry', zip([{ name: '/crane-evil.txt', content: evil }]), /points outside/],
    ['a zip entry for Windows', zip([{ name: '..\\evil.txt', content: evil }]), /points outside/],
    ['a link in a zip', zipWithLink(), /"link" is a link/],
    [
      'a tar entry above the folder',
      tar([good, { name: '../evil.txt', content: 'evil' }]),
      /"\.\.\/evil\.txt" points outside/,
    ],
    ['an absolute tar entry', tar([good, { name: '/crane-evil.txt', content: 'evil' }]), /points outside/],
    ['a prefix that leads out', tar([{ name: 'evil.txt', prefix: '../..', content: 'evil' }]), /points outside/],
    [
      'a pax name that leads out',
      tar([pax({ path: 'a/../../evil.txt' }), { name: 'innocent', content: 'evil' }]),
      /points outside/,
    ],
    ['a drive of Windows', tar([{ name: 'C:/evil.txt', content: 'evil' }]), /points outside/],
    [
      'a symbolic link, and a file through it',
      tar([good, { name: 'out', type: '2', link: '/' }, { name: 'out/crane-evil.txt', content: 'evil' }]),
      /"out" is a link/,
    ],
    ['a hard link', tar([good, { name: 'passwd', type: '1', link: '/etc/passwd' }]), /"passwd" is a link/],
    ['a device', tar([good, { name: 'null', type: '3' }]), /"null" is neither a file nor a folder/],
  ])('%s', async (_, bytes, message) => {
    await expect(unpacked(bytes)).rejects.toMatchObject({
      code: 'dataset/archive-unsafe',
      message: expect.stringMatching(message) as string,
    });
    // Refused before the first file is written, inside or outside.
    expect(Object.keys(contents(scratch))).toEqual(['archive']);
    expect(fs.existsSync('/crane-evil.txt')).toBe(false);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'a page instead of a file',
      Buffer.from('<!DOCTYPE html><html>log in first</html>'),
      /neither a zip nor a tar archive: it begins with "<!DOCTYPE html>/,
    ],
    ['nothing', Buffer.alloc(0), /neither a zip nor a tar/],
    [
      'a zip that is cut off',
      zip([{ name: 'a', content: Buffer.alloc(500) }]).subarray(0, 300),
      /no zip directory at its end/,
    ],
    [
      'a zip entry that is damaged',
      zip([{ name: 'a', content: evil, lie: { crc: 7 } }]),
      /does not match its checksum/,
    ],
    ['a tar that is cut off between entries', tar([good], { close: false }), /not fully downloaded/],
    [
      'a tar that is cut off in an entry',
      tar([{ name: 'a', content: 'x'.repeat(4000) }]).subarray(0, 2048),
      /reaches beyond its end/,
    ],
    ['a tar whose header is damaged', tar([{ ...good, lie: { checksum: 1 } }]), /does not match its checksum/],
    [
      'a tar that claims a size',
      tar([{ ...good, lie: { size: 2 ** 30 } }]),
      /an entry of 1073741824 bytes at byte 0 reaches beyond/,
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(unpacked(bytes)).rejects.toMatchObject({
      code: 'dataset/archive',
      message: expect.stringMatching(message) as string,
    });
  });

  test('more than there is room for, before anything is written', async () => {
    const bomb = zip([
      { name: 'small', content: evil },
      { name: 'large', content: evil, packed: true, zip64: true, lie: { size: 2 ** 50 } },
    ]);
    const failed = await unpacked(bomb).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(DatasetError);
    expect(failed).toMatchObject({ code: 'dataset/disk-full', data: { needed: 2 ** 50 + 4 } });
    expect(contents(path.join(scratch, 'deep', 'deeper', 'set'))).toEqual({});
  });

  test('a file where a folder should be, and the same file twice', async () => {
    await expect(
      unpacked(
        tar([
          { name: 'a', content: 'x' },
          { name: 'a/b', content: 'y' },
        ]),
      ),
    ).rejects.toMatchObject({ code: 'dataset/unpack' });
    await expect(
      unpacked(
        tar([
          { name: 'twice', content: 'x' },
          { name: 'twice', content: 'y' },
        ]),
      ),
    ).rejects.toMatchObject({ code: 'dataset/unpack', data: { code: 'EEXIST' } });
  });

  test('a signal stops it between entries', async () => {
    const controller = new AbortController();
    const unpacking = unpack(
      archive(tar([good, { name: 'b' }, { name: 'c' }])),
      path.join(scratch, 'deep', 'deeper', 'set'),
      {
        signal: controller.signal,
        onProgress: (progress) => progress.kind === 'advance' && controller.abort(new Error('enough')),
      },
    );
    await expect(unpacking).rejects.toThrow('enough');
    expect(contents(path.join(scratch, 'deep', 'deeper', 'set'))).toEqual({ 'set/good.txt': 'good' });
  });
});

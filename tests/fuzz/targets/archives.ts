import * as fs from 'node:fs';
import * as path from 'node:path';
import { unpack } from '../../../datasets/archives/unpack';
import { pax, tar, type TarFile } from '../../datasets/archives/tar';
import { disturbBytes, fieldValue, HOSTILE_NAMES } from '../mutate/values';
import { mutateZip, writeZip, type ZipPart } from '../mutate/zip-file';
import type { Random } from '../random';
import { Breach, type Target } from '../target';

/** A hostile entry's absolute name. */
const ESCAPES = ['/crane-fuzz-escape'];

/** Unpacks into a folder below others, so that what climbs out of it is seen. */
async function unpackAndLookAround(folder: string): Promise<void> {
  const place = path.join(folder, 'out', 'deep', 'deeper', 'set');
  try {
    await unpack(path.join(folder, 'archive'), place);
  } finally {
    const outside = ESCAPES.filter((file) => fs.existsSync(file)).concat(strangers(folder));
    const links = fs.existsSync(place)
      ? fs
          .readdirSync(place, { recursive: true, withFileTypes: true })
          .filter((entry) => !entry.isFile() && !entry.isDirectory())
      : [];
    fs.rmSync(path.join(folder, 'out'), { recursive: true, force: true });
    outside.forEach((file) => fs.rmSync(file, { recursive: true, force: true }));
    if (outside.length > 0) throw new Breach(`written outside of the folder: ${outside.join(', ')}`);
    if (links.length > 0) throw new Breach(`neither a file nor a folder: ${links.map(({ name }) => name).join(', ')}`);
  }
}

/** Whatever lies on the way to the folder and is not that way. */
function strangers(folder: string): string[] {
  const way = ['out', 'deep', 'deeper', 'set'];
  return way.flatMap((step, depth) => {
    const at = path.join(folder, ...way.slice(0, depth));
    if (!fs.existsSync(at)) return [];
    return fs
      .readdirSync(at)
      .filter((name) => name !== step && !(depth === 0 && name === 'archive'))
      .map((name) => path.join(at, name));
  });
}

const zipParts: readonly ZipPart[] = [
  { name: 'set/', content: new Uint8Array(0) },
  { name: 'set/good/a.png', content: Buffer.from('picture') },
  { name: 'set/bad/b.png', content: Buffer.from('b'.repeat(500)), deflated: true },
  { name: 'readme.txt', content: Buffer.from('text') },
];

const tarFiles: readonly TarFile[] = [
  { name: 'set/', type: '5' },
  { name: 'a.png', prefix: 'set/good', content: 'picture' },
  pax({ path: 'set/ünï.png', size: '5' }),
  { name: 'short', content: 'hello' },
  { name: '././@LongLink', type: 'L', content: `set/${'deep/'.repeat(25)}p.png\0`, magic: 'ustar  \0' },
  { name: 'set/deep', content: 'three', magic: 'ustar  \0' },
  { name: 'last.txt', content: 'x'.repeat(600) },
];

const HEADER_TYPES = ['0', '\0', '1', '2', '3', '4', '5', '6', '7', 'L', 'K', 'x', 'g', 'S', 'V', 'Z', '\xff'];
const BLOCK = 512;

function mutateTar(random: Random): Buffer {
  let files = [...tarFiles];
  for (let round = random.few(4); round > 0 && files.length > 0; round--) {
    const at = random.below(files.length);
    const file = files[at] as TarFile;
    switch (random.below(9)) {
      case 0:
        files = files.toSpliced(at, 1);
        break;
      case 1:
        files = files.toSpliced(random.below(files.length), 0, file);
        break;
      case 2:
        files = files.with(at, { ...file, name: random.pick(HOSTILE_NAMES) });
        break;
      case 3:
        files = files.with(at, { ...file, prefix: random.pick(HOSTILE_NAMES) });
        break;
      case 4:
        files = files.with(at, { ...file, type: random.pick(HEADER_TYPES), link: random.pick(HOSTILE_NAMES) });
        break;
      case 5:
        files = files.with(at, {
          ...file,
          lie: { size: Number(fieldValue(random, 4, BigInt(file.content?.length ?? 0))) },
        });
        break;
      case 6:
        files = files.toSpliced(
          at,
          0,
          pax({
            [random.pick(['path', 'size', 'linkpath', '__proto__', 'GNU.sparse.size'])]: random.pick([
              ...HOSTILE_NAMES,
              '0',
              '5',
              '-1',
              '1e3',
              '9'.repeat(30),
              'NaN',
              '1.5',
            ]),
          }),
        );
        break;
      case 7:
        files = files.toSpliced(at, 0, {
          name: '././@LongLink',
          type: 'L',
          content: `${random.pick(HOSTILE_NAMES)}\0`,
          magic: 'ustar  \0',
        });
        break;
      default:
        files = files.with(at, { ...file, content: disturbBytes(random, Buffer.from(file.content ?? '')) });
    }
  }
  const bytes = tar(files, { close: random.chance(0.95) });
  if (random.chance(0.4)) changeHeader(random, bytes);
  return random.chance(0.05) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

/** Changes a few bytes of a block and makes its checksum right again. */
function changeHeader(random: Random, bytes: Buffer): void {
  const start = random.below(bytes.length / BLOCK) * BLOCK;
  for (let count = random.few(4); count > 0; count--) {
    // Size, type and magic number matter most.
    const at = random.chance(0.6) ? random.pick([124, 125, 130, 135, 156, 157, 257, 262, 345]) : random.below(BLOCK);
    bytes[start + at] = random.pick([0, 0x20, 0x30, 0x37, 0x38, 0x39, 0x80, 0xff, random.below(256)]);
  }
  const header = bytes.subarray(start, start + BLOCK);
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

export const archiveTargets: readonly Target[] = [
  {
    name: 'zip-set',
    group: 'archives',
    seeds: [{ archive: writeZip(zipParts).bytes }, { archive: writeZip(zipParts, { zip64: true }).bytes }],
    mutate: (random) => ({
      archive: mutateZip(random, zipParts, {
        names: [...HOSTILE_NAMES, 'set/good', 'set/good/a.png/b', './readme.txt', 'set//x', '__MACOSX/._a'],
      }),
    }),
    read: unpackAndLookAround,
  },
  {
    name: 'tar-set',
    group: 'archives',
    seeds: [{ archive: tar(tarFiles) }],
    mutate: (random) => ({ archive: mutateTar(random) }),
    read: unpackAndLookAround,
  },
];

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { removeLeftovers, writeFileAtomically, writeFileAtomicallySync } from '../../lib/files/atomic-file';

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-atomic-'))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

const bytes = (text: string): Uint8Array => Buffer.from(text);
const forms: readonly (readonly [string, (file: string, text: string) => Promise<void>])[] = [
  ['at once', (file, text) => writeFileAtomically(file, text)],
  [
    'piece by piece',
    async (file, text) =>
      writeFileAtomicallySync(file, (append) => [...text].forEach((letter) => append(bytes(letter)))),
  ],
];

describe.each(forms)('a file written %s', (_, write) => {
  test('takes the place of another, in folders that are made, and leaves nothing beside it', async () => {
    const file = path.join(folder, 'new', 'deep', 'file.txt');
    await write(file, 'first, and long');
    await write(file, 'second');
    expect(fs.readFileSync(file, 'utf8')).toBe('second');
    expect(fs.readdirSync(path.dirname(file))).toEqual(['file.txt']);
  });

  test("that cannot get its name is the system's error and leaves nothing", async () => {
    const taken = path.join(folder, 'taken');
    fs.mkdirSync(path.join(taken, 'inside'), { recursive: true });
    await expect(write(taken, 'text')).rejects.toMatchObject({
      code: expect.stringMatching(/^(EISDIR|ENOTEMPTY|EEXIST|EPERM)$/) as string,
    });
    expect(fs.readdirSync(folder)).toEqual(['taken']);
  });

  test('may have a name as long as disks take', async () => {
    const name = `${'é'.repeat(125)}.json`;
    await write(path.join(folder, name), 'text');
    expect(fs.readdirSync(folder)).toEqual([name]);
  });

  test("below a file is the system's error", async () => {
    fs.writeFileSync(path.join(folder, 'file'), '');
    await expect(write(path.join(folder, 'file', 'x'), 'text')).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/) as string,
    });
  });

  test('by two at once is one of the two', async () => {
    const file = path.join(folder, 'file');
    const texts = ['a'.repeat(50_000), 'b'.repeat(70_000)];
    await Promise.all(texts.map((text) => write(file, text)));
    expect(texts).toContain(fs.readFileSync(file, 'utf8'));
    expect(fs.readdirSync(folder)).toEqual(['file']);
  });
});

test('while it is written, and when its content fails half-way, the file of before is there whole', () => {
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, 'before');
  const half = (): void =>
    writeFileAtomicallySync(file, (append) => {
      append(bytes('half'));
      expect(fs.readFileSync(file, 'utf8')).toBe('before');
      throw new Error('no more');
    });
  expect(half).toThrow('no more');
  expect(fs.readFileSync(file, 'utf8')).toBe('before');
  expect(fs.readdirSync(folder)).toEqual(['file']);
});

describe('what killed writers have left', () => {
  /** As a process leaves it that ends in the middle of writing. */
  function leftBy(file: string): string {
    const script = `require('ts-node/register/transpile-only');
      require('./lib/files/atomic-file').writeFileAtomicallySync(${JSON.stringify(file)}, (append) => { append(Buffer.from('half')); process.kill(process.pid, 'SIGKILL'); });`;
    const { signal } = spawnSync(process.execPath, ['-e', script], { cwd: path.resolve(__dirname, '../..') });
    expect(signal).toBe('SIGKILL');
    const [name = ''] = fs.readdirSync(path.dirname(file)).filter((other) => other.startsWith(path.basename(file)));
    expect(name).toMatch(/\.partial$/);
    return name;
  }

  test('goes, in folders below too; of living writers, of other machines and of other programs it stays', () => {
    const [mine, deep] = [leftBy(path.join(folder, 'a.json')), leftBy(path.join(folder, 'deep', 'b.json'))];
    const [, pid = '', own = ''] = /\.(\d+)\.(.{8})\.partial$/.exec(mine) ?? [];
    const alive = mine.replace(`.${pid}.`, `.${process.pid}.`);
    const elsewhere = mine.replace(own, `${own.startsWith('000') ? '111' : '000'}${own.slice(3)}`);
    [alive, elsewhere, 'download.partial', 'notes.1.partial'].forEach((name) =>
      fs.writeFileSync(path.join(folder, name), 'x'),
    );
    removeLeftovers(folder, 'a.js');
    expect(fs.existsSync(path.join(folder, mine))).toBe(true);
    removeLeftovers(folder, 'a.json');
    expect(fs.existsSync(path.join(folder, mine))).toBe(false);
    expect(fs.readdirSync(path.join(folder, 'deep'))).toEqual([deep]);
    removeLeftovers(folder);
    expect(fs.readdirSync(path.join(folder, 'deep'))).toEqual([]);
    expect(fs.readdirSync(folder).sort()).toEqual(
      [alive, elsewhere, 'deep', 'download.partial', 'notes.1.partial'].sort(),
    );
    removeLeftovers(path.join(folder, 'absent'));
  });

  test('a folder below that may not be looked into keeps nobody from working', () => {
    const mine = leftBy(path.join(folder, 'a.json'));
    fs.mkdirSync(path.join(folder, 'closed'));
    const real = jest.requireActual<typeof fs>('node:fs');
    const { readdirSync } = real;
    const closed = jest.spyOn(real, 'readdirSync').mockImplementation(((place: fs.PathLike, ...rest: []) => {
      if (String(place).endsWith('closed')) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      return readdirSync(place, ...rest);
    }) as typeof fs.readdirSync);
    removeLeftovers(folder);
    closed.mockRestore();
    expect(fs.existsSync(path.join(folder, mine))).toBe(false);
  });
});

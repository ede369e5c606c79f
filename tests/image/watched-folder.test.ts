import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { UsageError } from '../../lib/errors';
import { WatchedFolder, type WatchOptions } from '../../lib/image/watched-folder';

/** Short enough for tests; what is asserted does not depend on it. */
const QUICK = { settle: 20, patience: 100_000, interval: 50 };

let folder: string;
let defaults: WatchOptions = {};
const open: WatchedFolder[] = [];
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-watched-'));
});
afterEach(() => {
  defaults = {};
  open.splice(0).forEach((watched) => watched.stop());
  jest.restoreAllMocks();
  fs.rmSync(folder, { recursive: true, force: true });
});

const inFolder = (...parts: string[]): string => path.join(folder, ...parts);

function write(name: string, content = 'x'): string {
  const file = inFolder(name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

/** Gives names of arriving files one by one, relative to the folder. */
function watch(options: WatchOptions = {}): {
  watched: WatchedFolder;
  next: () => Promise<string | undefined>;
  reader: AsyncIterator<string, void>;
} {
  const watched = new WatchedFolder(folder, { ...QUICK, ...defaults, ...options });
  open.push(watched);
  const reader = watched[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => {
    const { done, value } = await reader.next();
    return done === true ? undefined : path.relative(folder, value);
  };
  return { watched, next, reader };
}

describe.each([
  ['with events of the file system', true],
  ['by looking alone, where there are no events', false],
])('WatchedFolder, %s', (_, events) => {
  beforeEach(() => {
    // With events, nothing is left to later looks.
    defaults = { interval: events ? 1_000_000 : QUICK.interval };
    if (events) return;
    const real = jest.requireActual<typeof fs>('node:fs');
    jest.spyOn(real, 'watch').mockImplementation(() => {
      throw new Error('ENOSYS');
    });
  });

  test('gives what is there, the oldest first, then what comes: written, moved into place, in new folders', async () => {
    fs.utimesSync(write('a.png'), 2000, 2000);
    fs.utimesSync(write('deep/er/old.jpg'), 1000, 1000);
    for (const other of ['notes.txt', '.hidden.png', '.git/x.png', 'x.png.123.partial']) write(other);
    const { watched, next } = watch();
    expect([await next(), await next()]).toEqual(['deep/er/old.jpg', 'a.png']);
    expect(watched.ageOf(inFolder('a.png'))).toBeUndefined();

    write('written.png');
    expect(await next()).toBe('written.png');
    expect(watched.ageOf(inFolder('written.png'))).toBeGreaterThanOrEqual(0);
    fs.renameSync(write('.upload'), inFolder('moved.TIFF'));
    expect(await next()).toBe('moved.TIFF');
    write('later/still/deep.webp');
    expect(await next()).toBe('later/still/deep.webp');
    write('deep/er/second.png');
    expect(await next()).toBe('deep/er/second.png');
    expect(watched.waiting).toBe(0);
  });

  test('a file that changed is given again, once', async () => {
    write('a.png', 'one');
    const { next } = watch();
    expect(await next()).toBe('a.png');
    write('a.png', 'another');
    expect(await next()).toBe('a.png');
    write('b.png');
    expect(await next()).toBe('b.png');
  });

  test('one that could not be read comes again when the rest of it has come', async () => {
    const { watched, next } = watch();
    const pending = next();
    write('half.png', 'first half');
    expect(await pending).toBe('half.png');
    expect(watched.afterFailure(inFolder('half.png'))).toBe('changing');
    fs.appendFileSync(inFolder('half.png'), ', second half');
    expect(await next()).toBe('half.png');
  });

  test('one that was rewritten or removed meanwhile is no failure; one that stays as it is is broken', async () => {
    const { watched, next } = watch({ patience: 60 });
    for (const name of ['rewritten.png', 'removed.png', 'broken.png']) write(name);
    expect((await Promise.all([next(), next(), next()])).sort()).toEqual([
      'broken.png',
      'removed.png',
      'rewritten.png',
    ]);
    write('rewritten.png', 'anew');
    fs.rmSync(inFolder('removed.png'));
    expect(watched.afterFailure(inFolder('rewritten.png'))).toBe('changing');
    expect(watched.afterFailure(inFolder('removed.png'))).toBe('gone');
    const fate = watched.afterFailure(inFolder('broken.png'));
    // However slow the machine is: doubted once at most.
    const again = fate === 'changing' ? ['broken.png', 'rewritten.png'] : ['rewritten.png'];
    const seen: (string | undefined)[] = [];
    for (let count = again.length; count > 0; count--) seen.push(await next());
    expect(seen.sort()).toEqual(again);
    expect(watched.afterFailure(inFolder('broken.png'))).toBe('broken');
  });

  test('an excepted folder is not looked into, under whatever name', async () => {
    write('results/old.png');
    fs.symlinkSync(inFolder('results'), inFolder('link'));
    const { next } = watch({ except: [path.join(folder, '.', 'results')] });
    const pending = next();
    write('results/new.png');
    write('part.png');
    expect(await pending).toBe('part.png');
    write('results/deep/newer.png');
    write('other.png');
    expect(await next()).toBe('other.png');
  });

  test('new ones only: what was there comes when it changes', async () => {
    write('old.png');
    write('changing.png');
    const { next } = watch({ newOnly: true });
    const pending = next();
    // Whichever of these the first look sees, a later one is new.
    let length = 0;
    const changes = setInterval(() => write('changing.png', 'x'.repeat(++length)), 200);
    expect(await pending).toBe('changing.png');
    clearInterval(changes);
    write('new.png');
    expect(await next()).toBe('new.png');
  });
});

describe('WatchedFolder', () => {
  test('a folder in a circle of links is looked through once', async () => {
    write('a/part.png');
    fs.symlinkSync(folder, inFolder('a', 'loop'));
    const { next, watched } = watch();
    expect(await next()).toBe('a/part.png');
    expect(watched.waiting).toBe(0);
  });

  test('a file that goes before its turn is not waited for', async () => {
    const { next, watched } = watch({ settle: 2000 });
    const pending = next();
    const gone = write('gone.png');
    while (watched.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    fs.rmSync(gone);
    write('stays.png');
    expect(await pending).toBe('stays.png');
  });

  test('while the folder itself is away nothing is forgotten, and it goes on when it is back', async () => {
    write('a.png');
    const { next } = watch();
    expect(await next()).toBe('a.png');
    const pending = next();
    fs.renameSync(folder, `${folder}-away`);
    await new Promise((resolve) => setTimeout(resolve, 3 * QUICK.interval));
    fs.renameSync(`${folder}-away`, folder);
    write('b.png');
    expect(await pending).toBe('b.png');
  });

  test('ends for a reader that waits, when it is stopped and when the reader leaves', async () => {
    const { watched, next } = watch();
    const waiting = next();
    watched.stop();
    expect(await waiting).toBeUndefined();
    expect(await next()).toBeUndefined();
    const other = watch();
    const pending = other.next();
    await other.reader.return?.();
    expect(await pending).toBeUndefined();
  });

  test('images wait in the folder as long as nobody takes them', async () => {
    for (let count = 0; count < 300; count++) write(`${String(count).padStart(3, '0')}.png`);
    const { next } = watch();
    await next();
    const more = Array.from({ length: 50 }, (_, count) => path.basename(write(`later-${count}.png`)));
    const rest: (string | undefined)[] = [];
    for (let count = 1; count < 350; count++) rest.push(await next());
    expect(new Set(rest).size).toBe(349);
    expect(rest.slice(-50).sort()).toEqual(more.sort());
  });

  test('something else than a folder is wrong use', () => {
    expect(() => new WatchedFolder(inFolder('nowhere'))).toThrow(UsageError);
    expect(() => new WatchedFolder(write('file.png'))).toThrow(/a folder to watch was expected/);
  });
});

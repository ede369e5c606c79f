import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { jsonLines, runCrane } from './run-crane';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-hostile-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true });
});
const place = (...parts: string[]): string => path.join(folder, ...parts);

/** Queues and devices are of Unix. */
const onUnix = process.platform === 'win32' ? test.skip : test;

onUnix(
  'in a folder that holds anything, each thing that is no picture is one failed row, and the rest is scored',
  async () => {
    const picture = await sharp({ create: { width: 20, height: 10, channels: 3, background: '#336699' } })
      .png()
      .toBuffer();
    const longest = `${'n'.repeat(251)}.png`;
    fs.mkdirSync(place('below'));
    for (const name of ['a.png', 'z.png', longest, path.join('below', 'b.png')]) fs.writeFileSync(place(name), picture);
    fs.writeFileSync(place('empty.png'), '');
    fs.writeFileSync(place('cut.png'), picture.subarray(0, 60));
    execFileSync('mkfifo', [place('queue.png')]);
    fs.symlinkSync('/dev/zero', place('zero.png'));
    fs.symlinkSync('loop.png', place('loop.png'));
    fs.symlinkSync('nowhere', place('dangling.png'));
    fs.symlinkSync('..', place('below', 'up'));
    const { code, out } = await runCrane('detect', folder, '--offline', '--json', '-');
    expect(code).toBe(1);
    const rows = jsonLines(out).map((row) => [
      path.relative(folder, row['path'] as string),
      row['error'] ?? row['width'],
    ]);
    const failed = (name: string, found: string): unknown[] => [name, expect.stringContaining(found)];
    expect(rows).toEqual([
      ['a.png', 20],
      failed('cut.png', 'damaged or truncated'),
      failed('dangling.png', 'a link to a file that does not exist'),
      failed('empty.png', 'empty, 0 bytes'),
      failed('loop.png', 'a link that leads back to itself'),
      [longest, 20],
      failed('queue.png', 'is a queue between programs (FIFO)'),
      ['z.png', 20],
      failed('zero.png', 'is a device'),
      [path.join('below', 'b.png'), 20],
    ]);
  },
  120_000,
);

onUnix(
  'they are refused one by one too, and as options',
  async () => {
    execFileSync('mkfifo', [place('queue.yaml')]);
    fs.writeFileSync(place('large.yaml'), Buffer.alloc(2 ** 20 + 1, '#'));
    for (const [file, found] of [
      ['/dev/zero', 'is a device'],
      [place('queue.yaml'), 'is a queue'],
      [folder, 'is a folder'],
      [place('none.yaml'), 'no such file'],
      [place('large.yaml'), 'has 1048577 bytes or more'],
    ] as const) {
      const { code, err } = await runCrane('detect', 'x.png', '--config', file);
      expect(code).toBe(2);
      expect(err).toContain(`--config ${file}: ${found}`);
    }
    const { code, err } = await runCrane(
      'detect',
      '/dev/zero',
      place('n'.repeat(300)),
      '--offline',
      '--json',
      place('rows.json'),
    );
    expect(code).toBe(1);
    expect(err).toMatch(/\/dev\/zero: this is a device[^]*its name is longer than the file system allows/);
  },
  120_000,
);

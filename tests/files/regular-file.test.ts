import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { FileRefusal, readRegularFile, readRegularFileSync } from '../../lib/files/regular-file';

let folder: string;
let server: net.Server;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-file-'));
  if (process.platform === 'win32') return;
  execFileSync('mkfifo', [path.join(folder, 'queue')]);
  fs.symlinkSync('loop', path.join(folder, 'loop'));
  fs.symlinkSync('nowhere', path.join(folder, 'dangling'));
  server = net.createServer();
  await new Promise<void>((resolve) => server.listen(path.join(folder, 'socket'), resolve));
});
afterAll(async () => {
  await new Promise((resolve) => (server.listening ? server.close(resolve) : resolve(undefined)));
  fs.rmSync(folder, { recursive: true });
});

async function refusal(place: string, most = 1000): Promise<string> {
  const failed = await readRegularFile(place, most).then(
    () => undefined,
    (error: unknown) => error,
  );
  let atOnce: unknown;
  try {
    readRegularFileSync(place, most);
  } catch (error) {
    atOnce = error;
  }
  for (const error of [failed, atOnce]) expect(error).toBeInstanceOf(FileRefusal);
  expect((atOnce as FileRefusal).reason).toBe((failed as FileRefusal).reason);
  return `${(failed as FileRefusal).reason}: ${(failed as FileRefusal).found}`;
}

test('files of any size up to the limit, and links to them', async () => {
  const place = path.join(folder, 'file');
  for (const size of [0, 1, 999, 1000]) {
    const content = Buffer.alloc(size, 'x');
    fs.writeFileSync(place, content);
    expect(await readRegularFile(place, 1000)).toEqual(content);
    expect(readRegularFileSync(place, 1000)).toEqual(content);
  }
  fs.writeFileSync(place, Buffer.alloc(1001));
  expect(await refusal(place)).toMatch(/^size: 1001 bytes/);
});

test('queues, sockets, devices, folders, links that lead nowhere and names too long are refused, not waited for', async () => {
  expect(await refusal(folder)).toBe('kind: a folder');
  expect(await refusal(path.join(folder, 'none'))).toBe('ENOENT: no such file');
  if (process.platform === 'win32') return;
  expect(await refusal(path.join(folder, 'queue'))).toBe('kind: a queue between programs (FIFO)');
  expect(await refusal(path.join(folder, 'socket'))).toBe('kind: a socket');
  expect(await refusal('/dev/zero')).toBe('kind: a device');
  expect(await refusal(path.join(folder, 'loop'))).toBe('ELOOP: a link that leads back to itself');
  expect(await refusal(path.join(folder, 'dangling'))).toBe('ENOENT: a link to a file that does not exist');
  expect(await refusal(path.join(folder, 'x'.repeat(256)))).toBe(
    'ENAMETOOLONG: its name is longer than the file system allows',
  );
});

(process.platform === 'linux' ? test : test.skip)(
  'what says that it is empty and is not is read up to the limit',
  async () => {
    expect((await readRegularFile('/proc/self/status', 1e6)).toString()).toContain('Pid:');
    expect(await refusal('/proc/self/status', 10)).toMatch(/^size/);
  },
);

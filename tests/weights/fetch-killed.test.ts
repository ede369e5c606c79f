import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { registeredWeights } from '../../lib/weights/registry';
import { answerWell, serve } from './local-server';

const content = Buffer.from(Uint8Array.from({ length: 400_000 }, (_, index) => (index * 31 + (index >> 8) * 7) & 255));
const entry = {
  ...registeredWeights[0],
  name: 'test',
  file: 'test.pth',
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
};

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-killed-fetch-'))));
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function start(url: string): ChildProcess {
  return spawn(
    process.execPath,
    [
      '-r',
      'ts-node/register/transpile-only',
      path.join(__dirname, 'fetch-process.ts'),
      JSON.stringify({ ...entry, url }),
      folder,
    ],
    { cwd: path.resolve(__dirname, '../..') },
  );
}

/** Exit code and what was written. */
async function ended(child: ChildProcess): Promise<readonly [number | null, string]> {
  let text = '';
  child.stdout?.on('data', (piece) => (text += String(piece)));
  child.stderr?.on('data', (piece) => (text += String(piece)));
  return new Promise((resolve) => child.on('close', (code) => resolve([code, text])));
}

test('two processes at once: the file is fetched by one of them', async () => {
  const server = await serve((request, response) =>
    setTimeout(() => answerWell(content, '"a"', request, response), 300),
  );
  try {
    const both = await Promise.all([ended(start(server.url)), ended(start(server.url))]);
    expect(both).toEqual([
      [0, path.join(folder, 'test.pth')],
      [0, path.join(folder, 'test.pth')],
    ]);
    expect(server.ranges).toHaveLength(1);
  } finally {
    await server.close();
  }
}, 240_000);

test('a process that is killed in the middle leaves a lock and a part, and the next call goes on', async () => {
  let killed: ChildProcess | undefined;
  const server = await serve((request, response, count) => {
    if (count > 1) return answerWell(content, '"a"', request, response);
    response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
    response.write(content.subarray(0, 100_000));
    const looking = setInterval(() => {
      const { size } = fs.statSync(path.join(folder, 'test.pth.partial'), { throwIfNoEntry: false }) ?? { size: 0 };
      if (size === 100_000) killed?.kill('SIGKILL');
    }, 5);
    return response.on('close', () => clearInterval(looking));
  });
  try {
    killed = start(server.url);
    expect((await ended(killed))[0]).toBeNull();
    expect(fs.readdirSync(folder).sort()).toEqual(['test.pth.lock', 'test.pth.partial', 'test.pth.partial.json']);
    expect(await ended(start(server.url))).toEqual([0, path.join(folder, 'test.pth')]);
    expect(server.ranges).toEqual([undefined, 'bytes=100000-']);
    expect(fs.readFileSync(path.join(folder, 'test.pth')).equals(content)).toBe(true);
    expect(fs.readdirSync(folder).sort()).toEqual(['test.pth', 'test.pth.verified.json']);
  } finally {
    await server.close();
  }
}, 240_000);

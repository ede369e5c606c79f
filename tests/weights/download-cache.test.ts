import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { UsageError, WeightsError } from '../../lib/errors';
import { withFileLock } from '../../lib/files/file-lock';
import type { RegisteredWeights } from '../../lib/weights/registered-weights';
import { fetchWeights, isCached, resolveWeights, sha256OfWeights } from '../../lib/weights/weight-cache';
import { answerWell, serve, type LocalServer } from './local-server';

const content = Buffer.from('these are weights');
const sha256 = createHash('sha256').update(content).digest('hex');

let folder: string;
let server: LocalServer;
let entry: RegisteredWeights;

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-weights-'));
  server = await serve((request, response) => answerWell(content, '"a"', request, response));
  entry = {
    name: 'test',
    kind: 'prompts',
    url: server.url,
    file: 'test.pth',
    sha256,
    bytes: content.length,
    about: '',
    licence: '',
    trainedOn: null,
  };
});

afterEach(async () => {
  await server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('fetched once, then found; no lock stays behind', async () => {
  expect(isCached(entry, folder)).toBe(false);
  const file = await fetchWeights(entry, { folder, offline: false, allowPrivateUrls: true });
  expect(fs.readFileSync(file).equals(content)).toBe(true);
  expect(isCached(entry, folder)).toBe(true);
  expect(await fetchWeights(entry, { folder, offline: true })).toBe(file);
  expect(server.ranges).toHaveLength(1);
  expect(fs.readdirSync(folder).sort()).toEqual(['test.pth', 'test.pth.verified.json']);
});

test('two calls at once download once', async () => {
  const files = await Promise.all([
    fetchWeights(entry, { folder, offline: false, allowPrivateUrls: true }),
    fetchWeights(entry, { folder, offline: false, allowPrivateUrls: true }),
  ]);
  expect(files[0]).toBe(files[1]);
  expect(server.ranges).toHaveLength(1);
});

test('a file put there by hand is taken when it is right and refused when it is not', async () => {
  const file = path.join(folder, entry.file);
  fs.writeFileSync(file, content);
  expect(await fetchWeights(entry, { folder, offline: true })).toBe(file);
  fs.writeFileSync(file, 'these are WEIGHTS');
  fs.utimesSync(file, new Date(0), new Date(0));
  const error = await fetchWeights(entry, { folder, offline: true }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WeightsError);
  expect((error as WeightsError).code).toBe('weights/cached-sha256');
  expect(server.ranges).toHaveLength(0);
});

test('a file without a known sha256 is fetched and its hash remembered', async () => {
  await fetchWeights({ ...entry, sha256: null, bytes: null }, { folder, offline: false, allowPrivateUrls: true });
  const record = JSON.parse(fs.readFileSync(path.join(folder, 'test.pth.verified.json'), 'utf8')) as { sha256: string };
  expect(record.sha256).toBe(sha256);
});

test('the sha256 of a verified file is known without reading it, until the file changes', async () => {
  const file = await fetchWeights(entry, { folder, offline: false, allowPrivateUrls: true });
  expect(await sha256OfWeights(file)).toBe(sha256);
  const record = `${file}.verified.json`;
  const written = JSON.parse(fs.readFileSync(record, 'utf8')) as object;
  fs.writeFileSync(record, JSON.stringify({ ...written, sha256: 'as recorded' }));
  expect(await sha256OfWeights(file)).toBe('as recorded');
  fs.utimesSync(file, new Date(0), new Date(0));
  expect(await sha256OfWeights(file)).toBe(sha256);
  fs.rmSync(record);
  expect(await sha256OfWeights(file)).toBe(sha256);
});

test('paths pass through, missing paths and unknown names are wrong use', async () => {
  const file = path.join(folder, 'mine.safetensors');
  fs.writeFileSync(file, content);
  expect(await resolveWeights(file, 'prompts')).toBe(file);
  expect(await resolveWeights(folder, 'backbone')).toBe(folder);
  await expect(resolveWeights(path.join(folder, 'no.pth'), 'prompts')).rejects.toThrow(
    /there is no prompts file or folder .*no\.pth/,
  );
  await expect(resolveWeights('crane-vsia', 'prompts')).rejects.toThrow(UsageError);
  await expect(resolveWeights('crane-visa', 'backbone')).rejects.toThrow(/not of backbone/);
  await expect(resolveWeights('crane-visa@2', 'prompts', { folder, offline: true })).rejects.toThrow(
    /crane-visa-epoch-2\.pth is not cached, and downloads are disabled/,
  );
});

test('a lock is held against another process until that one is dead', async () => {
  const lock = path.join(folder, 'x.lock');
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  fs.writeFileSync(lock, JSON.stringify({ pid: other.pid, host: os.hostname(), token: 'other' }));
  const order: string[] = [];
  const waited = withFileLock(lock, async () => void order.push('ours'), {
    interval: 5,
    onWait: (holder) => {
      order.push(`waiting for ${holder?.pid === other.pid ? 'the other' : 'nobody'}`);
      other.once('exit', () => order.push('other died'));
      other.kill('SIGKILL');
    },
  });
  await waited;
  expect(order).toEqual(['waiting for the other', 'other died', 'ours']);
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('many that find the same dead lock get in one at a time', async () => {
  const lock = path.join(folder, 'x.lock');
  fs.writeFileSync(lock, JSON.stringify({ pid: 2 ** 30, host: os.hostname(), token: 'dead' }));
  let inside = 0;
  let most = 0;
  const enter = (): Promise<void> =>
    withFileLock(
      lock,
      async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside--;
      },
      { interval: 1 },
    );
  await Promise.all(Array.from({ length: 8 }, enter));
  expect(most).toBe(1);
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('a lock from another machine counts until it was not touched for a minute', async () => {
  const lock = path.join(folder, 'x.lock');
  fs.writeFileSync(lock, JSON.stringify({ pid: 1, host: 'elsewhere', token: 'far' }));
  const controller = new AbortController();
  const waited = withFileLock(lock, async () => 'in', {
    interval: 5,
    signal: controller.signal,
    onWait: () => controller.abort(),
  });
  await expect(waited).rejects.toThrow(/stopped while waiting/);
  const past = new Date(Date.now() - 61_000);
  fs.utimesSync(lock, past, past);
  expect(await withFileLock(lock, async () => 'in')).toBe('in');
});

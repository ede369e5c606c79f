import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type * as http from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import { WeightsError } from '../../lib/errors';
import type { Progress } from '../../lib/progress';
import { download, type DownloadOptions } from '../../lib/weights/download';
import { answerWell, breakOff, serve, writeAndBreak, type LocalServer } from './local-server';

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8) * 7) & 255));
const sha256 = createHash('sha256').update(content).digest('hex');
const quick: DownloadOptions = {
  sha256,
  size: content.length,
  backoff: 5,
  idleTimeout: 300,
  retries: 2,
  offline: false,
  allowPrivateUrls: true,
};

let folder: string;
let file: string;
let server: LocalServer | undefined;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-download-'));
  file = path.join(folder, 'new folder', 'weights.pt');
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  fs.rmSync(folder, { recursive: true, force: true });
});

async function failure(promise: Promise<unknown>): Promise<WeightsError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WeightsError);
  return error as WeightsError;
}

function leftOver(): string[] {
  return fs.existsSync(path.dirname(file)) ? fs.readdirSync(path.dirname(file)).sort() : [];
}

test('a whole file arrives, with progress whose total is known from the start', async () => {
  server = await serve((request, response) => answerWell(content, '"a"', request, response));
  const seen: Progress[] = [];
  const result = await download(server.url, file, { ...quick, onProgress: (progress) => seen.push(progress) });
  expect(result).toEqual({ file, bytes: content.length, sha256 });
  expect(fs.readFileSync(file).equals(content)).toBe(true);
  expect(leftOver()).toEqual(['weights.pt']);
  expect(seen[0]).toEqual({ kind: 'start', task: 'download weights.pt', total: content.length, unit: 'bytes' });
  expect(seen.at(-2)).toEqual({
    kind: 'advance',
    task: 'download weights.pt',
    done: content.length,
    total: content.length,
  });
  expect(seen.at(-1)).toEqual({ kind: 'done', task: 'download weights.pt' });
});

test('a line that breaks again and again is continued where it stopped', async () => {
  server = await serve((request, response, count) =>
    count <= 4 ? breakOff(content, '"a"', 50_000, request, response) : answerWell(content, '"a"', request, response),
  );
  await download(server.url, file, quick);
  expect(fs.readFileSync(file).equals(content)).toBe(true);
  expect(server.ranges).toEqual([undefined, 'bytes=50000-', 'bytes=100000-', 'bytes=150000-', 'bytes=200000-']);
});

test('a later call continues what an earlier one left', async () => {
  server = await serve((request, response, count) =>
    count === 1
      ? breakOff(content, '"a"', 50_000, request, response)
      : count <= 4
        ? response.destroy()
        : answerWell(content, '"a"', request, response),
  );
  const error = await failure(download(server.url, file, quick));
  expect(error.code).toBe('download/failed');
  expect(error.data['received']).toBe(50_000);
  expect(leftOver()).toEqual(['weights.pt.partial', 'weights.pt.partial.json']);
  await download(server.url, file, quick);
  expect(server.ranges.at(-1)).toBe('bytes=50000-');
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('a file that changed on the server is fetched anew, not patched', async () => {
  const older = Buffer.alloc(content.length, 1);
  server = await serve((request, response, count) =>
    count === 1 ? breakOff(older, '"old"', 50_000, request, response) : answerWell(content, '"new"', request, response),
  );
  await download(server.url, file, quick);
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('a server that ignores Range is started over', async () => {
  server = await serve((request, response, count) => {
    if (count === 1) return breakOff(content, '"a"', 50_000, request, response);
    response.writeHead(200, { 'content-length': content.length });
    response.end(content);
  });
  await download(server.url, file, quick);
  expect(server.ranges).toEqual([undefined, 'bytes=50000-']);
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('a server that answers another range than asked for is started over', async () => {
  server = await serve((request, response, count) => {
    if (count === 1) return breakOff(content, '"a"', 50_000, request, response);
    if (count > 2) return answerWell(content, '"a"', request, response);
    response.writeHead(206, {
      'content-length': content.length - 7,
      'content-range': `bytes 7-${content.length - 1}/${content.length}`,
    });
    response.end(content.subarray(7));
  });
  await download(server.url, file, quick);
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('wrong bytes are named with both hashes and removed', async () => {
  const wrong = Buffer.from(content);
  wrong[123_456] = (wrong[123_456] as number) ^ 1;
  server = await serve((request, response) => answerWell(wrong, '"a"', request, response));
  const error = await failure(download(server.url, file, quick));
  expect(error.code).toBe('download/sha256');
  expect(error.message).toContain(sha256);
  expect(error.data['found']).toBe(createHash('sha256').update(wrong).digest('hex'));
  expect(leftOver()).toEqual([]);
});

test('another length than expected is refused before a byte is stored', async () => {
  server = await serve((request, response) => answerWell(content.subarray(1), '"a"', request, response));
  const error = await failure(download(server.url, file, quick));
  expect(error.code).toBe('download/length');
  expect(error.data).toMatchObject({ found: content.length - 1, expected: content.length });
  expect(leftOver()).toEqual([]);
});

test('a length that the server does not keep to is an error, not a short file', async () => {
  const half = content.subarray(0, 150_000);
  server = await serve((request, response) => {
    const start = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start > 0) return response.destroy();
    response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
    writeAndBreak(response, half);
    return undefined;
  });
  const error = await failure(download(server.url, file, { ...quick, sha256: null, size: null }));
  expect(error.code).toBe('download/failed');
  expect(fs.existsSync(file)).toBe(false);
});

test('a chunked answer without any length that is too short is noticed by the expected size', async () => {
  server = await serve((_, response) => {
    response.writeHead(200);
    response.end(content.subarray(0, 1000));
  });
  const error = await failure(download(server.url, file, { ...quick, sha256: null }));
  expect(error.code).toBe('download/length');
});

test('a server that hangs is given up on', async () => {
  server = await serve(() => undefined);
  const error = await failure(download(server.url, file, { ...quick, idleTimeout: 60, retries: 1 }));
  expect(error.code).toBe('download/failed');
  // The server may be too busy to see a request before it is given up.
  expect(error.message).toContain('nothing arrived for 0.06 s (2 attempts without a new byte)');
});

test('a server that stops in the middle is continued', async () => {
  server = await serve((request, response, count) => {
    if (count > 1) return answerWell(content, '"a"', request, response);
    response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
    response.write(content.subarray(0, 4096));
    return undefined;
  });
  await download(server.url, file, quick);
  expect(server.ranges).toEqual([undefined, 'bytes=4096-']);
});

test('404 is final and says so; 503 is tried again', async () => {
  server = await serve((request, response, count) => {
    if (request.url === '/gone') {
      response.writeHead(404);
      return response.end('no');
    }
    if (count <= 2) {
      response.writeHead(503);
      return response.end();
    }
    return answerWell(content, '"a"', request, response);
  });
  await download(server.url, file, quick);
  const before = server.ranges.length;
  const error = await failure(download(new URL('/gone', server.url).href, `${file}2`, quick));
  expect(error.code).toBe('download/refused');
  expect(error.data['status']).toBe(404);
  expect(server.ranges.length - before).toBe(1);
});

test('offline refuses without asking, and says where the file would go', async () => {
  server = await serve((request, response) => answerWell(content, '"a"', request, response));
  const error = await failure(download(server.url, file, { ...quick, offline: true }));
  expect(error.code).toBe('weights/offline');
  expect(error.message).toContain(file);
  expect(server.ranges).toEqual([]);
  const before = process.env['CRANE_OFFLINE'];
  process.env['CRANE_OFFLINE'] = '1';
  try {
    const { offline: _, ...byEnvironment } = quick;
    expect((await failure(download(server.url, file, byEnvironment))).code).toBe('weights/offline');
  } finally {
    if (before === undefined) delete process.env['CRANE_OFFLINE'];
    else process.env['CRANE_OFFLINE'] = before;
  }
});

test('an abort stops at once and keeps what came', async () => {
  const controller = new AbortController();
  server = await serve((_, response) => {
    response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
    response.write(content.subarray(0, 4096));
  });
  const onProgress = (progress: Progress): void => {
    if (progress.kind === 'advance') controller.abort();
  };
  const error = await failure(download(server.url, file, { ...quick, signal: controller.signal, onProgress }));
  expect(error.code).toBe('download/aborted');
  expect(fs.statSync(`${file}.partial`).size).toBe(4096);
});

(fs.existsSync('/dev/full') ? test : test.skip)('a full disk is named as such', async () => {
  server = await serve((request, response) => answerWell(content, '"a"', request, response));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.symlinkSync('/dev/full', `${file}.partial`);
  const error = await failure(download(server.url, file, quick));
  expect(error.code).toBe('download/disk-full');
  expect(error.message).toContain('CRANE_CACHE');
});

describe('servers that never end', () => {
  /** Sends pieces until nobody listens. */
  const endless = (response: http.ServerResponse, piece: Buffer, interval: number): void => {
    const timer = setInterval(() => response.write(piece), interval);
    response.on('close', () => clearInterval(timer));
  };

  test.each([
    ['known', content.length, undefined],
    ['not known, but bounded', null, content.length],
  ])('more bytes than the file has, whose length is %s', async (_, size, maxBytes) => {
    server = await serve((_request, response) => {
      response.writeHead(200);
      endless(response, content.subarray(0, 50_000), 1);
    });
    const error = await failure(
      download(server.url, file, { ...quick, size, ...(maxBytes === undefined ? {} : { maxBytes }) }),
    );
    expect([error.code, error.data['expected']]).toEqual(['download/length', content.length]);
    expect(server.ranges).toHaveLength(1);
    expect(leftOver()).toEqual([]);
  });

  test('one byte more, and then nothing', async () => {
    server = await serve((_, response) => response.writeHead(200).write(Buffer.concat([content, Buffer.of(1)])));
    const error = await failure(download(server.url, file, { ...quick, idleTimeout: 60_000 }));
    expect(error.message).toContain(`more than the expected ${content.length} bytes`);
  });

  test('a good beginning does not make up for what follows', async () => {
    server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 200_000));
      endless(response, Buffer.alloc(2), 20);
    });
    expect((await failure(download(server.url, file, { ...quick, leastSpeed: 50_000, speedWindow: 200 }))).code).toBe(
      'download/slow',
    );
  });

  test('ranges that start elsewhere, alternating with whole answers that break off', async () => {
    server = await serve((request, response, count) => {
      if (count % 2 === 1) return breakOff(content, '"a"', 50_000 + count, request, response);
      response.writeHead(206, {
        'content-range': `bytes 7-${content.length - 1}/${content.length}`,
        'content-length': content.length - 7,
      });
      return response.end(content.subarray(7));
    });
    const error = await failure(download(server.url, file, quick));
    expect([error.code, error.message]).toEqual(['download/failed', expect.stringContaining('restarted 3 times')]);
    // Two requests for each time that it begins anew; the last finds nothing to resume.
    expect(server.ranges.length).toBe(6);
  });

  test('one byte more in each answer', async () => {
    server = await serve((request, response) => breakOff(content, '"a"', 1, request, response));
    const error = await failure(download(server.url, file, { ...quick, leastSpeed: 1_000_000, speedWindow: 100 }));
    expect(error.code).toBe('download/slow');
    expect(error.data['received']).toBeGreaterThan(0);
  });

  test('two bytes at a time, each long before the line would count as dead; what came is kept for the next call', async () => {
    server = await serve((request, response, count) => {
      if (count > 1) return answerWell(content, '"a"', request, response);
      response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
      response.write(content.subarray(0, 2));
      let sent = 2;
      const timer = setInterval(() => response.write(content.subarray(sent, (sent += 2))), 20);
      return response.on('close', () => clearInterval(timer));
    });
    const error = await failure(download(server.url, file, { ...quick, leastSpeed: 1_000_000, speedWindow: 200 }));
    expect(error.code).toBe('download/slow');
    expect(error.data).toMatchObject({
      bytes: expect.any(Number),
      expected: expect.any(Number),
      received: fs.statSync(`${file}.partial`).size,
    });
    await download(server.url, file, quick);
    expect(server.ranges[1]).toBe(`bytes=${error.data['received'] as number}-`);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
  });

  test('by default 1000 bytes per second are expected, over a minute', async () => {
    let [clock, send] = [0, (_: number): void => undefined];
    const now = jest.spyOn(performance, 'now').mockImplementation(() => clock);
    server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length });
      send = (bytes) => void response.write(Buffer.alloc(bytes));
      send(10);
    });
    // Once so much has come, the clock shows this and so many bytes more are sent.
    const script = new Map([
      [10, { milliseconds: 59_999, bytes: 10 }],
      [20, { milliseconds: 59_999, bytes: 59_979 }],
      // With this byte the first minute has its 60 000.
      [59_999, { milliseconds: 60_000, bytes: 1 }],
      [60_000, { milliseconds: 60_000, bytes: 59_998 }],
      // The second has one too few.
      [119_998, { milliseconds: 120_000, bytes: 1 }],
    ]);
    const onProgress = (progress: Progress): void => {
      const next = progress.kind === 'advance' ? script.get(progress.done) : undefined;
      if (next === undefined) return;
      clock = next.milliseconds;
      send(next.bytes);
    };
    try {
      const error = await failure(download(server.url, file, { ...quick, idleTimeout: 60_000, onProgress }));
      expect([error.code, error.data]).toMatchObject([
        'download/slow',
        { bytes: 59_999, expected: 60_000, seconds: 60, received: 119_999 },
      ]);
    } finally {
      now.mockRestore();
    }
  });

  test('a redirect to itself', async () => {
    server = await serve((_, response) => response.writeHead(302, { location: '/weights.pt' }).end());
    const error = await failure(download(server.url, file, quick));
    expect([error.code, error.data['reason']]).toEqual(['download/refused', 'redirects']);
    expect(server.ranges).toHaveLength(11);
  });
});

test('killed after the server began to send another file, the old bytes are not its beginning', async () => {
  const older = Buffer.alloc(content.length, 1);
  server = await serve((request, response, count) => {
    if (count === 1) return breakOff(older, '"old"', 50_000, request, response);
    if (count === 2) return response.destroy();
    return answerWell(content, '"new"', request, response);
  });
  await failure(download(server.url, file, { ...quick, retries: 0, sha256: null }));
  // What a process leaves that is killed after it has opened the file and before it has said whose it is.
  fs.rmSync(`${file}.partial.json`);
  await download(server.url, file, { ...quick, sha256: null });
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('what is known of older bytes is forgotten before they are touched', async () => {
  server = await serve((request, response) => answerWell(content, '"a"', request, response));
  fs.mkdirSync(`${file}.partial`, { recursive: true });
  fs.writeFileSync(`${file}.partial.json`, JSON.stringify({ url: 'http://other/', validator: null }));
  expect((await failure(download(server.url, file, quick))).code).toBe('download/write');
  expect(fs.existsSync(`${file}.partial.json`)).toBe(false);
});

test('an answer that is packed is not taken for the file', async () => {
  server = await serve((_, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': content.length }).end(content),
  );
  const error = await failure(download(server.url, file, { ...quick, sha256: null, retries: 0 }));
  expect(error.message).toContain('compressed the file (gzip)');
});

test('a folder that cannot be made or written is named in a sentence', async () => {
  const blocked = path.join(folder, 'file');
  fs.writeFileSync(blocked, '');
  const error = await failure(download('http://127.0.0.1:9/x', path.join(blocked, 'below', 'weights.pt'), quick));
  expect([error.code, error.data['code']]).toEqual(['download/write', 'ENOTDIR']);
});

import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { allowsPrivateUrls, requestWeb, type WebAnswer } from '../../lib/web/request';

let server: http.Server;
let base: string;
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = http.createServer((request, response) => {
    asked.push(request.url ?? '');
    const to = new URL(request.url ?? '', base).searchParams.get('to');
    if (to === null) response.end('picture');
    else response.writeHead(302, { location: to }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function textOf({ body }: WebAnswer): Promise<string> {
  let text = '';
  for await (const piece of body) text += String(piece);
  return text;
}

const redirectTo = (to: string): string => `${base}/?to=${encodeURIComponent(to)}`;

test('private hosts are asked only where that is allowed, and redirects are followed', async () => {
  const answer = await requestWeb(redirectTo('/part.png'), { allowPrivateUrls: true });
  expect([answer.url.href, answer.status, await textOf(answer)]).toEqual([`${base}/part.png`, 200, 'picture']);
  await expect(requestWeb(base)).rejects.toMatchObject({
    reason: 'private',
    message: expect.stringContaining('`allowPrivateUrls: true`'),
  });
});

test.each(['127.0.0.1', '2130706433', '0x7f000001', '0177.1', '[::ffff:127.0.0.1]', '[::1]', 'localhost'])(
  '%s is refused before anything is sent',
  async (host) => {
    const { port } = server.address() as AddressInfo;
    await expect(requestWeb(`http://${host}:${port}/`)).rejects.toMatchObject({ reason: 'private' });
    expect(asked).toEqual([]);
  },
);

test.each([
  ['file:///etc/passwd', 'scheme'],
  ['ftp://127.0.0.1/x', 'scheme'],
  ['data:text/plain,x', 'scheme'],
  ['http://user:word@127.0.0.1/', 'credentials'],
  ['http://', 'redirects'],
])('a redirect to %s is not followed (%s)', async (to, reason) => {
  await expect(requestWeb(redirectTo(to), { allowPrivateUrls: true })).rejects.toMatchObject({ reason });
  expect(asked).toHaveLength(1);
});

test('the environment allows it too', () => {
  const before = process.env['CRANE_ALLOW_PRIVATE_URLS'];
  try {
    for (const [value, allowed] of [
      ['1', true],
      ['0', false],
      ['', false],
      ['false', false],
    ] as const) {
      process.env['CRANE_ALLOW_PRIVATE_URLS'] = value;
      expect(allowsPrivateUrls()).toBe(allowed);
    }
  } finally {
    if (before === undefined) delete process.env['CRANE_ALLOW_PRIVATE_URLS'];
    else process.env['CRANE_ALLOW_PRIVATE_URLS'] = before;
  }
});

test('an abort ends a request that is not answered, with its own reason', async () => {
  server.removeAllListeners('request');
  await expect(requestWeb(base, { allowPrivateUrls: true, signal: AbortSignal.timeout(30) })).rejects.toMatchObject({
    name: 'TimeoutError',
  });
});

test('from https it is not redirected to http', async () => {
  // Certificates are not what this is about: what https would send goes to the local server.
  const spy = jest
    .spyOn(https, 'request')
    .mockImplementation(((url: URL, options: https.RequestOptions) =>
      http.request(`${base}${url.pathname}${url.search}`, options)) as never);
  try {
    const safe = (to: string): string => `https://parts.example/?to=${encodeURIComponent(to)}`;
    expect(await textOf(await requestWeb(safe('https://other.example/'), { allowPrivateUrls: true }))).toBe('picture');
    await expect(requestWeb(safe(`${base}/`), { allowPrivateUrls: true })).rejects.toMatchObject({
      reason: 'downgrade',
    });
  } finally {
    spy.mockRestore();
  }
});

test('ten redirects are followed, an eleventh is not', async () => {
  server.removeAllListeners('request');
  server.on('request', ({ url = '/' }: http.IncomingMessage, response: http.ServerResponse) => {
    const left = Number(url.slice(1));
    asked.push(url);
    if (left === 0) response.end('picture');
    else response.writeHead(302, { location: `/${left - 1}` }).end();
  });
  expect(await textOf(await requestWeb(`${base}/10`, { allowPrivateUrls: true }))).toBe('picture');
  asked = [];
  await expect(requestWeb(`${base}/11`, { allowPrivateUrls: true })).rejects.toMatchObject({ reason: 'redirects' });
  expect(asked).toHaveLength(11);
});

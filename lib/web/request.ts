import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { addressOf, isPublicAddress, lookupPublic, PrivateAddress } from './private-addresses';

/** A URL that is never requested, whatever it would answer. */
export class RefusedUrl extends Error {
  constructor(
    readonly reason: 'scheme' | 'private' | 'downgrade' | 'credentials' | 'redirects',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface WebRequest {
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Contact hosts of private networks too. Default: whether `CRANE_ALLOW_PRIVATE_URLS` is set to something other than 0. */
  readonly allowPrivateUrls?: boolean;
}

export interface WebAnswer {
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  /** By lower-case name. */
  readonly headers: http.IncomingHttpHeaders;
  /** The bytes as they are sent; leaving a loop over it ends the connection. */
  readonly body: Readable;
}

const MOST_REDIRECTS = 10;

/** Whether the environment allows hosts of private networks. */
export function allowsPrivateUrls(): boolean {
  const value = process.env['CRANE_ALLOW_PRIVATE_URLS'];
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

/**
 * Asks for a URL and follows redirects. Only `http:` and `https:`, never from the latter to the former; only public
 * hosts, unless private ones are allowed, which is checked at the connection itself: neither a redirect nor a name whose
 * address changes leads elsewhere. No credentials are sent, and nothing is unpacked.
 *
 * @throws RefusedUrl; the system's error where there is no connection; the signal's reason
 */
export async function requestWeb(from: string | URL, request: WebRequest = {}): Promise<WebAnswer> {
  let url = new URL(from);
  for (let redirects = 0; ; redirects++) {
    const answer = await requestOnce(url, request);
    const next = redirectOf(answer);
    if (next === undefined) return answer;
    answer.body.destroy();
    if (redirects === MOST_REDIRECTS)
      throw new RefusedUrl('redirects', `it redirects more than ${MOST_REDIRECTS} times`);
    if (url.protocol === 'https:' && next.protocol === 'http:')
      throw new RefusedUrl('downgrade', `it redirects from https to ${next.href}, which others could read and change`);
    url = next;
  }
}

function redirectOf({ url, status, headers }: WebAnswer): URL | undefined {
  const { location } = headers;
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  if (!URL.canParse(location, url.href))
    throw new RefusedUrl('redirects', `it redirects to "${location}", which is not a URL`);
  return new URL(location, url);
}

async function requestOnce(url: URL, request: WebRequest): Promise<WebAnswer> {
  const { method = 'GET', headers = {}, signal, allowPrivateUrls = allowsPrivateUrls() } = request;
  signal?.throwIfAborted();
  checkUrl(url, allowPrivateUrls);
  const options: https.RequestOptions = {
    method,
    headers,
    // A separate connection, since one opened by another request was checked by the rules of that one.
    agent: false,
    ...(signal ? { signal } : {}),
    ...(allowPrivateUrls ? {} : { lookup: lookupPublic }),
  };
  return new Promise((resolve, reject) => {
    const sent = url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
    sent.on('error', (error) => {
      if (signal?.aborted) reject(signal.reason as Error);
      else reject(error instanceof PrivateAddress ? refusedAsPrivate(error) : error);
    });
    sent.on('response', (body) => {
      resolve({ url, status: body.statusCode ?? 0, statusText: body.statusMessage ?? '', headers: body.headers, body });
    });
    sent.end();
  });
}

function checkUrl(url: URL, allowPrivateUrls: boolean): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RefusedUrl('scheme', `${url.href}: "${url.protocol}" is not requested; http: or https: was expected`);
  if (url.username !== '' || url.password !== '')
    throw new RefusedUrl('credentials', 'it names a user or a password, which are not sent');
  const address = addressOf(url);
  if (address !== undefined && !allowPrivateUrls && !isPublicAddress(address))
    throw refusedAsPrivate(new PrivateAddress(address, address));
}

function refusedAsPrivate(cause: PrivateAddress): RefusedUrl {
  return new RefusedUrl(
    'private',
    `${cause.message}; machines of a private network are contacted only with \`allowPrivateUrls: true\``,
    { cause },
  );
}

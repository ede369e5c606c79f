import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LocalServer {
  readonly url: string;
  /** Range header of every request, in order; undefined where there was none. */
  readonly ranges: (string | undefined)[];
  close(): Promise<void>;
}

/** An HTTP server on this machine whose misbehaviour a test decides, request by request. */
export async function serve(
  answer: (request: http.IncomingMessage, response: http.ServerResponse, count: number) => void,
): Promise<LocalServer> {
  const ranges: (string | undefined)[] = [];
  const server = http.createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response, ranges.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/weights.pt`,
    ranges,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers as a good server does: whole, or the range asked for when the validator still holds. */
export function answerWell(
  content: Buffer,
  etag: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): void {
  const start = rangeStartOf(request, etag);
  if (start === null) {
    response.writeHead(200, { 'content-length': content.length, etag });
    response.end(content);
    return;
  }
  if (start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` });
    response.end();
    return;
  }
  response.writeHead(206, {
    'content-length': content.length - start,
    'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
    etag,
  });
  response.end(content.subarray(start));
}

/** As `answerWell`, but the line breaks after `bytes` bytes of the answer. */
export function breakOff(
  content: Buffer,
  etag: string,
  bytes: number,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): void {
  const start = rangeStartOf(request, etag) ?? 0;
  const headers: http.OutgoingHttpHeaders = { 'content-length': content.length - start, etag };
  if (start > 0) headers['content-range'] = `bytes ${start}-${content.length - 1}/${content.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers);
  writeAndBreak(response, content.subarray(start, start + bytes));
}

/** Sends these bytes and breaks the line once they have come: where it breaks before they are read, the reader loses them. */
export function writeAndBreak(response: http.ServerResponse, bytes: Uint8Array): void {
  const turns = (left: number): void => void (left === 0 ? response.destroy() : setImmediate(() => turns(left - 1)));
  // Time alone may pass while the process does not run; each turn of the loop reads what lies there.
  response.write(bytes, () => setTimeout(() => turns(20), 20));
}

function rangeStartOf(request: http.IncomingMessage, etag: string): number | null {
  const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const condition = request.headers['if-range'];
  if (match === null || (condition !== undefined && condition !== etag)) return null;
  return Number(match[1]);
}

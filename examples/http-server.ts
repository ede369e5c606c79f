/**
 * Scores images that are sent to it, one at a time: http-server.ts [PORT]
 *     curl --data-binary @part.png http://localhost:8080
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Crane, CraneError } from 'crane-tfjs';

const LARGEST = 32 * 2 ** 20;

async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.byteLength;
    if (size > LARGEST) throw new Error(`more than ${LARGEST} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function main([port = '8080']: readonly string[]): Promise<void> {
  const crane = await Crane.load({ offline: true });
  let turn: Promise<unknown> = Promise.resolve();

  const server = http.createServer((request, response) => {
    const answer = (status: number, content: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
    };
    bodyOf(request)
      .then((image) => {
        // One image after the other, since each takes all cores.
        const scored = turn.then(() => crane.detect(image));
        turn = scored.catch(() => undefined);
        return scored;
      })
      .then(({ score, width, height, seconds }) => answer(200, { score, width, height, seconds }))
      .catch((error: Error) => answer(error instanceof CraneError ? 422 : 400, { error: error.message }));
  });
  server.listen(Number(port), '127.0.0.1', () => {
    console.log(`listening on port ${(server.address() as AddressInfo).port}`);
  });
  process.once('SIGTERM', () => server.close(() => crane.dispose()));
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});

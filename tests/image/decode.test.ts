import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import sharp from 'sharp';
import { ImageError, UsageError } from '../../lib/errors';
import { decodeImage } from '../../lib/image/decode';
import { toRgb } from '../../lib/image/decoded-image';
import type { ImageInput } from '../../lib/image/input';
import { loadMaskAtOwnSize, preprocessMask } from '../../lib/image/preprocess';
import { png } from './png';
import { tiff } from './tiff';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-image-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const place = path.join(folder, name);
  fs.writeFileSync(place, bytes);
  return place;
}

async function failure(input: unknown, options = {}): Promise<ImageError> {
  const error: unknown = await decodeImage(input as ImageInput, options).then(
    () => {
      throw new Error('was decoded');
    },
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ImageError);
  return error as ImageError;
}

const gradient = (width: number, height: number, channels: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: width * height * channels }, (_, at) => (at * 7) & 255));

function colour(width: number, height: number): ReturnType<typeof sharp> {
  return sharp(gradient(width, height, 3), { raw: { width, height, channels: 3 } });
}

describe('modes', () => {
  test('grey of 1, 2, 4 and 8 bits', async () => {
    const of = (depth: number, row: number[], width: number) =>
      decodeImage(png({ width, height: 1, depth, colour: 0 }, [row]));
    expect(await of(1, [0b10100000], 3)).toMatchObject({ mode: '1', data: Uint8Array.of(255, 0, 255) });
    expect(await of(2, [0b00011011], 4)).toMatchObject({ mode: 'L', data: Uint8Array.of(0, 85, 170, 255) });
    expect(await of(4, [0x0f], 2)).toMatchObject({ mode: 'L', data: Uint8Array.of(0, 255) });
    expect(await of(8, [5, 200], 2)).toMatchObject({ mode: 'L', data: Uint8Array.of(5, 200) });
  });

  test('16-bit grey keeps its samples; colour of 16 bits keeps the high byte', async () => {
    const grey = await decodeImage(png({ width: 2, height: 1, depth: 16, colour: 0 }, [[0x12, 0x34, 0xff, 0xff]]));
    expect(grey).toMatchObject({ mode: 'I;16', data: Uint16Array.of(0x1234, 0xffff) });
    const rgb = await decodeImage(png({ width: 1, height: 1, depth: 16, colour: 2 }, [[0x12, 0xff, 0x34, 0, 0x56, 0]]));
    expect(rgb).toMatchObject({ mode: 'RGB', data: Uint8Array.of(0x12, 0x34, 0x56) });
  });

  test('16-bit grey is scaled to 8 bits, and clipped only in reference reading', async () => {
    const bytes = png({ width: 3, height: 1, depth: 16, colour: 0 }, [[0x01, 0x01, 0x80, 0x80, 0xff, 0xff]]);
    expect(Array.from(toRgb(await decodeImage(bytes)))).toEqual([1, 1, 1, 128, 128, 128, 255, 255, 255]);
    expect(Array.from(toRgb(await decodeImage(bytes, { reference: true })))).toEqual(Array(9).fill(255));
  });

  test('palettes are expanded and a transparent colour makes no alpha', async () => {
    const palette = { PLTE: [10, 20, 30, 40, 50, 60], tRNS: [0] };
    const indexed = await decodeImage(png({ width: 2, height: 1, depth: 8, colour: 3 }, [[1, 0]], palette));
    expect(indexed).toMatchObject({ mode: 'P', data: Uint8Array.of(40, 50, 60, 10, 20, 30) });
    const grey = await decodeImage(png({ width: 2, height: 1, depth: 8, colour: 0 }, [[9, 7]], { tRNS: [0, 9] }));
    expect(grey).toMatchObject({ mode: 'L', data: Uint8Array.of(9, 7) });
    const rgb = await decodeImage(
      png({ width: 1, height: 1, depth: 8, colour: 2 }, [[1, 2, 3]], { tRNS: [0, 1, 0, 2, 0, 3] }),
    );
    expect(rgb).toMatchObject({ mode: 'RGB', data: Uint8Array.of(1, 2, 3) });
  });

  test('alpha is kept beside grey and colour, and dropped without blending', async () => {
    const grey = await decodeImage(png({ width: 2, height: 1, depth: 8, colour: 4 }, [[9, 100, 7, 0]]));
    expect(grey).toMatchObject({ mode: 'LA', data: Uint8Array.of(9, 100, 7, 0) });
    expect(Array.from(toRgb(grey))).toEqual([9, 9, 9, 7, 7, 7]);
    const rgba = await decodeImage(png({ width: 1, height: 1, depth: 8, colour: 6 }, [[1, 2, 3, 4]]));
    expect(rgba).toMatchObject({ mode: 'RGBA', data: Uint8Array.of(1, 2, 3, 4) });
    expect(Array.from(toRgb(rgba))).toEqual([1, 2, 3]);
  });

  test('lossless files of every kind give back the pixels they were made from', async () => {
    const want = Array.from(gradient(9, 5, 3));
    for (const bytes of [
      await colour(9, 5).png().toBuffer(),
      await colour(9, 5).png({ progressive: true }).toBuffer(),
      await colour(9, 5).webp({ lossless: true }).toBuffer(),
      await colour(9, 5).tiff({ compression: 'lzw' }).toBuffer(),
      await colour(9, 5).tiff({ compression: 'none' }).toBuffer(),
    ]) {
      const decoded = await decodeImage(bytes);
      expect(decoded).toMatchObject({ mode: 'RGB', width: 9, height: 5 });
      expect(Array.from(decoded.data)).toEqual(want);
    }
  });

  test('TIFF of 16 bits, 1 bit and grey; GIF as palette', async () => {
    const wide = await sharp(Uint16Array.of(0, 300, 40000, 65535), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace('grey16')
      .tiff({ compression: 'none' })
      .toBuffer();
    expect(await decodeImage(wide)).toMatchObject({ mode: 'I;16', data: Uint16Array.of(0, 300, 40000, 65535) });
    const bilevel = await sharp(Buffer.from([255, 0, 0, 255]), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace('b-w')
      .tiff({ bitdepth: 1, compression: 'none' })
      .toBuffer();
    expect(await decodeImage(bilevel)).toMatchObject({ mode: '1', data: Uint8Array.of(255, 0, 0, 255) });
    const gif = await sharp({ create: { width: 4, height: 3, channels: 3, background: '#ff0000' } })
      .gif()
      .toBuffer();
    expect(await decodeImage(gif)).toMatchObject({
      mode: 'P',
      width: 4,
      height: 3,
      data: Uint8Array.from({ length: 36 }, (_, at) => (at % 3 === 0 ? 255 : 0)),
    });
  });

  test('AVIF', async () => {
    const bytes = await sharp({ create: { width: 16, height: 8, channels: 3, background: '#336699' } })
      .avif({ lossless: true })
      .toBuffer();
    const decoded = await decodeImage(bytes);
    expect(decoded).toMatchObject({ mode: 'RGB', width: 16, height: 8 });
    [0x33, 0x66, 0x99].forEach((value, channel) =>
      expect(Math.abs((decoded.data[channel] as number) - value)).toBeLessThanOrEqual(2),
    );
  });

  test('EXIF orientation is applied, and ignored in reference reading', async () => {
    const bytes = await colour(6, 4).withMetadata({ orientation: 6 }).png().toBuffer();
    const lying = await decodeImage(bytes, { reference: true });
    expect(lying).toMatchObject({ width: 6, height: 4 });
    const turned = await decodeImage(bytes);
    expect(turned).toMatchObject({ width: 4, height: 6 });
    // Orientation 6: a quarter turn clockwise, so the lower left corner comes to the upper left.
    expect(Array.from(turned.data.subarray(0, 3))).toEqual(Array.from(lying.data.subarray(3 * 6 * 3, 3 * 6 * 3 + 3)));
  });
});

describe('inputs', () => {
  test('path, file URL, string URL, bytes, sharp instance and raw pixels give the same picture', async () => {
    const bytes = await colour(5, 3).png().toBuffer();
    const place = file('same.png', bytes);
    const instance = sharp(bytes);
    const inputs: ImageInput[] = [
      place,
      pathToFileURL(place),
      pathToFileURL(place).href,
      bytes,
      new Uint8Array(bytes),
      instance,
      { data: gradient(5, 3, 3), width: 5, height: 3, channels: 3 },
      { data: new Uint8ClampedArray(gradient(5, 3, 3)), width: 5, height: 3, channels: 3 },
    ];
    for (const input of inputs) {
      expect(await decodeImage(input)).toMatchObject({
        mode: 'RGB',
        width: 5,
        height: 3,
        data: new Uint8Array(gradient(5, 3, 3)),
      });
    }
    expect((await instance.metadata()).width).toBe(5);
  });

  test('operations of a sharp instance are applied', async () => {
    const instance = sharp(await colour(8, 8).png().toBuffer()).extract({ left: 0, top: 0, width: 4, height: 2 });
    expect(await decodeImage(instance)).toMatchObject({ width: 4, height: 2 });
  });

  test('raw pixels must fit their sizes', async () => {
    expect((await failure({ data: new Uint8Array(5), width: 2, height: 2, channels: 1 })).message).toContain(
      'needs 4 bytes of 0..255, found 5 values',
    );
    expect((await failure({ data: new Float32Array(4), width: 2, height: 2, channels: 1 })).code).toBe(
      'image/size-mismatch',
    );
    expect((await failure({ data: new Uint8Array(0), width: 0, height: 2, channels: 1 })).code).toBe(
      'image/size-mismatch',
    );
    expect((await failure({ data: new Uint8Array(5), width: 1, height: 1, channels: 5 })).code).toBe(
      'image/size-mismatch',
    );
  });

  test('what is no picture at all is wrong use', async () => {
    for (const input of [null, undefined, 3, {}, []])
      await expect(decodeImage(input as never)).rejects.toThrow(UsageError);
  });
});

describe('files that cannot be read', () => {
  test('missing, folder, empty, text, other formats', async () => {
    expect(await failure(path.join(folder, 'none.png'))).toMatchObject({
      code: 'image/not-found',
      message: expect.stringContaining('none.png') as string,
    });
    expect((await failure(folder)).message).toContain('is a folder');
    expect((await failure(file('empty.png', new Uint8Array(0)))).message).toContain('empty.png: empty, 0 bytes');
    expect((await failure(file('page.png', Buffer.from('<!DOCTYPE html><html></html>')))).message).toContain(
      'begins with the text "<!DOCTYPE html>',
    );
    expect((await failure(file('zip.png', Buffer.from('504b030414000000080000000000', 'hex')))).message).toContain(
      'begins with the bytes 504b0304',
    );
    expect((await failure(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'))).code).toBe(
      'image/unsupported',
    );
  });

  test('a picture cut off anywhere is an error that names the file, never a picture', async () => {
    for (const [name, bytes] of [
      ['cut.png', await colour(40, 30).png().toBuffer()],
      ['cut.jpg', await colour(40, 30).jpeg().toBuffer()],
      ['cut.webp', await colour(40, 30).webp().toBuffer()],
      ['cut.tif', await colour(40, 30).tiff({ compression: 'none' }).toBuffer()],
    ] as const) {
      for (const share of [0.1, 0.5, 0.9]) {
        const error = await failure(file(name, bytes.subarray(0, Math.floor(bytes.length * share))));
        expect(error.message).toContain(name);
        expect(['image/corrupt', 'image/unknown-format']).toContain(error.code);
      }
    }
  });

  test('a damaged checksum and a width of zero', async () => {
    const bytes = Buffer.from(await colour(40, 30).png().toBuffer());
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] as number) ^ 0xff;
    expect((await failure(bytes)).code).toBe('image/corrupt');
    expect((await failure(png({ width: 0, height: 1, depth: 8, colour: 0 }, [[]]))).code).toBe('image/corrupt');
  });

  test('random bytes behind a good beginning never crash', async () => {
    const starts = [await colour(8, 8).png().toBuffer(), await colour(8, 8).jpeg().toBuffer(), bmp(8, 8, 24, 0)];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...starts),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        async (start, changes) => {
          const bytes = Buffer.from(start);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          try {
            const decoded = await decodeImage(bytes, { maxPixels: 1e6 });
            expect(decoded.width * decoded.height).toBeGreaterThan(0);
          } catch (error) {
            expect(error).toBeInstanceOf(ImageError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('limits on pixels and bytes', async () => {
    const bytes = await colour(40, 30).png().toBuffer();
    expect(await failure(bytes, { maxPixels: 1199 })).toMatchObject({
      code: 'image/too-many-pixels',
      data: { width: 40, height: 30, maxPixels: 1199 },
    });
    expect(await decodeImage(bytes, { maxPixels: 1200 })).toMatchObject({ width: 40 });
    expect((await failure(bmp(40, 30, 24, 0), { maxPixels: 1199 })).code).toBe('image/too-many-pixels');
    expect((await failure(file('big.png', bytes), { maxBytes: 10 })).code).toBe('image/too-large');
    // A file of a hundred bytes that claims four gigapixels is refused before anything is allocated.
    expect((await failure(png({ width: 65535, height: 65535, depth: 8, colour: 0 }, [[0]]))).code).toBe(
      'image/too-many-pixels',
    );
  });

  test('floating-point pictures have no white and are refused', async () => {
    expect((await failure(tiff({ width: 2, height: 2, data: Float32Array.of(0, 0.5, 1, 2), format: 3 }))).code).toBe(
      'image/unsupported',
    );
  });
});

/** A BMP whose pixel data counts up byte by byte, behind an optional palette. */
function bmp(
  width: number,
  height: number,
  bits: number,
  compression: number,
  palette: number[] = [],
  body?: number[],
): Buffer {
  const stride = Math.floor((width * bits + 31) / 32) * 4;
  const head = Buffer.alloc(54);
  head.write('BM', 'latin1');
  head.writeUInt32LE(54 + palette.length, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(compression, 30);
  head.writeUInt32LE(palette.length / 4, 46);
  const data = body ?? Array.from({ length: stride * Math.abs(height) }, (_, at) => at & 255);
  return Buffer.concat([head, Buffer.from(palette), Buffer.from(data)]);
}

describe('BMP', () => {
  test('24 bits: rows from below, padded to four bytes, blue first', async () => {
    const decoded = await decodeImage(bmp(1, 2, 24, 0, [], [1, 2, 3, 0, 4, 5, 6, 0]));
    expect(decoded).toMatchObject({ mode: 'RGB', width: 1, height: 2, data: Uint8Array.of(6, 5, 4, 3, 2, 1) });
  });

  test('a negative height has its rows from above; 32 bits have no alpha unless they say so', async () => {
    const decoded = await decodeImage(bmp(1, -2, 32, 0, [], [1, 2, 3, 99, 4, 5, 6, 99]));
    expect(decoded).toMatchObject({ mode: 'RGB', width: 1, height: 2, data: Uint8Array.of(3, 2, 1, 6, 5, 4) });
  });

  test('palettes: grey ramps are grey, others palette, 1 and 4 bits packed', async () => {
    const ramp = Array.from({ length: 256 }, (_, n) => [n, n, n, 0]).flat();
    expect(await decodeImage(bmp(2, 1, 8, 0, ramp, [7, 200, 0, 0]))).toMatchObject({
      mode: 'L',
      data: Uint8Array.of(7, 200),
    });
    expect(await decodeImage(bmp(2, 1, 4, 0, [1, 2, 3, 0, 4, 5, 6, 0], [0x10, 0, 0, 0]))).toMatchObject({
      mode: 'P',
      data: Uint8Array.of(6, 5, 4, 3, 2, 1),
    });
    expect(await decodeImage(bmp(3, 1, 1, 0, [0, 0, 0, 0, 255, 255, 255, 0], [0b10100000, 0, 0, 0]))).toMatchObject({
      mode: '1',
      data: Uint8Array.of(255, 0, 255),
    });
  });

  test('16 bits: five bits each', async () => {
    expect(await decodeImage(bmp(1, 1, 16, 0, [], [0x1f, 0x7c, 0, 0]))).toMatchObject({
      data: Uint8Array.of(255, 0, 255),
    });
  });

  test('compressed, cut off, with a colour outside its palette', async () => {
    expect((await failure(bmp(2, 2, 8, 1))).message).toContain('a compressed BMP (kind 1)');
    expect((await failure(bmp(20, 20, 24, 0).subarray(0, 500))).message).toContain(
      '1254 bytes expected for 20 x 20 pixels of 24 bits, found 500',
    );
    expect((await failure(bmp(1, 1, 8, 0, [0, 0, 0, 0], [9, 0, 0, 0]))).message).toContain('a pixel has colour 9');
    expect((await failure(bmp(0, 1, 24, 0))).code).toBe('image/corrupt');
  });
});

describe('downloads', () => {
  const here = { allowPrivateUrls: true };
  let server: http.Server;
  let base: string;
  let picture: Buffer;
  beforeAll(async () => {
    picture = await colour(5, 3).png().toBuffer();
    server = http.createServer((request, response) => {
      switch (request.url) {
        case '/ok.png':
          response.end(picture);
          return;
        case '/liar.png': // no length announced, and no end either
          response.write(Buffer.alloc(5000));
          return;
        case '/broken.png':
          response.writeHead(200, { 'content-length': 5000 });
          response.write(picture, () => response.destroy());
          return;
        case '/slow.png':
          return;
        case '/drip.png': {
          const timer = setInterval(() => response.write('x'), 10);
          response.on('close', () => clearInterval(timer));
          return;
        }
        case '/packed.png':
          response.writeHead(200, { 'content-encoding': 'gzip' }).end(picture);
          return;
        case '/moved.png':
          response.writeHead(301, { location: '/ok.png' }).end();
          return;
        default:
          response.writeHead(404).end('no');
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('a picture', async () => {
    expect(await decodeImage(`${base}/ok.png`, here)).toMatchObject({ width: 5, height: 3, source: `${base}/ok.png` });
    expect(await decodeImage(new URL(`${base}/ok.png`), here)).toMatchObject({ width: 5 });
    expect(await decodeImage(`${base}/moved.png`, here)).toMatchObject({ width: 5 });
  });

  test('a machine of a private network is asked only where that is allowed', async () => {
    const error = await failure(`${base}/ok.png`);
    expect([error.code, error.message]).toEqual([
      'image/url',
      `${base}/ok.png: not downloaded: 127.0.0.1 is not a public address; machines of a private network are contacted only with \`allowPrivateUrls: true\`; or give a file.`,
    ]);
  });

  test('refused, broken off, too long, too slow, no server, another protocol', async () => {
    expect((await failure(`${base}/none.png`, here)).message).toContain('the server answered 404');
    expect((await failure(`${base}/broken.png`, here)).code).toBe('image/download');
    expect((await failure(`${base}/ok.png`, { ...here, maxBytes: 20 })).code).toBe('image/too-large');
    expect((await failure(`${base}/liar.png`, { ...here, maxBytes: 3000 })).code).toBe('image/too-large');
    expect((await failure(`${base}/slow.png`, { ...here, timeout: 100 })).message).toContain(
      'no complete answer within 0.1 s',
    );
    expect((await failure(`${base}/drip.png`, { ...here, timeout: 100 })).message).toContain(
      'no complete answer within 0.1 s',
    );
    expect((await failure(`${base}/packed.png`, here)).message).toContain('compressed the image (gzip)');
    expect((await failure('http://127.0.0.1:1/x.png', here)).code).toBe('image/download');
    expect((await failure('ftp://host/x.png')).code).toBe('image/url');
  });
});

describe('masks', () => {
  test('any luminance counts, alpha does not; another cut on request', async () => {
    const grey = png({ width: 4, height: 1, depth: 8, colour: 0 }, [[0, 1, 127, 255]]);
    expect((await loadMaskAtOwnSize(grey)).data).toEqual(Uint8Array.of(0, 1, 1, 1));
    expect((await loadMaskAtOwnSize(grey, { above: 127 })).data).toEqual(Uint8Array.of(0, 0, 0, 1));
    const rgba = png({ width: 2, height: 1, depth: 8, colour: 6 }, [[0, 0, 0, 255, 0, 9, 0, 0]]);
    expect(await loadMaskAtOwnSize(rgba)).toEqual({ width: 2, height: 1, data: Uint8Array.of(0, 1) });
  });

  test('a mask of 16 bits counts from its lowest bit, whichever way pictures are read', async () => {
    const bytes = png({ width: 2, height: 1, depth: 16, colour: 0 }, [[0, 0, 0, 1]]);
    for (const reference of [true, false])
      expect((await loadMaskAtOwnSize(bytes, { reference })).data).toEqual(Uint8Array.of(0, 1));
  });

  test('of another size it is cut at one half; without a mask nothing is anomalous', async () => {
    const bytes = png({ width: 4, height: 1, depth: 8, colour: 0 }, [[0, 0, 3, 3]]);
    expect(await preprocessMask(bytes, { width: 2, height: 2 })).toEqual(Uint8Array.of(0, 1, 0, 1));
    expect(await preprocessMask(undefined, { width: 2, height: 2 })).toEqual(new Uint8Array(4));
  });
});

import { ImageError } from '../../lib/errors';
import { decodeImage } from '../../lib/image/decode';
import { toRgb } from '../../lib/image/decoded-image';
import { resizeToRgb } from '../../lib/image/preprocess';
import { readTiffHeader } from '../../lib/image/tiff-header';
import { colourMap, tiff, type TiffPage } from './tiff';

/** All values in this file are those of Pillow 13 on the same bytes. */
const colours = async (bytes: Uint8Array, reference = false): Promise<number[]> => [
  ...toRgb(await decodeImage(bytes, { reference })),
];
const failure = (bytes: Uint8Array): Promise<ImageError> =>
  decodeImage(bytes).then(
    () => Promise.reject(new Error('was decoded')),
    (error: unknown) => error as ImageError,
  );

describe('inks', () => {
  /** 8 x 8 pixels of cyan 30, magenta 60, yellow 90, black 40, as Pillow saves them: Adobe's, inverted. */
  const adobe = Buffer.from(
    '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD+wiv6GK/Siv6uK//Z',
    'base64',
  );
  const ycck = Buffer.from(adobe);
  ycck[2 + 2 + 14 - 1] = 2;

  test.each([
    ['a JPEG of Adobe', adobe, [190, 164, 139]],
    ['a JPEG that says nothing of Adobe', Buffer.concat([adobe.subarray(0, 2), adobe.subarray(18)]), [190, 164, 139]],
    ['a JPEG of YCCK', ycck, [0, 67, 0]],
  ])('%s', async (_, bytes, want) => {
    for (const reference of [false, true]) expect((await colours(bytes, reference)).slice(0, 3)).toEqual(want);
    expect((await decodeImage(bytes)).mode).toBe('CMYK');
  });

  test('a JPEG of black above, cyan and magenta below: nothing of their colour is that of a press', async () => {
    const solid = Buffer.from(
      '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD+/iv7+K/v4r/P/oooor/AHoor/f4r/f4r/AHoor//2Q==',
      'base64',
    );
    const line = (left: readonly number[], right: readonly number[]): number[] =>
      [left, right].flatMap((pixel) => Array.from({ length: 8 }, () => pixel).flat());
    const black = [0, 0, 0];
    for (const reference of [false, true]) {
      const found = await colours(solid, reference);
      expect(found).toHaveLength(16 * 16 * 3);
      for (let row = 0; row < 16; row++) {
        expect(found.slice(row * 48, (row + 1) * 48)).toEqual(
          row < 8 ? line(black, black) : line([0, 255, 255], [255, 0, 255]),
        );
      }
    }
  });

  const inks = [0, 0, 0, 255, 255, 0, 0, 0, 0, 255, 0, 128];
  test.each([
    ['8 bits', Uint8Array.from(inks), 4, {}],
    ['16 bits', Uint16Array.from(inks, (value) => value * 257), 4, {}],
    [
      '8 bits beside a fifth sample',
      Uint8Array.from([0, 4, 8].flatMap((from) => [...inks.slice(from, from + 4), 77])),
      5,
      { 338: [0] },
    ],
  ])('TIFF of %s: black is 0, 0, 0 and cyan 0, 255, 255; resized as inks', async (_, data, samples, tags) => {
    const bytes = tiff({ width: 3, height: 1, data, samples, photometric: 5, tags });
    expect(await colours(bytes)).toEqual([0, 0, 0, 0, 255, 255, 127, 0, 127]);
    expect([...resizeToRgb(await decodeImage(bytes), 2, 1)]).toEqual([58, 94, 94, 111, 64, 182]);
  });
});

describe('a fourth sample', () => {
  const data = Uint8Array.of(200, 100, 50, 0, 10, 20, 30, 255, 90, 80, 70, 255);
  const [asColours, withAlpha] = [
    [130, 70, 41, 54, 56, 55],
    [0, 14, 25, 62, 60, 57],
  ];

  test.each([
    ['of no meaning', [0], 'RGB', 'RGB', asColours],
    ['that is alpha', [2], 'RGBA', 'RGBA', withAlpha],
    // Pillow, the reference's reader, guesses alpha here.
    ['of which nothing is said', undefined, 'RGB', 'RGBA', asColours],
  ])('%s', async (_, extra, mode, referenceMode, want) => {
    const bytes = tiff({
      width: 3,
      height: 1,
      data,
      samples: 4,
      photometric: 2,
      ...(extra ? { tags: { 338: extra } } : {}),
    });
    const decoded = await decodeImage(bytes);
    expect(decoded.mode).toBe(mode);
    expect((await decodeImage(bytes, { reference: true })).mode).toBe(referenceMode);
    expect([...resizeToRgb(decoded, 2, 1)]).toEqual(want);
  });

  test('alpha is found where the file says it is, not at the end', async () => {
    const five = Uint8Array.from([0, 4, 8].flatMap((at) => [...data.subarray(at, at + 4), 99]));
    expect(
      await decodeImage(tiff({ width: 3, height: 1, data: five, samples: 5, photometric: 2, tags: { 338: [2, 0] } })),
    ).toMatchObject({ mode: 'RGBA', data });
    const grey = tiff({ width: 2, height: 1, data: Uint8Array.of(9, 100, 7, 0), samples: 2, tags: { 338: [0] } });
    expect(await decodeImage(grey)).toMatchObject({ mode: 'L', data: Uint8Array.of(9, 7) });
  });
});

test('a palette TIFF is resized by nearest neighbour, as a palette PNG is', async () => {
  const decoded = await decodeImage(
    tiff({
      width: 3,
      height: 1,
      data: Uint8Array.of(0, 1, 2),
      photometric: 3,
      tags: colourMap([10, 20, 30], [40, 50, 60], [70, 80, 90]),
    }),
  );
  expect(decoded).toMatchObject({ mode: 'P', data: Uint8Array.of(10, 20, 30, 40, 50, 60, 70, 80, 90) });
  expect([...resizeToRgb(decoded, 2, 1)]).toEqual([10, 20, 30, 70, 80, 90]);
});

test('of several pages the first is read, and that there are more is known; a reduction is no page', async () => {
  const page = (value: number, tags: TiffPage['tags'] = {}): TiffPage => ({
    width: 2,
    height: 1,
    data: Uint8Array.of(value, value),
    tags,
  });
  expect(await decodeImage(tiff(page(10), page(200)))).toMatchObject({ data: Uint8Array.of(10, 10), pages: 2 });
  expect((await decodeImage(tiff(page(10), page(200, { 254: [1] })))).pages).toBeUndefined();
});

test('what has no colours of its own is refused by name, and never opened by a decoder', async () => {
  expect(
    (await failure(tiff({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3), samples: 3, photometric: 8 }))).message,
  ).toContain('a TIFF of Lab colours');
  for (const [text, kind] of [
    ['<?xml version="1.0"?>\n<!-- a drawing -->\n<svg width="9" height="9"/>', 'SVG'],
    ['%PDF-1.7\n', 'PDF'],
  ] as const) {
    expect(await failure(Buffer.from(text.padEnd(64)))).toMatchObject({
      code: 'image/unsupported',
      message: expect.stringContaining(`a drawing (${kind})`) as string,
    });
  }
});

test('a directory of a TIFF that leads back to itself, or out of the file, ends', () => {
  const bytes = tiff({ width: 1, height: 1, data: Uint8Array.of(7) });
  bytes.writeUInt32LE(bytes.readUInt32LE(4), bytes.length - 4);
  // Entered a second time, and then known.
  expect(readTiffHeader(bytes)?.pages).toBe(2);
  bytes.writeUInt32LE(0xfffffff0, bytes.length - 4);
  expect(readTiffHeader(bytes)?.pages).toBe(1);
  bytes.writeUInt32LE(0xfffffff0, 4);
  expect(readTiffHeader(bytes)).toBeUndefined();
});

import * as path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { ImageError } from '../../lib/errors';
import { decodeImage, readFrame } from '../../lib/image/decode';
import { inverseOrientation, turn } from '../../lib/image/orientation';
import { loadMaskAtOwnSize, preprocessMask } from '../../lib/image/preprocess';
import { png } from './png';
import { colourMap, tiff } from './tiff';

const marks = async (...given: Parameters<typeof loadMaskAtOwnSize>): Promise<string> =>
  [...(await loadMaskAtOwnSize(...given)).data].join('');
const failure = (...given: Parameters<typeof loadMaskAtOwnSize>): Promise<ImageError> =>
  loadMaskAtOwnSize(...given).then(
    () => Promise.reject(new Error('was read')),
    (error: unknown) => error as ImageError,
  );
const raw = (channels: 1 | 2 | 3 | 4, ...values: number[]): Sharp =>
  sharp(Buffer.from(values), { raw: { width: values.length / channels, height: 1, channels } });

/** Rows and columns, first and last, that each of the masks of the folder marks. */
const RECTANGLE = [
  [4, 9],
  [5, 11],
] as const;
const isWithin = (place: number, [first, last]: readonly [number, number]): boolean => place >= first && place <= last;

describe('any trace of a colour marks', () => {
  const folder = path.join(__dirname, 'masks-lost');
  test.each(['red-1', 'blue-1', 'rgb16-100', 'greyalpha16-100', 'palette-dark', 'in-alpha-only'])(
    '%s',
    async (name) => {
      const file = path.join(folder, `${name}.png`);
      const { width, data } = await loadMaskAtOwnSize(file);
      const [rows, columns] = RECTANGLE;
      const want = Uint8Array.from({ length: 256 }, (_, at) =>
        isWithin(Math.floor(at / 16), rows) && isWithin(at % 16, columns) ? 1 : 0,
      );
      expect({ width, data }).toEqual({ width: 16, data: want });
      // The reference reads their luminance in 8 bits.
      expect((await loadMaskAtOwnSize(file, { reference: true })).data).toEqual(new Uint8Array(256));
    },
  );

  test('at the precision of the file: 1 of 65535 in any colour, whole numbers and fractions of TIFF', async () => {
    const wide = await sharp(Uint16Array.of(0, 0, 0, 0, 0, 1, 0, 1, 0), { raw: { width: 3, height: 1, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect(await marks(wide)).toBe('011');
    for (const [data, format] of [
      [Uint16Array.of(0, 1, 65535), 1],
      [Uint32Array.of(0, 1, 2 ** 31), 1],
      [Int16Array.of(0, 1, 32767), 2],
      [Int8Array.of(0, 1, 127), 2],
      [Float32Array.of(0, 1e-30, 1), 3],
    ] as const)
      expect(await marks(tiff({ width: 3, height: 1, data, format }))).toBe('011');
  });

  test('values below 0 and NaN are neither normal nor anomalous, and refused with their place', async () => {
    for (const [data, format, found] of [
      [Int8Array.of(0, -1, 1), 2, 'column 1, row 0 is below 0'],
      [Int16Array.of(0, -1, 1), 2, 'column 1, row 0 is below 0'],
      [Float32Array.of(0, 1, -0.5), 3, 'column 2, row 0 is below 0'],
      [Float32Array.of(Number.NaN, 1, 1), 3, 'column 0, row 0 is NaN'],
    ] as const)
      expect(await failure(tiff({ width: 3, height: 1, data, format }))).toMatchObject({
        code: 'image/mask-values',
        message: expect.stringContaining(found) as string,
      });
  });

  test('floating point of 16 bits would be taken for whole numbers, and is refused', async () => {
    expect(
      (await failure(tiff({ width: 2, height: 1, data: Uint16Array.of(0x8000, 0x3c00), format: 3 }))).message,
    ).toContain('floating point in 16 bits');
  });

  test('a file of several pictures is no mask', async () => {
    const page = { width: 1, height: 1, data: Uint8Array.of(1) };
    expect(await failure(tiff(page, page))).toMatchObject({ code: 'image/pages', data: { pages: 2 } });
  });
});

describe('where colours tell no pixels apart', () => {
  test('alpha decides: of white, of black, of grey; not where colours differ', async () => {
    expect(await marks(await raw(4, 255, 255, 255, 0, 255, 255, 255, 255).png().toBuffer())).toBe('01');
    expect(await marks(await raw(4, 0, 0, 0, 9, 0, 0, 0, 0).png().toBuffer())).toBe('10');
    expect(await marks(await raw(2, 255, 0, 255, 1).toColourspace('b-w').png().toBuffer())).toBe('01');
    // Red on white that is transparent.
    expect(await marks(await raw(4, 255, 255, 255, 0, 255, 0, 0, 255).png().toBuffer())).toBe('01');
    expect(await marks(await raw(4, 0, 0, 0, 255, 9, 0, 0, 0).png().toBuffer())).toBe('01');
    expect(await marks(await raw(4, 255, 255, 255, 255, 9, 9, 9, 255).png().toBuffer())).toBe('11');
    expect(await marks({ data: Uint8Array.of(255, 0, 255, 7), width: 2, height: 1, channels: 2 })).toBe('01');
  });

  test('then the indices of a palette: the first colour is normal, whatever it is', async () => {
    // Of Pascal VOC, black comes first; of matplotlib's viridis it does not.
    const viridis = [
      [68, 1, 84],
      [33, 145, 140],
      [253, 231, 37],
    ] as const;
    const indexed = (colours: readonly (readonly [number, number, number])[]): Buffer =>
      tiff({ width: 3, height: 1, data: Uint8Array.of(0, 1, 2), photometric: 3, tags: colourMap(...colours) });
    expect(await marks(indexed(viridis))).toBe('011');
    expect(
      await marks(
        indexed([
          [0, 0, 0],
          [128, 0, 0],
          [0, 0, 0],
        ]),
      ),
    ).toBe('010');
    expect(await marks(indexed([]))).toBe('011');
    expect(
      await marks(
        indexed([
          [255, 255, 255],
          [0, 0, 0],
          [0, 0, 0],
        ]),
      ),
    ).toBe('100');
  });

  test.each([
    [1, [0b01000000]],
    [2, [0b00010000]],
    [4, [0x01, 0x00]],
    [8, [0, 1, 0]],
  ] as const)('in PNG of %i bits', async (depth, row) => {
    const header = { width: 3, height: 1, depth, colour: 3 };
    expect(await marks(png(header, [[...row]], { PLTE: [9, 9, 9, 200, 200, 200] }))).toBe('010');
    expect(await marks(png(header, [[...row]], { PLTE: [0, 0, 0, 0, 0, 0], tRNS: [255] }))).toBe('010');
    // Transparency comes first.
    expect(await marks(png(header, [[...row]], { PLTE: [9, 9, 9, 200, 200, 200], tRNS: [255, 0] }))).toBe('101');
  });

  test('and in BMP', async () => {
    const bytes = Buffer.alloc(54 + 8 + 4);
    bytes.write('BM', 'latin1');
    [
      [10, 62],
      [14, 40],
      [18, 3],
      [22, 1],
      [26, 1 + (8 << 16)],
      [46, 2],
    ].forEach(([at, value]) => bytes.writeUInt32LE(value as number, at));
    // Colours 5, 5, 5 and 9, 9, 9, then the indices of three pixels.
    bytes.set([5, 5, 5, 0, 9, 9, 9, 0, 0, 1, 0], 54);
    expect(await marks(bytes)).toBe('010');
  });
});

describe('packed with loss', () => {
  const size = 64;
  const disc = Uint8Array.from({ length: size * size }, (_, at) =>
    Math.hypot((at % size) - 30, Math.floor(at / size) - 34) < 17 ? 1 : 0,
  );
  const of = (red: number, green: number, blue: number): Sharp =>
    sharp(Buffer.from([...disc].flatMap((value) => [red * value, green * value, blue * value])), {
      raw: { width: size, height: size, channels: 3 },
    });

  test.each([
    ['JPEG', (picture: Sharp): Sharp => picture.jpeg({ quality: 60 })],
    ['WebP', (picture: Sharp): Sharp => picture.webp({ quality: 40 })],
    ['WebP with alpha', (picture: Sharp): Sharp => picture.ensureAlpha(0.5).webp({ quality: 40 })],
    ['AVIF', (picture: Sharp): Sharp => picture.avif({ quality: 30 })],
    ['TIFF of JPEG', (picture: Sharp): Sharp => picture.tiff({ compression: 'jpeg', quality: 60 })],
    ['TIFF of WebP', (picture: Sharp): Sharp => picture.tiff({ compression: 'webp', quality: 40 })],
  ])(
    '%s is cut in the middle',
    async (_, pack) => {
      const white = await pack(of(255, 255, 255)).toBuffer();
      const { data } = await loadMaskAtOwnSize(white);
      const wrong = data.filter((value, at) => value !== disc[at]).length;
      // Along the edge, one pixel in a hundred may fall to the other side.
      expect(wrong).toBeLessThan(10);
      expect(
        (await loadMaskAtOwnSize(white, { above: 0 })).data.reduce((sum, value) => sum + value, 0),
      ).toBeGreaterThan(data.reduce((sum, value) => sum + value, 0));
      expect(await loadMaskAtOwnSize(white, { above: 127 })).toEqual({ width: size, height: size, data });
    },
    60_000,
  );

  test('a colour of its own is cut by that colour', async () => {
    const { data } = await loadMaskAtOwnSize(
      await of(255, 0, 0).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(),
    );
    expect(data).toEqual(disc);
  });

  test('WebP without loss is not cut', async () => {
    expect((await loadMaskAtOwnSize(await of(1, 0, 0).webp({ lossless: true }).toBuffer())).data).toEqual(disc);
  });
});

describe('a mask lies as the pixels of its image file do', () => {
  const [width, height] = [5, 3];
  const corner = Uint8Array.from({ length: width * height }, (_, at) => (at === 0 || at === 1 || at === width ? 1 : 0));
  const mask = { width, height, data: corner };
  const grey = (wide: number, high: number, data: Uint8Array): Sharp =>
    sharp(Buffer.from(data.map((value) => value * 255)), {
      raw: { width: wide, height: high, channels: 1 },
    }).toColourspace('b-w');
  const image = (orientation: number, wide = width, high = height): Promise<Buffer> =>
    sharp({ create: { width: wide, height: high, channels: 3, background: '#888888' } })
      .withMetadata({ orientation })
      .jpeg()
      .toBuffer();

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'orientation %i turns as libvips does, and its inverse undoes it',
    async (orientation) => {
      const tagged = await grey(width, height, corner).withMetadata({ orientation }).png().toBuffer();
      const want = await sharp(tagged).autoOrient().toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
      const turned = turn(mask, orientation);
      expect([turned.width, turned.height]).toEqual([want.info.width, want.info.height]);
      expect([...turned.data].map((value) => value * 255)).toEqual([...want.data]);
      expect(turn(turned, inverseOrientation(orientation))).toEqual(mask);
      // The mask of an image of that orientation is turned so, though it has no tag.
      const frame = await readFrame(await image(orientation));
      expect(frame).toEqual({ width: turned.width, height: turned.height, orientation });
      const plain = await grey(width, height, corner).png().toBuffer();
      expect(await loadMaskAtOwnSize(plain, { image: frame })).toEqual(turned);
      expect((await loadMaskAtOwnSize(plain, { image: frame, reference: true })).data).toEqual(corner);
      // Its own tag turns it as well, and once only; a tag of 1 says nothing.
      expect(await loadMaskAtOwnSize(tagged, { image: frame })).toEqual(turned);
      expect(await loadMaskAtOwnSize(tagged)).toEqual(turned);
      expect(
        await loadMaskAtOwnSize(await grey(width, height, corner).withMetadata({ orientation: 1 }).png().toBuffer(), {
          image: frame,
        }),
      ).toEqual(turned);
      expect(await decodeImage(await image(orientation))).toMatchObject(frame);
    },
  );

  test('unless its own size says that it is upright', async () => {
    const upright = turn(mask, 6);
    const bytes = await grey(upright.width, upright.height, upright.data).png().toBuffer();
    expect(await loadMaskAtOwnSize(bytes, { image: await readFrame(await image(6)) })).toEqual(upright);
  });

  test('of another resolution, by its shape', async () => {
    const frame = await readFrame(await image(6, 500, 300));
    const plain = await grey(width, height, corner).png().toBuffer();
    expect(await loadMaskAtOwnSize(plain, { image: frame })).toEqual(turn(mask, 6));
    expect(await preprocessMask(plain, { width: 6, height: 10 }, { image: frame })).toEqual(
      await preprocessMask(await grey(3, 5, turn(mask, 6).data).png().toBuffer(), { width: 6, height: 10 }),
    );
    // Sizes are rounded: 333 x 200 of 500 x 300.
    const third = await grey(333, 200, new Uint8Array(333 * 200))
      .png()
      .toBuffer();
    expect(await loadMaskAtOwnSize(third, { image: { width: 500, height: 300, orientation: 1 } })).toMatchObject({
      width: 333,
      height: 200,
    });
  });

  test('and where its shape fits neither way, it is named and not stretched, but for the reference', async () => {
    const square = await grey(4, 4, new Uint8Array(16)).png().toBuffer();
    const frame = await readFrame(await image(6, 50, 30));
    expect(await failure(square, { image: frame })).toMatchObject({
      code: 'image/mask-shape',
      message: expect.stringContaining(
        'a mask of 4x4 for an image of 30x50, turned by its EXIF orientation 6',
      ) as string,
    });
    expect(await loadMaskAtOwnSize(square, { image: frame, reference: true })).toMatchObject({ width: 4, height: 4 });
    // Of an image that is not turned, a mask on its side is another's.
    expect(
      (
        await failure(await grey(3, 5, new Uint8Array(15)).png().toBuffer(), {
          image: { width: 5, height: 3, orientation: 1 },
        })
      ).code,
    ).toBe('image/mask-shape');
  });
});

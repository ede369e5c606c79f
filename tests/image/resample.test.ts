import fc from 'fast-check';
import { premultiply, unpremultiply } from '../../lib/image/premultiply';
import { resizeBicubic, resize16, resizeBilinear, resizeNearest } from '../../lib/image/resample';
import { resizeMap } from '../../lib/image/resize-map';

/** Cubic and triangle filters written out from their definitions, one output pixel at a time, in float64 throughout. */
function slowResize(
  data: Uint8Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
  kind: 'bicubic' | 'bilinear',
): Float64Array {
  const kernel = (x: number): number => {
    const d = Math.abs(x);
    if (kind === 'bilinear') return d < 1 ? 1 - d : 0;
    if (d < 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
    return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
  };
  const weights = (from: number, to: number, at: number): number[] => {
    const scale = Math.max(1, from / to);
    const centre = ((at + 0.5) * from) / to - 0.5;
    const raw = Array.from({ length: from }, (_, i) => kernel((i - centre) / scale));
    const sum = raw.reduce((a, b) => a + b, 0);
    return raw.map((w) => w / sum);
  };
  const out = new Float64Array(toWidth * toHeight);
  for (let y = 0; y < toHeight; y++) {
    const down = weights(height, toHeight, y);
    for (let x = 0; x < toWidth; x++) {
      const across = weights(width, toWidth, x);
      let sum = 0;
      for (let j = 0; j < height; j++) {
        let row = 0;
        for (let i = 0; i < width; i++) row += (data[j * width + i] as number) * (across[i] as number);
        // The picture is clipped to its own range between the two passes.
        sum += Math.min(255, Math.max(0, row)) * (down[j] as number);
      }
      out[y * toWidth + x] = Math.min(255, Math.max(0, sum));
    }
  }
  return out;
}

const side = fc.integer({ min: 1, max: 12 });
const picture = fc
  .tuple(side, side)
  .chain(([width, height]) =>
    fc.record({
      width: fc.constant(width),
      height: fc.constant(height),
      data: fc.uint8Array({ minLength: width * height, maxLength: width * height }),
    }),
  );

describe('8-bit resampling', () => {
  test.each([
    ['bicubic', resizeBicubic],
    ['bilinear', resizeBilinear],
  ] as const)('%s is within rounding of the filter written out in float64', (kind, resize) => {
    fc.assert(
      fc.property(picture, side, side, ({ data, width, height }, toWidth, toHeight) => {
        const got = resize(data, width, height, 1, toWidth, toHeight);
        const want = slowResize(data, width, height, toWidth, toHeight, kind);
        // Half a level for each of the two roundings; the first is amplified by at most the filter's overshoot.
        const differences = Array.from(got, (value, at) => Math.abs(value - (want[at] as number)));
        expect(Math.max(...differences)).toBeLessThanOrEqual(1.25);
      }),
      { numRuns: 150 },
    );
  });

  test('each channel of a picture is resized as if it stood alone', () => {
    fc.assert(
      fc.property(
        picture,
        fc.integer({ min: 1, max: 4 }),
        side,
        side,
        ({ data, width, height }, channels, toWidth, toHeight) => {
          const planes = Array.from({ length: channels }, (_, channel) =>
            data.map((value) => (value * (channel + 1)) & 255),
          );
          const interleaved = Uint8Array.from(
            { length: data.length * channels },
            (_, at) => planes[at % channels]?.[Math.floor(at / channels)] as number,
          );
          const got = resizeBicubic(interleaved, width, height, channels, toWidth, toHeight);
          planes.forEach((plane, channel) => {
            const alone = resizeBicubic(plane, width, height, 1, toWidth, toHeight);
            expect(Array.from(alone)).toEqual(Array.from(got.filter((_, at) => at % channels === channel)));
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a constant picture stays constant at every size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        side,
        side,
        side,
        side,
        (value, width, height, toWidth, toHeight) => {
          const flat = new Uint8Array(width * height).fill(value);
          expect(resizeBicubic(flat, width, height, 1, toWidth, toHeight).every((v) => v === value)).toBe(true);
        },
      ),
    );
  });

  test('hand-worked: two pixels to four, bilinear', () => {
    // Centres fall at -0.25, 0.25, 0.75, 1.25 of the input: 0, a quarter, three quarters, 1.
    expect(Array.from(resizeBilinear(Uint8Array.of(0, 200), 2, 1, 1, 4, 1))).toEqual([0, 50, 150, 200]);
    expect(Array.from(resizeBilinear(Uint8Array.of(0, 200), 1, 2, 1, 1, 4))).toEqual([0, 50, 150, 200]);
  });

  test('hand-worked: four pixels to two, bilinear with antialias', () => {
    // Distances over 2: weights 3/4 3/4 1/4 about the first centre (0.5), of the samples 0, 1, 2.
    const sum = 3 + 3 + 1;
    const got = resizeBilinear(Uint8Array.of(7, 14, 21, 28), 4, 1, 1, 2, 1);
    expect(Array.from(got)).toEqual([
      Math.round((3 * 7 + 3 * 14 + 21) / sum),
      Math.round((14 + 3 * 21 + 3 * 28) / sum),
    ]);
  });

  test('the same size gives an equal copy', () => {
    const data = Uint8Array.of(1, 2, 3, 4);
    const got = resizeBicubic(data, 2, 2, 1, 2, 2);
    expect(got).toEqual(data);
    expect(got).not.toBe(data);
  });

  test('sizes that do not fit are refused', () => {
    expect(() => resizeBicubic(new Uint8Array(5), 2, 2, 1, 1, 1)).toThrow('2 x 2 x 1 samples expected, found 5');
    expect(() => resizeBicubic(new Uint8Array(4), 2, 2, 1, 0, 1)).toThrow(
      'toWidth must be a positive integer, found 0',
    );
    expect(() => resizeNearest(new Uint8Array(4), 2, 2, 1, 1.5, 1)).toThrow('toWidth');
  });
});

describe('16-bit resampling', () => {
  test('equals the 8-bit one, 257 times as fine', () => {
    const data = Uint8Array.from({ length: 35 }, (_, at) => 60 + ((at * 37) % 120));
    const wide = resize16(
      Uint16Array.from(data, (value) => value * 257),
      7,
      5,
      4,
      9,
    );
    const narrow = slowResize(data, 7, 5, 4, 9, 'bicubic');
    wide.forEach((value, at) => expect(Math.abs(value / 257 - (narrow[at] as number))).toBeLessThan(0.02));
  });

  test('an overshoot wraps the low byte, an undershoot is 0, as in Pillow', () => {
    const got = resize16(Uint16Array.of(0, 0, 65535, 65535), 4, 1, 8, 1);
    const high = Array.from(got).filter((value) => value >= 0xff00 && value !== 65535);
    expect(high.length).toBeGreaterThan(0);
    expect(Array.from(got)).toContain(0);
  });
});

describe('nearest neighbour', () => {
  test('hand-worked, up and down, with channels', () => {
    expect(Array.from(resizeNearest(Uint8Array.of(1, 2, 3), 3, 1, 1, 6, 1))).toEqual([1, 1, 2, 2, 3, 3]);
    expect(Array.from(resizeNearest(Uint8Array.of(1, 2, 3, 4, 5), 5, 1, 1, 2, 1))).toEqual([2, 4]);
    expect(Array.from(resizeNearest(Uint8Array.of(1, 2, 3, 4, 5, 6), 2, 1, 3, 1, 1))).toEqual([4, 5, 6]);
  });

  test('gives no value that was not there, and keeps the type', () => {
    fc.assert(
      fc.property(picture, side, side, ({ data, width, height }, toWidth, toHeight) => {
        const had = new Set(data);
        const got = resizeNearest(Uint16Array.from(data), width, height, 1, toWidth, toHeight);
        expect(got.BYTES_PER_ELEMENT).toBe(2);
        expect(got.every((value) => had.has(value))).toBe(true);
      }),
    );
  });
});

describe('premultiplied alpha', () => {
  test('every pair of colour and alpha rounds as the division would', () => {
    const wrong: unknown[] = [];
    for (let alpha = 0; alpha < 256; alpha++) {
      const data = Uint8Array.from({ length: 512 }, (_, at) => (at % 2 === 0 ? at / 2 : alpha));
      const multiplied = premultiply(data, 2);
      const back = unpremultiply(multiplied, 2);
      for (let colour = 0; colour < 256; colour++) {
        const want = Math.floor((colour * alpha) / 255 + 0.5);
        const wantBack = alpha === 0 ? 0 : Math.min(255, Math.floor((want * 255) / alpha));
        const found = [multiplied[colour * 2], back[colour * 2], back[colour * 2 + 1]];
        if (found[0] !== want || found[1] !== wantBack || found[2] !== alpha) wrong.push([colour, alpha, ...found]);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('a colour above its alpha is clipped, not wrapped', () => {
    expect(Array.from(unpremultiply(Uint8Array.of(200, 10, 0, 100), 4))).toEqual([255, 25, 0, 100]);
  });
});

describe('resizing maps', () => {
  test('hand-worked: half-pixel centres, edges repeated', () => {
    expect(Array.from(resizeMap(Float32Array.of(0, 1), 2, 1, 4, 1))).toEqual([0, 0.25, 0.75, 1]);
    expect(Array.from(resizeMap(Float32Array.of(0, 1, 2, 3), 4, 1, 2, 1))).toEqual([0.5, 2.5]);
    expect(Array.from(resizeMap(Float32Array.of(0, 2, 4, 6), 2, 2, 1, 1))).toEqual([3]);
  });

  test('stays within the range of the map, and keeps planes', () => {
    fc.assert(
      fc.property(side, side, side, side, (width, height, toWidth, toHeight) => {
        const plane = Float32Array.from(
          { length: width * height },
          (_, at) => (at % width) / width + 2 * Math.floor(at / width),
        );
        const got = resizeMap(plane, width, height, toWidth, toHeight);
        const largest = Math.max(...plane);
        expect(got.every((value) => value >= 0 && value <= largest)).toBe(true);
        let worst = 0;
        for (let row = 0; row < toHeight; row++) {
          const y = Math.min(height - 1, Math.max(0, ((row + 0.5) * height) / toHeight - 0.5));
          for (let column = 0; column < toWidth; column++) {
            const x = Math.min(width - 1, Math.max(0, ((column + 0.5) * width) / toWidth - 0.5));
            worst = Math.max(worst, Math.abs((got[row * toWidth + column] as number) - (x / width + 2 * y)));
          }
        }
        expect(worst).toBeLessThan(1e-4);
      }),
    );
  });

  test('refuses what does not fit', () => {
    expect(() => resizeMap(new Float32Array(3), 2, 2, 1, 1)).toThrow('a map of 2 x 2 values expected, found 3 values');
    expect(() => resizeMap(new Float32Array(4), 2, 2, 0, 1)).toThrow('toWidth');
  });
});

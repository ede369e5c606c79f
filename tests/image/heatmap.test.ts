import sharp from 'sharp';
import { ImageError, UsageError } from '../../lib/errors';
import { COLORMAPS, level } from '../../lib/image/colormap';
import { renderHeatmap, renderMask, renderOverlay } from '../../lib/image/heatmap';
import type { ScoreMap } from '../../lib/image/map-file';
import { textPaths, textWidth } from '../../lib/image/stroke-font';

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly at: (x: number, y: number) => number[];
}

async function open(bytes: Buffer): Promise<Picture> {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    at: (x, y) =>
      Array.from(data.subarray((y * info.width + x) * info.channels, (y * info.width + x + 1) * info.channels)),
  };
}

function map(width: number, height: number, value: (x: number, y: number) => number): ScoreMap {
  return {
    width,
    height,
    data: Float32Array.from({ length: width * height }, (_, at) => value(at % width, Math.floor(at / width))),
  };
}

const turbo = (at: number): number[] => Array.from(COLORMAPS.turbo.subarray(at * 3, at * 3 + 3));
const grey = (width: number, height: number, value: number) => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

describe('colour maps', () => {
  test('jet runs from dark blue over green to dark red', () => {
    const jet = COLORMAPS.jet;
    expect(jet).toHaveLength(768);
    expect(Array.from(jet.subarray(0, 3))).toEqual([0, 0, 128]);
    expect(Array.from(jet.subarray(765))).toEqual([128, 0, 0]);
    expect(jet[128 * 3 + 1]).toBe(255);
  });

  test("turbo is within its polynomial's error of published entries", () => {
    // Entries of the table published with the map: first, a quarter, a half, three quarters, last.
    const published: [number, number[]][] = [
      [0, [48, 18, 59]],
      [64, [40, 188, 235]],
      [128, [164, 252, 60]],
      [192, [251, 126, 33]],
      [255, [122, 4, 3]],
    ];
    for (const [at, want] of published) {
      turbo(at).forEach((value, channel) =>
        expect(Math.abs(value - (want[channel] as number))).toBeLessThanOrEqual(32),
      );
    }
  });

  test('levels are clipped to the scale', () => {
    const scale = { low: 0.2, high: 0.6 };
    expect([0, 0.2, 0.4, 0.6, 9, NaN, -Infinity, Infinity].map((value) => level(value, scale))).toEqual([
      0, 0, 128, 255, 255, 0, 0, 255,
    ]);
  });
});

describe('heatmaps', () => {
  test('without a colour bar each pixel is the colour of its value on 0..1', async () => {
    const picture = await open(
      await renderHeatmap(
        map(20, 10, (x) => x / 19),
        { colorBar: false },
      ),
    );
    expect([picture.width, picture.height]).toEqual([20, 10]);
    for (let x = 0; x < 20; x++) expect(picture.at(x, 5)).toEqual(turbo(Math.round((x / 19) * 255)));
  });

  test('the scale is fixed: a low map stays dark, and only on request it fills the colours, marked', async () => {
    const low = map(400, 200, (x) => (x / 399) * 0.2);
    const fixed = await open(await renderHeatmap(low, { colorBar: false }));
    expect(fixed.at(399, 0)).toEqual(turbo(51));
    const own = await open(await renderHeatmap(low, { colorBar: false, scale: 'image' }));
    expect(own.at(399, 0)).toEqual(turbo(255));
    // The badge in the lower left corner.
    expect(own.at(2, 198)).toEqual([0xb3, 0x47, 0]);
    expect(fixed.at(2, 198)).toEqual(turbo(0));
    const given = await open(await renderHeatmap(low, { colorBar: false, scale: { low: 0, high: 0.2 } }));
    expect(given.at(399, 0)).toEqual(turbo(255));
    expect(given.at(0, 198)).toEqual(turbo(0));
  });

  test("the margin leaves the picture where it was, and says when the scale is the picture's own", async () => {
    const field = map(720, 480, (x) => x / 719);
    const bare = await open(await renderHeatmap(field, { colorBar: false }));
    const full = await open(await renderHeatmap(field));
    const own = await open(await renderHeatmap(field, { scale: 'image' }));
    expect(full.width).toBeGreaterThan(720);
    expect(full.height).toBe(480);
    for (const x of [0, 360, 719]) expect(full.at(x, 100)).toEqual(bare.at(x, 100));
    const orange = (picture: Picture): number => {
      let count = 0;
      for (let y = 0; y < picture.height; y++) {
        for (let x = 720; x < picture.width; x++) if (picture.at(x, y).join() === '179,71,0') count++;
      }
      return count;
    };
    expect(orange(full)).toBe(0);
    expect(orange(own)).toBeGreaterThan(10);
  });

  test('a constant map, a tiny map and a scale that does not rise', async () => {
    const constant = await open(
      await renderHeatmap(
        map(8, 8, () => 0.7),
        { scale: 'image', colorBar: false },
      ),
    );
    expect(constant.at(5, 0)).toEqual(turbo(0));
    const tiny = await open(await renderHeatmap(map(1, 1, () => 1)));
    expect(tiny.at(0, 0)).toEqual(turbo(255));
    await expect(
      renderHeatmap(
        map(2, 2, () => 0),
        { scale: { low: 1, high: 1 } },
      ),
    ).rejects.toThrow(UsageError);
    await expect(renderHeatmap({ width: 3, height: 3, data: new Float32Array(4) })).rejects.toThrow(ImageError);
  });

  test('formats', async () => {
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      expect(
        (
          await sharp(
            await renderHeatmap(
              map(9, 9, () => 0.4),
              { format },
            ),
          ).metadata()
        ).format,
      ).toBe(format);
    }
  });
});

describe('overlays', () => {
  test('what is normal stays as it is; what is anomalous is mixed with its colour', async () => {
    const picture = await open(
      await renderOverlay(
        map(40, 40, (x) => (x < 20 ? 0 : 1)),
        grey(40, 40, 100),
        { colorBar: false, opacity: 0.5 },
      ),
    );
    expect(picture.at(5, 20)).toEqual([100, 100, 100]);
    expect(picture.at(35, 20)).toEqual(turbo(255).map((value) => Math.round(100 + (value - 100) * 0.5)));
  });

  test("a map of another size is brought to the picture's", async () => {
    const picture = await open(
      await renderOverlay(
        map(2, 2, (x) => x),
        grey(60, 30, 0),
        { colorBar: false },
      ),
    );
    expect([picture.width, picture.height]).toEqual([60, 30]);
    expect(picture.at(2, 15)).toEqual([0, 0, 0]);
    expect(picture.at(58, 15)).not.toEqual([0, 0, 0]);
    await expect(
      renderOverlay(
        map(2, 2, () => 0),
        { width: 5, height: 5, data: new Uint8Array(3) },
      ),
    ).rejects.toThrow('5 x 5 x 3 samples');
  });

  test('the true mask is outlined in white, the threshold in magenta, both on a dark line', async () => {
    const size = 100;
    const box = Uint8Array.from({ length: size * size }, (_, at) =>
      at % size >= 30 && at % size < 70 && at / size >= 30 && at / size < 70 ? 1 : 0,
    );
    const field = map(size, size, (x) => (x >= 80 ? 1 : 0));
    const picture = await open(
      await renderOverlay(field, grey(size, size, 120), {
        colorBar: false,
        mask: { width: size, height: size, data: box },
        threshold: 0.5,
      }),
    );
    const row = (from: number, to: number): number[][] =>
      Array.from({ length: to - from }, (_, at) => picture.at(from + at, 50));
    const brightest = Math.max(...row(27, 33).map((pixel) => Math.min(...pixel)));
    const darkest = Math.min(...row(27, 33).map((pixel) => Math.max(...pixel)));
    expect(brightest).toBeGreaterThan(150);
    expect(darkest).toBeLessThan(115);
    expect(
      row(78, 83).some(
        ([red, green, blue]) => (red as number) > 150 && (green as number) < 100 && (blue as number) > 100,
      ),
    ).toBe(true);
    expect(picture.at(50, 50)).toEqual([120, 120, 120]);
  });

  test('a mask of another size is stretched over the picture', async () => {
    const mask = { width: 2, height: 1, data: Uint8Array.of(1, 0) };
    const picture = await open(
      await renderOverlay(
        map(100, 50, () => 0),
        grey(100, 50, 0),
        { colorBar: false, mask },
      ),
    );
    // The line between the two mask pixels falls on the middle of the picture.
    expect(Math.max(...[48, 49, 50, 51].map((x) => picture.at(x, 25)[0] as number))).toBeGreaterThan(100);
  });

  test('outlines of pure noise can be drawn', async () => {
    let state = 1;
    const noise = map(256, 256, () => (state = (state * 48271) % 2147483647) / 2147483647);
    const picture = await open(await renderOverlay(noise, grey(256, 256, 50), { threshold: 0.5, colorBar: false }));
    expect(picture.width).toBe(256);
  });
});

describe('masks at a threshold', () => {
  test('white where the threshold is reached, one channel', async () => {
    const bytes = await renderMask(
      map(3, 1, (x) => x / 2),
      0.5,
    );
    expect(await sharp(bytes).metadata()).toMatchObject({ channels: 1, format: 'png', width: 3, height: 1 });
    const { data } = await sharp(bytes).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    expect(Array.from(data)).toEqual([0, 255, 255]);
  });
});

describe('stroke font', () => {
  test('text is drawn without any font, within its width', async () => {
    const text = 'score 0.87 ≥ true mask';
    const width = Math.ceil(textWidth(text, 20)) + 4;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width + 40}" height="32">${textPaths(text, 2, 2, 20, '#000')}</svg>`;
    const { data, info } = await sharp(Buffer.from(svg))
      .flatten({ background: '#fff' })
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const columns = Array.from({ length: info.width }, (_, x) =>
      Array.from({ length: info.height }, (__, y) => data[(y * info.width + x) * info.channels] as number).some(
        (value) => value < 128,
      ),
    );
    expect(columns.lastIndexOf(true)).toBeLessThanOrEqual(width);
    expect(columns.lastIndexOf(true)).toBeGreaterThan(width - 8);
    expect(svg).not.toContain('<text');
    expect(textWidth('', 20)).toBe(0);
  });
});

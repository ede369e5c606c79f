import { decodeImage } from '../../lib/image/decode';
import type { DecodedImage, PixelMode } from '../../lib/image/decoded-image';
import { preprocessImage, preprocessMask, resizeToRgb } from '../../lib/image/preprocess';
import { describeWithGoldens, expectClose, golden, goldenCases, goldenPath, goldensFolder } from '../goldens';

const cases = goldensFolder === undefined ? [] : goldenCases('image_transform');
const pictures = cases.filter((item) => item.id.startsWith('image/'));
const masks = cases.filter((item) => item.id.startsWith('mask/'));

interface PictureConfig {
  readonly image_size: number;
  readonly pillow_mode?: PixelMode;
}

/** Golden tensors are [3, height, width]; ours are [height, width, 3]. */
function channelsLast(data: Float32Array, pixels: number): Float32Array {
  return Float32Array.from({ length: data.length }, (_, at) => data[(at % 3) * pixels + Math.floor(at / 3)] as number);
}

function worstDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let worst = 0;
  for (let at = 0; at < want.length; at++)
    worst = Math.max(worst, Math.abs((got[at] as number) - (want[at] as number)));
  return worst;
}

/** The picture as the goldens' own decoder had it, so that only the resampling is looked at. */
function fromDecoded(item: (typeof cases)[number], mode: PixelMode): DecodedImage {
  const { shape, data } = golden(item.inputs['decoded'] as string);
  const [height, width] = shape as [number, number];
  const palette = item.inputs['palette'];
  let samples: Uint8Array | Uint16Array = mode === 'I;16' ? Uint16Array.from(data) : Uint8Array.from(data);
  if (palette !== undefined) {
    const colours = golden(palette).data;
    samples = Uint8Array.from(
      { length: data.length * 3 },
      (_, at) => colours[(data[Math.floor(at / 3)] as number) * 3 + (at % 3)] as number,
    );
  } else if (mode === '1') {
    samples = samples.map((value) => (value > 0 ? 255 : 0)) as Uint8Array;
  }
  return { mode, width, height, data: samples, reference: true, orientation: 1, source: item.id };
}

describeWithGoldens('pictures, as the reference reads them', () => {
  test('all cases are there', () => {
    expect(pictures).toHaveLength(18);
    expect(masks).toHaveLength(12);
  });

  test.each(pictures.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const { image_size: size, pillow_mode: mode } = item.config as unknown as PictureConfig;
    const decoded = await decodeImage(goldenPath(item.inputs['file'] as string), { reference: true });
    const resized = resizeToRgb(decoded, size, size);
    const expected = item.outputs['resized_rgb'];
    if (expected !== undefined && mode !== undefined) {
      expect(decoded.mode).toBe(mode);
      const want = golden(expected).data;
      const exact = resizeToRgb(fromDecoded(item, mode), size, size);
      expect(worstDifference(exact, want)).toBe(0);
      expect(worstDifference(resized, want)).toBeLessThanOrEqual(item.tolerance['from_file_levels'] as number);
    }
    const tensor = item.outputs['tensor'];
    if (tensor !== undefined) {
      const picture = mode === undefined ? decoded : fromDecoded(item, mode);
      const got = preprocessImage(picture, { width: size, height: size });
      const want = channelsLast(golden(tensor).data, size * size);
      expectClose(got, want, item.tolerance['atol'] as number, item.tolerance['rtol'] as number);
    }
    expect(expected ?? tensor).toBeDefined();
  });

  test.each(masks.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const size = (item.config as unknown as PictureConfig).image_size;
    const file = item.inputs['file'];
    const got = await preprocessMask(file === undefined ? undefined : goldenPath(file), { width: size, height: size });
    expect(worstDifference(got, golden(item.outputs['mask'] as string).data)).toBe(0);
  });
});

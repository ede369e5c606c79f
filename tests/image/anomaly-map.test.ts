import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { AnomalyMap } from '../../lib/anomaly-map';
import { ImageError, UsageError } from '../../lib/errors';
import { readMap } from '../../lib/image/map-file';
import { readNpy } from '../../lib/image/npy';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-anomaly-map-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

const width = 80;
const height = 60;
const data = Float32Array.from({ length: width * height }, (_, index) => (index % width) / (width - 1));
const picture = { width, height, data: new Uint8Array(width * height * 3).fill(77) };
const native = { width: 2, height: 2, data: Float32Array.of(0, 1, 2, 3) };

describe('AnomalyMap', () => {
  test('is a Float32Array with a size, and what array methods return is plain', () => {
    const map = new AnomalyMap({ data, width, height });
    expect(map).toBeInstanceOf(Float32Array);
    expect(map).toHaveLength(width * height);
    expect([map.width, map.height, map.shape]).toEqual([width, height, [height, width]]);
    expect(Array.from(map)).toEqual(Array.from(data));
    for (const derived of [
      map.slice(0, 5),
      map.map((value) => value * 2),
      map.subarray(1, 3),
      map.filter((value) => value > 0.5),
    ]) {
      expect(derived).not.toBeInstanceOf(AnomalyMap);
      expect(derived).toBeInstanceOf(Float32Array);
    }
    expect(map.toMask(0.5).reduce((sum, value) => sum + value, 0)).toBe((width / 2) * height);
  });

  test('from and of give plain arrays too', () => {
    const doubled = AnomalyMap.from([1, 2, 3], (value, index) => value * 2 + index);
    for (const plain of [doubled, AnomalyMap.from(new Set([2, 5, 8])), AnomalyMap.of(2, 5, 8)]) {
      expect(plain).not.toBeInstanceOf(AnomalyMap);
      expect(plain).toEqual(Float32Array.of(2, 5, 8));
    }
    expect(AnomalyMap.from({ length: 2, 0: 4, 1: 5 })).toEqual(Float32Array.of(4, 5));
    expect(AnomalyMap.of()).toHaveLength(0);
  });

  test('keeps its own copy', () => {
    const values = Float32Array.of(1, 2);
    const map = new AnomalyMap({ data: values, width: 2, height: 1 });
    values[0] = 9;
    expect(map[0]).toBe(1);
  });

  test('a size that does not fit is refused', () => {
    expect(() => new AnomalyMap({ data, width: 3, height: 3 })).toThrow(
      'a map of 3 x 3 values expected, found 4800 values',
    );
    expect(() => new AnomalyMap({ data: [], width: 0, height: 0 })).toThrow(ImageError);
  });

  test('every form is written and says by its content what it is', async () => {
    const map = new AnomalyMap({ data, width, height, source: picture, native });
    await map.save(at('deep/folder/overlay.png'));
    await map.save(at('overlay.webp'), { colorBar: false });
    await map.save(at('heatmap.jpg'), { as: 'heatmap', colorBar: false });
    await map.save(at('values.npy'));
    await map.save(at('values.png'), { as: 'map' });
    await map.save(at('mask.png'), { as: 'mask', threshold: 0.5 });
    await map.saveNative(at('native.npy'));

    const overlay = await sharp(at('deep/folder/overlay.png')).raw().toBuffer({ resolveWithObject: true });
    expect(overlay.info.width).toBeGreaterThan(width);
    // The left edge of the map is 0, so the picture shows as it is.
    expect(Array.from(overlay.data.subarray(0, 3))).toEqual([77, 77, 77]);
    expect(await sharp(at('overlay.webp')).metadata()).toMatchObject({ format: 'webp', width, height });
    expect(await sharp(at('heatmap.jpg')).metadata()).toMatchObject({ format: 'jpeg', width, height });
    expect(await readNpy(at('values.npy'))).toEqual({ dtype: 'float32', shape: [height, width], data });
    expect(Math.abs(((await readMap(at('values.png'))).data[17] as number) - (data[17] as number))).toBeLessThan(1e-5);
    const mask = await sharp(at('mask.png')).toColourspace('b-w').raw().toBuffer();
    expect(Array.from(mask)).toEqual(Array.from(map.toMask(0.5), (value) => value * 255));
    expect(await readNpy(at('native.npy'))).toEqual({ dtype: 'float32', shape: [2, 2], data: native.data });
    expect(fs.readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });

  test('the picture may be fetched only when it is needed', async () => {
    let asked = 0;
    const map = new AnomalyMap({
      data,
      width,
      height,
      source: () => {
        asked++;
        return Promise.resolve(picture);
      },
    });
    await map.render('heatmap');
    await map.save(at('lazy.npy'));
    expect(asked).toBe(0);
    await map.save(at('lazy.png'));
    expect(asked).toBe(1);
  });

  test('wrong use says what to do', async () => {
    const map = new AnomalyMap({ data, width, height, source: { width: 1, height: 1, data: new Uint8Array(3) } });
    const bare = new AnomalyMap({ data, width, height });
    await expect(map.save(at('x.bmp'))).rejects.toThrow('written as .png, .jpg, .jpeg, .webp; found the suffix ".bmp"');
    await expect(map.save(at('x.jpg'), { as: 'mask', threshold: 0.5 })).rejects.toThrow(UsageError);
    await expect(map.save(at('x.jpg'), { as: 'map' })).rejects.toThrow('.npy, .png');
    await expect(map.save(at('x.npy'), { as: 'overlay' })).rejects.toThrow(UsageError);
    await expect(map.save(at('x.png'), { as: 'mask' })).rejects.toThrow("{ as: 'mask', threshold: 0.5 }");
    await expect(bare.save(at('x.png'))).rejects.toThrow("{ as: 'heatmap' }");
    await expect(bare.saveNative(at('x.npy'))).rejects.toThrow(UsageError);
    await expect(map.save(at('x.png'))).rejects.toThrow('was 80 x 60 when it was scored and is 1 x 1 now');
    fs.writeFileSync(at('plain-file'), '');
    await expect(bare.save(at('plain-file/x.npy'))).rejects.toThrow('cannot be written');
    expect(fs.existsSync(at('x.png'))).toBe(false);
  });
});

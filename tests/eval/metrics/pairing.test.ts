import { pairByPath, type Pairs } from '../../../eval/metrics/pairing';
import { partsOf, type NamedFile } from '../../../eval/metrics/score-files';
import type { ListedImage } from '../../../eval/metrics/score-list';
import { UsageError } from '../../../lib/errors';

const files = (...paths: string[]): NamedFile<never>[] =>
  paths.map((path) => ({ path, parts: partsOf(path), read: () => Promise.reject(new Error('not read here')) }));
const rows = (...names: string[]): ListedImage[] =>
  names.map((name, at) => ({ name, parts: partsOf(name), line: at + 2, score: at, anomalous: undefined }));
const pairs = (maps: string[], masks: string[], list: string[] = []): Pairs =>
  pairByPath(files(...maps), files(...masks), rows(...list), 'set');
const told = ({ maps }: Pairs): Record<string, string> =>
  Object.fromEntries(maps.map(({ map, masks }) => [map.path, masks.map(({ path }) => path).join(' ')]));
const categories = (...maps: string[]): string[] => pairs(maps, []).maps.map(({ category }) => category);

describe('maps and masks belong together', () => {
  test.each([
    ['by name', '000.npy', '000.png'],
    ['with an ending of masks', '000.npy', '000_mask.png'],
    ['with an ending of maps', '000_anomaly_map.tiff', '000_mask.png'],
    ['when the name itself ends so', 'road_map.npy', 'road_map.png'],
    ['in the same folders', 'bottle/broken/000.npy', 'bottle/broken/000_mask.png'],
    ['in the folders of MVTec-AD', 'bottle/test/broken/000.npy', 'bottle/ground_truth/broken/000_mask.png'],
    ['with folders in the name, as detect writes them', 'broken-000.npy', 'ground_truth/broken/000_mask.png'],
    ['in upper and lower case', 'A/Part.NPY', 'a/part_MASK.PNG'],
    ['with blanks and accents in either form', 'tête à/1.npy', 'te\u0302te a\u0300/1.png'],
    ['with dots in the name', 'a.b.c.npy', 'a.b.c.png'],
  ])('%s: %s and %s', (_, map, mask) => {
    const result = pairs([map], [mask]);
    expect(told(result)).toEqual({ [map]: mask });
    expect(result.masksLeftOver).toEqual([]);
  });

  test('never by position, nor by the name alone across folders', () => {
    const result = pairs(['a/000.npy', 'b/001.npy'], ['a/001.png', 'b/000.png']);
    expect(told(result)).toEqual({ 'a/000.npy': '', 'b/001.npy': '' });
    expect(result.masksLeftOver.map(({ path }) => path)).toEqual(['a/001.png', 'b/000.png']);
  });

  test('several masks of one image are all its own; a picture of its name beside them is the image', () => {
    const result = pairs(['7.npy', '8.npy'], ['7.png', '7_mask.png', '7_mask_2.png', '8.png', '9_mask.png']);
    expect(told(result)).toEqual({ '7.npy': '7_mask.png 7_mask_2.png', '8.npy': '8.png' });
    expect(result.masksLeftOver.map(({ path }) => path)).toEqual(['9_mask.png']);
    expect(result.imageFiles.map(({ path }) => path)).toEqual(['7.png']);
  });

  test.each([
    [
      'an exact name wins',
      ['board.npy', 'board_label.npy', 'plain.npy'],
      ['board.png', 'board_label.png', 'plain.png'],
      ['board.png', 'board_label.png', 'plain.png'],
      '',
    ],
    [
      'a mask whose map is lost goes to no other',
      ['board.npy', 'plain.npy'],
      ['board.png', 'board_label.png', 'plain.png'],
      ['board.png', 'plain.png'],
      'board_label.png',
    ],
    ['two maps of one image do not share a mask', ['road.npy', 'road_map.npy'], ['road.png'], ['road.png', ''], ''],
    ['and an exact name wins among them', ['road.npy', 'road_map.npy'], ['road_map.png'], ['', 'road_map.png'], ''],
    ['case tells names apart where both are there', ['A.npy', 'a.npy'], ['a.png', 'A.png'], ['A.png', 'a.png'], ''],
    ['one name in two folders', ['x/1.npy', 'y/1.npy'], ['y/1.png', 'x/1.png'], ['x/1.png', 'y/1.png'], ''],
    [
      'names of built-in properties',
      ['__proto__/constructor.npy', 'toString.npy'],
      ['__proto__/constructor.png', 'toString_mask.png'],
      ['__proto__/constructor.png', 'toString_mask.png'],
      '',
    ],
  ])('each mask to one map at most: %s', (_, maps, masks, expected, left) => {
    const result = pairs(maps, masks);
    expect(told(result)).toEqual(Object.fromEntries(maps.map((map, at) => [map, expected[at]])));
    expect(result.masksLeftOver.map(({ path }) => path).join(' ')).toBe(left);
  });

  test('where there are folders of masks, what lies in folders of images is no mask, not even of a normal image', () => {
    const result = pairs(
      ['broken/0.npy', 'good/0.npy'],
      ['ground_truth/broken/0.png', 'test/broken/0.png', 'test/good/0.png', 'train/good/1.png'],
    );
    expect(told(result)).toEqual({ 'broken/0.npy': 'ground_truth/broken/0.png', 'good/0.npy': '' });
    // Masks of one's own data lie below test, and without folders of masks, the folders say nothing.
    expect(told(pairs(['nut/bent/0.npy'], ['test/nut/masks/bent/0_mask.png', 'test/nut/bent/0.png']))).toEqual({
      'nut/bent/0.npy': 'test/nut/masks/bent/0_mask.png',
    });
    expect(told(pairs(['broken/0.npy', 'good/0.npy'], ['test/broken/0.png', 'images/good/0.png']))).toEqual({
      'broken/0.npy': 'test/broken/0.png',
      'good/0.npy': 'images/good/0.png',
    });
    expect([result.masksLeftOver, result.imageFiles.map(({ path }) => path)]).toEqual([
      [],
      ['test/broken/0.png', 'test/good/0.png', 'train/good/1.png'],
    ]);
  });

  test('rows of scores are found in the same ways, and those left over are told', () => {
    const result = pairs(
      ['nut/good/0.npy', 'nut/bad/0_scores.npy'],
      [],
      ['nut/bad/0.jpg', 'NUT/test/good/0', 'bolt/0.png'],
    );
    expect(result.maps.map(({ listed }) => listed?.line)).toEqual([3, 2]);
    expect(result.rowsLeftOver.map(({ line }) => line)).toEqual([4]);
  });

  test('each row belongs to one map at most, and an exact name wins', () => {
    const result = pairs(['a.npy', 'a_map.npy', 'b_map.npy', 'B2.npy', 'b2.npy'], [], ['a_map', 'b', 'b2', 'B2']);
    expect(result.maps.map(({ listed }) => listed?.name)).toEqual([undefined, 'a_map', 'b', 'B2', 'b2']);
    expect(result.rowsLeftOver).toEqual([]);
  });

  test('two maps, two masks or two rows of one name are refused', () => {
    expect(() => pairs(['1.npy'], ['1.png', '1.npy'])).toThrow(/two masks have one name: 1.png and 1.npy/);
    expect(() => pairs(['a/1.npy'], ['a-1.png', 'a/1.png'])).toThrow(/two masks have one name: a-1.png and a\/1.png/);
    expect(() => pairs(['a/1.npy', 'a/test/1.npy'], [])).toThrow(UsageError);
    expect(() => pairs(['a/1.npy', 'a/test/1.npy'], [])).toThrow(/two maps have one name: a\/1.npy and a\/test\/1.npy/);
    expect(() => pairs(['1.npy'], [], ['1.png', '1.jpg'])).toThrow(
      /two rows of scores have one name: 1.png \(line 2\) and 1.jpg \(line 3\)\. Keep one of them, or give them different names\.$/,
    );
  });
});

describe('categories', () => {
  test.each([
    ['the folder itself, without folders in it', ['1.npy', '2.npy'], ['set', 'set']],
    ['the first folder', ['nut/1.npy', 'bolt/scratch/1.npy'], ['nut', 'bolt']],
    [
      'what stands before test',
      ['metal/nut/test/good/1.npy', 'bolt/test/1.npy', 'test/bad/1.npy'],
      ['metal/nut', 'bolt', 'set'],
    ],
    ['one, where folders are kinds of defects', ['good/1.npy', 'scratch/2.npy'], ['set', 'set']],
    ['one, where the normal ones are called otherwise', ['scratch/2.npy', 'OK/1.npy'], ['set', 'set']],
    ['one, however they are called', ['normal/1.npy', 'scratch/2.npy'], ['set', 'set']],
  ])('are %s', (_, maps, expected) => {
    expect(categories(...maps)).toEqual(expected);
  });
});

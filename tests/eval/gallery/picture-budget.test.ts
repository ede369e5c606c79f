import sharp from 'sharp';
import { fitThumbnails, type SetThumbnails } from '../../../eval/gallery/picture-budget';
import { SHOWN_KINDS, selectImages } from '../../../eval/gallery/selection';
import { categoryOf, evaluationOf } from '../report/sample-evaluation';

const noise = Uint8Array.from({ length: 288 * 200 * 3 }, (_, at) => (Math.imul(at + 1, 2654435761) >>> 13) & 255);
let address: string;
beforeAll(async () => {
  const bytes = await sharp(noise, { raw: { width: 288, height: 200, channels: 3 } })
    .webp({ quality: 60 })
    .toBuffer();
  address = `data:image/webp;base64,${bytes.toString('base64')}`;
});

/** One category with three images of each kind, all with the same picture. */
function setOf(name: string): SetThumbnails {
  const selection = selectImages(
    evaluationOf([categoryOf(name, [0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.5, 0.6, 0.7, 0.8], { root: `/${name}` })]),
  );
  const paths = selection.categories.flatMap(({ images }) =>
    SHOWN_KINDS.flatMap((kind) => images[kind].map(({ path }) => path)),
  );
  return {
    selection,
    thumbnails: new Map(paths.map((path) => [path, { original: address, overlay: address, width: 288, height: 200 }])),
  };
}

const sizeOf = (sets: readonly SetThumbnails[]): number =>
  sets.reduce(
    (sum, { thumbnails }) =>
      sum + [...thumbnails.values()].reduce((own, { original, overlay }) => own + original.length + overlay.length, 0),
    0,
  );
const imagesOf = (sets: readonly SetThumbnails[]): number =>
  sets.reduce(
    (sum, { selection }) =>
      sum +
      selection.categories.reduce(
        (own, { images }) => own + SHOWN_KINDS.reduce((of, kind) => of + images[kind].length, 0),
        0,
      ),
    0,
  );

test('a single set keeps what it has, several keep two of each kind', async () => {
  const one = await fitThumbnails([setOf('a')], 100 * address.length);
  expect([one.ofEachKind, one.side, imagesOf(one.sets)]).toEqual([3, null, 9]);
  const two = await fitThumbnails([setOf('a'), setOf('b')], 100 * address.length);
  expect([two.ofEachKind, two.side, imagesOf(two.sets)]).toEqual([2, null, 12]);
  expect(two.sets.map(({ thumbnails }) => thumbnails.size)).toEqual([6, 6]);
});

test('fewer of each kind where they do not fit, the first staying', async () => {
  const budget = 6 * address.length;
  const { sets, ofEachKind, side } = await fitThumbnails([setOf('a')], budget);
  expect([ofEachKind, side]).toEqual([1, null]);
  expect(sizeOf(sets)).toBe(budget);
  expect(sets[0]?.selection.categories[0]?.images.found.map(({ score }) => score)).toEqual([0.8]);
  expect(sets[0]?.selection.categories[0]?.images.missed.map(({ score }) => score)).toEqual([0.3]);
});

test('then smaller, in the same shape', async () => {
  const { sets, ofEachKind, side } = await fitThumbnails([setOf('a')], 3 * address.length);
  expect(ofEachKind).toBe(1);
  expect(side).toBeLessThan(288);
  expect(sizeOf(sets)).toBeLessThanOrEqual(3 * address.length);
  const [small] = [...(sets[0]?.thumbnails.values() ?? [])];
  const { width, height } = await sharp(Buffer.from(small?.overlay.split(',')[1] as string, 'base64')).metadata();
  expect([width, height]).toEqual([small?.width, small?.height]);
  expect(width).toBe(side);
  expect(height).toBe(Math.round((200 * (side as number)) / 288));
});

test('at last the sets that come last go without, and stay within what is given', async () => {
  const tiny = await fitThumbnails([setOf('a')], 1);
  const least = sizeOf((await fitThumbnails([setOf('a')], sizeOf(tiny.sets) + 1)).sets);
  expect(least).toBe(0);
  const all = await fitThumbnails([setOf('a'), setOf('b')], 20_000);
  expect(sizeOf(all.sets)).toBeLessThanOrEqual(20_000);
  expect(all.sets[1]?.thumbnails.size ?? 0).toBeLessThanOrEqual(all.sets[0]?.thumbnails.size ?? 0);
});

import fc from 'fast-check';
import { pairByName } from '../../datasets/mask-names';
import { checkDataset } from '../../datasets/check';
import { openDataset } from '../../datasets/dataset';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';
import { makeTree, png, removeTrees } from './tree';

afterEach(removeTrees);

/** Masks of each image, and what is left over, all without folders and `.png`. */
function told(images: readonly string[], masks: readonly string[]): { of: Record<string, string>; left: string } {
  const plain = (file: string): string => file.replace('masks/', '').replace(/\.png$/, '');
  const { masksOf, problems } = pairByName(
    images.map((name) => `images/${name}.png`),
    masks.map((name) => `masks/${name}.png`),
  );
  return {
    of: Object.fromEntries(images.map((name) => [name, masksOf(`images/${name}.png`).map(plain).join(' ')])),
    left: problems.map(({ path }) => plain(path)).join(' '),
  };
}

test.each([
  [
    'an exact name wins over an ending',
    ['board', 'board_label', 'plain'],
    ['board', 'board_label', 'plain'],
    ['board', 'board_label', 'plain'],
    '',
  ],
  ['in whatever order', ['board_label', 'board'], ['board_label', 'board'], ['board_label', 'board'], ''],
  ['and with three of them', ['a', 'a_mask', 'a_mask_2'], ['a', 'a_mask', 'a_mask_2'], ['a', 'a_mask', 'a_mask_2'], ''],
  [
    'where every mask has the ending, so has that of an image with one',
    ['board', 'board_label', 'plain'],
    ['board_label', 'board_label_label', 'plain_label'],
    ['board_label', 'board_label_label', 'plain_label'],
    '',
  ],
  [
    'a mask whose image is lost is left over, not joined to another',
    ['board', 'plain'],
    ['board', 'board_label', 'plain'],
    ['board', 'plain'],
    'board_label',
  ],
  [
    'a mask of an exact name is not used again for an image without one',
    ['board', 'board_label'],
    ['board_label'],
    ['', 'board_label'],
    '',
  ],
  [
    'several masks by endings are one union',
    ['7', '8'],
    ['7_mask1', '7_mask_2', '7-label', '8'],
    ['7_mask1 7_mask_2 7-label', '8'],
    '',
  ],
  ['pictures beside masks are left over', ['7', '8'], ['7', '7_mask', '8', '8_mask'], ['7_mask', '8_mask'], '7 8'],
  ['upper and lower case make no difference', ['Part', 'b'], ['PART_Mask', 'B'], ['PART_Mask', 'B'], ''],
  ['unless both are there', ['a', 'A'], ['A', 'a'], ['a', 'A'], ''],
  ['with endings too', ['a', 'A'], ['A_mask', 'a_mask'], ['a_mask', 'A_mask'], ''],
  [
    'an ending of images',
    ['fine_1_fram', 'fine_2_fram'],
    ['fine_1_mask', 'fine_2_mask'],
    ['fine_1_mask', 'fine_2_mask'],
    '',
  ],
  [
    'an ending of images beside the image without it',
    ['x', 'x_img'],
    ['x_mask', 'x_img_mask'],
    ['x_mask', 'x_img_mask'],
    '',
  ],
  ['of which only one has a mask', ['x', 'x_img'], ['x_mask'], ['x_mask', ''], ''],
])('%s', (_, images, masks, expected, left) => {
  expect(told(images, masks)).toEqual({ of: Object.fromEntries(images.map((name, at) => [name, expected[at]])), left });
});

test('two images of one name do not share a mask: the second has none', () => {
  const { masksOf, problems } = pairByName(['images/a.jpg', 'images/a.png'], ['masks/a.png']);
  expect([masksOf('images/a.jpg'), masksOf('images/a.png'), problems]).toEqual([['masks/a.png'], [], []]);
});

test('whatever the names: each mask is used once or left over, and names that are all exact find each other', () => {
  const name = fc
    .tuple(
      fc.constantFrom('a', 'b', 'A', 'b2'),
      fc.constantFrom('', '_mask', '_label', '_mask_2', '_img', '_label_mask'),
    )
    .map((parts) => parts.join(''));
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(names, names, (images, masks) => {
      const { masksOf, problems } = pairByName(
        images.map((image) => `i/${image}.jpg`),
        masks.map((mask) => `m/${mask}.png`),
      );
      const used = [...images.flatMap((image) => masksOf(`i/${image}.jpg`)), ...problems.map(({ path }) => path)];
      expect([...used].sort()).toEqual(masks.map((mask) => `m/${mask}.png`).sort());
      const same = pairByName(
        images.map((image) => `i/${image}.jpg`),
        images.map((image) => `m/${image}.png`),
      );
      expect(images.map((image) => same.masksOf(`i/${image}.jpg`))).toEqual(images.map((image) => [`m/${image}.png`]));
    }),
  );
});

test('a set in which one image is called as the mask of another', async () => {
  const picture = await png(4, 2, 9);
  // What each mask marks tells them apart: board one pixel, board_label all of them, plain nothing.
  const root = makeTree({
    'images/board.png': picture,
    'images/board_label.png': picture,
    'images/plain.png': picture,
    'masks/board.png': await png(4, 2, 0, 255),
    'masks/board_label.png': await png(4, 2, 255),
    'masks/plain.png': await png(4, 2, 0),
  });
  const dataset = await openDataset(root);
  const samples = dataset.categories[0]?.samples ?? [];
  expect(samples.map(({ anomalous, maskParts }) => [anomalous, maskParts])).toEqual([
    [true, undefined],
    [true, undefined],
    [false, undefined],
  ]);
  const marked = await Promise.all(
    samples.map(async ({ maskPath }) =>
      (await loadMaskAtOwnSize(maskPath as string)).data.reduce((sum, value) => sum + value, 0),
    ),
  );
  expect(marked).toEqual([1, 8, 0]);
  expect((await checkDataset(dataset)).problems).toEqual([]);
  const lost = makeTree({
    'images/board.png': picture,
    'images/plain.png': picture,
    'masks/board.png': picture,
    'masks/board_label.png': picture,
    'masks/plain.png': picture,
  });
  expect(
    (await checkDataset(await openDataset(lost))).problems.map(({ kind, message }) => [
      kind,
      message.replace(lost, ''),
    ]),
  ).toEqual([['stray-mask', 'no image belongs to the mask /masks/board_label.png']]);
});

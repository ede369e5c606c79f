import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import { checkDataset } from '../../datasets/check';
import { openDataset } from '../../datasets/dataset';
import { readFrame } from '../../lib/image/decode';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';
import { decodeSample, readSample } from '../../train/network-input';
import { makeTree, removeTrees } from './tree';

beforeEach(() => {
  process.env['CRANE_CACHE'] = makeTree([], 'cache');
});
afterEach(() => {
  delete process.env['CRANE_CACHE'];
  removeTrees();
});

/** A picture of the file size 4 x 2 whose upper left pixel is white, and a mask of that pixel. */
const corner = (...at: number[]): Buffer =>
  Buffer.from(Array.from({ length: 8 }, (_, place) => (at.includes(place) ? 255 : 0)));
const photograph = (orientation: number): Promise<Buffer> =>
  sharp(corner(0), { raw: { width: 4, height: 2, channels: 1 } })
    .withMetadata({ orientation })
    .png()
    .toBuffer();
const mask = (...at: number[]): Promise<Buffer> =>
  sharp(corner(...at), { raw: { width: 4, height: 2, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'of orientation %i: mask and picture are turned alike in training, also where the mask is the union of several',
  async (orientation) => {
    const image = await photograph(orientation);
    const root = makeTree({
      'images/1.png': image,
      'masks/1.png': await mask(0),
      'images/2.png': image,
      'masks/2_mask1.png': await mask(0),
      'masks/2_mask2.png': await mask(1),
    });
    const { categories } = await openDataset(root);
    const samples = categories.flatMap((category) => category.samples);
    const size = orientation > 4 ? [2, 4] : [4, 2];
    for (const [index, sample] of samples.entries()) {
      const frame = await readFrame(sample.imagePath);
      const { width, height, data } = await loadMaskAtOwnSize(sample.maskPath as string, { image: frame });
      expect([width, height]).toEqual(size);
      expect(data.reduce((sum, value) => sum + value, 0)).toBe(index + 1);
      const { pixels, mask: truth } = await decodeSample(sample, (await readSample(sample)).contents, 8, {
        resize: 'bicubic',
        mean: [0, 0, 0],
        std: [1, 1, 1],
        reference: false,
      });
      // The brightest pixel of the network's input is anomalous, in the orientation in which it is seen.
      const brightest = pixels.indexOf(Math.max(...pixels)) / 3;
      expect(truth[Math.floor(brightest)]).toBe(1);
    }
  },
);

test('the check says that masks are turned with their images, and names one whose shape fits neither way', async () => {
  const root = makeTree({
    'images/1.png': await photograph(6),
    'masks/1.png': await mask(0),
    'images/2.png': await photograph(6),
    'masks/2.png': await sharp(Buffer.alloc(9, 255), { raw: { width: 3, height: 3, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer(),
  });
  const { problems, notes } = await checkDataset(await openDataset(root));
  expect(problems.map(({ kind, severity, path: file }) => [kind, severity, path.basename(file)])).toEqual([
    ['mask-size', 'error', '2.png'],
  ]);
  expect(problems[0]?.message).toContain('a mask of 3x3 for an image of 2x4, turned by its EXIF orientation 6');
  expect(notes).toContainEqual(
    expect.stringMatching(/^2 images turned by EXIF orientation, with a mask: masks follow the pixels/),
  );
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('the check tells of orientation %i, unless it is upright', async (orientation) => {
  const root = makeTree({ 'images/1.png': await photograph(orientation), 'masks/1.png': await mask(0) });
  const { problems, notes } = await checkDataset(await openDataset(root));
  expect(problems).toEqual([]);
  expect(notes.filter((note) => note.startsWith('1 image turned by EXIF orientation'))).toHaveLength(
    orientation === 1 ? 0 : 1,
  );
});

test('what each of the lost masks marks is seen by the check', async () => {
  const folder = path.join(__dirname, '..', 'image', 'masks-lost');
  const names = fs.readdirSync(folder);
  const image = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#808080' } })
    .png()
    .toBuffer();
  const root = makeTree(
    Object.fromEntries(
      names.flatMap((name) => [
        [`images/${name}`, image],
        [`masks/${name}`, fs.readFileSync(path.join(folder, name))],
      ]),
    ),
  );
  const { counts, problems } = await checkDataset(await openDataset(root));
  expect(counts).toMatchObject({ images: 6, normal: 0, anomalous: 6 });
  expect(problems).toEqual([]);
});

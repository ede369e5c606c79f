import * as fs from 'node:fs';
import * as path from 'node:path';
import sharp from 'sharp';
import { openDataset, type Dataset } from '../../datasets/dataset';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';
import { makeTree, removeTrees } from './tree';

beforeEach(() => {
  process.env['CRANE_CACHE'] = makeTree([], 'cache');
});

afterEach(() => {
  delete process.env['CRANE_CACHE'];
  removeTrees();
});

/** A JPEG of 6 x 4. */
const picture = (orientation?: number, height = 4): Promise<Buffer> => {
  const image = sharp({ create: { width: 6, height, channels: 3, background: '#777' } });
  return (orientation === undefined ? image : image.withMetadata({ orientation })).jpeg().toBuffer();
};

/** Each image with its defect, or `-`, and the rows of its mask. */
async function read({ categories }: Dataset): Promise<string[]> {
  const samples = categories.flatMap((category) => category.samples);
  return Promise.all(
    samples.map(async ({ imagePath, anomalous, defect, maskPath }) => {
      const mask = maskPath === null ? undefined : await loadMaskAtOwnSize(maskPath);
      const rows =
        mask &&
        Array.from({ length: mask.height }, (_, row) =>
          [...mask.data.subarray(row * mask.width, (row + 1) * mask.width)]
            .map((value) => (value ? '#' : '.'))
            .join(''),
        ).join('/');
      return [path.basename(imagePath), anomalous ? defect : '-', ...(rows === undefined ? [] : [rows])].join(' ');
    }),
  );
}

const kinds = ({ problems }: Dataset): string[] => problems.map(({ kind }) => kind);

describe('yolo', () => {
  test('outlines in fractions of the sides, several and of several classes; empty files and none; names from data.yaml', async () => {
    const root = makeTree({
      'images/a.jpg': await picture(),
      'labels/a.txt': '0 0 0 0.5 0 0.5 0.5 0 0.5\r\n1 0.5 0.75 1 0.75 1 1 0.5 1\r\n',
      'images/b.jpg': await picture(),
      'labels/b.txt': '\n',
      'images/c.jpg': await picture(),
      'labels/C.TXT': '2 0 0 1 0 1 1 0 1\n',
      'images/d.jpg': await picture(),
      'labels/stray.txt': '0 0 0 1 0 1 1\n',
      'data.yaml': 'names:\n  0: scratch\n  1: dent\n  2: good\n',
    });
    const dataset = await openDataset(root);
    // 6 x 4: half of the width is 3 pixels, half of the height 2.
    expect(await read(dataset)).toEqual([
      'a.jpg dent+scratch ###.../###.../....../...###',
      'b.jpg -',
      'c.jpg -',
      'd.jpg -',
    ]);
    expect(dataset).toMatchObject({ layout: 'yolo', hasMasks: true });
    expect(dataset.problems.map(({ kind, message }) => `${kind} ${message.replaceAll(`${root}/`, '')}`)).toEqual([
      'stray-mask no image belongs to the label labels/stray.txt',
      'unlabelled-image 1 image has no label file and is taken as normal, such as images/d.jpg',
    ]);
    expect(dataset.leftOut).toEqual([path.join(root, 'labels/stray.txt')]);
  });

  test('boxes alone are labels without masks; beside outlines they leave a mask unknown', async () => {
    const files = {
      'images/a.jpg': await picture(),
      'labels/a.txt': '0 0.5 0.5 0.2 0.2\n',
      'images/b.jpg': await picture(),
      'labels/b.txt': '',
    };
    const boxes = await openDataset(makeTree(files));
    expect(await read(boxes)).toEqual(['a.jpg class 0', 'b.jpg -']);
    expect(boxes).toMatchObject({
      layout: 'yolo',
      hasMasks: false,
      problems: [{ kind: 'boxes', severity: 'warning' }],
    });
    const mixed = makeTree({ ...files, 'labels/b.txt': '0 0 0 1 0 1 1 0 1\n' });
    await expect(openDataset(mixed)).rejects.toThrow(/a\.txt marks 1 place of .*a\.jpg by boxes/);
    expect(await read(await openDataset(mixed, { allowIncomplete: true }))).toEqual([
      'a.jpg class 0',
      'b.jpg class 0 ######/######/######/######',
    ]);
  });

  test.each([
    ['pixels', '0 1 1 3 1 3 3\n', /line 1 has numbers outside 0 to 1; expected fractions/],
    ['an odd number', '0 0 0 0.5 0 0.5 0.5 1\n', /line 1 has 7 numbers after the class/],
    ['a box with its score', '\n0 0.5 0.5 0.2 0.2 0.9\n', /line 2 has 5 numbers/],
    ['no numbers', '0 0 0 1 0 1 1\ncrack here\n', /line 2 is not a class and numbers/],
  ])('%s is named, and its image does not become normal', async (_, text, message) => {
    const root = makeTree({
      'images/a.jpg': await picture(),
      'labels/a.txt': text,
      'images/b.jpg': await picture(),
      'labels/b.txt': '0 0 0 1 0 1 1\n',
    });
    await expect(openDataset(root)).rejects.toThrow(message);
    expect((await read(await openDataset(root, { allowIncomplete: true })))[0]).toBe(
      text.includes('crack') ? 'a.jpg anomaly+class 0' : 'a.jpg class 0',
    );
  });

  test('a drawing that is called as a picture is no picture, and no mask is drawn for it', async () => {
    const drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="6" height="4"><rect width="6" height="4"/></svg>';
    const outline = '0 0 0 0.5 0 0.5 0.5 0 0.5\n';
    const root = makeTree({
      'images/a.png': drawing,
      'labels/a.txt': outline,
      'images/b.jpg': await picture(),
      'labels/b.txt': outline,
    });
    const { problems } = await openDataset(root, { allowIncomplete: true });
    expect(problems).toContainEqual(
      expect.objectContaining({
        kind: 'unreadable',
        path: path.join(root, 'images/a.png'),
        message: expect.stringContaining('a drawing (SVG)') as string,
      }),
    );
  });

  test('a picture that is to be turned is refused, since nothing says whether it was when it was drawn on', async () => {
    const root = makeTree({ 'images/a.jpg': await picture(6), 'labels/a.txt': '0 0 0 1 0 1 1\n' });
    await expect(openDataset(root)).rejects.toThrow(/EXIF orientation 6.*save the image turned/);
  });
});

const categories = [
  { id: 1, name: 'crack' },
  { id: 2, name: 'hole' },
  { id: 3, name: 'background' },
];

describe('coco', () => {
  const image = (id: number, file: string, more: object = { width: 6, height: 4 }): object => ({
    id,
    file_name: file,
    ...more,
  });
  const marks = (image_id: number, category_id: number, segmentation: unknown): object => ({
    id: 100 + image_id,
    image_id,
    category_id,
    segmentation,
  });

  test('polygons, runs, packed runs; several categories; images without annotations; boxes', async () => {
    const list = {
      images: ['a', 'b', 'c', 'd', 'e'].map((name, id) => image(id, `${name}.jpg`)),
      annotations: [
        marks(0, 1, [
          [1, 1, 3, 1, 3, 3, 1, 3],
          [4, 0, 5, 0, 5, 1, 4, 1],
        ]),
        marks(0, 2, { size: [4, 6], counts: [23, 1] }),
        // Down the columns of 4: two pixels from the second one on.
        marks(1, 2, { size: [4, 6], counts: [1, 2, 21] }),
        // The same packed: "1" is 1, "2" is 2, 21 is 21 + 32 and 0.
        marks(2, 2, { size: [4, 6], counts: '12e0' }),
        marks(3, 3, [[0, 0, 6, 0, 6, 4, 0, 4]]),
      ],
      categories,
    };
    const files = Object.fromEntries(
      await Promise.all(
        ['a', 'b', 'c', 'd', 'e'].map(async (name) => [`images/${name}.jpg`, await picture()] as const),
      ),
    );
    const dataset = await openDataset(
      makeTree({ ...files, 'annotations/instances_default.json': JSON.stringify(list) }),
    );
    expect(await read(dataset)).toEqual([
      'a.jpg crack+hole ....#./.##.../.##.../.....#',
      'b.jpg hole ....../#...../#...../......',
      'c.jpg hole ....../#...../#...../......',
      'd.jpg -',
      'e.jpg -',
    ]);
    expect(dataset).toMatchObject({ layout: 'coco', hasMasks: true, problems: [], leftOut: [] });
  });

  test('masks are drawn once, and again where the list changed', async () => {
    const list = (points: number[]): string =>
      JSON.stringify({ images: [image(1, 'a.jpg')], annotations: [marks(1, 1, [points])], categories });
    const root = makeTree({ 'a.jpg': await picture(), 'coco.json': list([0, 0, 1, 0, 1, 1, 0, 1]) });
    const [first, again] = [await openDataset(root), await openDataset(root)].map(
      (dataset) => dataset.categories[0]?.samples[0]?.maskPath,
    );
    expect(again).toBe(first);
    expect(fs.readdirSync(root).sort()).toEqual(['a.jpg', 'coco.json']);
    fs.writeFileSync(path.join(root, 'coco.json'), list([5, 3, 6, 3, 6, 4, 5, 4]));
    expect(await read(await openDataset(root))).toEqual(['a.jpg crack ....../....../....../.....#']);
  });

  test.each<[string, object[], object[], RegExp]>([
    [
      'a lost image',
      [image(1, 'a.jpg'), image(2, 'gone.jpg')],
      [],
      /names gone\.jpg, but there is no such file in the set/,
    ],
    [
      'an image outside of the set',
      [image(1, '../cache/x.jpg')],
      [],
      /names \.\.\/cache\/x\.jpg, but there is no such file in the set/,
    ],
    [
      'an annotation of no image',
      [image(1, 'a.jpg')],
      [marks(9, 1, [])],
      /annotation 109 belongs to the image 9, which is not in the list/,
    ],
    ['one id twice', [image(1, 'a.jpg'), image(1, 'b.jpg')], [], /gives several images the same id/],
    [
      'a polygon of two points',
      [image(1, 'a.jpg')],
      [marks(1, 1, [[0, 0, 1, 1]])],
      /annotation 101 has a polygon of 4 numbers/,
    ],
    [
      'runs of another size',
      [image(1, 'a.jpg')],
      [marks(1, 1, { size: [6, 4], counts: [24] })],
      /has runs for 4x6 pixels, and its image 6x4/,
    ],
    [
      'runs that are too short',
      [image(1, 'a.jpg')],
      [marks(1, 1, { size: [4, 6], counts: [3, 20] })],
      /has runs of 23 pixels, and its image 24/,
    ],
    [
      'packed runs that are none',
      [image(1, 'a.jpg')],
      [marks(1, 1, { size: [4, 6], counts: 'o' })],
      /has runs of no readable number of pixels/,
    ],
    [
      'an image without a size',
      [image(1, 'a.jpg', {})],
      [marks(1, 1, [[0, 0, 1, 0, 1, 1]])],
      /whose width and height the list does not say/,
    ],
    [
      'another size than the file',
      [image(1, 'a.jpg', { width: 12, height: 8 })],
      [marks(1, 1, [[0, 0, 1, 0, 1, 1]])],
      /describes .*a\.jpg as 12x8, but it is 6x4/,
    ],
    [
      'a size beyond all bounds',
      [image(1, 'a.jpg', { width: 1e9, height: 1e9 })],
      [marks(1, 1, [[0, 0, 1, 0, 1, 1]])],
      /as 1000000000x1000000000, but it is 6x4/,
    ],
    [
      'turned, in a way that the size does not tell',
      [image(1, 't.jpg')],
      [marks(1, 1, [[0, 0, 1, 0, 1, 1]])],
      /EXIF orientation 3/,
    ],
    [
      'turned, with equal sides',
      [image(1, 's.jpg', { width: 6, height: 6 })],
      [marks(1, 1, [[0, 0, 1, 0, 1, 1]])],
      /EXIF orientation 6/,
    ],
    ['no form of COCO', [{ id: 1 }], [], /cannot be read as a list in the form of COCO: .*file_name/],
  ])('%s is named', async (_, images, annotations, message) => {
    const root = makeTree({
      'a.jpg': await picture(),
      'b.jpg': await picture(),
      't.jpg': await picture(3),
      's.jpg': await picture(6, 6),
      'coco.json': JSON.stringify({ images, annotations, categories }),
    });
    fs.mkdirSync(path.join(root, '../cache'), { recursive: true });
    fs.writeFileSync(path.join(root, '../cache/x.jpg'), await picture());
    await expect(openDataset(root)).rejects.toThrow(message);
  });

  test('a photograph that was turned before it was drawn on', async () => {
    const root = makeTree({
      't.jpg': await picture(6),
      'coco.json': JSON.stringify({
        images: [image(1, 't.jpg', { width: 4, height: 6 })],
        annotations: [marks(1, 1, [[0, 0, 1, 0, 1, 1, 0, 1]])],
        categories,
      }),
    });
    expect(await read(await openDataset(root))).toEqual(['t.jpg crack #.../..../..../..../..../....']);
  });
});

describe('labelme', () => {
  const label = (...shapes: object[]): string =>
    JSON.stringify({
      version: '5.4.1',
      flags: {},
      shapes,
      imagePath: 'x',
      imageData: null,
      imageWidth: 6,
      imageHeight: 4,
    });
  const polygon = {
    label: 'crack',
    shape_type: 'polygon',
    points: [
      [1, 1],
      [3, 1],
      [3, 3],
      [1, 3],
    ],
  };

  test('polygons are masks, images without shapes normal', async () => {
    const dataset = await openDataset(
      makeTree({ 'a.jpg': await picture(), 'a.json': label(polygon), 'b.jpg': await picture(), 'b.json': label() }),
    );
    expect(await read(dataset)).toEqual(['a.jpg crack ....../.##.../.##.../......', 'b.jpg -']);
    expect(dataset).toMatchObject({ layout: 'labelme', hasMasks: true, problems: [] });
  });

  test('rectangles are boxes; other shapes, and labels without a size, are named', async () => {
    const rectangle = {
      label: 'crack',
      shape_type: 'rectangle',
      points: [
        [1, 1],
        [3, 3],
      ],
    };
    expect(kinds(await openDataset(makeTree({ 'a.jpg': await picture(), 'a.json': label(rectangle) })))).toEqual([
      'boxes',
    ]);
    await expect(
      openDataset(makeTree({ 'a.jpg': await picture(), 'a.json': label({ ...polygon, shape_type: 'linestrip' }) })),
    ).rejects.toThrow(/marks crack by a linestrip of 4 points/);
    await expect(
      openDataset(makeTree({ 'a.jpg': await picture(), 'a.json': JSON.stringify({ shapes: [polygon] }) })),
    ).rejects.toThrow(/does not say the width and height of its image/);
    await expect(
      openDataset(makeTree({ 'a.jpg': await picture(), 'a.json': JSON.stringify({ shapes: 3 }) })),
    ).rejects.toThrow(/cannot be read as a label of LabelMe/);
  });
});

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describeReading, openDataset, type Dataset } from '../../datasets/dataset';
import { standInNames, writeStandIn } from '../../tools/stand-ins';
import { layouts } from '../../datasets/layouts';
import { takeInventory } from '../../datasets/inventory';
import { testSplitOf } from '../../datasets/splits';
import { surveyDataset } from '../../datasets/survey';
import { makeTree, png, removeTrees } from './tree';

let cache: string;

beforeAll(() => {
  cache = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-choice-'));
  process.env['CRANE_CACHE'] = path.join(cache, 'cache');
});

afterEach(removeTrees);

afterAll(() => {
  delete process.env['CRANE_CACHE'];
  fs.rmSync(cache, { recursive: true, force: true });
});

type Tree = Record<string, 'image' | 'mask' | 'empty' | (string & {})>;

/** A folder with pictures of 8 x 8: images, masks that mark a pixel, and masks that mark nothing. */
async function tree(files: Tree, name?: string): Promise<string> {
  const pictures: Record<string, Buffer> = {
    image: await png(8, 8, 40),
    mask: await png(8, 8, 0, 255),
    empty: await png(8, 8, 0),
  };
  return makeTree(
    Object.fromEntries(Object.entries(files).map(([file, content]) => [file, pictures[content] ?? content])),
    name,
  );
}

/** So many files of a kind, their number in the place of the #. */
function many(count: number, pattern: string, content: string): Tree {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [pattern.replace('#', String(at)), content]));
}

const describeChoice = (dataset: Dataset): unknown[] => {
  const samples = dataset.categories.flatMap((category) => category.samples);
  return [
    dataset.layout,
    samples.length,
    samples.filter(({ anomalous, hasMask }) => anomalous && hasMask).length,
    dataset.leftOut.length,
  ];
};

const item = (image: string, mask: string, anomaly: number): object => ({
  img_path: image,
  mask_path: mask,
  cls_name: 'nut',
  specie_name: anomaly ? 'bent' : 'good',
  anomaly,
});
const coco = (images: [number, string][], annotations: object[]): string =>
  JSON.stringify({
    images: images.map(([id, file]) => ({ id, file_name: file, width: 8, height: 8 })),
    annotations,
    categories: [{ id: 1, name: 'crack' }],
  });
const square = '0 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5\n';

/** Magnetic tiles as their own repository gives them. */
const magneticTile: Tree = {
  'README.md': 'text',
  'dataset.jpg': 'image',
  'dataset.png': 'image',
  ...(Object.assign(
    {},
    ...(['Blowhole', 'Break', 'Crack', 'Fray', 'Uneven'].map((kind) => ({
      ...many(2, `MT_${kind}/Imgs/exp1_num_#.jpg`, 'image'),
      ...many(2, `MT_${kind}/Imgs/exp1_num_#.png`, 'mask'),
    })) as Tree[]),
  ) as Tree),
  ...many(5, 'MT_Free/Imgs/exp1_num_#.jpg', 'image'),
  ...many(5, 'MT_Free/Imgs/exp1_num_#.png', 'empty'),
};

const brainMri: Tree = { ...many(5, 'no/# no.jpg', 'image'), ...many(7, 'yes/Y#.jpg', 'image'), 'yes/Y3.png': 'image' };

const cases: [what: string, files: Tree, layout: string, images: number, masked: number, leftOut: number][] = [
  [
    'mvtec',
    {
      'nut/train/good/0.png': 'image',
      'nut/test/good/0.png': 'image',
      'nut/test/bent/1.png': 'image',
      'nut/ground_truth/bent/1_mask.png': 'mask',
      'nut/ground_truth/good/0_mask.png': 'empty',
      'nut/validation/good/3.png': 'image',
      'nut/defects_config.json': '[]',
      'licence.txt': '',
    },
    'mvtec',
    2,
    1,
    0,
  ],
  [
    'mvtec with a stray picture and list',
    {
      'nut/test/good/0.png': 'image',
      'nut/test/bent/1.png': 'image',
      'nut/ground_truth/bent/1_mask.png': 'mask',
      'nut/preview.gif': '',
      'nut/scores.csv': 'a,b\n',
    },
    'mvtec',
    2,
    1,
    2,
  ],
  [
    'meta-json',
    {
      'a.png': 'image',
      'b.png': 'image',
      'm/b.png': 'mask',
      'c.png': 'image',
      'meta.json': JSON.stringify({
        train: { nut: [item('c.png', '', 0)] },
        test: { nut: [item('a.png', '', 0), item('b.png', 'm/b.png', 1)] },
      }),
    },
    'meta-json',
    2,
    1,
    0,
  ],
  [
    'visa',
    {
      'pcb/Data/Images/Normal/0.JPG': 'image',
      'pcb/Data/Images/Normal/1.JPG': 'image',
      'pcb/Data/Images/Anomaly/0.JPG': 'image',
      'pcb/Data/Masks/Anomaly/0.png': 'mask',
      'pcb/image_anno.csv': 'image,label,mask\n',
      'split_csv/2cls.csv': '',
      'split_csv/1cls.csv':
        'object,split,label,image,mask\npcb,train,normal,pcb/Data/Images/Normal/0.JPG,\npcb,test,normal,pcb/Data/Images/Normal/1.JPG,\npcb,test,anomaly,pcb/Data/Images/Anomaly/0.JPG,pcb/Data/Masks/Anomaly/0.png\n',
    },
    'visa',
    2,
    1,
    0,
  ],
  [
    'headct',
    {
      'labels.csv': 'id, hemorrhage\n0,1\n1,0\n',
      'head_ct/head_ct/000.png': 'image',
      'head_ct/head_ct/001.png': 'image',
      'head_ct/head_ct/002.png': 'image',
    },
    'headct',
    2,
    0,
    1,
  ],
  [
    'kolektor',
    {
      'kos01/Part0.jpg': 'image',
      'kos01/Part0_label.bmp': 'mask',
      'kos01/Part1.jpg': 'image',
      'kos01/Part1_label.bmp': 'empty',
    },
    'kolektor',
    3,
    1,
    0,
  ],
  [
    'dagm',
    {
      'Class1/Train/0001.PNG': 'image',
      'Class1/Train/Label/Labels.txt': '',
      'Class1/Test/0002.PNG': 'image',
      'Class1/Test/0003.PNG': 'image',
      'Class1/Test/Label/0003_label.PNG': 'mask',
    },
    'dagm',
    2,
    1,
    0,
  ],
  [
    'csv',
    {
      'list.csv': 'path,label,mask,split\np/1.png,ok,,test\np/2.png,ng,m/2.png,test\np/3.png,ok,,train\n',
      'p/1.png': 'image',
      'p/2.png': 'image',
      'p/3.png': 'image',
      'p/4.png': 'image',
      'm/2.png': 'mask',
    },
    'csv',
    2,
    1,
    1,
  ],
  [
    'crane-custom',
    {
      'train/nut/good/0.png': 'image',
      'test/nut/good/0.png': 'image',
      'test/nut/bent/1.png': 'image',
      'test/nut/masks/1_mask.png': 'mask',
    },
    'crane-custom',
    2,
    1,
    0,
  ],
  [
    'images-masks',
    { 'images/1.png': 'image', 'masks/1.png': 'mask', 'images/2.png': 'image', 'masks/2.png': 'empty' },
    'images-masks',
    2,
    1,
    0,
  ],
  [
    'images-masks in splits',
    {
      'train/images/1.png': 'image',
      'train/masks/1.png': 'mask',
      'test/images/2.png': 'image',
      'test/masks/2.png': 'mask',
    },
    'images-masks',
    1,
    1,
    0,
  ],
  [
    'images-masks, the splits inside',
    {
      'images/train/1.png': 'image',
      'masks/train/1.png': 'mask',
      'images/val/2.png': 'image',
      'masks/val/2.png': 'mask',
    },
    'images-masks',
    1,
    1,
    0,
  ],
  ['masks-beside: magnetic tiles as distributed', magneticTile, 'masks-beside', 15, 10, 2],
  ['masks-beside in one folder', { 'a.png': 'image', 'a_mask.png': 'mask', 'b.png': 'image' }, 'masks-beside', 2, 1, 0],
  [
    'masks-beside in splits',
    {
      'train/a.png': 'image',
      'train/a_GT.png': 'mask',
      'train/b.png': 'image',
      'test/c.png': 'image',
      'test/c_GT.png': 'mask',
    },
    'masks-beside',
    1,
    1,
    0,
  ],
  [
    'yes-no: BrainMRI as distributed, with one image in two formats',
    {
      ...brainMri,
      ...Object.fromEntries(
        Object.entries(brainMri).map(([file, content]) => [`brain_tumor_dataset/${file}`, content]),
      ),
    },
    'yes-no',
    13,
    0,
    0,
  ],
  [
    'yes-no in splits',
    { 'train/ok/1.png': 'image', 'train/ng/1.png': 'image', 'val/ok/1.png': 'image', 'val/ng/1.png': 'image' },
    'yes-no',
    2,
    0,
    0,
  ],
  [
    'coco',
    {
      'annotations/instances_default.json': coco(
        [
          [1, 'a.jpg'],
          [2, 'b.jpg'],
        ],
        [{ id: 1, image_id: 2, category_id: 1, segmentation: [[2, 2, 4, 2, 4, 4, 2, 4]] }],
      ),
      'images/a.jpg': 'image',
      'images/b.jpg': 'image',
      'images/c.jpg': 'image',
    },
    'coco',
    2,
    1,
    1,
  ],
  [
    'coco in splits',
    {
      'train/_annotations.coco.json': coco([[0, 'a.jpg']], []),
      'train/a.jpg': 'image',
      'test/_annotations.coco.json': coco(
        [[0, 'b.jpg']],
        [{ image_id: 0, category_id: 1, segmentation: { size: [8, 8], counts: [9, 2, 53] } }],
      ),
      'test/b.jpg': 'image',
      'README.dataset.txt': '',
    },
    'coco',
    1,
    1,
    0,
  ],
  [
    'yolo',
    {
      'data.yaml': 'names: [crack]\n',
      'images/a.jpg': 'image',
      'labels/a.txt': square,
      'images/b.jpg': 'image',
      'labels/b.txt': '',
    },
    'yolo',
    2,
    1,
    0,
  ],
  [
    'yolo in splits',
    {
      'data.yaml': 'names: [crack]\n',
      'train/images/a.jpg': 'image',
      'train/labels/a.txt': square,
      'test/images/b.jpg': 'image',
      'test/labels/b.txt': square,
      'valid/images/c.jpg': 'image',
      'valid/labels/c.txt': '',
    },
    'yolo',
    1,
    1,
    0,
  ],
  [
    'yolo, the splits inside',
    {
      'images/train/a.jpg': 'image',
      'labels/train/a.txt': square,
      'images/val/b.jpg': 'image',
      'labels/val/b.txt': square,
    },
    'yolo',
    1,
    1,
    0,
  ],
  [
    'yolo beside the images',
    { 'a.jpg': 'image', 'a.txt': square, 'b.jpg': 'image', 'b.txt': '', 'classes.txt': 'crack\n' },
    'yolo',
    2,
    1,
    0,
  ],
  [
    'labelme',
    {
      'a.jpg': 'image',
      'a.json': JSON.stringify({
        version: '5',
        shapes: [
          {
            label: 'crack',
            points: [
              [2, 2],
              [4, 2],
              [4, 4],
            ],
            shape_type: 'polygon',
          },
        ],
        imageWidth: 8,
        imageHeight: 8,
      }),
      'b.jpg': 'image',
    },
    'labelme',
    2,
    1,
    0,
  ],
  [
    'a set in a folder in a folder, beside pictures of it',
    {
      'castings/castings/images/1.png': 'image',
      'castings/castings/masks/1.png': 'mask',
      'castings/castings/images/2.png': 'image',
      'castings/castings/masks/2.png': 'mask',
      'cover.jpg': 'image',
      'cover.png': 'image',
      '__MACOSX/castings/._1.png': '',
      'castings/.DS_Store': '',
      'Thumbs.db': '',
    },
    'images-masks',
    2,
    2,
    2,
  ],
  [
    'endings in upper case and odd names',
    {
      'images/Stück (1).JPG': 'image',
      [`masks/${'Stück (1)'.normalize('NFD')}.Png`]: 'mask',
      'images/II İı.jpeg': 'image',
      'masks/ii İı_MASK.PNG': 'mask',
    },
    'images-masks',
    2,
    2,
    0,
  ],
];

test.each(cases)('%s', async (_, files, layout, images, masked, leftOut) => {
  const root = await tree(files);
  expect(describeChoice(await openDataset(root, { allowIncomplete: true }))).toEqual([layout, images, masked, leftOut]);
  // The name that decides nothing: one of a registered set that lies otherwise.
  expect(surveyDataset(root, { layout }).layout).toBe(layout);
});

test('every registered layout is among them', () => {
  expect([...new Set(cases.map(([, , layout]) => layout))].sort()).toEqual(layouts.map(({ name }) => name).sort());
});

test.each(['set', 'brainmri', 'magnetic-tile', 'mvtec', 'yes'])(
  'a folder called %s decides nothing alone',
  async (name) => {
    expect(
      describeChoice(await openDataset(await tree(brainMri, name), { allowIncomplete: true })).slice(0, 2),
    ).toEqual(['yes-no', 13]);
    expect(describeChoice(await openDataset(await tree(magneticTile, name), { allowIncomplete: true }))).toEqual([
      'masks-beside',
      15,
      10,
      2,
    ]);
  },
);

const fakes: Readonly<Record<string, readonly [layout: string, images: number, masked: number]>> = {
  mvtec: ['mvtec', 60, 30],
  visa: ['visa', 48, 24],
  mpdd: ['mvtec', 24, 12],
  btad: ['mvtec', 12, 6],
  sdd: ['kolektor', 5, 2],
  dagm: ['dagm', 40, 20],
  dtd: ['mvtec', 48, 24],
  isic: ['images-masks', 4, 4],
  'cvc-colondb': ['images-masks', 4, 4],
  'cvc-clinicdb': ['images-masks', 4, 4],
  tn3k: ['images-masks', 4, 4],
  headct: ['headct', 4, 0],
  brainmri: ['yes-no', 4, 0],
  br35h: ['yes-no', 4, 0],
};

test.each(standInNames)(
  'the fake of %s: by its own name, and in a folder called otherwise',
  async (name) => {
    const { root } = await writeStandIn(name, path.join(cache, 'fakes'), { imagesPerCategory: 4, imageSize: 16 });
    const expected = [...(fakes[name] as [string, number, number])];
    expect(describeChoice(await openDataset(root))).toEqual([...expected, 0]);
    const other = path.join(cache, `other ${name}`);
    fs.renameSync(root, other);
    // Without the registry nobody knows that the folder pred/ of Br35H has no labels.
    expect(describeChoice(await openDataset(other))).toEqual([...expected, name === 'br35h' ? 2 : 0]);
  },
  60_000,
);

test('a plain folder of pictures', async () => {
  const root = await tree({ 'a/1.png': 'image', 'b/2.tif': 'image', 'list.txt': '' });
  const dataset = await openDataset(root, { allowUnlabelled: true });
  expect(describeChoice(dataset)).toEqual(['bare-folder', 2, 0, 1]);
  expect(describeReading(dataset)).toBe('bare-folder layout: 2 images, no labels; 1 file is not part of it');
});

test('what was read is said in one line', async () => {
  const lineOf = async (files: Tree, name?: string): Promise<string> =>
    describeReading(await openDataset(await tree(files, name), { allowIncomplete: true }));
  expect(await lineOf(magneticTile)).toBe('masks-beside layout: 15 images, 10 with masks; 2 files are not part of it');
  expect(await lineOf(brainMri)).toBe('yes-no layout: 13 images, 8 anomalous, no masks');
  expect(await lineOf({ 'images/1.png': 'image', 'images/2.png': 'image', 'masks/1.png': 'mask' })).toBe(
    'images-masks layout: 2 images, 2 anomalous, 1 with masks',
  );
});

test('layouts that explain as many files and read them otherwise: the first is taken, and it is said', async () => {
  const files = {
    'images/1.png': 'image',
    'masks/1.png': 'mask',
    'list.csv': 'path,label\nimages/1.png,0\nmasks/1.png,0\n',
  };
  const root = await tree(files);
  const dataset = await openDataset(root);
  expect(dataset.layout).toBe('csv');
  expect(dataset.problems).toEqual([
    {
      kind: 'ambiguous',
      severity: 'warning',
      path: root,
      message: `${root} fits the layouts csv and images-masks equally well (2 files each), but they read it differently. csv is used; \`layout: 'images-masks'\` reads it the other way`,
    },
  ]);
  expect(describeChoice(await openDataset(root, { layout: 'images-masks' }))).toEqual(['images-masks', 1, 1, 1]);
  // A list that says the same as the folders is no rival.
  fs.writeFileSync(path.join(root, 'list.csv'), 'path,mask\nimages/1.png,masks/1.png\n');
  expect((await openDataset(root)).problems).toEqual([]);
});

test('yes and no, where every anomalous image has a twin that may be its mask: the mask is taken, and it is said', async () => {
  const dataset = await openDataset(
    await tree({ ...many(3, 'no/#.jpg', 'image'), ...many(3, 'yes/#.jpg', 'image'), ...many(3, 'yes/#.png', 'mask') }),
  );
  expect([...describeChoice(dataset), ...dataset.problems.map(({ kind }) => kind)]).toEqual([
    'masks-beside',
    6,
    3,
    0,
    'ambiguous',
  ]);
});

test('a list that gives other masks than the folders is a rival', async () => {
  const root = await tree({
    'images/1.png': 'image',
    'masks/1.png': 'mask',
    'other/x.png': 'mask',
    'list.csv': 'path,label,mask\nimages/1.png,1,other/x.png\n',
  });
  const { layout, problems } = await openDataset(root);
  expect([layout, ...problems.map(({ kind }) => kind)]).toEqual(['csv', 'ambiguous', 'left-out']);
});

test('of several pairs of folders the larger one is read, and the rest is left out', async () => {
  const pairs = {
    'a/ok/1.png': 'image',
    'a/ng/1.png': 'image',
    ...many(2, 'b/ok/#.png', 'image'),
    ...many(2, 'b/ng/#.png', 'image'),
  };
  expect(describeChoice(await openDataset(await tree(pairs)))).toEqual(['yes-no', 4, 0, 2]);
  // Of single folder and folders for conditions with as many pictures: the single one.
  const dataset = await openDataset(
    await tree({ 'a.png': 'image', 'a_mask.png': 'mask', 'crack/b.png': 'image', 'crack/b_mask.png': 'mask' }),
  );
  expect([...describeChoice(dataset), path.basename(dataset.categories[0]?.samples[0]?.imagePath ?? '')]).toEqual([
    'masks-beside',
    1,
    1,
    2,
    'a.png',
  ]);
});

test('a second copy is known by its names and sizes; other pictures of the same names are left out', async () => {
  const root = await tree({
    'yes/1.png': 'image',
    'no/1.png': 'image',
    'more/yes/1.png': 'image',
    'more/no/1.png': 'a longer file than the picture itself, which is some hundred bytes '.repeat(9),
  });
  expect((await openDataset(root)).leftOut.map((file) => path.relative(root, file))).toEqual(['more/no/1.png']);
});

test('folders of images called as conditions are one category; as things, a category each', async () => {
  const categoriesOf = async (files: Tree): Promise<unknown> =>
    (await openDataset(await tree(files), { normalWithoutMask: true })).categories.map(({ name, samples }) => [
      name,
      samples.map(({ anomalous }) => anomalous),
    ]);
  expect(
    await categoriesOf({ 'images/bad/1.png': 'image', 'masks/bad/1.png': 'mask', 'images/good/2.png': 'image' }),
  ).toEqual([['set', [true, false]]]);
  expect(
    await categoriesOf({
      'images/nut/1.png': 'image',
      'masks/nut/1.png': 'mask',
      'images/bolt/2.png': 'image',
      'masks/bolt/2.png': 'empty',
    }),
  ).toEqual([
    ['bolt', [false]],
    ['nut', [true]],
  ]);
});

test.each([
  [['test', 'train', 'x'], ['test'], ['train']],
  [['Testing', 'Training'], ['Testing'], ['Training']],
  [['val', 'train'], ['val'], ['train']],
  [['val', 'x'], ['val', 'x'], []],
  [['train', 'x'], ['train', 'x'], []],
  [['instances_test2017', 'instances_val2017'], ['instances_test2017'], ['instances_val2017']],
  [['latest', 'contest'], ['latest', 'contest'], []],
])('of %j the test split is %j', (parts, test, others) => {
  expect(testSplitOf(parts, (part) => part)).toEqual({ test, others });
});

test('an inventory has each file once, by its own name, and no readmes, licences or hidden files', () => {
  const root = makeTree([
    'z.png',
    'list.json',
    'README.md',
    'readme.txt',
    'License',
    'LICENSE.txt',
    '.DS_Store',
    '._z.png',
    'Thumbs.db',
    '__MACOSX/a.png',
    'fake.json',
    'tool.py',
    'x.GIF',
    'readme-of-images.csv',
    'licences/a.png',
  ]);
  fs.symlinkSync('z.png', path.join(root, 'a.png'));
  expect(takeInventory(root).map(({ path: file, kind }) => `${kind} ${path.relative(root, file)}`)).toEqual([
    'picture z.png',
    'list list.json',
    'picture x.GIF',
    'picture licences/a.png',
  ]);
});

test('a layout by name: any that fits, none that does not', async () => {
  const root = await tree({ 'images/1.png': 'image', 'masks/1.png': 'mask', 'a.jpg': 'image', 'a.png': 'mask' });
  expect(describeChoice(await openDataset(root, { layout: 'Masks-Beside' }))).toEqual(['masks-beside', 1, 1, 2]);
  await expect(openDataset(root, { layout: 'visa' })).rejects.toThrow(
    `${root} does not have the layout visa: it has a.jpg, a.png, images, masks. Looked for:\n  visa: CATEGORY/Data`,
  );
  await expect(openDataset(root, { layout: 'mvtek' })).rejects.toThrow(
    /there is no layout "mvtek"; known: meta-json, visa, .*bare-folder/,
  );
  expect(describeChoice(await openDataset(root, { layout: 'bare-folder', allowUnlabelled: true })).slice(0, 2)).toEqual(
    ['bare-folder', 4],
  );
});

describe('masks only for the defects', () => {
  const files: Tree = {
    'images/1.png': 'image',
    'images/2.png': 'image',
    'images/3.png': 'image',
    'masks/1.png': 'mask',
    'masks/3.png': 'empty',
  };

  test('an image without a mask is refused, or normal where that is said', async () => {
    const root = await tree(files);
    await expect(openDataset(root)).rejects.toThrow(
      /images\/2\.png is anomalous but has no mask[\s\S]*`normalWithoutMask: true`/,
    );
    const dataset = await openDataset(root, { normalWithoutMask: true });
    expect(dataset.problems).toEqual([]);
    expect(
      dataset.categories[0]?.samples.map(({ imagePath, anomalous, defect }) => [
        path.basename(imagePath),
        anomalous,
        defect,
      ]),
    ).toEqual([
      ['1.png', true, 'anomaly'],
      ['2.png', false, 'good'],
      ['3.png', false, 'good'],
    ]);
  });

  test('where images without a mask go on as anomalous, that is said', async () => {
    const { problems, categories } = await openDataset(await tree(files), { allowIncomplete: true });
    expect(
      problems.filter(({ kind }) => kind === 'ambiguous').map(({ severity, message }) => [severity, message]),
    ).toEqual([
      [
        'warning',
        '1 image without a mask counts as anomalous, its mask as missing; where such images are normal, say so (`normalWithoutMask: true`)',
      ],
    ]);
    expect(categories[0]?.samples.map(({ anomalous }) => anomalous)).toEqual([true, true, false]);
    const folders = await openDataset(
      await tree({
        'nut/test/good/0.png': 'image',
        'nut/test/bent/1.png': 'image',
        'nut/test/bent/2.png': 'image',
        'nut/ground_truth/bent/1.png': 'mask',
      }),
      { allowIncomplete: true },
    );
    expect(folders.problems.map(({ kind }) => kind)).toEqual(['missing-mask']);
  });

  test('it changes nothing where a folder says that an image is anomalous', async () => {
    const root = await tree({
      'nut/test/good/0.png': 'image',
      'nut/test/bent/1.png': 'image',
      'nut/test/bent/2.png': 'image',
      'nut/ground_truth/bent/1.png': 'mask',
    });
    await expect(openDataset(root, { normalWithoutMask: true })).rejects.toThrow(
      /bent\/2\.png is anomalous but has no mask/,
    );
    const { problems, categories } = await openDataset(await tree(brainMri), { normalWithoutMask: true });
    expect(categories[0]?.samples.filter(({ anomalous }) => anomalous)).toHaveLength(8);
    expect(problems).toMatchObject([
      { kind: 'ambiguous', message: expect.stringContaining('changes nothing') as string },
    ]);
  });
});

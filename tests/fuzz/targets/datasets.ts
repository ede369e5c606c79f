import * as path from 'node:path';
import { openDataset } from '../../../datasets/dataset';
import { readScoreList } from '../../../eval/metrics/score-list';
import { jsonOf, mutateJson, textOf } from '../mutate/json';
import { pngChunks, writePng } from '../mutate/pictures';
import { mutateTable } from '../mutate/table';
import type { Files, Target } from '../target';

const picture = writePng(pngChunks(0, 8));
const pictures = (...names: readonly string[]): Files =>
  Object.fromEntries(names.map((name) => [`set/${name}`, picture]));

/** A folder in a folder, since lists may name paths above their own. */
async function openSet(folder: string): Promise<void> {
  await openDataset(path.join(folder, 'set'), { allowIncomplete: true });
}

const metaFiles = pictures('a/good/1.png', 'a/bad/2.png', 'a/masks/2.png', 'b/3.png');
const item = (img_path: string, cls_name: string, anomaly: number, mask_path: string | null = null): unknown => ({
  img_path,
  mask_path,
  cls_name,
  specie_name: anomaly === 1 ? 'bad' : 'good',
  anomaly,
});
const meta = jsonOf({
  train: { a: [] },
  test: {
    a: [item('a/good/1.png', 'a', 0), item('a/bad/2.png', 'a', 1, 'a/masks/2.png')],
    b: [item('b/3.png', 'b', 0, '')],
  },
});
const metaWords = [
  'test',
  'train',
  'img_path',
  'mask_path',
  'cls_name',
  'specie_name',
  'anomaly',
  'good',
  'bad',
  'a',
  'b',
  'a/good/1.png',
  'a/bad/2.png',
  'a/masks/2.png',
  'set/b/3.png',
  '../set/b/3.png',
  'a',
  '.',
  'meta.json',
];

const listFiles = pictures('1.png', '2.png', 'm/2.png', 'm/2b.png');
const list = [
  ['path', 'label', 'mask', 'category', 'defect', 'split'],
  ['1.png', '0', '', 'a', '', 'test'],
  ['2.png', '1', 'm/2.png;m/2b.png', 'a', 'scratch', 'test'],
  ['1.png', 'normal', '', 'b', '', 'train'],
];
const listWords = [
  'path',
  'image',
  'label',
  'mask',
  'category',
  'defect',
  'split',
  'test',
  'train',
  '1.png',
  '2.png',
  'm/2.png',
  'm',
  '0',
  '1',
  'ok',
  'ng',
  '0.0',
  '1.0',
  '-1',
  'good',
  'bad',
  '.',
  '..',
  '/',
  '/dev/null',
  'm/2.png|m/2.png',
];
const text = (rows: readonly (readonly string[])[]): Buffer => Buffer.from(rows.map((row) => row.join()).join('\n'));

const listBytes = text(list);
const fakeRecord = jsonOf({
  fakeOf: 'mvtec',
  generator: 1,
  seed: 1,
  imagesPerCategory: 2,
  imageSize: 64,
  form: 'mvtec',
  normal: 1,
  anomalous: 1,
});
const fakeWords = [
  'fakeOf',
  'generator',
  'seed',
  'imagesPerCategory',
  'imageSize',
  'form',
  'normal',
  'anomalous',
  'mvtec',
];

const ctFiles = pictures('head_ct/000.png', 'head_ct/001.png');
const ctList = [
  ['id', 'hemorrhage'],
  ['0', '0'],
  ['1', '1'],
];
const visaFiles = pictures('a/Data/Images/Normal/1.png', 'a/Data/Images/Anomaly/2.png', 'a/Data/Masks/Anomaly/2.png');
const visaList = [
  ['object', 'split', 'label', 'image', 'mask'],
  ['a', 'test', 'normal', 'a/Data/Images/Normal/1.png', ''],
  ['a', 'test', 'anomaly', 'a/Data/Images/Anomaly/2.png', 'a/Data/Masks/Anomaly/2.png'],
  ['a', 'train', 'normal', 'a/Data/Images/Normal/1.png', ''],
];
/** Sets whose lists stand in files of names of their own. */
const listedSets = [
  { files: ctFiles, list: 'set/labels.csv', table: ctList, words: ['id', 'hemorrhage', '0', '1', '000', '01', '1e0'] },
  {
    files: visaFiles,
    list: 'set/split_csv/1cls.csv',
    table: visaList,
    words: [...(visaList[0] as string[]), ...(visaList[2] as string[]), 'normal', 'train', '.', '..', 'a/Data'],
  },
];

const coco = jsonOf({
  images: [
    { id: 1, file_name: '1.png', width: 9, height: 7 },
    { id: 2, file_name: '2.png', width: 9, height: 7 },
    { id: 'c', file_name: '3.png' },
  ],
  annotations: [
    {
      id: 1,
      image_id: 1,
      category_id: 1,
      segmentation: [
        [1, 1, 5, 1, 5, 4, 1, 4],
        [6, 5, 8, 5, 8, 6],
      ],
      bbox: [1, 1, 4, 3],
      area: 12,
      iscrowd: 0,
    },
    { id: 2, image_id: 2, category_id: 2, segmentation: { size: [7, 9], counts: [10, 20, 33] }, iscrowd: 1 },
    { id: 3, image_id: 2, category_id: 1, segmentation: { size: [7, 9], counts: ':D1' } },
  ],
  categories: [
    { id: 1, name: 'scratch' },
    { id: 2, name: 'dent' },
  ],
});
const cocoWords = [
  'images',
  'annotations',
  'categories',
  'id',
  'image_id',
  'category_id',
  'file_name',
  'segmentation',
  'size',
  'counts',
  'bbox',
  'width',
  'height',
  'name',
  'good',
  '1.png',
  '2.png',
  '../1.png',
  'PPYo',
  '~~~~~~',
  'oooooooooo0',
];
const labelMe = jsonOf({
  version: '5',
  shapes: [
    {
      label: 'scratch',
      points: [
        [1, 1],
        [5, 1],
        [5, 4],
      ],
      shape_type: 'polygon',
    },
    {
      label: 'dent',
      points: [
        [6, 5],
        [8, 6],
      ],
      shape_type: 'polygon',
    },
  ],
  imagePath: '1.png',
  imageWidth: 9,
  imageHeight: 7,
});
const labelMeWords = [
  'shapes',
  'label',
  'points',
  'shape_type',
  'polygon',
  'rectangle',
  'circle',
  'mask',
  'imageWidth',
  'imageHeight',
  'good',
  'flags',
];
const yoloRows = [['0 0.1 0.1 0.5 0.1 0.5 0.5'], ['1 0.5 0.75 1 0.75 1 1 0.5 1'], ['0 0.5 0.5 0.2 0.2']];
const yoloWords = [
  '0 0 0 1 0 1 1',
  '0 0.5 0.5 0.2 0.2',
  '-1 0 0 1 0 1 1',
  '0 1e308 1e308 -1e308 0 1 1',
  '99999999999 0 0 1 0 1 1',
  '0 nan nan nan nan',
  '0',
  '',
  '0 . . . . . .',
  `0${' 0.1 0.9'.repeat(2000)}`,
  '0 1e999 0 1 0 1 1',
];
const yoloNames = [
  'names: [scratch, dent]',
  'names:\n  0: scratch\n  1: good',
  'names: {__proto__: x, 0: y}',
  'names: &a [*a]',
  'names: 5',
  '&a [&b [*a, *b]]',
  'names: !!js/function x',
  'names: [a, a, a',
  '\0',
  'names: !!binary x',
  '? ? ? :',
  `names: ${'['.repeat(2000)}`,
  'a: &a [x, x, x]\nb: &b [*a, *a, *a]\nnames: [*b, *b]',
  'names: 2001-01-01',
  'test: ../../etc',
  '--- x\n--- y',
];
const outlined = pictures('1.png', '2.png', '3.png');
const yoloFiles = pictures('images/1.png', 'images/2.png');

const scores = [
  ['name', 'score', 'label'],
  ['a/1', '0.5', '0'],
  ['a/2.png', '0.9', '1'],
  ['b/3', '-1e3', 'anomaly'],
];
const scoreWords = [
  'name',
  'score',
  'label',
  'a/1',
  'b/3',
  '0',
  '1',
  '0.5',
  'NaN',
  'Infinity',
  '1e999',
  '-0',
  '0x10',
  'good',
  'anomalous',
  'ok',
  'ng',
  '1.0',
  '  1',
  '1,5',
  '9'.repeat(400),
];

export const datasetTargets: readonly Target[] = [
  {
    name: 'meta-json',
    group: 'datasets',
    seeds: [{ ...metaFiles, 'set/meta.json': Buffer.from(textOf(meta)) }],
    mutate: (random) => ({ ...metaFiles, 'set/meta.json': mutateJson(random, meta, metaWords) }),
    read: openSet,
  },
  {
    name: 'csv-list',
    group: 'datasets',
    seeds: [{ ...listFiles, 'set/list.csv': text(list) }],
    mutate: (random) => ({ ...listFiles, 'set/list.csv': mutateTable(random, list, listWords) }),
    read: openSet,
  },
  {
    name: 'listed-set',
    group: 'datasets',
    seeds: listedSets.map(({ files, list: name, table }) => ({ ...files, [name]: text(table) })),
    mutate(random) {
      const { files, list: name, table, words } = random.pick(listedSets);
      return { ...files, [name]: mutateTable(random, table, words) };
    },
    read: openSet,
  },
  {
    name: 'fake-record',
    group: 'datasets',
    seeds: [{ ...listFiles, 'set/list.csv': listBytes, 'set/fake.json': Buffer.from(textOf(fakeRecord)) }],
    mutate: (random) => ({
      ...listFiles,
      'set/list.csv': listBytes,
      'set/fake.json': mutateJson(random, fakeRecord, fakeWords),
    }),
    read: openSet,
  },
  {
    name: 'coco',
    group: 'datasets',
    seeds: [{ ...outlined, 'set/annotations/test.json': Buffer.from(textOf(coco)) }],
    mutate: (random) => ({ ...outlined, 'set/annotations/test.json': mutateJson(random, coco, cocoWords) }),
    read: openSet,
  },
  {
    name: 'labelme',
    group: 'datasets',
    seeds: [{ ...outlined, 'set/1.json': Buffer.from(textOf(labelMe)) }],
    mutate: (random) => ({ ...outlined, 'set/1.json': mutateJson(random, labelMe, labelMeWords) }),
    read: openSet,
  },
  {
    name: 'yolo',
    group: 'datasets',
    seeds: [
      {
        ...yoloFiles,
        'set/labels/1.txt': text(yoloRows.slice(0, 2)),
        'set/labels/2.txt': Buffer.from(''),
        'set/data.yaml': Buffer.from(yoloNames[0] as string),
      },
    ],
    mutate: (random) => ({
      ...yoloFiles,
      'set/labels/1.txt': mutateTable(random, yoloRows, yoloWords),
      'set/labels/2.txt': Buffer.from(random.pick(yoloWords)),
      'set/data.yaml': Buffer.from(random.pick(yoloNames)),
    }),
    read: openSet,
  },
  {
    name: 'score-list',
    group: 'datasets',
    seeds: [{ 'scores.csv': text(scores) }],
    mutate: (random) => ({ 'scores.csv': mutateTable(random, scores, scoreWords) }),
    read: (folder) => {
      readScoreList(path.join(folder, 'scores.csv'));
    },
  },
];

import * as fs from 'node:fs';
import * as path from 'node:path';
import { countSamples, openDataset, type Dataset } from '../../datasets/dataset';
import { describeWithGoldens, goldenPath } from '../goldens';
import { describeWithSamples, makeTree, removeTrees } from './tree';

afterEach(removeTrees);

/** Every sample as `category defect image < mask`, relative to the root, in the set's own order. */
function lines(dataset: Dataset): string[] {
  const relative = (file: string): string => path.relative(dataset.root, file);
  return dataset.categories.flatMap((category) =>
    category.samples.map(
      (sample) =>
        `${sample.category} ${sample.anomalous ? sample.defect : '-'} ${relative(sample.imagePath)}${sample.maskPath ? ` < ${relative(sample.maskPath)}` : ''}`,
    ),
  );
}

describe('mvtec', () => {
  const whole = [
    'nut/train/good/000.png',
    'nut/test/good/000.png',
    'nut/test/bent/000.PNG',
    'nut/ground_truth/bent/000_mask.png',
    'nut/test/bent/001.png',
    'nut/ground_truth/bent/001_mask.png',
    'bolt ü/test/ok/a b.jpeg',
    'bolt ü/test/ko/x.bmp',
    'bolt ü/ground_truth/ko/x.png',
  ];

  test('a set: sorted, masks by name, ok and ko, odd names and suffixes; train is not read', async () => {
    const dataset = await openDataset(makeTree(whole));
    expect(dataset).toMatchObject({ name: 'set', layout: 'mvtec', hasMasks: true, hasLabels: true, problems: [] });
    expect(lines(dataset)).toEqual([
      'bolt ü ko bolt ü/test/ko/x.bmp < bolt ü/ground_truth/ko/x.png',
      'bolt ü - bolt ü/test/ok/a b.jpeg',
      'nut bent nut/test/bent/000.PNG < nut/ground_truth/bent/000_mask.png',
      'nut bent nut/test/bent/001.png < nut/ground_truth/bent/001_mask.png',
      'nut - nut/test/good/000.png',
    ]);
    expect(countSamples(dataset.categories)).toEqual({ images: 5, normal: 2, anomalous: 3, masks: 3 });
  });

  test('one category alone', async () => {
    const dataset = await openDataset(path.join(makeTree(whole), 'nut'));
    expect(dataset.categories.map((category) => category.name)).toEqual(['nut']);
  });

  test('hidden files are skipped; links are followed, and what they lead to counts once', async () => {
    const root = makeTree([
      ...whole,
      'nut/test/good/._000.png',
      'nut/test/good/.DS_Store',
      '__MACOSX/test/good/000.png',
      'nut/test/good/notes.txt',
    ]);
    fs.symlinkSync(path.join(root, 'nut'), path.join(root, 'zz linked'));
    const dataset = await openDataset(root);
    expect(dataset.categories.map((category) => [category.name, category.samples.length])).toEqual([
      ['bolt ü', 2],
      ['nut', 3],
    ]);
    expect(dataset.problems).toMatchObject([{ kind: 'duplicate', severity: 'warning' }]);
    expect(dataset.problems[0]?.message).toContain('3 images are reached twice');
    const elsewhere = makeTree([]);
    fs.symlinkSync(path.join(root, 'nut'), path.join(elsewhere, 'linked'));
    expect(
      (await openDataset(elsewhere)).categories.map((category) => [category.name, category.samples.length]),
    ).toEqual([['linked', 3]]);
  });

  test('one mask lost: the others keep their images, and the loss is named', async () => {
    const root = makeTree(whole.filter((file) => file !== 'nut/ground_truth/bent/000_mask.png'));
    await expect(openDataset(root)).rejects.toThrow(
      /not complete:\n.*test\/bent\/000\.PNG is anomalous but has no mask/,
    );
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(lines(dataset)).toContain('nut bent nut/test/bent/001.png < nut/ground_truth/bent/001_mask.png');
    expect(lines(dataset)).toContain('nut bent nut/test/bent/000.PNG');
    expect(dataset.problems.map((problem) => problem.kind)).toEqual(['missing-mask']);
  });

  test('a lost ground_truth, a lost folder of masks and a lost test folder are named', async () => {
    const truth = makeTree(['nut/test/good/0.png', 'nut/test/bent/0.png', 'nut/test/bent/1.png']);
    await expect(openDataset(truth)).rejects.toThrow(
      `the folder ${truth}/nut/ground_truth is missing, so 2 anomalous images have no mask`,
    );
    const one = makeTree(['nut/test/bent/0.png', 'nut/test/cut/0.png', 'nut/ground_truth/cut/0_mask.png']);
    await expect(openDataset(one)).rejects.toThrow(
      `the folder ${one}/nut/ground_truth/bent is missing, so 1 anomalous image has no mask`,
    );
    const test = makeTree([...whole, 'screw/train/good/0.png']);
    await expect(openDataset(test)).rejects.toThrow(`the folder ${test}/screw/test is missing or has no images`);
  });

  test('a mask without an image is a warning', async () => {
    const dataset = await openDataset(makeTree([...whole, 'nut/ground_truth/bent/007_mask.png']));
    expect(dataset.problems).toMatchObject([{ kind: 'stray-mask', severity: 'warning' }]);
    expect(dataset.problems[0]?.path).toMatch(/007_mask\.png$/);
  });

  test('a registered set says which categories are missing, and no masks are asked of one that has none', async () => {
    const mvtec = await openDataset(makeTree(['grid/test/good/0.png'], 'MVTec_anomaly_detection'));
    expect(mvtec.name).toBe('mvtec');
    expect(mvtec.problems).toMatchObject([{ kind: 'missing-category', severity: 'warning' }]);
    expect(mvtec.problems[0]?.message).toContain('1 of the 15 categories of MVTec-AD; missing: bottle, cable');
    const mri = await openDataset(makeTree(['brain_mri/test/good/0.png', 'brain_mri/test/defect/0.png'], 'BrainMRI'));
    expect(mri).toMatchObject({ name: 'brainmri', hasMasks: false, problems: [] });
  });
});

describe('visa', () => {
  const header = 'object,split,label,image,mask\n';
  const files = {
    'pcb1/Data/Images/Normal/0.JPG': '',
    'pcb1/Data/Images/Normal/1.JPG': '',
    'pcb1/Data/Images/Anomaly/0.JPG': '',
    'pcb1/Data/Masks/Anomaly/0.png': '',
  };
  const rows =
    'pcb1,train,normal,pcb1/Data/Images/Normal/0.JPG,\r\npcb1,test,normal,pcb1/Data/Images/Normal/1.JPG,\r\n"pcb1",test,anomaly,pcb1/Data/Images/Anomaly/0.JPG,pcb1/Data/Masks/Anomaly/0.png\r\n';

  test('the list decides what the test split is', async () => {
    const dataset = await openDataset(makeTree({ ...files, 'split_csv/1cls.csv': header + rows }));
    expect(dataset.layout).toBe('visa');
    expect(lines(dataset)).toEqual([
      'pcb1 anomaly pcb1/Data/Images/Anomaly/0.JPG < pcb1/Data/Masks/Anomaly/0.png',
      'pcb1 - pcb1/Data/Images/Normal/1.JPG',
    ]);
  });

  test('a lost list, a lost column, a bad row and lost files are named', async () => {
    await expect(openDataset(makeTree(files))).rejects.toThrow(/split_csv\/1cls\.csv is missing/);
    await expect(openDataset(makeTree({ ...files, 'split_csv/1cls.csv': 'object,split,image\n' }))).rejects.toThrow(
      /label, mask are missing/,
    );
    await expect(
      openDataset(makeTree({ ...files, 'split_csv/1cls.csv': `${header}pcb1,test,strange,x.png,\n` })),
    ).rejects.toThrow(/line 2: object "pcb1", label "strange"/);
    await expect(
      openDataset(makeTree({ ...files, 'split_csv/1cls.csv': `${header}${rows}pcb1,test,normal,gone.JPG,\n` })),
    ).rejects.toThrow(/line 5 names .*gone\.JPG, which does not exist/);
    await expect(
      openDataset(
        makeTree({ ...files, 'split_csv/1cls.csv': `${header}pcb1,test,anomaly,pcb1/Data/Images/Anomaly/0.JPG,\n` }),
      ),
    ).rejects.toThrow(/no mask; looked for the column "mask"/);
  });
});

describe('images-masks', () => {
  test.each([
    ['same name', 'images/1.jpg', 'masks/1.png'],
    ['_label and an upper-case suffix', 'images/001.jpg', 'masks/001_label.PNG'],
    ['_fram and _mask', 'images/fine_3_1_fram.jpg', 'masks/fine_3_1_mask.jpg'],
    ['TN3K', 'test-image/0000.jpg', 'test-mask/0000.jpg'],
    ['ClinicDB', 'Original/1.tif', 'Ground Truth/1.tif'],
    [
      'ISIC',
      'ISBI2016_ISIC_Part1_Test_Data/ISIC_3.jpg',
      'ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_3_Segmentation.png',
    ],
  ])('%s', async (_, image, mask) => {
    const dataset = await openDataset(makeTree([image, mask]));
    expect(lines(dataset)).toEqual([`set anomaly ${image} < ${mask}`]);
    expect(dataset.problems).toEqual([]);
  });

  test('a registered folder gives its category its name; several folders are categories', async () => {
    expect((await openDataset(makeTree(['images/1.png', 'masks/1.png'], 'CVC-ColonDB'))).categories[0]?.name).toBe(
      'colon',
    );
    const dataset = await openDataset(
      makeTree(['a/images/1.png', 'a/masks/1.png', 'b/images/1.png', 'b/masks/1.png', 'c/readme.png']),
    );
    expect(dataset.categories.map((category) => category.name)).toEqual(['a', 'b']);
    expect(dataset.problems).toMatchObject([{ kind: 'left-out', severity: 'warning' }]);
  });

  test('pairs do not shift when one mask is lost', async () => {
    const root = makeTree([
      'images/1.png',
      'images/2.png',
      'images/3.png',
      'masks/1.png',
      'masks/3.png',
      'masks/4.png',
    ]);
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(lines(dataset).map((line) => line.split(' < ')[1])).toEqual(['masks/1.png', undefined, 'masks/3.png']);
    expect(dataset.problems.map((problem) => problem.kind).sort()).toEqual(['ambiguous', 'missing-mask', 'stray-mask']);
  });
});

describe('other layouts', () => {
  test('masks beside the images', async () => {
    const dataset = await openDataset(
      makeTree([
        'MT_Free/Imgs/f.jpg',
        'MT_Free/Imgs/f.png',
        'MT_Crack/Imgs/c.jpg',
        'MT_Crack/Imgs/c.png',
        'MT_Crack/Imgs/lost.png',
      ]),
    );
    expect(dataset.layout).toBe('masks-beside');
    expect(lines(dataset)).toEqual([
      'set Crack MT_Crack/Imgs/c.jpg < MT_Crack/Imgs/c.png',
      'set - MT_Free/Imgs/f.jpg < MT_Free/Imgs/f.png',
    ]);
    expect(dataset.problems.map((problem) => problem.kind)).toEqual(['stray-mask']);
  });

  test('headct: blanks in the header, ids without zeros, rows without files and files without rows', async () => {
    const root = makeTree(
      {
        'labels.csv': 'id, hemorrhage\n0,1\n10,0\n',
        'head_ct/head_ct/000.png': '',
        'head_ct/head_ct/010.png': '',
        'head_ct/head_ct/011.png': '',
      },
      'headct',
    );
    const dataset = await openDataset(root);
    expect(lines(dataset)).toEqual(['brain hemorrhage head_ct/head_ct/000.png', 'brain - head_ct/head_ct/010.png']);
    expect(dataset).toMatchObject({ name: 'headct', layout: 'headct', hasMasks: false });
    expect(dataset.problems).toMatchObject([{ kind: 'unlabelled-image', severity: 'warning' }]);
    fs.appendFileSync(path.join(root, 'labels.csv'), '77,1\n11,maybe\n');
    await expect(openDataset(root)).rejects.toThrow(/line 5: id "11", hemorrhage "maybe"[\s\S]*image 77/);
  });

  test('yes and no, without the second copy and the unlabelled folder', async () => {
    const dataset = await openDataset(
      makeTree(
        ['no/1.jpg', 'yes/1.JPG', 'pred/1.jpg', 'brain_tumor_dataset/no/1.jpg', 'brain_tumor_dataset/yes/1.JPG'],
        'brainmri',
      ),
    );
    expect(lines(dataset)).toEqual(['brain - no/1.jpg', 'brain tumour yes/1.JPG']);
  });

  test.each([
    ['good', 'bad'],
    ['OK', 'NG'],
    ['normal', 'abnormal'],
  ])(
    '%s and %s, with labels per image; where masks lie beside the images, those are read',
    async (normal, anomalous) => {
      const dataset = await openDataset(makeTree([`${normal}/1.png`, `${anomalous}/2.png`, 'other/3.png']));
      expect(dataset).toMatchObject({
        layout: 'yes-no',
        hasMasks: false,
        problems: [{ kind: 'left-out', message: expect.stringContaining('1 file is not part of it') as string }],
      });
      expect(lines(dataset).sort()).toEqual([
        `set - ${normal}/1.png`,
        `set ${anomalous.toLowerCase()} ${anomalous}/2.png`,
      ]);
      expect(
        (await openDataset(makeTree([`${normal}/1.png`, `${anomalous}/2.png`, `${anomalous}/2_mask.png`]))).layout,
      ).toBe('masks-beside');
    },
  );

  test('dagm: a file with a label is anomalous', async () => {
    const dataset = await openDataset(
      makeTree([
        'Class1/Test/0001.PNG',
        'Class1/Test/0002.PNG',
        'Class1/Test/Label/0002_label.PNG',
        'Class1/Train/0009.PNG',
      ]),
    );
    expect(lines(dataset)).toEqual([
      'Class1 - Class1/Test/0001.PNG',
      'Class1 defect Class1/Test/0002.PNG < Class1/Test/Label/0002_label.PNG',
    ]);
  });

  test('the form that the Crane program asks for', async () => {
    const dataset = await openDataset(
      makeTree(['train/nut/good/0.png', 'test/nut/good/0.png', 'test/nut/bent/1.png', 'test/nut/masks/1_mask.png']),
    );
    expect(dataset.layout).toBe('crane-custom');
    expect(lines(dataset)).toEqual([
      'nut bent test/nut/bent/1.png < test/nut/masks/1_mask.png',
      'nut - test/nut/good/0.png',
    ]);
  });

  test('meta.json: paths with and without the root, lost files, nonsense', async () => {
    const item = (img: string, mask: string, anomaly: number): object => ({
      img_path: img,
      mask_path: mask,
      cls_name: 'nut',
      specie_name: anomaly ? 'bent' : 'good',
      anomaly,
    });
    const meta = (...items: object[]): string => JSON.stringify({ train: {}, test: { nut: items } });
    const files = { 'a.png': '', 'b.png': '', 'm/b.png': '' };
    const dataset = await openDataset(
      makeTree({ ...files, 'meta.json': meta(item('set/b.png', './somewhere/set/m/b.png', 1), item('a.png', '', 0)) }),
    );
    expect(lines(dataset)).toEqual(['nut - a.png', 'nut bent b.png < m/b.png']);
    await expect(openDataset(makeTree({ ...files, 'meta.json': meta(item('gone.png', '', 0)) }))).rejects.toThrow(
      /meta\.json names .*gone\.png/,
    );
    await expect(openDataset(makeTree({ ...files, 'meta.json': meta({ img_path: 3 }) }))).rejects.toThrow(
      /cannot be read: .*test\.nut\[0\]/,
    );
    await expect(openDataset(makeTree({ ...files, 'meta.json': '{' }))).rejects.toThrow(/meta\.json cannot be read/);
  });

  test('a plain folder only where labels are not needed', async () => {
    const root = makeTree(['x/1.png', '2.webp']);
    await expect(openDataset(root)).rejects.toThrow(
      /is in no known layout: it has 2\.webp, x\. Looked for:\n {2}meta-json/,
    );
    const dataset = await openDataset(root, { allowUnlabelled: true });
    expect(dataset).toMatchObject({ layout: 'bare-folder', hasLabels: false, hasMasks: false });
    expect(lines(dataset)).toEqual(['set - 2.webp', 'set - x/1.png']);
  });

  test('a set some folders deeper is taken; among several, the one called as the set, or none; an empty folder is called so', async () => {
    const root = makeTree(['a/inner/nut/test/good/0.png', 'readme.txt']);
    expect(await openDataset(root)).toMatchObject({ name: 'set', root: path.join(root, 'a/inner'), layout: 'mvtec' });
    const two = makeTree(['a/one/nut/test/good/0.png', 'a/two/nut/test/good/0.png']);
    await expect(openDataset(two)).rejects.toThrow(
      `but 2 folders in it are: ${two}/a/one, ${two}/a/two. Give one of them.`,
    );
    const pair = (folder: string): string[] => [`${folder}/images/1.png`, `${folder}/masks/1.png`];
    const bundle = makeTree(
      ['TestDataset/CVC-ColonDB', 'TestDataset/Kvasir', 'CVC-ClinicDB'].flatMap(pair),
      'Polyp DataSet',
    );
    const dataFolder = path.dirname(bundle);
    expect(await openDataset('cvc-colondb', { dataFolder })).toMatchObject({
      name: 'cvc-colondb',
      root: path.join(bundle, 'TestDataset/CVC-ColonDB'),
    });
    expect(await openDataset('cvc-clinicdb', { dataFolder })).toMatchObject({
      name: 'cvc-clinicdb',
      root: path.join(bundle, 'CVC-ClinicDB'),
    });
    await expect(openDataset(makeTree([]))).rejects.toThrow(/it is empty/);
  });
});

describeWithSamples('real samples', (folder) => {
  test.each([
    ['mvtec/grid', 'mvtec', { images: 12, normal: 3, anomalous: 9, masks: 9 }],
    ['headct', 'headct', { images: 200, normal: 100, anomalous: 100, masks: 0 }],
    ['cvc-clinicdb', 'images-masks', { images: 20, normal: 0, anomalous: 20, masks: 20 }],
    ['cvc-colondb', 'images-masks', { images: 19, normal: 0, anomalous: 19, masks: 19 }],
    ['crackforest', 'images-masks', { images: 40, normal: 0, anomalous: 40, masks: 40 }],
    ['magnetic-tile', 'masks-beside', { images: 96, normal: 16, anomalous: 80, masks: 96 }],
  ])('%s', async (name, layout, counts) => {
    const dataset = await openDataset(path.join(folder, name));
    expect(dataset.layout).toBe(layout);
    expect(countSamples(dataset.categories)).toEqual(counts);
    expect(dataset.problems).toEqual([]);
  });

  test('the broken set is refused with the name of the folder that is missing', async () => {
    await expect(openDataset(path.join(folder, 'mvtec-incomplete'))).rejects.toThrow(
      /mvtec-incomplete\/bottle\/ground_truth is missing, so 3 anomalous images/,
    );
  });
});

describeWithGoldens('the set of the goldens', () => {
  test('meta.json and the tree that it describes give the same samples', async () => {
    const dataset = await openDataset(goldenPath('e2e/dataset'));
    expect(dataset.layout).toBe('meta-json');
    expect(countSamples(dataset.categories)).toEqual({ images: 10, normal: 5, anomalous: 5, masks: 5 });
    const weave = await openDataset(goldenPath('e2e/dataset/weave'));
    expect(weave.layout).toBe('mvtec');
    expect(weave.categories[0]?.samples).toEqual(
      dataset.categories.find((category) => category.name === 'weave')?.samples,
    );
  });
});

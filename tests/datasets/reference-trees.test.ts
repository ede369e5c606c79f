import * as fs from 'node:fs';
import * as path from 'node:path';
import { openDataset, type Dataset } from '../../datasets/dataset';
import { makeTree, removeTrees } from './tree';

afterEach(removeTrees);

/** Every sample as `category defect image < mask`, relative to the root. */
function lines({ root, categories }: Dataset): string[] {
  return categories.flatMap(({ samples }) =>
    samples.map(
      ({ category, anomalous, defect, imagePath, maskPath }) =>
        `${category} ${anomalous ? defect : '-'} ${path.relative(root, imagePath)}${maskPath ? ` < ${path.relative(root, maskPath)}` : ''}`,
    ),
  );
}

/** Trees that the scripts of Crane and AnomalyCLIP want before they write their lists, where they are not as distributed (methods.md 9.2, 9.3). */
test.each<[name: string, folder: string, files: string[], expected: string[]]>([
  [
    'HeadCT',
    'headct',
    ['brain/test/good/1.png', 'brain/test/other/2.png'],
    ['brain - brain/test/good/1.png', 'brain other brain/test/other/2.png'],
  ],
  [
    'BrainMRI',
    'brainmri',
    ['brain_tumor_dataset/no/1.jpg', 'brain_tumor_dataset/yes/Y2.png'],
    ['brain - brain_tumor_dataset/no/1.jpg', 'brain tumour brain_tumor_dataset/yes/Y2.png'],
  ],
  [
    'Br35H',
    'br35h',
    ['brain/no/no0.jpg', 'brain/yes/y0.jpg'],
    ['brain - brain/no/no0.jpg', 'brain tumour brain/yes/y0.jpg'],
  ],
  [
    'ISIC, Crane',
    'isic',
    ['skin/test/bad/ISIC_1.jpg', 'skin/ground_truth/ISIC_1_Segmentation.png'],
    ['skin bad skin/test/bad/ISIC_1.jpg < skin/ground_truth/ISIC_1_Segmentation.png'],
  ],
  [
    'ISIC, AnomalyCLIP',
    'isic',
    ['skin/test/any/ISIC_1.jpg', 'skin/ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_1_Segmentation.png'],
    ['skin any skin/test/any/ISIC_1.jpg < skin/ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_1_Segmentation.png'],
  ],
  [
    'SDD',
    'sdd',
    [
      'electrical commutators/train/good/0.png',
      'electrical commutators/test/good/1.png',
      'electrical commutators/test/defect/2.png',
      'electrical commutators/ground_truth/defect/2_mask.png',
    ],
    [
      'electrical commutators defect electrical commutators/test/defect/2.png < electrical commutators/ground_truth/defect/2_mask.png',
      'electrical commutators - electrical commutators/test/good/1.png',
    ],
  ],
  ['CVC-ClinicDB', 'cvc-clinicdb', ['images/1.png', 'masks/1.png'], ['colon anomaly images/1.png < masks/1.png']],
  [
    'TN3K',
    'tn3k',
    ['test-image/0000.jpg', 'test-mask/0000.jpg', 'trainval-image/0001.jpg', 'trainval-mask/0001.jpg'],
    ['thyroid anomaly test-image/0000.jpg < test-mask/0000.jpg'],
  ],
])('%s', async (_, folder, files, expected) => {
  const dataset = await openDataset(makeTree(files, folder));
  expect(lines(dataset)).toEqual(expected);
  expect(dataset).toMatchObject({ name: folder, problems: [] });
});

describe('as distributed, with what else lies there', () => {
  test('a set in two file formats is read once', async () => {
    const root = makeTree(
      ['PNG/Original/1.png', 'PNG/Ground Truth/1.png', 'TIF/Original/1.tif', 'TIF/Ground Truth/1.tif', 'metadata.csv'],
      'CVC-ClinicDB',
    );
    const dataset = await openDataset(root);
    expect(lines(dataset)).toEqual(['colon anomaly PNG/Original/1.png < PNG/Ground Truth/1.png']);
    expect(dataset.leftOut.map((file) => path.relative(root, file))).toEqual([
      'metadata.csv',
      'TIF/Ground Truth/1.tif',
      'TIF/Original/1.tif',
    ]);
    expect(dataset.problems).toMatchObject([
      {
        kind: 'left-out',
        severity: 'warning',
        path: root,
        message: expect.stringContaining('3 files are not part of it (2 images and 1 list or label)') as string,
      },
    ]);
  });

  test('VisA without its list, and with the list of the reference', async () => {
    const item = {
      img_path: 'pcb1/Data/Images/Normal/0.JPG',
      mask_path: '',
      cls_name: 'pcb1',
      specie_name: '',
      anomaly: 0,
    };
    const root = makeTree(
      {
        'pcb1/Data/Images/Normal/0.JPG': '',
        'pcb1/Data/Images/Normal/1.JPG': '',
        'meta.json': JSON.stringify({ test: { pcb1: [item] } }),
      },
      'visa',
    );
    const dataset = await openDataset(root);
    expect(dataset.layout).toBe('meta-json');
    expect(lines(dataset)).toEqual(['pcb1 - pcb1/Data/Images/Normal/0.JPG']);
  });

  test('DAGM in archives of each class, and Labels.txt, which tells of lost labels', async () => {
    const root = makeTree(
      {
        'Class1/Class1/Test/0001.PNG': '',
        'Class1/Class1/Test/0002.PNG': '',
        'Class1/Class1/Test/0003.PNG': '',
        'Class1/Class1/Test/Label/0002_label.PNG': '',
        'Class1/Class1/Test/Label/Labels.txt':
          '1\r\n1\t0\t0001.PNG\t0\t0\r\n2\t1\t0002.PNG\t0\t0002_label.PNG\r\n3\t1\t0003.PNG\t0\t0003_label.PNG\r\n',
      },
      'dagm',
    );
    await expect(openDataset(root)).rejects.toThrow(
      /0003\.PNG is anomalous but has no mask; looked for a label in .*Label, since Labels\.txt calls it defective/,
    );
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(lines(dataset)).toEqual([
      'Class1 - Class1/Class1/Test/0001.PNG',
      'Class1 defect Class1/Class1/Test/0002.PNG < Class1/Class1/Test/Label/0002_label.PNG',
      'Class1 defect Class1/Class1/Test/0003.PNG',
    ]);
    const alone = await openDataset(path.join(root, 'Class1/Class1'), { allowIncomplete: true });
    expect(alone.categories.map(({ name, samples }) => [name, samples.length])).toEqual([['Class1', 3]]);
  });

  test('a plain folder whose links lead in circles is walked once', async () => {
    const root = makeTree(['a/1.png', 'a/b/2.PNG', 'a/._1.png', '.hidden/3.png', 'a/notes.md']);
    fs.symlinkSync(root, path.join(root, 'a/b/up'));
    fs.symlinkSync(path.join(root, 'a'), path.join(root, 'again'));
    fs.symlinkSync(path.join(root, 'nowhere'), path.join(root, 'broken.png'));
    fs.unlinkSync(path.join(root, 'broken.png'));
    expect(lines(await openDataset(root, { allowUnlabelled: true }))).toEqual(['set - a/1.png', 'set - a/b/2.PNG']);
  });
});

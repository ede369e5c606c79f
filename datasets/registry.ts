import type { NativeForm } from './native-form';

export type DatasetKind = 'industrial' | 'medical' | 'drawn' | 'unknown';

export interface ExpectedCounts {
  readonly normal: number;
  readonly anomalous: number;
  /** False for figures quoted, not counted. */
  readonly sure: boolean;
  /** Layouts that the figures hold for, where re-packed forms have other test splits; absent: for all. */
  readonly layouts?: readonly string[];
}

/** A file that a set's address serves to anyone, without a form to fill in. */
export interface Archive {
  readonly url: string;
  /** Lower-case hex; null where none is published. */
  readonly sha256: string | null;
}

/** What is known about a set before a byte of it is on disk (docs/method.md#data-sets). */
export interface RegisteredDataset {
  readonly name: string;
  readonly title: string;
  readonly kind: DatasetKind;
  /** Names of the categories; empty where they are read off the folder. */
  readonly categories: readonly string[];
  /** Images of the test split; null where no figure is known. */
  readonly expected: ExpectedCounts | null;
  /** False where the set has no masks at all. */
  readonly hasMasks: boolean;
  readonly source: string;
  readonly licence: string;
  /** Size of the download in words; null where not known. */
  readonly downloadSize: string | null;
  /** What `crane datasets fetch` downloads; empty where a person has to go there. */
  readonly archives: readonly Archive[];
  /** The form in which it is distributed; null for synthetic sets. */
  readonly native: NativeForm | null;
  /** What AdaCLIP's re-packed archive calls the only category, where it has one. */
  readonly packedCategory?: string;
  /** Readers that may fit, the likeliest first: the original download, then re-packed forms. */
  readonly layouts: readonly string[];
  /** Names of the folder looked for under the data folder, upper and lower case alike. */
  readonly folders: readonly string[];
}

/** Folders of several sets, in which a set's own folder is looked for as well (the polyp sets come in one archive). */
export const bundleFolders: readonly string[] = ['Polyp DataSet', 'PolypDataset', 'TestDataset'];

export const auxiliarySetName = 'synthetic-auxiliary';
export const targetSetName = 'synthetic-target';

const dtdTextures = [
  'Blotchy_099',
  'Fibrous_183',
  'Marbled_078',
  'Matted_069',
  'Mesh_114',
  'Perforated_037',
  'Stratified_154',
  'Woven_001',
  'Woven_068',
  'Woven_104',
  'Woven_125',
  'Woven_127',
];
const polypBundle = 'figshare.com/articles/figure/Polyp_DataSet_zip/21221579 (bundle of polyp sets)';

/** The fourteen sets of the paper, and the project's two synthetic sets. */
export const registeredDatasets: readonly RegisteredDataset[] = [
  {
    name: 'mvtec',
    title: 'MVTec-AD',
    kind: 'industrial',
    categories: [
      'bottle',
      'cable',
      'capsule',
      'carpet',
      'grid',
      'hazelnut',
      'leather',
      'metal_nut',
      'pill',
      'screw',
      'tile',
      'toothbrush',
      'transistor',
      'wood',
      'zipper',
    ],
    expected: { normal: 467, anomalous: 1258, sure: false },
    hasMasks: true,
    source: 'https://www.mvtec.com/company/research/datasets/mvtec-ad',
    licence: 'CC BY-NC-SA 4.0',
    downloadSize: null,
    archives: [],
    native: {
      layout: 'mvtec',
      normal: 'good',
      defects: ['broken', 'contamination'],
      image: ['.png'],
      mask: ['.png'],
      maskEnding: '_mask',
    },
    layouts: ['mvtec', 'meta-json'],
    folders: ['mvtec', 'mvtec_anomaly_detection', 'mvtec_ad', 'mvtec-ad'],
  },
  {
    name: 'visa',
    title: 'VisA',
    kind: 'industrial',
    categories: [
      'candle',
      'capsules',
      'cashew',
      'chewinggum',
      'fryum',
      'macaroni1',
      'macaroni2',
      'pcb1',
      'pcb2',
      'pcb3',
      'pcb4',
      'pipe_fryum',
    ],
    expected: { normal: 962, anomalous: 1200, sure: true },
    hasMasks: true,
    source:
      'https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar (described at https://github.com/amazon-science/spot-diff)',
    licence: 'CC BY 4.0',
    downloadSize: '1.8 GB',
    archives: [{ url: 'https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar', sha256: null }],
    native: { layout: 'visa' },
    layouts: ['visa', 'mvtec', 'meta-json'],
    folders: ['visa', 'VisA_20220922', 'visa_pytorch'],
  },
  {
    name: 'mpdd',
    title: 'MPDD',
    kind: 'industrial',
    categories: ['bracket_black', 'bracket_brown', 'bracket_white', 'connector', 'metal_plate', 'tubes'],
    expected: { normal: 176, anomalous: 282, sure: false },
    hasMasks: true,
    source: 'https://github.com/stepanje/MPDD',
    licence: 'none stated',
    downloadSize: null,
    archives: [],
    native: {
      layout: 'mvtec',
      normal: 'good',
      defects: ['hole', 'scratches'],
      image: ['.png'],
      mask: ['.png'],
      maskEnding: '_mask',
    },
    layouts: ['mvtec', 'meta-json'],
    folders: ['mpdd'],
  },
  {
    name: 'btad',
    title: 'BTAD',
    kind: 'industrial',
    categories: ['01', '02', '03'],
    expected: { normal: 451, anomalous: 290, sure: false },
    hasMasks: true,
    source: 'https://avires.dimi.uniud.it/papers/btad/btad.zip',
    licence: 'CC BY-NC-SA 4.0, according to anomalib',
    downloadSize: null,
    archives: [
      {
        url: 'https://avires.dimi.uniud.it/papers/btad/btad.zip',
        sha256: '461c9387e515bfed41ecaae07c50cf6b10def647b36c9e31d239ab2736b10d2a',
      },
    ],
    native: {
      layout: 'mvtec',
      normal: 'ok',
      defects: ['ko'],
      image: ['.bmp', '.png', '.bmp'],
      mask: ['.png', '.png', '.bmp'],
      maskEnding: '',
    },
    layouts: ['mvtec', 'meta-json'],
    folders: ['btad', 'BTech_Dataset_transformed'],
  },
  {
    name: 'sdd',
    title: 'SDD (KolektorSDD)',
    kind: 'industrial',
    categories: ['SDD'],
    expected: { normal: 281, anomalous: 74, sure: false },
    hasMasks: true,
    source: 'https://data.vicos.si/datasets/KSDD/KolektorSDD.zip',
    licence: 'CC BY-NC-SA 4.0, according to anomalib',
    downloadSize: null,
    archives: [
      {
        url: 'https://data.vicos.si/datasets/KSDD/KolektorSDD.zip',
        sha256: '65dc621693418585de9c4467d1340ea7958a6181816f0dc2883a1e8b61f9d4dc',
      },
    ],
    native: { layout: 'kolektor' },
    packedCategory: 'SDD',
    layouts: ['kolektor', 'mvtec', 'meta-json'],
    folders: ['sdd', 'SDD_anomaly_detection', 'KolektorSDD'],
  },
  {
    name: 'dagm',
    title: 'DAGM 2007',
    kind: 'industrial',
    categories: ['Class1', 'Class10', 'Class2', 'Class3', 'Class4', 'Class5', 'Class6', 'Class7', 'Class8', 'Class9'],
    expected: { normal: 6996, anomalous: 1054, sure: false, layouts: ['dagm'] },
    hasMasks: true,
    source: 'https://hci.iwr.uni-heidelberg.de/content/weakly-supervised-learning-industrial-optical-inspection',
    licence: 'described as publicly available; no licence read',
    downloadSize: null,
    archives: [],
    native: { layout: 'dagm' },
    layouts: ['dagm', 'mvtec', 'meta-json'],
    folders: ['dagm', 'DAGM_anomaly_detection', 'DAGM2007', 'DAGM_KaggleUpload', 'DAGM_2007'],
  },
  {
    name: 'dtd',
    title: 'DTD-Synthetic',
    kind: 'industrial',
    categories: dtdTextures,
    expected: { normal: 357, anomalous: 947, sure: false },
    hasMasks: true,
    source: 'https://drive.google.com/drive/folders/10OyPzvI3H6llCZBxKxFlKWt1Pw1tkMK1',
    licence: 'none found',
    downloadSize: null,
    archives: [],
    native: { layout: 'mvtec', normal: 'good', defects: ['bad'], image: ['.png'], mask: ['.png'], maskEnding: '_mask' },
    layouts: ['mvtec', 'meta-json'],
    folders: ['dtd', 'DTD-Synthetic'],
  },
  {
    name: 'isic',
    title: 'ISIC 2016 (Task 1, test)',
    kind: 'medical',
    categories: ['skin'],
    expected: { normal: 0, anomalous: 379, sure: true },
    hasMasks: true,
    source:
      'https://isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Test_Data.zip and ISBI2016_ISIC_Part1_Test_GroundTruth.zip beside it (https://challenge.isic-archive.com/data)',
    licence: 'CC-0, as commonly quoted',
    downloadSize: null,
    archives: [
      { url: 'https://isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Test_Data.zip', sha256: null },
      {
        url: 'https://isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Test_GroundTruth.zip',
        sha256: null,
      },
    ],
    native: {
      layout: 'images-masks',
      images: 'ISBI2016_ISIC_Part1_Test_Data',
      masks: 'ISBI2016_ISIC_Part1_Test_GroundTruth',
      image: '.jpg',
      mask: '.png',
      maskEnding: '_Segmentation',
      stem: 'ISIC_',
    },
    packedCategory: 'isic',
    layouts: ['images-masks', 'mvtec', 'meta-json'],
    folders: ['isic', 'ISIC2016', 'ISIC_anomaly_detection'],
  },
  {
    name: 'cvc-colondb',
    title: 'CVC-ColonDB',
    kind: 'medical',
    categories: ['colon'],
    expected: { normal: 0, anomalous: 380, sure: true },
    hasMasks: true,
    source: `http://mv.cvc.uab.es/projects/colon-qa/cvccolondb, or ${polypBundle}`,
    licence: 'not read; for research',
    downloadSize: null,
    archives: [],
    native: {
      layout: 'images-masks',
      images: 'images',
      masks: 'masks',
      image: '.png',
      mask: '.png',
      maskEnding: '',
      stem: '',
    },
    packedCategory: 'ColonDB',
    layouts: ['images-masks', 'mvtec', 'meta-json'],
    folders: ['cvc-colondb', 'ColonDB'],
  },
  {
    name: 'cvc-clinicdb',
    title: 'CVC-ClinicDB',
    kind: 'medical',
    categories: ['colon'],
    expected: { normal: 0, anomalous: 612, sure: true },
    hasMasks: true,
    source: `https://polyp.grand-challenge.org/CVCClinicDB, or ${polypBundle}`,
    licence: 'not read; for research',
    downloadSize: null,
    archives: [],
    native: {
      layout: 'images-masks',
      images: 'Original',
      masks: 'Ground Truth',
      image: '.tif',
      mask: '.tif',
      maskEnding: '',
      stem: '',
    },
    packedCategory: 'ClinicDB',
    layouts: ['images-masks', 'mvtec', 'meta-json'],
    folders: ['cvc-clinicdb', 'ClinicDB'],
  },
  {
    name: 'tn3k',
    title: 'TN3K',
    kind: 'medical',
    categories: ['thyroid'],
    expected: { normal: 0, anomalous: 614, sure: true },
    hasMasks: true,
    source: 'https://github.com/haifangong/TRFE-Net-for-thyroid-nodule-segmentation',
    licence: 'not stated for the data',
    downloadSize: null,
    archives: [],
    native: {
      layout: 'images-masks',
      images: 'test-image',
      masks: 'test-mask',
      image: '.jpg',
      mask: '.jpg',
      maskEnding: '',
      stem: '',
    },
    packedCategory: 'tn3k',
    layouts: ['images-masks', 'mvtec', 'meta-json'],
    folders: ['tn3k', 'Thyroid Dataset'],
  },
  {
    name: 'headct',
    title: 'HeadCT',
    kind: 'medical',
    categories: ['brain'],
    expected: { normal: 100, anomalous: 100, sure: true },
    hasMasks: false,
    source: 'https://www.kaggle.com/datasets/felipekitamura/head-ct-hemorrhage',
    licence: 'not read',
    downloadSize: null,
    archives: [],
    native: { layout: 'headct' },
    packedCategory: 'headct',
    layouts: ['headct', 'mvtec', 'meta-json'],
    folders: ['headct', 'HeadCT_anomaly_detection', 'head-ct-hemorrhage'],
  },
  {
    name: 'brainmri',
    title: 'BrainMRI',
    kind: 'medical',
    categories: ['brain'],
    expected: { normal: 98, anomalous: 155, sure: false },
    hasMasks: false,
    source: 'https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection',
    licence: 'not read',
    downloadSize: null,
    archives: [],
    native: { layout: 'yes-no', image: ['.jpg', '.png', '.jpeg'], nested: 'brain_tumor_dataset' },
    packedCategory: 'brain_mri',
    layouts: ['yes-no', 'mvtec', 'meta-json'],
    folders: ['brainmri', 'brain_mri', 'brain_tumor_dataset', 'brain-mri-images-for-brain-tumor-detection'],
  },
  {
    name: 'br35h',
    title: 'Br35H',
    kind: 'medical',
    categories: ['brain'],
    expected: { normal: 1500, anomalous: 1500, sure: true },
    hasMasks: false,
    source: 'https://www.kaggle.com/datasets/ahmedhamada0/brain-tumor-detection',
    licence: 'not read',
    downloadSize: null,
    archives: [],
    native: { layout: 'yes-no', image: ['.jpg'], unlabelled: 'pred' },
    packedCategory: 'br35h',
    layouts: ['yes-no', 'mvtec', 'meta-json'],
    folders: ['br35h', 'Br35h_anomaly_detection', 'brain-tumor-detection'],
  },
  ...(
    [
      [auxiliarySetName, 'Synthetic auxiliary set'],
      [targetSetName, 'Synthetic target set'],
    ] as const
  ).map(([name, title]): RegisteredDataset => ({
    name,
    title,
    kind: 'drawn',
    categories: [],
    expected: null,
    hasMasks: true,
    source: 'written by "crane datasets synthesize"',
    licence: 'MIT, as this package',
    downloadSize: 'nothing to download',
    archives: [],
    native: null,
    layouts: ['mvtec'],
    folders: [name],
  })),
];

/** The entry with this name, upper or lower case; undefined where there is none. */
export function findRegisteredDataset(name: string): RegisteredDataset | undefined {
  const wanted = name.toLowerCase();
  return registeredDatasets.find((entry) => entry.name === wanted);
}

/** The entry whose usual folder name this is, so that a set is known by name wherever it is. */
export function registeredDatasetOfFolder(folderName: string): RegisteredDataset | undefined {
  const wanted = folderName.toLowerCase();
  return registeredDatasets.find((entry) => entry.folders.some((folder) => folder.toLowerCase() === wanted));
}

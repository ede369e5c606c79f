import { testSplit } from '../../datasets/random-state';
import type { NativeForm } from '../../datasets/native-form';
import type { RegisteredDataset } from '../../datasets/registry';
import type { PictureRequest } from '../../datasets/synthetic/draw';
import type { StandInForm, StandInImage, StandInPlan } from './form';

/** One category's images: its test split, and any number of others, which are normal. */
export interface Layer {
  readonly category: string;
  readonly index: number;
  readonly normal: readonly PictureRequest[];
  readonly anomalous: readonly PictureRequest[];
  other(at: number): PictureRequest;
}

/** A native form in a given layout. */
type Form<L extends NativeForm['layout']> = Extract<NativeForm, { layout: L }>;

/** Assigns a file to each image. */
export function placeImages(entry: RegisteredDataset, form: StandInForm, layers: readonly Layer[]): StandInPlan {
  if (form === 'packed') return packed(entry, layers);
  if (form === 'native') return native(entry, entry.native as NativeForm, layers);
  // The script that writes KolektorSDD's list expects the tiles as files.
  const plan =
    entry.native?.layout === 'kolektor' ? packed(entry, layers) : native(entry, entry.native as NativeForm, layers);
  return { ...plan, lists: { ...plan.lists, 'meta.json': metaJson(entry, plan.images) } };
}

function native(entry: RegisteredDataset, form: NativeForm, layers: readonly Layer[]): StandInPlan {
  switch (form.layout) {
    case 'mvtec':
      return mvtec(form, layers);
    case 'visa':
      return visa(layers);
    case 'kolektor':
      return kolektor(layers);
    case 'dagm':
      return dagm(layers);
    case 'images-masks':
      return imagesMasks(form, layers);
    case 'headct':
      return headct(layers);
    case 'yes-no':
      return yesNo(form, layers);
  }
}

const three = (at: number): string => String(at).padStart(3, '0');
const four = (at: number): string => String(at).padStart(4, '0');

const normalImage = (category: string, picture: PictureRequest, image: string): StandInImage => ({
  category,
  defect: 'good',
  anomalous: false,
  picture,
  image,
  mask: null,
});
const anomalousImage = (
  category: string,
  defect: string,
  picture: PictureRequest,
  image: string,
  mask: string | null,
): StandInImage => ({ category, defect, anomalous: true, picture, image, mask });

function joined(plans: readonly StandInPlan[]): StandInPlan {
  return {
    images: plans.flatMap(({ images }) => images),
    others: plans.flatMap(({ others }) => others),
    lists: Object.assign({}, ...plans.map(({ lists }) => lists)) as Record<string, string>,
  };
}

function mvtec(
  { normal: good, defects, image, mask, maskEnding }: Form<'mvtec'>,
  layers: readonly Layer[],
): StandInPlan {
  return joined(
    layers.map(({ category, index, normal, anomalous, other }) => {
      const imageSuffix = image[index % image.length] as string;
      const maskSuffix = mask[index % mask.length] as string;
      const bad = anomalous.map((picture, at) => {
        const [defect, name] = [defects[at % defects.length] as string, three(Math.floor(at / defects.length))];
        return anomalousImage(
          category,
          defect,
          picture,
          `${category}/test/${defect}/${name}${imageSuffix}`,
          `${category}/ground_truth/${defect}/${name}${maskEnding}${maskSuffix}`,
        );
      });
      return {
        images: [
          ...bad,
          ...normal.map((picture, at) =>
            normalImage(category, picture, `${category}/test/${good}/${three(at)}${imageSuffix}`),
          ),
        ],
        others: [0, 1].map((at) =>
          normalImage(category, other(at), `${category}/train/${good}/${three(at)}${imageSuffix}`),
        ),
        lists: {},
      };
    }),
  );
}

/**
 * AdaCLIP's archives: `CATEGORY/{train,test}/{good,defect}`, `CATEGORY/ground_truth/defect`; VisA and MVTec-like sets
 * are unchanged.
 */
function packed({ native: form, packedCategory, hasMasks }: RegisteredDataset, layers: readonly Layer[]): StandInPlan {
  if (form?.layout === 'visa') return visa(layers);
  const pack: Form<'mvtec'> = {
    layout: 'mvtec',
    normal: 'good',
    defects: ['defect'],
    image: ['.png'],
    mask: ['.png'],
    maskEnding: '_mask',
  };
  const plan = mvtec(
    form?.layout === 'mvtec' ? form : pack,
    layers.map((layer) => ({ ...layer, category: packedCategory ?? layer.category })),
  );
  return hasMasks ? plan : { ...plan, images: plan.images.map((image) => ({ ...image, mask: null })) };
}

function visa(layers: readonly Layer[]): StandInPlan {
  const plans = layers.map(({ category, normal, anomalous, other }): StandInPlan => ({
    images: [
      ...anomalous.map((picture, at) =>
        anomalousImage(
          category,
          'anomaly',
          picture,
          `${category}/Data/Images/Anomaly/${three(at)}.JPG`,
          `${category}/Data/Masks/Anomaly/${three(at)}.png`,
        ),
      ),
      ...normal.map((picture, at) => normalImage(category, picture, `${category}/Data/Images/Normal/${four(at)}.JPG`)),
    ],
    others: [0, 1].map((at) =>
      normalImage(category, other(at), `${category}/Data/Images/Normal/${four(normal.length + at)}.JPG`),
    ),
    lists: {},
  }));
  const { images, others } = joined(plans);
  const row =
    (split: string) =>
    ({ category, anomalous, image, mask }: StandInImage): string =>
      [category, split, anomalous ? 'anomaly' : 'normal', image, mask ?? ''].join(',');
  const rows = ['object,split,label,image,mask', ...others.map(row('train')), ...images.map(row('test'))];
  return { images, others, lists: { 'split_csv/1cls.csv': `${rows.join('\n')}\n` } };
}

/** Ten parts per board, three images per part; the tile rule decides which normal ones are in the test split. */
function kolektor(layers: readonly Layer[]): StandInPlan {
  return joined(
    layers.map(({ category, normal, anomalous, other }) => {
      const parts = Math.ceil((4 * normal.length + anomalous.length) / 3);
      // Far apart, so that every third of a part is anomalous somewhere.
      const step = Math.floor((3 * parts) / anomalous.length);
      const tiles = Array.from({ length: 3 * parts }, (_, at): StandInImage => {
        const [part, third] = [Math.floor(at / 3), at % 3];
        const place = `kos${String(Math.floor(part / 10) + 1).padStart(2, '0')}/Part${part % 10}`;
        const bad = at % step === 0 ? anomalous[at / step] : undefined;
        const tile =
          bad === undefined
            ? normalImage(category, other(at), `${place}.jpg`)
            : anomalousImage(category, 'defect', bad, `${place}.jpg`, null);
        return { ...tile, mask: `${place}_label.bmp`, third };
      });
      const normals = tiles.filter((tile) => !tile.anomalous);
      const chosen = new Set(testSplit(normals.length, 0.25, 42).map((at) => normals[at]));
      const inTest = (tile: StandInImage): boolean => tile.anomalous || chosen.has(tile);
      return { images: tiles.filter(inTest), others: tiles.filter((tile) => !inTest(tile)), lists: {} };
    }),
  );
}

function dagm(layers: readonly Layer[]): StandInPlan {
  return joined(
    layers.map(({ category, normal, anomalous, other }) => {
      const images = [
        ...normal.map((picture) => ({ picture, bad: false })),
        ...anomalous.map((picture) => ({ picture, bad: true })),
      ].map(({ picture, bad }, at) => {
        const image = `${category}/Test/${four(at + 1)}.PNG`;
        return bad
          ? anomalousImage(category, 'defect', picture, image, `${category}/Test/Label/${four(at + 1)}_label.PNG`)
          : normalImage(category, picture, image);
      });
      const rows = images.map(({ anomalous: bad }, at) =>
        [at + 1, bad ? 1 : 0, `${four(at + 1)}.PNG`, 0, bad ? `${four(at + 1)}_label.PNG` : 0].join('\t'),
      );
      return {
        images,
        others: [normalImage(category, other(0), `${category}/Train/${four(images.length + 1)}.PNG`)],
        lists: { [`${category}/Test/Label/Labels.txt`]: `1\n${rows.join('\n')}\n` },
      };
    }),
  );
}

function imagesMasks(
  { images, masks, image, mask, maskEnding, stem }: Form<'images-masks'>,
  layers: readonly Layer[],
): StandInPlan {
  return joined(
    layers.map(({ category, anomalous }) => ({
      images: anomalous.map((picture, at) =>
        anomalousImage(
          category,
          'anomaly',
          picture,
          `${images}/${stem}${at + 1}${image}`,
          `${masks}/${stem}${at + 1}${maskEnding}${mask}`,
        ),
      ),
      others: [],
      lists: {},
    })),
  );
}

function headct(layers: readonly Layer[]): StandInPlan {
  const { images } = joined(
    layers.map(({ category, normal, anomalous }) => ({
      images: [...anomalous, ...normal].map((picture, at) => {
        const image = `head_ct/head_ct/${three(at)}.png`;
        return at < anomalous.length
          ? anomalousImage(category, 'hemorrhage', picture, image, null)
          : normalImage(category, picture, image);
      }),
      others: [],
      lists: {},
    })),
  );
  return {
    images,
    others: [],
    lists: {
      'labels.csv': `id, hemorrhage\n${images.map(({ anomalous }, at) => `${at},${anomalous ? 1 : 0}`).join('\n')}\n`,
    },
  };
}

function yesNo({ image, nested, unlabelled }: Form<'yes-no'>, layers: readonly Layer[]): StandInPlan {
  return joined(
    layers.map(({ category, normal, anomalous, other }) => {
      const suffix = (at: number): string => image[at % image.length] as string;
      const images = [
        ...anomalous.map((picture, at) =>
          anomalousImage(category, 'tumour', picture, `yes/Y${at + 1}${suffix(at)}`, null),
        ),
        ...normal.map((picture, at) => normalImage(category, picture, `no/${at + 1} no${suffix(at)}`)),
      ];
      const copies =
        nested === undefined ? [] : images.map((original) => ({ ...original, image: `${nested}/${original.image}` }));
      const predicted =
        unlabelled === undefined
          ? []
          : [0, 1].map((at) => normalImage(category, other(at), `${unlabelled}/pred${at}.jpg`));
      return { images, others: [...copies, ...predicted], lists: {} };
    }),
  );
}

/** The list that the reference program's scripts write (docs/method.md#meta-json). */
function metaJson({ kind, folders }: RegisteredDataset, images: readonly StandInImage[]): string {
  // Several scripts for medical sets write paths that begin with the set's own folder.
  const prefix = kind === 'medical' ? `${folders[0] ?? ''}/` : '';
  const item = ({ category, defect, anomalous, image, mask }: StandInImage): object => ({
    img_path: prefix + image,
    mask_path: mask === null || !anomalous ? '' : prefix + mask,
    cls_name: category,
    specie_name: defect,
    anomaly: anomalous ? 1 : 0,
  });
  const categories = [...new Set(images.map(({ category }) => category))];
  const test = Object.fromEntries(
    categories.map((category) => [category, images.filter((image) => image.category === category).map(item)]),
  );
  return `${JSON.stringify({ train: {}, test }, null, 2)}\n`;
}

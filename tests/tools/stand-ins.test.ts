import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { checkDataset } from '../../datasets/check';
import { openDataset, type Dataset, type Sample } from '../../datasets/dataset';
import {
  standInForms,
  standInNames,
  writeStandIn,
  type StandInForm,
  type StandInImage,
  type StandIn,
} from '../../tools/stand-ins';
import { findRegisteredDataset } from '../../datasets/registry';
import { drawPicture } from '../../datasets/synthetic/draw';
import { decodeImage } from '../../lib/image/decode';
import { toRgb } from '../../lib/image/decoded-image';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';

const size = 32;
const options = { imagesPerCategory: 4, imageSize: size };
let parent: string;

beforeAll(() => {
  parent = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-fakes-'));
  // KolektorSDD's tiles are cut into the cache folder.
  process.env['CRANE_CACHE'] = path.join(parent, 'cache');
});

afterAll(() => {
  delete process.env['CRANE_CACHE'];
  fs.rmSync(parent, { recursive: true, force: true });
});

const written = new Map<string, Promise<StandIn>>();

/** Each is written once, into a folder for its form. */
function write(form: StandInForm, name: string): Promise<StandIn> {
  const known = written.get(`${form}/${name}`) ?? writeStandIn(name, path.join(parent, form), { ...options, form });
  written.set(`${form}/${name}`, known);
  return known;
}

/** What the reader must find, from what was drawn: `category defect label file`. */
function drawn({ images }: StandIn, fileOf: (image: StandInImage) => string): string[] {
  return images.map((image) => `${image.category} ${image.defect} ${image.anomalous} ${fileOf(image)}`).sort();
}

function read({ categories }: Dataset, fileOf: (sample: Sample) => string): string[] {
  return categories
    .flatMap(({ samples }) =>
      samples.map((sample) => `${sample.category} ${sample.defect} ${sample.anomalous} ${fileOf(sample)}`),
    )
    .sort();
}

const tileName = ({ image, third }: StandInImage): string =>
  `${path.dirname(image)}_${path.basename(image, '.jpg')}_${third}.png`;

/** Layout that each set is read by in each form, from methods.md 9.2 and 9.3. */
const expectedLayouts: Readonly<Record<string, readonly [native: string, packed: string]>> = {
  mvtec: ['mvtec', 'mvtec'],
  visa: ['visa', 'visa'],
  mpdd: ['mvtec', 'mvtec'],
  btad: ['mvtec', 'mvtec'],
  sdd: ['kolektor', 'mvtec'],
  dagm: ['dagm', 'mvtec'],
  dtd: ['mvtec', 'mvtec'],
  isic: ['images-masks', 'mvtec'],
  'cvc-colondb': ['images-masks', 'mvtec'],
  'cvc-clinicdb': ['images-masks', 'mvtec'],
  tn3k: ['images-masks', 'mvtec'],
  headct: ['headct', 'mvtec'],
  brainmri: ['yes-no', 'mvtec'],
  br35h: ['yes-no', 'mvtec'],
};

test('there is a fake of each of the fourteen sets', () => {
  expect([...standInNames]).toEqual(Object.keys(expectedLayouts));
});

const cases = standInForms.flatMap((form) => standInNames.map((name) => [form, name] as const));

test.each(cases)('%s form of %s: read as drawn, and nothing is wrong with it', async (form, name) => {
  const set = await write(form, name);
  const dataset = await openDataset(set.root);
  const [native, packed] = expectedLayouts[name] as readonly [string, string];
  expect(dataset).toMatchObject({
    name,
    kind: findRegisteredDataset(name)?.kind,
    hasMasks: findRegisteredDataset(name)?.hasMasks,
  });
  expect(dataset.layout).toBe(form === 'packed' || (form === 'meta-json' && name === 'sdd') ? packed : native);
  const cut = dataset.layout === 'kolektor';
  expect(
    read(dataset, ({ imagePath }) => (cut ? path.basename(imagePath) : path.relative(set.root, imagePath))),
  ).toEqual(drawn(set, cut ? tileName : ({ image }) => image));

  const report = await checkDataset(dataset);
  expect(report.problems.map(({ kind }) => kind)).toEqual(['drawn']);
  expect(report.counts.masks).toBe(dataset.hasMasks ? set.images.filter(({ anomalous }) => anomalous).length : 0);
});

test.each(standInNames)('the list of %s, where the folder has a name that says nothing', async (name) => {
  const set = await write('meta-json', name);
  const other = path.join(parent, `my ${name}`);
  fs.cpSync(set.root, other, { recursive: true });
  const list = path.join(other, 'meta.json');
  // Lists of medical sets begin with the folder in which the script ran.
  fs.writeFileSync(
    list,
    fs.readFileSync(list, 'utf8').replaceAll(`"${path.basename(set.root)}/`, `"/data/${path.basename(other)}/`),
  );
  const dataset = await openDataset(other);
  expect(dataset.layout).toBe('meta-json');
  expect(read(dataset, ({ imagePath }) => path.relative(other, imagePath))).toEqual(drawn(set, ({ image }) => image));
  expect(
    dataset.categories
      .flatMap(({ samples }) => samples)
      .every(({ anomalous, hasMask }) => hasMask === (anomalous && dataset.hasMasks)),
  ).toBe(true);
});

test.each(standInNames)('pixels and masks of %s are those that were drawn', async (name) => {
  const set = await write('native', name);
  const dataset = await openDataset(set.root);
  const cut = dataset.layout === 'kolektor';
  const byFile = new Map(set.images.map((image) => [cut ? tileName(image) : image.image, image]));
  const samples = dataset.categories.slice(0, 4).flatMap((category) => category.samples);
  let exact = 0;
  for (const { imagePath, maskPath, anomalous } of samples) {
    const image = byFile.get(cut ? path.basename(imagePath) : path.relative(set.root, imagePath)) as StandInImage;
    const picture = drawPicture(image.request);
    const pixels = toRgb(await decodeImage(imagePath));
    const apart =
      pixels.reduce((sum, value, at) => sum + Math.abs(value - (picture.pixels[at] as number)), 0) / pixels.length;
    // JPEG is near, and far from any other picture; the other formats are exact.
    expect(apart).toBeLessThan(/jpe?g$/i.test(image.image) ? 8 : 1e-9);
    if (maskPath === null) continue;
    expect(anomalous).toBe(true);
    expect(await loadMaskAtOwnSize(maskPath)).toEqual({ width: size, height: size, data: picture.mask });
    exact++;
  }
  expect(exact).toBe(dataset.hasMasks ? samples.filter(({ anomalous }) => anomalous).length : 0);
});

test('equal seeds give equal sets, others do not; only fakes are replaced', async () => {
  const small = { ...options, categories: 1, imagesPerCategory: 2 };
  const hashOf = async (seed: number): Promise<string> => {
    const { root, images } = await writeStandIn('mpdd', path.join(parent, 'seeds'), { ...small, seed });
    return Buffer.concat(images.map(({ image }) => fs.readFileSync(path.join(root, image)))).toString('hex');
  };
  const first = await hashOf(1);
  expect(await hashOf(1)).toBe(first);
  expect(await hashOf(2)).not.toBe(first);
  fs.mkdirSync(path.join(parent, 'real/mpdd/tubes'), { recursive: true });
  await expect(writeStandIn('mpdd', path.join(parent, 'real'), small)).rejects.toMatchObject({
    code: 'synthetic/occupied',
  });
  await expect(writeStandIn('cats', parent, small)).rejects.toThrow(
    /no synthetic stand-in for "cats"; known: mvtec, visa/,
  );
  await expect(writeStandIn('mpdd', parent, { imagesPerCategory: 1 })).rejects.toMatchObject({
    code: 'synthetic/options',
  });
  expect(fs.readdirSync(path.join(parent, 'real'))).toEqual(['mpdd']);
});

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { openDataset } from '../../datasets/dataset';
import { CraneError } from '../../lib/errors';
import { makeTree, png, removeTrees } from './tree';

let cache: string;

beforeAll(() => {
  cache = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-any-tree-'));
  process.env['CRANE_CACHE'] = cache;
});

afterAll(() => {
  delete process.env['CRANE_CACHE'];
  fs.rmSync(cache, { recursive: true, force: true });
});

const folders = [
  'train',
  'test',
  'good',
  'OK',
  'ko',
  'bent',
  'ground_truth',
  'images',
  'masks',
  'Data',
  'Images',
  'Normal',
  'Anomaly',
  'Masks',
  'yes',
  'no',
  'Label',
  'kos01',
  'brain',
  'nut',
  'Imgs',
  '.hidden',
  'ä ö',
];
const files = [
  '0.png',
  '1.PNG',
  '0_mask.png',
  '1_mask_2.png',
  '0.jpg',
  '0_label.PNG',
  'Part0.jpg',
  'Part0_label.bmp',
  '0_label.bmp',
  'labels.csv',
  'list.csv',
  'meta.json',
  '1cls.csv',
  'Labels.txt',
  'a.tif',
  '._0.png',
  'notes.md',
];
const texts = [
  '',
  'path,label\n0.png,1\n',
  'id, hemorrhage\n0,1\n',
  '{"test":{"nut":[{"img_path":"0.png","cls_name":"nut","anomaly":1}]}}',
  '{"test":[]}',
  'object,split,label,image,mask\nnut,test,normal,0.png,\n',
  '\u0000\u0001',
  '1\t1\t0.png\t0\t0',
];

const place = fc
  .tuple(fc.array(fc.constantFrom(...folders), { maxLength: 4 }), fc.constantFrom(...files))
  .map(([parts, file]) => [...parts, file].join('/'));
const tree = fc.dictionary(place, fc.constantFrom('picture', 'blank', ...texts), { minKeys: 1, maxKeys: 14 });

test('whatever lies in a folder: a set whose files are there and count once, or an error that says what was looked for', async () => {
  const pictures: Record<string, Buffer> = { picture: await png(4, 4, 9), blank: await png(4, 4, 0) };
  const layouts = new Set<string>();
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom('set', 'headct', 'visa', 'isic', 'dagm', 'sdd'), async (contents, name) => {
      const root = makeTree(
        Object.fromEntries(Object.entries(contents).map(([file, content]) => [file, pictures[content] ?? content])),
        name,
      );
      try {
        const dataset = await openDataset(root, { allowIncomplete: true, allowUnlabelled: true });
        layouts.add(dataset.layout);
        const samples = dataset.categories.flatMap((category) => category.samples);
        const images = samples.map(({ imagePath }) => imagePath);
        expect(new Set(images).size).toBe(images.length);
        for (const { imagePath, maskPath, hasMask, anomalous, defect } of samples) {
          expect(fs.statSync(imagePath).isFile()).toBe(true);
          expect(path.basename(imagePath).startsWith('.')).toBe(false);
          expect(hasMask).toBe(maskPath !== null && fs.existsSync(maskPath));
          expect(maskPath).not.toBe(imagePath);
          expect(defect === 'good').toBe(!anomalous);
        }
      } catch (error) {
        if (!(error instanceof CraneError)) throw error;
        expect(error.message).toContain(root);
      } finally {
        removeTrees();
      }
    }),
    { numRuns: 120 },
  );
  // The trees are rich enough to be more than rejected.
  expect(layouts.size).toBeGreaterThan(4);
});

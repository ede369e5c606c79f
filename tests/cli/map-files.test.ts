import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { MAP_FORMS, planMapFiles } from '../../cli/map-files';
import { UsageError } from '../../lib/errors';

const out = path.join(os.tmpdir(), 'crane-no-such-results');
const names = (...sources: string[]): string[] =>
  planMapFiles(sources, out, ['overlay']).map(([first]) => path.relative(out, (first as { file: string }).file));

test('files are named after the image', () => {
  expect(
    planMapFiles(['a/part.png'], out, MAP_FORMS)
      .flat()
      .map(({ file }) => path.relative(out, file)),
  ).toEqual(['part.png', 'part-heatmap.png', 'part-mask.png', 'part.npy']);
});

test('of images called alike, folders tell them apart, as few as will do; then numbers', () => {
  expect(names('a/x.png', 'b/x.png', 'b/y.png')).toEqual(['a-x.png', 'b-x.png', 'y.png']);
  expect(names('1/good/x.png', '2/good/x.png')).toEqual(['1-good-x.png', '2-good-x.png']);
  expect(names('x.png', 'x.jpg')).toEqual(['x.png', 'x-2.png']);
  // Made-up names must not meet given ones.
  expect(names('x-2.png', 'x.png', 'x.jpg')).toEqual(['x-2.png', 'x.png', 'x-3.png']);
  expect(names('X.png', 'x.jpg')).toEqual(['X.png', 'x-2.png']);
});

test('folders that images have in common are no part of names, however deep they lie', () => {
  const deep = `/${'folder/'.repeat(60)}line`;
  expect(names(`${deep}/x.png`, `${deep}/x.jpg`, `${deep}/2/x.png`)).toEqual(['line-x.png', 'line-x-2.png', '2-x.png']);
  expect(names(`${deep}/x.jpg`, `${deep}/x.png`)).toEqual(['x.png', 'x-2.png']);
});

test('names are cut to 255 bytes, between characters, and stay apart', () => {
  const long = 'é'.repeat(125);
  const sources = [`${long}1.png`, `${long}2.png`, `${long}2.jpg`, 'x.png'];
  const files = planMapFiles(sources, out, MAP_FORMS).map((of) => of.map(({ file }) => path.basename(file)));
  expect(files.map(([overlay]) => overlay)).toEqual([
    expect.stringMatching(/^é{117}-[0-9a-f]{8}\.png$/),
    expect.stringMatching(/^é{117}-[0-9a-f]{8}\.png$/),
    expect.stringMatching(/^é{117}-[0-9a-f]{8}\.png$/),
    'x.png',
  ]);
  expect(new Set(files.flat()).size).toBe(16);
  expect(Math.max(...files.flat().map((name) => Buffer.byteLength(name)))).toBeLessThanOrEqual(255);
  // Nothing is cut off that fits.
  expect(names(`${'x'.repeat(251)}.png`)).toEqual([`${'x'.repeat(251)}.png`]);
});

test('the same image, however its path is spelt, has the same file', () => {
  expect(names('a/x.png', './a/../a/x.png', 'a/x.png')).toEqual(['x.png', 'x.png', 'x.png']);
});

test('URLs give the name of their file, without query, fit for a disk', () => {
  expect(names('https://host/a/part%20one.png?size=1/2.png')).toEqual(['part one.png']);
  expect(names('https://host/')).toEqual(['image.png']);
  expect(names('https://host/a%2F..%2Fb%3A.png')).toEqual(['b_.png']);
});

test('an image of one name and the heatmap of another do not share a file', () => {
  const files = planMapFiles(['a.png', 'a-heatmap.png'], out, ['overlay', 'heatmap'])
    .flat()
    .map(({ file }) => file);
  expect(new Set(files).size).toBe(4);
});

test('an image is never replaced by its own overlay', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-plan-'));
  const link = `${folder}-link`;
  fs.symlinkSync(folder, link);
  try {
    const file = path.join(folder, 'part.png');
    fs.writeFileSync(file, '');
    expect(() => planMapFiles([file], folder, ['overlay'])).toThrow(UsageError);
    expect(() => planMapFiles([file], link, ['npy', 'overlay'])).toThrow(/would replace an image/);
    expect(planMapFiles([file], folder, ['npy'])).toHaveLength(1);
    expect(planMapFiles([file], path.join(folder, 'results'), ['overlay'])).toHaveLength(1);
  } finally {
    fs.rmSync(folder, { recursive: true });
    fs.rmSync(link);
  }
});

test('different images never share a file', () => {
  const part = fc.constantFrom('a', 'b', 'A', 'a-b', 'a-2', 'a-heatmap', '..', '.');
  const source = fc
    .tuple(fc.array(part, { maxLength: 3 }), part, fc.constantFrom('.png', '.jpg'))
    .map(([folders, stem, suffix]) => [...folders, `x${stem}${suffix}`].join('/'));
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 8 }), (sources) => {
      const planned = planMapFiles(sources, out, ['overlay', 'heatmap']);
      const owner = new Map<string, string>();
      planned.forEach((files, index) => {
        for (const { file } of files) {
          const image = path.resolve(sources[index] as string);
          expect(owner.get(file.toLowerCase()) ?? image).toBe(image);
          owner.set(file.toLowerCase(), image);
          expect(path.dirname(file)).toBe(out);
        }
      });
    }),
    { numRuns: 60 },
  );
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import { openDataset, type Dataset, type OpenDatasetOptions } from '../../datasets/dataset';
import { loadMaskAtOwnSize } from '../../lib/image/preprocess';
import { makeTree, png, removeTrees } from './tree';

afterEach(removeTrees);

const files = { 'p/1.png': '', 'p/2 ü.PNG': '', 'p/3.png': '', 'm/2.png': '', 'm/3.png': '' };

function lines({ root, categories }: Dataset): string[] {
  return categories.flatMap(({ samples }) =>
    samples.map(
      ({ category, anomalous, defect, imagePath, maskPath }) =>
        `${category} ${anomalous ? defect : '-'} ${path.relative(root, imagePath)}${maskPath ? ` < ${path.relative(root, maskPath)}` : ''}`,
    ),
  );
}

const open = (text: string, options?: OpenDatasetOptions, name = 'list.csv'): Promise<Dataset> =>
  openDataset(makeTree({ ...files, [name]: text }), options);

test.each([
  ['plain names', 'path,label,mask,category\np/1.png,0,,nut\np/2 ü.PNG,1,m/2.png,nut\np/3.png,1,m/3.png,bolt\n'],
  [
    'other names, order, quotes, CRLF',
    'Mask Path;Object;Image_Path;IS_ANOMALY\r\n;nut;"p/1.png";false\r\nm/2.png;nut;./p/2 ü.PNG;TRUE\r\nm\\3.png;bolt;p\\3.png;yes\r\n',
  ],
  [
    'words, tabs, another column',
    'filename\tcls_name\ttarget\tgt\tnote\np/1.png\tnut\tGood\t\tx\np/2 ü.PNG\tnut\tdefective\tm/2.png\t\np/3.png\tbolt\tNG\tm/3.png\n',
  ],
  [
    'lines that end with CR alone',
    'path,label,mask,category\rp/1.png,0,,nut\rp/2 ü.PNG,1,m/2.png,nut\rp/3.png,1,m/3.png,bolt\r',
  ],
  [
    'a split',
    'image,split,label,mask,class\np/1.png,test,normal,,nut\np/2 ü.PNG,Test,anomaly,m/2.png,nut\np/3.png,test,anomaly,m/3.png,bolt\np/1.png,train,maybe,,nut\n',
  ],
])('%s', async (_, text) => {
  const dataset = await open(text);
  expect(dataset).toMatchObject({ name: 'set', layout: 'csv', hasMasks: true, problems: [] });
  expect(lines(dataset)).toEqual([
    'bolt anomaly p/3.png < m/3.png',
    'nut - p/1.png',
    'nut anomaly p/2 ü.PNG < m/2.png',
  ]);
});

test('labels alone; masks alone; kinds of defects; no category', async () => {
  const labelled = await open('image,label\np/1.png,ok\np/3.png,ko\n');
  expect(labelled).toMatchObject({
    hasMasks: false,
    problems: [{ kind: 'left-out', message: expect.stringContaining('3 files are not part of it') as string }],
  });
  expect(lines(labelled)).toEqual(['set - p/1.png', 'set anomaly p/3.png']);
  expect(lines(await open('image,mask,defect_type\np/1.png,,\np/3.png,m/3.png,scratch\n'))).toEqual([
    'set - p/1.png',
    'set scratch p/3.png < m/3.png',
  ]);
});

test('several masks of an image, in one cell or in several rows', async () => {
  const dot = await png(2, 2, 0, 255);
  process.env['CRANE_CACHE'] = makeTree([], 'cache');
  const root = makeTree({
    '1.png': dot,
    '2.png': dot,
    'a.png': dot,
    'b.png': await png(2, 2, 0),
    'list.csv': 'image,mask,label\n1.png,a.png | b.png,1\n2.png,b.png,1\n2.png,a.png,1\n',
  });
  const dataset = await openDataset(root);
  delete process.env['CRANE_CACHE'];
  expect(dataset.problems).toEqual([]);
  const masks = (dataset.categories[0]?.samples ?? []).map(({ maskPath }) => loadMaskAtOwnSize(maskPath as string));
  expect((await Promise.all(masks)).map(({ data }) => [...data].join(''))).toEqual(['1000', '1000']);
});

test('what is wrong is named with its line; the rest is read', async () => {
  const text =
    'path,label,mask\np/1.png,0,\ngone.png,1,m/2.png\n,1,m/2.png\np/2 ü.PNG,perhaps,m/2.png\np/3.png,1,m/gone.png\np/3.png,1,\n';
  await expect(open(text)).rejects.toThrow(
    /line 3 names gone\.png[\s\S]*line 4 names no image[\s\S]*line 5: label "perhaps"; expected normal or anomaly, 0 or 1[\s\S]*p\/3\.png is anomalous but has no mask; looked for m\/gone\.png, which line 6/,
  );
  expect(lines(await open(text, { allowIncomplete: true }))).toEqual(['set - p/1.png', 'set anomaly p/3.png']);
  await expect(open('path,label,mask\np/1.png,1,\np/3.png,1,m/3.png\n')).rejects.toThrow(
    /p\/1\.png is anomalous but has no mask; looked for a mask in line 2/,
  );
});

test('a list that is named itself, from anywhere; lists of other things are none', async () => {
  const root = makeTree({
    ...files,
    'one.csv': 'path,label\np/1.png,0\n',
    'test_labels.csv': 'path,label\np/3.png,1\n',
    'times.csv': 'path,seconds\np/1.png,3\n',
  });
  const named = await openDataset(path.join(root, 'one.csv'));
  expect(named).toMatchObject({ name: 'one', layout: 'csv' });
  expect(lines(named)).toEqual(['one - p/1.png']);
  // Of several in a folder the one for the test split is taken, and the others are named.
  const folder = await openDataset(root);
  expect(lines(folder)).toEqual(['set anomaly p/3.png']);
  expect(folder.problems).toMatchObject([
    { kind: 'left-out', path: path.join(root, 'one.csv') },
    { kind: 'left-out', path: root },
  ]);
  expect(folder.leftOut.map((file) => path.relative(root, file))).toEqual([
    'one.csv',
    'times.csv',
    'm/2.png',
    'm/3.png',
    'p/1.png',
    'p/2 ü.PNG',
  ]);
  expect(named.leftOut).toEqual([]);
  await expect(openDataset(path.join(root, 'times.csv'))).rejects.toThrow(
    /times\.csv has no columns for an image and for its label or mask/,
  );
  fs.rmSync(path.join(root, 'one.csv'));
  fs.rmSync(path.join(root, 'test_labels.csv'));
  await expect(openDataset(root)).rejects.toThrow(/is in no known layout/);
});

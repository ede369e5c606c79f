import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { checkDataset } from '../../datasets/check';
import { parseCsv } from '../../datasets/csv';
import { openDataset, type Dataset } from '../../datasets/dataset';
import { surveyDataset } from '../../datasets/survey';
import { runCrane } from '../cli/run-crane';
import { makeTree, png, removeTrees } from './tree';

beforeEach(() => {
  process.env['CRANE_CACHE'] = makeTree([], 'cache');
});

afterEach(() => {
  delete process.env['CRANE_CACHE'];
  removeTrees();
});

const paths = ({ root, categories }: Dataset): string[] =>
  categories.flatMap(({ samples }) => samples.map(({ imagePath }) => path.relative(root, imagePath)));
const described = ({ problems }: Dataset, root: string): string[] =>
  problems.map(({ kind, message }) => `${kind}: ${message.replaceAll(`${root}/`, '')}`);

describe('names that JavaScript knows', () => {
  const item = (category: string, image: string, mask: string): object => ({
    img_path: image,
    mask_path: mask,
    cls_name: category,
    specie_name: mask === '' ? 'good' : 'constructor',
    anomaly: mask === '' ? 0 : 1,
  });
  const names = ['__proto__', 'constructor', 'toString'];

  test('are categories and kinds of defects of meta.json like any other', async () => {
    const mark = await png(4, 4, 0, 9);
    const files = Object.fromEntries(
      names.flatMap((name) => [
        [`${name}/1.png`, mark],
        [`${name}/2.png`, mark],
        [`${name}/m.png`, mark],
      ]),
    );
    // Written as text: an object with this key would have it as its prototype.
    const test = names
      .map(
        (name) =>
          `${JSON.stringify(name)}: ${JSON.stringify([item(name, `${name}/1.png`, ''), item(name, `${name}/2.png`, `${name}/m.png`)])}`,
      )
      .join(', ');
    const root = makeTree({ ...files, 'meta.json': `{ "test": { ${test} } }` });
    const dataset = await openDataset(root);
    expect(dataset.categories.map(({ name, samples }) => [name, ...samples.map(({ defect }) => defect)])).toEqual(
      names.map((name) => [name, 'good', 'constructor']),
    );
    expect(dataset.leftOut).toEqual([]);
    expect(
      (await openDataset(root, { categories: ['__proto__'] })).categories.map(({ samples }) => samples.length),
    ).toEqual([2]);
    expect((await checkDataset(dataset)).problems).toEqual([]);
  });

  test('are columns of a CSV list, and categories and labels in it', async () => {
    const { rows } = parseCsv('__proto__,constructor\na,b\n');
    expect([rows[0]?.values['__proto__'], rows[0]?.values['constructor'], rows[0]?.values['toString']]).toEqual([
      'a',
      'b',
      undefined,
    ]);
    const image = await png(4, 4, 9);
    const root = makeTree({
      'constructor.png': image,
      '2.png': image,
      'list.csv': 'path,label,category,__proto__\nconstructor.png,ok,__proto__,x\n2.png,ng,__proto__,y\n',
    });
    const dataset = await openDataset(root);
    expect(dataset.categories.map(({ name, samples }) => [name, samples.length])).toEqual([['__proto__', 2]]);
    await expect(
      openDataset(makeTree({ '1.png': image, 'list.csv': 'path,label\n1.png,constructor\n' })),
    ).rejects.toThrow(/label "constructor"; expected normal or anomaly/);
  });

  test("are a folder of MVTec's layout and its defects", async () => {
    const dataset = await openDataset(
      makeTree([
        '__proto__/test/good/0.png',
        '__proto__/test/constructor/1.png',
        '__proto__/ground_truth/constructor/1_mask.png',
      ]),
    );
    expect(dataset.categories.map(({ name, samples }) => [name, samples.map(({ defect }) => defect)])).toEqual([
      ['__proto__', ['constructor', 'good']],
    ]);
  });
});

describe('what is no file', () => {
  test('pipes, and links to nothing and to themselves, are named and left out; nothing waits for them', async () => {
    const [image, mask] = [await png(4, 4, 9), await png(4, 4, 0, 9)];
    const root = makeTree({ 'images/1.png': image, 'masks/1.png': mask, 'images/2.png': image });
    for (const pipe of [
      'images/pipe.png',
      'masks/pipe.png',
      'masks/2.png',
      'meta.json',
      'labels.csv',
      'coco.json',
      'fake.json',
      'data.yaml',
    ])
      execFileSync('mkfifo', [path.join(root, pipe)]);
    fs.symlinkSync('loop.png', path.join(root, 'images/loop.png'));
    fs.symlinkSync('loop', path.join(root, 'loop'));
    fs.symlinkSync('nowhere.png', path.join(root, 'images/gone.png'));
    await expect(openDataset(root, { layout: 'meta-json' })).rejects.toThrow(
      /meta\.json cannot be read: it is not a file/,
    );
    fs.rmSync(path.join(root, 'meta.json'));
    const dataset = await openDataset(root, { allowIncomplete: true });
    expect(dataset.layout).toBe('images-masks');
    expect(paths(dataset)).toEqual(['images/1.png', 'images/2.png']);
    expect(dataset.categories[0]?.samples.map(({ hasMask }) => hasMask)).toEqual([true, false]);
    expect(described(dataset, root).filter((problem) => problem.startsWith('unreadable'))).toEqual([
      'unreadable: images/gone.png is a link that leads nowhere and is skipped; expected an image',
      'unreadable: images/loop.png is a link that leads nowhere and is skipped; expected an image',
      'unreadable: images/pipe.png is a named pipe and is skipped; expected an image',
      'unreadable: masks/2.png is a named pipe and is skipped; expected an image',
    ]);
    await expect(openDataset(root)).rejects.toThrow(/images\/pipe\.png is a named pipe/);
  });

  test('links to folders that lead in circles are entered once', () => {
    const root = makeTree(['nut/test/good/0.png', 'nut/extra/1.png']);
    fs.symlinkSync(root, path.join(root, 'nut/up'));
    fs.symlinkSync('.', path.join(root, 'nut/test/here'));
    const { layout, leftOut } = surveyDataset(root);
    expect(layout).toBe('mvtec');
    expect(leftOut.map(({ path: file }) => path.relative(root, file))).toEqual(['nut/extra/1.png']);
  });
});

describe('lists that lead out of the set', () => {
  test('meta.json: what lies elsewhere is not read, and is named', async () => {
    const image = await png(4, 4, 9);
    const root = makeTree({ 'inner/a.png': image, 'private.png': image });
    const item = (listed: string): object => ({ img_path: listed, cls_name: 'nut', anomaly: 0 });
    const write = (...listed: string[]): void =>
      fs.writeFileSync(path.join(root, 'inner/meta.json'), JSON.stringify({ test: { nut: listed.map(item) } }));
    write('a.png', '../private.png', path.join(root, 'private.png'));
    const inner = path.join(root, 'inner');
    await expect(openDataset(inner)).rejects.toThrow(
      /names \.\.\/private\.png, which is outside the set and is not read; move it into/,
    );
    expect(paths(await openDataset(inner, { allowIncomplete: true }))).toEqual(['a.png']);
    // A way out and in again is inside.
    write('../inner/a.png');
    expect(paths(await openDataset(inner))).toEqual(['a.png']);
  });

  test('a CSV list in a folder stays in it; one that a person names may lead anywhere', async () => {
    const image = await png(4, 4, 9);
    const root = makeTree({ 'lists/list.csv': 'path,label\n../p/1.png,0\n', 'p/1.png': image });
    await expect(openDataset(path.join(root, 'lists'))).rejects.toThrow(
      /there is no such file beside the list; files outside the set are read only where the list itself is named/,
    );
    expect(paths(await openDataset(path.join(root, 'lists/list.csv')))).toEqual(['../p/1.png']);
  });

  test('a damaged list beside a tree that explains itself: the tree is read, and the list is named', async () => {
    const root = makeTree({ 'nut/test/good/0.png': '', 'meta.json': '{"test"' });
    const dataset = await openDataset(root);
    expect(dataset.layout).toBe('mvtec');
    expect(described(dataset, root)).toEqual([
      expect.stringMatching(/^unreadable: meta\.json cannot be read: it is not JSON/),
      expect.stringMatching(/^left-out: 1 file is not part of it/),
    ]);
  });

  test('UTF-16, as spreadsheets write it', async () => {
    const root = makeTree({
      'ü.png': await png(4, 4, 9),
      'list.csv': Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('path,label\nü.png,ok\n', 'utf16le')]),
    });
    expect(paths(await openDataset(root))).toEqual(['ü.png']);
  });
});

describe('crane datasets check', () => {
  test('is not content where files are left out', async () => {
    const [image, mask] = [await png(4, 4, 9), await png(4, 4, 0, 9)];
    const root = makeTree({ 'images/1.png': image, 'masks/1.png': mask });
    const content = 'All files were opened, and no problems were found.';
    expect((await runCrane('datasets', 'check', root)).out).toContain(`images-masks layout: 1 image, 1 with masks\n`);
    expect((await runCrane('datasets', 'check', root)).out).toContain(content);
    fs.writeFileSync(path.join(root, 'more.png'), image);
    const { code, out } = await runCrane('datasets', 'check', root);
    expect(code).toBe(0);
    expect(out).toContain('images-masks layout: 1 image, 1 with masks; 1 file is not part of it\n');
    expect(out).not.toContain(content);
    expect(JSON.parse((await runCrane('datasets', 'check', root, '--json')).out)).toMatchObject({
      leftOut: [path.join(root, 'more.png')],
      reading: expect.stringContaining('1 file is not part of it') as string,
    });
  });

  test('--dry-run opens no picture and says what would be read as what', async () => {
    const root = makeTree({
      'MT_Crack/Imgs/1.jpg': 'no picture',
      'MT_Crack/Imgs/1.png': 'none',
      'MT_Free/Imgs/2.jpg': 'none',
      'MT_Free/Imgs/2.png': 'none',
      'dataset.jpg': '',
    });
    const { code, out } = await runCrane('datasets', 'check', root, '--dry-run');
    expect(code).toBe(0);
    expect(out).toMatch(/masks-beside +4 +4/);
    expect(out).toMatch(/MT_Crack\/Imgs\/ +1 +set +anomalous: Crack +MT_Crack\/Imgs\/\n/);
    expect(out).toMatch(/MT_Free\/Imgs\/ +1 +set +normal +MT_Free\/Imgs\/\n/);
    expect(out).toContain('Not part of the set: 1 file\n  dataset.jpg\n');
    const json = JSON.parse((await runCrane('datasets', 'check', root, '--dry-run', '--json')).out) as {
      images: object[];
    };
    expect(json).toMatchObject({
      layout: 'masks-beside',
      leftOut: [path.join(root, 'dataset.jpg')],
      layouts: [{ name: 'masks-beside', explains: 4, score: 4 }],
    });
    expect(json.images[0]).toEqual({
      path: path.join(root, 'MT_Crack/Imgs/1.jpg'),
      category: 'set',
      readAs: 'anomalous: Crack',
      masks: [path.join(root, 'MT_Crack/Imgs/1.png')],
    });
  });

  test.each([['datasets', 'check'], ['eval'], ['train'], ['benchmark']])(
    '%s %s --layout list names the layouts',
    async (...words) => {
      const { code, out } = await runCrane(...words.filter((word) => word !== ''), '--layout', 'list');
      expect(code).toBe(0);
      expect(out).toMatch(/^images-masks +images\/ and masks\//m);
      expect(out).toMatch(/^bare-folder +images/m);
    },
  );

  test('--layout decides; one that does not fit, or is none, is wrong use', async () => {
    const [image, mask] = [await png(4, 4, 9), await png(4, 4, 0, 9)];
    const root = makeTree({
      'images/1.png': image,
      'masks/1.png': mask,
      'a.jpg': image,
      'a.png': mask,
      'images/2.png': image,
    });
    expect((await runCrane('datasets', 'check', root, '--layout', 'masks-beside')).out).toContain(
      'masks-beside layout: 1 image, 1 with masks; 3 files are not part of it',
    );
    expect((await runCrane('datasets', 'check', root, '--normal-without-mask')).out).toContain(
      'images-masks layout: 2 images, 1 with masks; 2 files are not part of it',
    );
    expect((await runCrane('datasets', 'check', root, '--layout', 'visa')).code).toBe(2);
    expect(await runCrane('datasets', 'check', root, '--layout', 'nonsense')).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no layout "nonsense"') as string,
    });
  });
});

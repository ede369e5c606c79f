import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { runCrane, runNpmTool } from './run-crane';
import { describeWithSamples, png } from '../datasets/tree';

let folder: string;
let data: string;

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-datasets-'));
});

beforeEach(() => {
  data = fs.mkdtempSync(path.join(folder, 'data-'));
  process.env['CRANE_DATA'] = data;
  process.env['CRANE_CACHE'] = path.join(folder, 'cache');
});

afterEach(() => {
  delete process.env['CRANE_DATA'];
  delete process.env['CRANE_CACHE'];
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

async function write(file: string, content: Buffer | string): Promise<void> {
  await fs.promises.mkdir(path.dirname(path.join(data, file)), { recursive: true });
  await fs.promises.writeFile(path.join(data, file), content);
}

interface Listed {
  readonly name: string;
  readonly get: string;
  readonly source: string;
  readonly licence: string;
  readonly folder: string | null;
  readonly found: {
    readonly layout: string | null;
    readonly counts: { readonly normal: number; readonly anomalous: number } | null;
    readonly trouble: string | null;
  } | null;
}

describe('crane datasets list', () => {
  test('for programs: expected and found, licence, address, how to get each of the sixteen', async () => {
    const image = await png(8, 8, 3);
    await write('MVTec_AD/grid/test/good/0.png', image);
    await write('headct/readme.txt', 'nothing yet');
    const { code, out } = await runCrane('datasets', 'list', '--json');
    expect(code).toBe(0);
    const { dataFolder, datasets } = JSON.parse(out) as { dataFolder: string; datasets: Listed[] };
    expect(dataFolder).toBe(data);
    expect(datasets).toHaveLength(16);
    expect(datasets.every(({ source, licence, get }) => [source, licence, get].every((text) => text.length > 3))).toBe(
      true,
    );
    const of = (name: string): Listed => datasets.find((entry) => entry.name === name) as Listed;
    expect(of('mvtec')).toMatchObject({
      expected: { normal: 467, anomalous: 1258 },
      folder: path.join(data, 'MVTec_AD'),
      found: { layout: 'mvtec', counts: { normal: 1, anomalous: 0 } },
      get: 'by hand',
    });
    expect(of('mvtec').found?.trouble).toContain('missing: bottle');
    expect(of('headct').found).toMatchObject({ layout: null, counts: null });
    expect(of('headct').found?.trouble).toContain('is in no known layout: it has readme.txt');
    expect(of('visa')).toMatchObject({ folder: null, found: null, get: 'crane datasets fetch visa --accept-license' });
    expect(of('synthetic-target').get).toBe('crane datasets synthesize');
  });

  test('for people: a table of counts, how to get the rest, addresses, and what is wrong', async () => {
    await write('MVTec_AD/grid/test/good/0.png', await png(8, 8, 3));
    const { out } = await runCrane('datasets', 'list');
    expect(out).toMatch(/mvtec +MVTec-AD +15 +~467 \/ 1258 +1 \/ 0 +yes/);
    expect(out).toMatch(/isic +ISIC 2016 \(Task 1, test\) +1 +0 \/ 379 +- +yes/);
    expect(out).toMatch(/sdd +fetch +CC BY-NC-SA 4\.0/);
    expect(out).toContain('https://data.vicos.si/datasets/KSDD/KolektorSDD.zip');
    expect(out).toMatch(/Worth knowing:\n +mvtec .*has 1 of the 15 categories/);
  });
});

describe('crane datasets check', () => {
  test('a broken set: what is wrong in sentences and as JSON, and exit code 1', async () => {
    const image = await png(8, 8, 3);
    await write('mine/nut/test/good/0.png', image);
    await write('mine/nut/test/bent/1.png', image);
    await write('mine/nut/test/cut/2.png', image);
    await write('mine/nut/ground_truth/cut/2_mask.png', 'no picture');
    const shown = await runCrane('datasets', 'check', path.join(data, 'mine'));
    expect(shown.code).toBe(1);
    expect(shown.out).toMatch(/nut +3 +1 +2 +1 +bent, cut/);
    expect(shown.out).toContain(
      `2 errors:\n  the folder ${data}/mine/nut/ground_truth/bent is missing, so 1 anomalous image has no mask`,
    );
    const { code, out } = await runCrane('datasets', 'check', path.join(data, 'mine'), '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      name: 'mine',
      layout: 'mvtec',
      counts: { images: 3 },
      expected: null,
      problems: [{ kind: 'missing-folder' }, { kind: 'unreadable' }],
    });
  });

  test('without a name: every set in the data folder; with none, what to do', async () => {
    expect((await runCrane('datasets', 'check')).out).toContain(`There is no set in ${data}`);
    const image = await png(8, 8, 3);
    await write('tn3k/test-image/1.jpg', image);
    await write('tn3k/test-mask/1.jpg', await png(8, 8, 0, 255));
    await write('brainmri/yes/1.jpg', image);
    await write('brainmri/no/2.jpg', image);
    const { code, out } = await runCrane('datasets', 'check');
    expect(code).toBe(0);
    expect(out).toMatch(
      /tn3k: .*\n[\s\S]*Every image is anomalous: image metrics are not defined; pixel metrics are\.[\s\S]*0 normal and 1 anomalous images; the whole set has 0 and 614/,
    );
    expect(out).toMatch(/brainmri: .*\n[\s\S]*No masks: pixel metrics are not defined/);
    const reports = JSON.parse((await runCrane('datasets', 'check', '--json')).out) as { name: string }[];
    expect(reports.map(({ name }) => name)).toEqual(['tn3k', 'brainmri']);
  });

  test('a plain folder of images is counted, and said to be no more', async () => {
    await write('photos/a.png', await png(8, 8, 3));
    const { code, out } = await runCrane('datasets', 'check', path.join(data, 'photos'));
    expect(code).toBe(0);
    expect(out).toContain('Nothing says which images are anomalous');
    expect(out).toContain('is in no known layout');
    expect(out).not.toContain('no problems were found');
  });

  test('only normal images', async () => {
    await write('mine/nut/test/good/0.png', await png(8, 8, 3));
    expect((await runCrane('datasets', 'check', path.join(data, 'mine'))).out).toContain(
      'No image is anomalous: no metric is defined',
    );
  });
});

describe('crane datasets where and fetch', () => {
  test('where: address, licence, how to get it, where it goes', async () => {
    const { code, out } = await runCrane('datasets', 'where', 'BTAD');
    expect(code).toBe(0);
    for (const part of [
      'https://avires.dimi.uniud.it/papers/btad/btad.zip',
      'CC BY-NC-SA 4.0',
      'crane datasets fetch btad --accept-license',
      `goes to   ${path.join(data, 'btad')}`,
    ])
      expect(out).toContain(part);
    expect(JSON.parse((await runCrane('datasets', 'where', 'btad', '--json')).out)).toMatchObject({
      name: 'btad',
      present: false,
      place: path.join(data, 'btad'),
    });
    expect((await runCrane('datasets', 'where', 'cats')).code).toBe(2);
  });

  test('fetch: shows the licence before anything; says where to go where it cannot', async () => {
    const licence = await runCrane('datasets', 'fetch', 'visa');
    expect([licence.code, licence.out]).toEqual([2, '']);
    expect(licence.err).toMatch(
      /VisA is not ours to distribute: it comes from .*\n {2}Licence: CC BY 4\.0\n.*--accept-license/,
    );
    const byHand = await runCrane('datasets', 'fetch', 'dagm', '--accept-license');
    expect(byHand.code).toBe(2);
    expect(byHand.err).toContain(`Unpack to: ${path.join(data, 'dagm')}`);
    const offline = await runCrane('datasets', 'fetch', 'btad', '--accept-license', '--offline');
    delete process.env['CRANE_OFFLINE'];
    expect(offline.code).toBe(1);
    expect(offline.err).toContain('downloads are disabled');
    expect(fs.existsSync(path.join(data, 'btad'))).toBe(false);
  });
});

test('crane datasets synthesize draws synthetic sets only', async () => {
  const { code, err } = await runCrane('datasets', 'synthesize', 'mvtec', '--out', path.join(data, 'x'));
  expect(code).toBe(2);
  expect(err).toContain(
    'there is no synthetic set "mvtec"; the known ones are synthetic-auxiliary and synthetic-target',
  );
  expect(fs.readdirSync(data)).toEqual([]);
});

describe('npm run stand-ins', () => {
  test('stand-ins of sets by name, into a folder of their own', async () => {
    const out = path.join(data, 'stand-ins');
    const { code, out: text } = await runNpmTool(
      ...['stand-ins', 'TN3K', 'sdd', '--out', out, '--images-per-category', '2', '--image-size', '32'],
    );
    expect(code).toBe(0);
    expect(text).toContain(`${path.join(out, 'sdd')}\n${path.join(out, 'tn3k')}\n`);
    expect(fs.readdirSync(path.join(out, 'tn3k')).sort()).toEqual(['fake.json', 'test-image', 'test-mask']);
    process.env['CRANE_DATA'] = out;
    const checked = await runCrane('datasets', 'check', 'tn3k');
    expect(checked.out).toContain('is a synthetic stand-in for tn3k: its figures say nothing about the real set');
    expect(checked.code).toBe(0);
  });

  test('never among the real sets, and only what there is', async () => {
    const refused = await runNpmTool('stand-ins', 'mvtec', '--out', data);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('the real sets are there; choose another folder for the stand-ins for mvtec');
    const unknown = await runNpmTool('stand-ins', 'cats', '--out', path.join(data, 'x'));
    expect(unknown.code).toBe(2);
    expect(unknown.err).toContain('no stand-in for "cats"');
    expect(fs.readdirSync(data)).toEqual([]);
  });
});

describeWithSamples('crane datasets check on real samples', (samples) => {
  test.each([
    ['mvtec', 0, { images: 12, normal: 3, anomalous: 9, masks: 9 }],
    ['mvtec-incomplete', 1, { images: 4, normal: 1, anomalous: 3, masks: 0 }],
    ['headct', 0, { images: 200, normal: 100, anomalous: 100, masks: 0 }],
    ['cvc-clinicdb', 0, { images: 20, normal: 0, anomalous: 20, masks: 20 }],
    ['cvc-colondb', 0, { images: 19, normal: 0, anomalous: 19, masks: 19 }],
    ['crackforest', 0, { images: 40, normal: 0, anomalous: 40, masks: 40 }],
    ['magnetic-tile', 0, { images: 96, normal: 16, anomalous: 80, masks: 96 }],
  ])('%s', async (name, code, counts) => {
    const run = await runCrane('datasets', 'check', path.join(samples, name), '--json');
    const report = JSON.parse(run.out) as {
      counts: unknown;
      problems: { severity: string; path: string; message: string }[];
    };
    expect(run.code).toBe(code);
    expect(report.counts).toEqual(counts);
    const errors = report.problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
    expect(errors).toEqual(
      code === 0
        ? []
        : [`the folder ${samples}/mvtec-incomplete/bottle/ground_truth is missing, so 3 anomalous images have no mask`],
    );
  });
});

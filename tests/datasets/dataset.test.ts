import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { parseCsv } from '../../datasets/csv';
import { dataFolder } from '../../datasets/data-folder';
import { openDataset } from '../../datasets/dataset';
import { ensureSynthetic } from '../../datasets/ensure-synthetic';
import { layouts } from '../../datasets/layouts';
import { pairByName } from '../../datasets/mask-names';
import type { SynthesizeOptions } from '../../datasets/synthetic/write-set';
import { findRegisteredDataset, registeredDatasetOfFolder, registeredDatasets } from '../../datasets/registry';
import { DatasetError, UsageError } from '../../lib/errors';
import { makeTree, removeTrees } from './tree';

/** Drawing has tests of its own; here one picture stands for a set. */
jest.mock('../../datasets/synthetic/write-set', () => ({
  synthesizeSet: async ({ name, root, onProgress }: SynthesizeOptions) => {
    onProgress?.({ kind: 'start', task: `draw ${name}`, total: 1, unit: 'images' });
    const folder = path.join(root, name);
    await new Promise((resolve) => setTimeout(resolve, 20));
    fs.mkdirSync(path.join(folder, 'nut/test/good'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'nut/test/good/0.png'), '');
    fs.writeFileSync(
      path.join(folder, 'synthetic.json'),
      JSON.stringify({
        generator: jest.requireActual<{ GENERATOR_VERSION: number }>('../../datasets/synthetic/draw').GENERATOR_VERSION,
      }),
    );
    return { folder };
  },
}));

afterEach(removeTrees);

describe('the registry', () => {
  test('holds the fourteen sets of the paper and the two drawn ones', () => {
    const of = (kind: string): string[] =>
      registeredDatasets.filter((entry) => entry.kind === kind).map((entry) => entry.name);
    expect(of('industrial')).toEqual(['mvtec', 'visa', 'mpdd', 'btad', 'sdd', 'dagm', 'dtd']);
    expect(of('medical')).toEqual(['isic', 'cvc-colondb', 'cvc-clinicdb', 'tn3k', 'headct', 'brainmri', 'br35h']);
    expect(of('drawn')).toEqual(['synthetic-auxiliary', 'synthetic-target']);
    expect(registeredDatasets.filter((entry) => !entry.hasMasks).map((entry) => entry.name)).toEqual([
      'headct',
      'brainmri',
      'br35h',
    ]);
  });

  test('names readers that exist, its categories once and sorted, and folders that no other set has', () => {
    const known = layouts.map((layout) => layout.name);
    const folders = registeredDatasets.flatMap((entry) => entry.folders.map((folder) => folder.toLowerCase()));
    expect(new Set(folders).size).toBe(folders.length);
    for (const entry of registeredDatasets) {
      expect(entry.layouts.filter((layout) => !known.includes(layout))).toEqual([]);
      expect([...new Set(entry.categories)].sort()).toEqual(entry.categories);
    }
    expect([...registeredDatasets.map((entry) => entry.categories.length)]).toEqual([
      15, 12, 6, 3, 1, 10, 12, 1, 1, 1, 1, 1, 1, 1, 0, 0,
    ]);
  });

  test('is asked by name and by folder, upper or lower case', () => {
    expect(findRegisteredDataset('VisA')?.name).toBe('visa');
    expect(registeredDatasetOfFolder('MVTEC_anomaly_detection')?.name).toBe('mvtec');
    expect(findRegisteredDataset('cats')).toBeUndefined();
  });
});

describe('opening', () => {
  test('a registered set that is absent: where from, licence, size, where to, and what is there', async () => {
    const data = makeTree(['mvtec/grid/test/good/0.png'], 'data');
    const error = await openDataset('visa', { dataFolder: data }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DatasetError);
    const { code, message } = error as DatasetError;
    expect(code).toBe('dataset/absent');
    for (const part of ['VisA_20220922.tar', 'CC BY 4.0', '1.8 GB', path.join(data, 'visa'), 'Sets present: mvtec.'])
      expect(message).toContain(part);
  });

  test('a registered set in the data folder, under any of its folder names', async () => {
    const data = makeTree(['MVTec_AD/grid/test/good/0.png'], 'data');
    expect(await openDataset('mvtec', { dataFolder: data })).toMatchObject({
      name: 'mvtec',
      kind: 'industrial',
      root: path.join(data, 'MVTec_AD'),
    });
  });

  test('neither a name nor a folder; a file; a category that is not there', async () => {
    const root = makeTree(['a/test/good/0.png', 'b/test/good/0.png']);
    await expect(openDataset('cats')).rejects.toThrow(
      /"cats" is neither a registered set nor a folder.*one of: mvtec, visa/,
    );
    await expect(openDataset(path.join(root, 'a/test/good/0.png'))).rejects.toThrow(/is a file, not a folder/);
    await expect(openDataset(root, { categories: ['a', 'c'] })).rejects.toThrow(UsageError);
    expect((await openDataset(root, { categories: ['b'] })).categories.map((category) => category.name)).toEqual(['b']);
  });

  test('the data folder is named by the environment, and is in the checkout by default', () => {
    expect(dataFolder({ CRANE_DATA: '/some/where' })).toBe(path.resolve('/some/where'));
    expect(dataFolder({})).toBe(path.resolve(__dirname, '../../datasets/data'));
  });

  test('a drawn set that is named is drawn once, also by two at a time; other names are left alone', async () => {
    const data = makeTree([], 'data');
    const starts: string[] = [];
    const options = {
      dataFolder: data,
      onProgress: (progress: { kind: string; task: string }) =>
        void (progress.kind === 'start' && starts.push(progress.task)),
    };
    await expect(openDataset('synthetic-target', { dataFolder: data })).rejects.toThrow(
      /synthetic, not downloaded: crane datasets synthesize/,
    );
    const folders = await Promise.all([
      ensureSynthetic('synthetic-target', options),
      ensureSynthetic('synthetic-target', options),
    ]);
    expect(folders).toEqual([path.join(data, 'synthetic-target'), path.join(data, 'synthetic-target')]);
    expect(starts).toHaveLength(1);
    expect(fs.readdirSync(data)).toEqual(['synthetic-target']);
    const dataset = await openDataset('synthetic-target', { dataFolder: data });
    expect(dataset).toMatchObject({ kind: 'drawn', layout: 'mvtec', hasMasks: true, problems: [] });
    fs.writeFileSync(path.join(data, 'synthetic-target/synthetic.json'), '{ "generator": 0 }');
    await ensureSynthetic('synthetic-target', options);
    expect(starts).toHaveLength(2);
    expect(await ensureSynthetic('mvtec', options)).toBeUndefined();
    expect(await ensureSynthetic(data, options)).toBeUndefined();
  });
});

describe('pairing by name', () => {
  test('every image finds its own mask whatever the order and whatever else is lost', () => {
    const ending = fc.constantFrom('', '_mask', '_label', '_GT', '_Segmentation', '-mask');
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(names, ending, fc.infiniteStream(fc.boolean()), (stems, suffix, kept) => {
        const images = stems.map((name) => `images/${name}.JPG`);
        const masks = stems.filter(() => kept.next().value).map((name) => `masks/${name}${suffix}.png`);
        const { masksOf, problems } = pairByName(images, [...masks].reverse());
        expect(problems).toEqual([]);
        const expected = images.map((image) =>
          masks.filter((mask) => mask.slice(6, -4 - suffix.length) === image.slice(7, -4)),
        );
        expect(images.map(masksOf)).toEqual(expected);
        expect(images.flatMap(masksOf)).toHaveLength(masks.length);
      }),
    );
  });
});

describe('CSV', () => {
  test('quotes, line ends inside them, CRLF, byte order mark, blanks, empty lines', () => {
    const { columns, rows } = parseCsv('\uFEFFId, Label\r\n"a, ""b""", x \r\n\r\n"two\nlines",y\nlast');
    expect(columns).toEqual(['id', 'label']);
    expect(rows).toEqual([
      { line: 2, values: { id: 'a, "b"', label: 'x' } },
      { line: 4, values: { id: 'two\nlines', label: 'y' } },
      { line: 6, values: { id: 'last', label: '' } },
    ]);
    expect(parseCsv('')).toEqual({ columns: [], rows: [] });
  });

  test('what is written is read', () => {
    const cell = fc
      .string({ unit: 'grapheme', maxLength: 8 })
      .map((text) => text.trim())
      .filter((text) => text !== '' && !text.includes('\r'));
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (table) => {
        const text = [
          'a,b',
          ...table.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')),
        ].join('\n');
        expect(parseCsv(text).rows.map((row) => [row.values['a'], row.values['b']])).toEqual(table);
      }),
    );
  });
});

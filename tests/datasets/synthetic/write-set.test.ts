import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { defectKinds } from '../../../datasets/synthetic/defects';
import { auxiliaryFamilies, targetFamilies } from '../../../datasets/synthetic/families';
import { categoryOf, synthesizeSet, type SyntheticSetRecord } from '../../../datasets/synthetic/write-set';
import type { Progress } from '../../../lib/progress';

const small = { imageSize: 48, perCategory: { train: 1, good: 2, perKind: 1 } } as const;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'synthetic-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

describe('synthesizeSet', () => {
  it('writes the auxiliary set in the layout of MVTec AD, with kinds seen alone', async () => {
    const reports: Progress[] = [];
    const { folder, record } = await synthesizeSet({
      name: 'synthetic-auxiliary',
      root,
      ...small,
      onProgress: (report) => reports.push(report),
    });
    const expected = ['synthetic.json'];
    for (const family of auxiliaryFamilies) {
      const category = categoryOf(family);
      expected.push(`${category}/train/good/000.png`, `${category}/test/good/000.png`, `${category}/test/good/001.png`);
      for (const kind of defectKinds.seen)
        expected.push(`${category}/test/${kind}/000.png`, `${category}/ground_truth/${kind}/000_mask.png`);
    }
    expect(await filesOf(folder)).toEqual(expected.sort());
    expect(JSON.parse(await readFile(join(folder, 'synthetic.json'), 'utf8'))).toEqual(record);
    expect(record.defects).toEqual({ seen: defectKinds.seen, unseen: [] });
    expect(record.images).toBe(auxiliaryFamilies.length * (3 + defectKinds.seen.length));
    expect(reports[0]).toMatchObject({ kind: 'start', total: record.images });
    expect(reports.at(-2)).toMatchObject({ kind: 'advance', done: record.images });
    expect(reports.at(-1)).toMatchObject({ kind: 'done' });
    expect(await readdir(root)).toEqual(['synthetic-auxiliary']);
  });

  it('writes masks of 0 and 255 that are not empty, and pictures of the size asked for', async () => {
    const { folder, record } = await synthesizeSet({ name: 'synthetic-target', root, ...small });
    expect(record.defects.unseen).toEqual(defectKinds.unseen);
    expect(record.categories.map(({ family }) => family)).toEqual(targetFamilies.map(({ name }) => name));
    const { name } = record.categories[0]!;
    const image = await sharp(join(folder, name, 'test/tear/000.png')).metadata();
    expect([image.width, image.height, image.channels]).toEqual([48, 48, 3]);
    const { data, info } = await sharp(join(folder, name, 'ground_truth/tear/000_mask.png'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([48, 48]);
    expect(new Set(data)).toEqual(new Set([0, 255]));
  });

  it('gives equal files for equal seeds, and no picture twice', async () => {
    const hashes = async (folder: string): Promise<Map<string, string>> => {
      const found = new Map<string, string>();
      for (const file of await filesOf(folder))
        found.set(
          file,
          createHash('sha256')
            .update(await readFile(join(folder, file)))
            .digest('hex'),
        );
      return found;
    };
    const { folder, record } = await synthesizeSet({ name: 'synthetic-auxiliary', root, seed: 3, ...small });
    const first = await hashes(folder);
    const again = await hashes((await synthesizeSet({ name: 'synthetic-auxiliary', root, seed: 3, ...small })).folder);
    expect(again).toEqual(first);
    const pictures = [...first]
      .filter(([file]) => file.endsWith('.png') && !file.includes('ground_truth'))
      .map(([, hash]) => hash);
    expect(new Set(pictures).size).toBe(pictures.length);
    const other: SyntheticSetRecord = (await synthesizeSet({ name: 'synthetic-auxiliary', root, seed: 4, ...small }))
      .record;
    expect(other.sha256).not.toBe(record.sha256);
    expect((await hashes(folder)).get('gear/test/good/000.png')).not.toBe(first.get('gear/test/good/000.png'));
  });

  it('leaves nothing behind when it is stopped, and keeps the set that was there', async () => {
    const { folder, record } = await synthesizeSet({ name: 'synthetic-auxiliary', root, ...small });
    const stop = new AbortController();
    const stopped = synthesizeSet({
      name: 'synthetic-auxiliary',
      root,
      seed: 8,
      ...small,
      signal: stop.signal,
      onProgress: (report) =>
        report.kind === 'advance' && report.done === 5 && stop.abort(new Error('stopped by hand')),
    });
    await expect(stopped).rejects.toThrow('stopped by hand');
    expect(await readdir(root)).toEqual(['synthetic-auxiliary']);
    expect(JSON.parse(await readFile(join(folder, 'synthetic.json'), 'utf8'))).toEqual(record);
  });

  it('refuses what cannot be drawn and a root that is a file, and says why', async () => {
    await expect(synthesizeSet({ name: 'synthetic-auxiliary', root, imageSize: 5000 })).rejects.toMatchObject({
      code: 'synthetic/image-size',
    });
    await expect(
      synthesizeSet({ name: 'synthetic-auxiliary', root, perCategory: { train: 0, good: -1, perKind: 1 } }),
    ).rejects.toMatchObject({ code: 'synthetic/per-category' });
    const file = join(root, 'file');
    await writeFile(file, '');
    await expect(synthesizeSet({ name: 'synthetic-auxiliary', root: file, ...small })).rejects.toMatchObject({
      code: 'synthetic/write',
    });
  });
});

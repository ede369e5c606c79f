import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { openDataset } from '../../datasets/dataset';
import { evaluate, evaluateCategory } from '../../eval/evaluator';
import { Crane } from '../../index';
import { DatasetError } from '../../lib/errors';
import { describeWithGoldens, goldenCases, goldenPath, tinyBackbone } from '../goldens';
import { expectNoLeak } from '../tensors';

const tiny = (): Parameters<typeof Crane.load>[0] => ({
  backbone: tinyBackbone(),
  prompts: goldenPath('prompts_tiny.pth'),
  imageSize: 70,
  layers: [2, 4, 6],
  eattnBlocks: 5,
  referenceImages: true,
});

interface ReferenceRow {
  objects: string;
  pixel_auroc: number;
  pixel_aupro: number;
  pixel_f1: number;
  image_auroc: number;
  image_ap: number;
  image_f1: number;
}

describeWithGoldens('a whole evaluation against the reference', () => {
  test.each([
    ['e2e/crane', false],
    ['e2e/crane_context', true],
  ] as const)('%s', async (id, context) => {
    const item = goldenCases('e2e').find((candidate) => candidate.id === id);
    const rows = item?.outputs['metrics'] as unknown as ReferenceRow[];
    const crane = await Crane.load({ ...tiny(), context });
    const dataset = await openDataset(goldenPath('e2e/dataset'));
    const evaluation = await expectNoLeak(() => evaluate(crane, dataset));
    crane.dispose();
    expect(evaluation.categories.map(({ name }) => name).sort()).toEqual(rows.map(({ objects }) => objects).sort());
    for (const row of rows) {
      const { metrics } = evaluation.categories.find(
        ({ name }) => name === row.objects,
      ) as (typeof evaluation.categories)[number];
      expect(metrics['image/auroc']).toBeCloseTo(row.image_auroc, 6);
      expect(metrics['image/ap']).toBeCloseTo(row.image_ap, 6);
      expect(metrics['image/f1max']).toBeCloseTo(row.image_f1, 6);
      // The manifest allows 0.005: the reference's own pixel figures hang on which of two equal floats is larger.
      expect(Math.abs((metrics['pixel/auroc'] as number) - row.pixel_auroc)).toBeLessThan(0.005);
      expect(Math.abs((metrics['pixel/f1max'] as number) - row.pixel_f1)).toBeLessThan(0.005);
      expect(Math.abs((metrics['pixel/aupro/paper200@0.3'] as number) - row.pixel_aupro)).toBeLessThan(0.005);
    }
    expect(evaluation.mean['image/auroc']).toBeCloseTo(
      rows.reduce((sum, row) => sum + row.image_auroc, 0) / rows.length,
      6,
    );
  });
});

describeWithGoldens('sets that are not as they should be', () => {
  let folder: string;
  let crane: Crane;
  const picture = (file: string, level: number): Promise<unknown> => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    return sharp({ create: { width: 20, height: 20, channels: 3, background: { r: level, g: 90, b: 60 } } })
      .png()
      .toFile(file);
  };
  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-eval-'));
    crane = await Crane.load(tiny());
  });
  afterAll(() => {
    crane.dispose();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('groups of defects, an unreadable image, and metrics that are not defined', async () => {
    const root = path.join(folder, 'set');
    for (const [defect, count] of [
      ['good', 3],
      ['scratch', 2],
      ['stain', 2],
    ] as const) {
      for (let index = 0; index < count; index++) {
        await picture(path.join(root, 'thing/test', defect, `00${index}.png`), 40 * index + defect.length);
        if (defect !== 'good') await picture(path.join(root, 'thing/ground_truth', defect, `00${index}_mask.png`), 255);
      }
    }
    fs.writeFileSync(path.join(root, 'thing/test/good/002.png'), 'broken');
    const dataset = await openDataset(root);
    const { categories, groups, failures, mean } = await evaluate(crane, dataset, {
      groupOf: (defect) => (defect === 'stain' ? 'unseen' : 'seen'),
    });
    expect(categories[0]).toMatchObject({ name: 'thing', images: 6, anomalous: 4 });
    expect(failures.map(({ path: file }) => path.basename(file))).toEqual(['002.png']);
    expect(groups.map(({ name, categories: [of] }) => [name, of?.images, of?.anomalous])).toEqual([
      ['seen', 4, 2],
      ['unseen', 4, 2],
    ]);
    expect(mean['image/auroc']).toBe(categories[0]?.metrics['image/auroc']);
  });

  test('a group of defects has the normal images from before its first defect and from after it', async () => {
    const root = path.join(folder, 'between');
    // In the order of their names: bent, good, stain.
    for (const [at, file] of ['bent/0', 'bent/1', 'good/0', 'good/1', 'good/2', 'stain/0', 'stain/1'].entries()) {
      await picture(path.join(root, 'thing/test', `${file}.png`), 35 * at);
      const mask = Buffer.alloc(400).fill(255, 20 * at, 20 * at + 150);
      if (file.startsWith('good')) continue;
      fs.mkdirSync(path.join(root, 'thing/ground_truth', path.dirname(file)), { recursive: true });
      await sharp(mask, { raw: { width: 20, height: 20, channels: 1 } })
        .png()
        .toFile(path.join(root, 'thing/ground_truth', `${file}_mask.png`));
    }
    const dataset = await openDataset(root);
    const [category] = dataset.categories as [(typeof dataset.categories)[number]];
    const { groups } = await evaluateCategory(crane, dataset, category, { groupOf: (defect) => defect });
    expect([...groups.keys()]).toEqual(['bent', 'stain']);
    for (const [group, { images, anomalous, metrics }] of groups) {
      const alone = {
        ...category,
        samples: category.samples.filter(({ anomalous: isAnomalous, defect }) => !isAnomalous || defect === group),
      };
      const { evaluation } = await evaluateCategory(crane, dataset, alone);
      expect([images, anomalous]).toEqual([5, 2]);
      for (const [id, value] of Object.entries(evaluation.metrics)) {
        expect([id, value]).toEqual([id, expect.any(Number)]);
        expect(metrics[id as keyof typeof metrics]).toBeCloseTo(value as number, 2);
      }
    }
  });

  test('a category of one class is left out of the means, or counts 0 as in the reference', async () => {
    const root = path.join(folder, 'one-class');
    for (const [category, kind] of [
      ['nut', 'good'],
      ['nut', 'stain'],
      ['bolt', 'good'],
    ] as const) {
      await picture(path.join(root, category, 'test', kind, '000.png'), kind.length);
      if (kind === 'stain') await picture(path.join(root, category, 'ground_truth', kind, '000_mask.png'), 255);
    }
    const dataset = await openDataset(root, { allowIncomplete: true });
    const own = await evaluate(crane, dataset);
    const f1 = own.categories.find(({ name }) => name === 'nut')?.metrics['image/f1max'] as number;
    expect(own.categories.find(({ name }) => name === 'bolt')?.metrics['image/f1max']).toBeNull();
    expect([own.mean['image/f1max'], own.referenceMeans]).toEqual([f1, undefined]);
    const reference = await evaluate(crane, dataset, { referenceMeans: true });
    expect(reference.categories.find(({ name }) => name === 'bolt')?.metrics['image/f1max']).toBeNull();
    expect([reference.mean['image/f1max'], reference.referenceMeans]).toEqual([f1 / 2, true]);
  });

  test('an anomalous image whose mask is lost counts among images, and not among pixels', async () => {
    const root = path.join(folder, 'lost-mask');
    await picture(path.join(root, 'thing/test/good/000.png'), 10);
    for (const index of [0, 1]) await picture(path.join(root, `thing/test/stain/00${index}.png`), 90 * index);
    const right = path.join(root, 'thing/ground_truth/stain/000_mask.png');
    fs.mkdirSync(path.dirname(right), { recursive: true });
    await sharp(Buffer.alloc(400, 255).fill(0, 0, 300), { raw: { width: 20, height: 20, channels: 1 } })
      .png()
      .toFile(right);
    const dataset = await openDataset(root, { allowIncomplete: true });
    const [category] = dataset.categories as [(typeof dataset.categories)[number]];
    const all = await evaluate(crane, dataset);
    const masked = { ...category, samples: category.samples.filter(({ anomalous, hasMask }) => hasMask || !anomalous) };
    expect(masked.samples).toHaveLength(2);
    const without = await evaluate(crane, { ...dataset, categories: [masked] });
    expect([all.categories[0]?.images, without.categories[0]?.images]).toEqual([3, 2]);
    for (const id of ['pixel/auroc', 'pixel/ap', 'pixel/aupro/exact@0.3'] as const)
      expect(all.mean[id]).toBeCloseTo(without.mean[id] as number, 4);
    expect(without.mean['pixel/auroc']).not.toBeNull();
  });

  test('pictures put in the place of files keep their labels and their order, whichever of them fail', async () => {
    const root = path.join(folder, 'replaced');
    for (let index = 0; index < 12; index++) {
      const defect = index % 3 === 0 ? 'stain' : 'good';
      await picture(path.join(root, 'thing/test', defect, `0${index}.png`), 20 * index);
      if (defect === 'stain') await picture(path.join(root, 'thing/ground_truth', defect, `0${index}_mask.png`), 255);
    }
    const dataset = await openDataset(root);
    const [category] = dataset.categories as [(typeof dataset.categories)[number]];
    const files = category.samples.map(({ imagePath }) => imagePath);
    const dark = await sharp({ create: { width: 20, height: 20, channels: 3, background: { r: 3, g: 9, b: 160 } } })
      .png()
      .toBuffer();
    const spoilt = new Set([files[1], files[4], files[10]]);
    const broken = new Set([files[2], files[4], files[9]]);
    let seen = 0;
    const { evaluation, failures } = await expectNoLeak(() =>
      evaluateCategory(crane, dataset, category, {
        onImage: () => seen++,
        picture: ({ imagePath }) => {
          if (spoilt.has(imagePath)) return Promise.reject(new Error(`${imagePath} spoilt`));
          if (broken.has(imagePath)) return Promise.resolve(Buffer.from('broken'));
          return Promise.resolve(imagePath === files[5] ? dark : fs.readFileSync(imagePath));
        },
      }),
    );
    expect(seen).toBe(12);
    expect(failures.map(({ path: file }) => file).sort()).toEqual([...new Set([...spoilt, ...broken])].sort());
    const kept = files.filter((file) => !spoilt.has(file) && !broken.has(file));
    const direct = await crane.detect(kept.map((file) => (file === files[5] ? dark : file)));
    expect(evaluation.scores.map(({ path: file, score, anomalous }) => [file, score.toFixed(5), anomalous])).toEqual(
      kept.map((file, index) => [file, direct[index]?.score.toFixed(5), file?.includes('stain')]),
    );
    expect(new Set(direct.map(({ score }) => score)).size).toBe(kept.length);
    expect(evaluation.detectionSeconds).toBeGreaterThan(0);
  });

  test('a set of which no image can be read is refused, with the first reason', async () => {
    const root = path.join(folder, 'unreadable');
    for (const kind of ['good', 'stain']) {
      fs.mkdirSync(path.join(root, 'thing/test', kind), { recursive: true });
      fs.writeFileSync(path.join(root, 'thing/test', kind, '000.png'), 'broken');
    }
    const dataset = await openDataset(root, { allowIncomplete: true });
    await expect(evaluate(crane, dataset)).rejects.toThrow(
      /none of the 2 images of unreadable could be read; the first: .*000\.png: not an image/,
    );
  });

  test('the time of a category is that of all its images', async () => {
    const root = path.join(folder, 'time');
    for (const index of [0, 1, 2]) await picture(path.join(root, `thing/test/good/00${index}.png`), 60 * index);
    const dataset = await openDataset(root, { allowIncomplete: true });
    const times: number[] = [];
    const { stream } = crane;
    const spy = jest.spyOn(crane, 'stream').mockImplementation(async function* (...given) {
      for await (const detection of stream.apply(crane, given)) {
        times.push(detection.seconds);
        yield detection;
      }
    });
    const { categories } = await evaluate(crane, dataset);
    spy.mockRestore();
    expect(times).toHaveLength(3);
    expect(Math.min(...times)).toBeGreaterThan(0);
    expect(categories[0]?.detectionSeconds).toBeCloseTo(
      times.reduce((sum, seconds) => sum + seconds, 0),
      12,
    );
  });

  test('a set of normal images only has no metric, and says why', async () => {
    const root = path.join(folder, 'normal');
    await picture(path.join(root, 'thing/test/good/000.png'), 3);
    await picture(path.join(root, 'thing/test/good/001.png'), 99);
    const { categories, mean } = await evaluate(crane, await openDataset(root, { allowIncomplete: true }));
    expect(Object.values(mean).every((value) => value === null)).toBe(true);
    expect(categories[0]?.reasons['image/auroc']).toMatch(/all 2 images are normal/);
  });

  test('a bare folder cannot be evaluated', async () => {
    const root = path.join(folder, 'bare');
    await picture(path.join(root, 'a.png'), 3);
    const dataset = await openDataset(root, { allowUnlabelled: true });
    await expect(evaluate(crane, dataset)).rejects.toThrow(DatasetError);
  });
});

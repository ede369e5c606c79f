import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';
import { openDataset } from '../../../datasets/dataset';
import { evaluate } from '../../../eval/evaluator';
import { selectImages } from '../../../eval/gallery/selection';
import { writeReport } from '../../../eval/report/write-report';
import { resultsOf } from '../../../eval/results';
import { AnomalyMap } from '../../../lib/anomaly-map';
import { Crane } from '../../../lib/crane';
import type { Detection } from '../../../lib/detection';
import type { Progress } from '../../../lib/progress';
import { describeWithGoldens, goldenPath, tinyBackbone } from '../../goldens';
import { expectNoLeak } from '../../tensors';
import { readMarkup } from './markup';
import { categoryOf, description, evaluationOf } from './sample-evaluation';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-report-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A model that finds a ramp from left to right in every picture. */
function fakeCrane(before: (source: string) => void = () => undefined): Crane {
  async function* stream(sources: Iterable<string>): AsyncGenerator<Detection> {
    let index = 0;
    for (const source of sources) {
      before(source);
      const { width = 0, height = 0 } = await sharp(source).metadata();
      const data = Float32Array.from({ length: width * height }, (_, at) => (at % width) / (width - 1));
      const map = new AnomalyMap({ data, width, height });
      yield { input: source, index: index++, source, score: 0.5, width, height, orientation: 1, seconds: 0, map };
    }
  }
  return { description, stream } as unknown as Crane;
}

async function drawnCategory(
  name: string,
  draw: (file: string) => Promise<unknown>,
  normal = [0.1, 0.2, 0.3],
  anomalous = [0.4, 0.5, 0.6],
): Promise<ReturnType<typeof categoryOf>> {
  const category = categoryOf(name, normal, anomalous, { root: folder });
  for (const { path: file, maskPath } of category.scores) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    await draw(file);
    if (maskPath === null) continue;
    fs.mkdirSync(path.dirname(maskPath), { recursive: true });
    // A mask at half the size of its picture, white in its middle.
    await sharp({ create: { width: 200, height: 100, channels: 3, background: '#000' } })
      .composite([{ input: { create: { width: 60, height: 40, channels: 3, background: '#fff' } }, left: 70, top: 30 }])
      .png()
      .toFile(maskPath);
  }
  return category;
}

const plain = (file: string): Promise<unknown> =>
  sharp({ create: { width: 400, height: 200, channels: 3, background: '#446688' } })
    .png()
    .toFile(file);

async function imagesOf(
  page: string,
): Promise<{ alt: string; width: number; height: number; pixels: Buffer; bytes: number }[]> {
  const found = page.matchAll(
    /<img src="data:image\/webp;base64,([^"]*)" width="(\d+)" height="(\d+)"[^>]*? alt="([^"]*)"/g,
  );
  return Promise.all(
    [...found].map(async ([, base64, width, height, alt]) => {
      const bytes = Buffer.from(base64 as string, 'base64');
      return {
        alt: alt as string,
        width: Number(width),
        height: Number(height),
        bytes: bytes.length,
        pixels: await sharp(bytes).removeAlpha().raw().toBuffer(),
      };
    }),
  );
}

test('pictures keep their shape, are small, and show map and true mask where they are', async () => {
  const evaluation = evaluationOf([await drawnCategory('gear', plain)], { root: folder });
  const file = path.join(folder, 'a/b/report.html');
  await writeReport(file, {
    evaluation,
    results: resultsOf([evaluation], description, 'crane eval'),
    crane: fakeCrane(),
  });
  const page = fs.readFileSync(file, 'utf8');
  readMarkup(page);
  const images = await imagesOf(page);
  const overlays = images.filter(({ alt }) => alt.includes('anomaly map over the image'));
  expect(overlays).toHaveLength(6);
  expect(overlays.filter(({ alt }) => alt.includes('true mask'))).toHaveLength(3);
  for (const overlay of overlays) {
    expect([overlay.width, overlay.height]).toEqual([288, 144]);
    expect(overlay.pixels).toHaveLength(288 * 144 * 3);
    const at = (x: number, y: number): number[] =>
      [0, 1, 2].map((channel) => overlay.pixels[(y * 288 + x) * 3 + channel] as number);
    // Left as it was, right red.
    expect(Math.hypot(...at(6, 130).map((value, channel) => value - [0x44, 0x66, 0x88][channel]!))).toBeLessThan(30);
    expect((at(275, 130)[0] as number) - (at(275, 130)[2] as number)).toBeGreaterThan(60);
    // The mask's upper edge at 30 of 100, of 144 rows; right of its left edge at 70 of 200, of 288 columns.
    const brightest = Math.max(...[41, 42, 43, 44, 45].map((row) => Math.min(...at(140, row))));
    if (overlay.alt.includes('true mask')) expect(brightest).toBeGreaterThan(190);
    else expect(brightest).toBeLessThan(150);
  }
});

test('pictures that hardly compress do not make a page of tens of megabytes', async () => {
  const noise = (file: string): Promise<unknown> => {
    const data = Uint8Array.from({ length: 288 * 288 * 3 }, (_, at) => (Math.imul(at + 1, 2654435761) >>> 13) & 255);
    return sharp(data, { raw: { width: 288, height: 288, channels: 3 } })
      .png()
      .toFile(file);
  };
  const evaluation = evaluationOf([await drawnCategory('gear', noise, [0.1], [0.5])], { root: folder });
  const file = path.join(folder, 'report.html');
  await writeReport(file, {
    evaluation,
    results: resultsOf([evaluation], description, 'crane eval'),
    crane: fakeCrane(),
  });
  for (const { bytes } of await imagesOf(fs.readFileSync(file, 'utf8'))) expect(bytes).toBeLessThan(40_000);
});

test('whole or not at all: a model that fails midway leaves the report that was there', async () => {
  const evaluation = evaluationOf([await drawnCategory('gear', plain)], { root: folder });
  const results = resultsOf([evaluation], description, 'crane eval');
  const out = path.join(folder, 'out');
  const file = path.join(out, 'report.html');
  let calls = 0;
  const failing = fakeCrane(() => {
    if (++calls === 3) throw new Error('out of memory');
  });
  await expect(writeReport(file, { evaluation, results, crane: failing })).rejects.toThrow('out of memory');
  expect(fs.existsSync(out)).toBe(false);
  await writeReport(file, { evaluation, results, crane: fakeCrane() });
  const before = fs.readFileSync(file, 'utf8');
  calls = 0;
  await expect(writeReport(file, { evaluation, results, crane: failing })).rejects.toThrow('out of memory');
  expect(fs.readFileSync(file, 'utf8')).toBe(before);
  expect(fs.readdirSync(out)).toEqual(['report.html']);
});

test('a place that cannot be written is an error, and nothing is left beside it', async () => {
  const evaluation = evaluationOf([await drawnCategory('gear', plain)], { root: folder });
  const file = path.join(folder, 'taken');
  fs.mkdirSync(path.join(file, 'full'), { recursive: true });
  await expect(
    writeReport(file, { evaluation, results: resultsOf([evaluation], description, 'x'), crane: fakeCrane() }),
  ).rejects.toThrow();
  expect(fs.readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('a mask that cannot be read costs its outline, not the report', async () => {
  const category = await drawnCategory('gear', plain);
  category.scores.forEach(({ maskPath }) => maskPath !== null && fs.writeFileSync(maskPath, 'broken'));
  const evaluation = evaluationOf([category], { root: folder });
  const file = path.join(folder, 'report.html');
  await writeReport(file, { evaluation, results: resultsOf([evaluation], description, 'x'), crane: fakeCrane() });
  expect((await imagesOf(fs.readFileSync(file, 'utf8'))).length).toBeGreaterThan(12);
});

describeWithGoldens('a report with a real model', () => {
  test('from evaluation to page, without a leaked tensor', async () => {
    const crane = await Crane.load({
      backbone: tinyBackbone(),
      prompts: goldenPath('prompts_tiny.pth'),
      imageSize: 70,
      layers: [2, 4, 6],
      eattnBlocks: 5,
    });
    try {
      const evaluation = await evaluate(crane, await openDataset(goldenPath('e2e/dataset')));
      const results = resultsOf([evaluation], crane.description, 'crane eval --dataset e2e/dataset');
      const file = path.join(folder, 'report.html');
      const seen: Progress[] = [];
      await expectNoLeak(() =>
        writeReport(file, { evaluation, results, crane, onProgress: (progress) => seen.push(progress) }),
      );
      const page = fs.readFileSync(file, 'utf8');
      const { text } = readMarkup(page);
      for (const { name } of evaluation.categories) expect(text).toContain(name);
      const shown = selectImages(evaluation).categories.flatMap(({ images }) => Object.values(images).flat()).length;
      // An image and its overlay each, one overlay a category at the head, and the colour bar.
      expect(page.match(/<img /g)).toHaveLength(2 * shown + evaluation.categories.length + 1);
      expect(seen[0]).toMatchObject({ kind: 'start', total: shown });
      expect(seen.at(-1)).toMatchObject({ kind: 'done' });
      expect(text).not.toContain('could not be read again');
      expect(Buffer.byteLength(page)).toBeLessThan(1_000_000);
    } finally {
      crane.dispose();
    }
  });
});

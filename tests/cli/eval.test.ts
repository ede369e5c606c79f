import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { Results } from '../../eval/results';
import { prepareBackend } from '../../lib/backend';
import { Crane } from '../../lib/crane';
import { readNpy } from '../../lib/image/npy';
import { readPromptCheckpoint, writePromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { describeWithGoldens, expectClose, golden, goldenCases, goldenPath, tinyBackbone } from '../goldens';
import { makeTree, png, removeTrees } from '../datasets/tree';
import { runCrane, type Run } from './run-crane';

let folder: string;
beforeAll(async () => {
  await prepareBackend('auto');
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-eval-'));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
  removeTrees();
});

const inFolder = (...parts: string[]): string => path.join(folder, ...parts);

function evaluate(
  dataset: string,
  { prompts = goldenPath('prompts_tiny.pth'), options = [] as string[] } = {},
): Promise<Run> {
  const model = [
    '--backbone',
    tinyBackbone(),
    '--prompts',
    prompts,
    '--image-size',
    '70',
    '--layers',
    '2,4,6',
    '--eattn-blocks',
    '5',
  ];
  return runCrane('eval', '--dataset', dataset, ...model, '--no-report', '--out', inFolder('out'), ...options);
}

/** The goldens' set in MVTec's layout, without what a pattern matches. */
function copyOfSet(name: string, without: RegExp): string {
  const target = inFolder(name);
  fs.cpSync(goldenPath('e2e/dataset'), target, {
    recursive: true,
    filter: (file) => !/meta\.json$/.test(file) && !without.test(file),
  });
  return target;
}

describeWithGoldens('crane eval', () => {
  test('writes results.json, copies it to standard output, and scores as crane detect does', async () => {
    const before = tf.memory().numTensors;
    const { code, out } = await evaluate(goldenPath('e2e/dataset'), { options: ['--json', '-'] });
    expect(tf.memory().numTensors).toBe(before);
    expect(code).toBe(0);
    const results = JSON.parse(out) as Results;
    const written = JSON.parse(fs.readFileSync(inFolder('out', 'results.json'), 'utf8')) as Results;
    expect({ ...written, run: { ...written.run, date: results.run.date } }).toEqual(results);
    expect(results.schemaVersion).toBe(1);
    expect(Object.keys(results).sort()).toEqual(['datasets', 'model', 'run', 'schemaVersion']);
    const [set] = results.datasets;
    expect(set?.categories.map(({ name, images, anomalous }) => [name, images, anomalous])).toEqual([
      ['button', 4, 2],
      ['weave', 6, 3],
    ]);
    expect(Object.keys(set?.mean ?? {})).toEqual([
      'image/auroc',
      'image/ap',
      'image/f1max',
      'pixel/auroc',
      'pixel/ap',
      'pixel/f1max',
      'pixel/aupro/paper200@0.3',
      'pixel/aupro/exact@0.3',
    ]);
    for (const value of Object.values(set?.mean ?? {})) expect(value).toBeLessThanOrEqual(1);
    expect(results.model.options).toMatchObject({ imageSize: 70, layers: [2, 4, 6] });
  });

  test('--scores and --maps write what figures are made of, by the place of each image in the set', async () => {
    const [scores, maps] = [inFolder('scores.csv'), inFolder('maps')];
    const { code } = await evaluate(goldenPath('e2e/dataset'), { options: ['--scores', scores, '--maps', maps] });
    expect(code).toBe(0);
    const [head, ...lines] = fs.readFileSync(scores, 'utf8').trimEnd().split('\r\n');
    expect(head).toBe('path,category,defect,anomalous,score');
    const rows = lines.map((line) => line.split(','));
    expect(rows).toHaveLength(10);
    const crane = await Crane.load({
      backbone: tinyBackbone(),
      prompts: goldenPath('prompts_tiny.pth'),
      imageSize: 70,
      layers: [2, 4, 6],
      eattnBlocks: 5,
    });
    for (const [image = '', category = '', defect = '', anomalous, score] of rows) {
      expect([category, defect]).toEqual([image.split('/')[0], image.split('/')[2]]);
      expect(anomalous).toBe(defect === 'good' ? '0' : '1');
      const detection = await crane.detect(goldenPath(`e2e/dataset/${image}`));
      expect(Number(score)).toBeCloseTo(detection.score, 5);
      expect(String(Math.fround(Number(score)))).toBe(score);
      const stored = await readNpy(path.join(maps, category, defect, `${path.parse(image).name}.npy`));
      expect([stored.shape, stored.dtype]).toEqual([[70, 70], 'float32']);
      expectClose(stored.data as Float32Array, detection.map.native?.data as Float32Array, 1e-5);
    }
    crane.dispose();
  });

  test('WinCLIP scores each category by its own name', async () => {
    const { code, out } = await runCrane(
      'eval',
      ...['--dataset', goldenPath('e2e/dataset'), '--method', 'winclip', '--backbone', tinyBackbone()],
      ...['--activation', 'gelu', '--image-size', '56', '--reference-images', '--no-report'],
      ...['--out', inFolder('winclip'), '--scores', inFolder('winclip.csv'), '--json', '-'],
    );
    expect(code).toBe(0);
    expect((JSON.parse(out) as Results).model).toMatchObject({ method: 'winclip', prompts: null });
    const rows = fs.readFileSync(inFolder('winclip.csv'), 'utf8').trimEnd().split('\r\n').slice(1);
    const byPath = new Map(rows.map((row) => [row.split(',')[0] as string, Number(row.split(',')[4])]));
    const item = goldenCases('e2e', 'winclip/').find(({ id }) => id === 'e2e/zero_shot');
    const images = item?.outputs['images'] as unknown as string[];
    expectClose(
      images.map((image) => byPath.get(image) as number),
      golden('winclip/e2e.safetensors#zero_shot.scores').data,
      2e-5,
      1e-5,
    );
  });

  test('some categories only, as a table in per cent', async () => {
    const { code, out } = await evaluate(goldenPath('e2e/dataset'), { options: ['--categories', 'weave'] });
    expect(code).toBe(0);
    expect(out).toMatch(/^weave +6 +3 +44\.4/m);
    expect(out).not.toContain('button');
    expect((await evaluate(goldenPath('e2e/dataset'), { options: ['--categories', 'weave,knob'] })).err).toMatch(
      /no category knob. It has: button, weave/,
    );
  });

  test('the set that the prompts were trained on is refused, unless it is asked for', async () => {
    const prompts = inFolder('trained.safetensors');
    writePromptCheckpoint(prompts, await readPromptCheckpoint(goldenPath('prompts_tiny.pth')), {
      'crane.auxiliary': 'Dataset',
    });
    const refused = await evaluate(goldenPath('e2e/dataset'), { prompts });
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/trained on Dataset itself.*--allow-auxiliary/);
    expect(refused.out).toBe('');
    expect((await evaluate(goldenPath('e2e/dataset'), { prompts, options: ['--allow-auxiliary'] })).code).toBe(0);
    expect((await evaluate(copyOfSet('another', /^$/), { prompts })).code).toBe(0);
  });

  test('a set without masks has image metrics only', async () => {
    const set = copyOfSet('maskless', /ground_truth/);
    const refused = await evaluate(set);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/ground_truth is missing[^]*--allow-incomplete/);
    const { code, out } = await evaluate(set, { options: ['--allow-incomplete'] });
    expect(code).toBe(0);
    expect(out).toMatch(/^button +4 +2 +75\.0 +83\.3 +80\.0( +n\/a){5}$/m);
    const { datasets } = JSON.parse(fs.readFileSync(inFolder('out', 'results.json'), 'utf8')) as Results;
    expect(datasets[0]?.mean).toMatchObject({ 'pixel/auroc': null, 'pixel/aupro/exact@0.3': null });
  });

  test('a missing mask is named, and so is an image that cannot be read', async () => {
    const set = copyOfSet('holes', /003_mask/);
    const refused = await evaluate(set);
    expect(refused.err).toMatch(/weave\/test\/fault\/003\.png is anomalous but has no mask/);
    expect(refused.code).toBe(1);
    fs.writeFileSync(path.join(set, 'weave/test/good/000.png'), 'x');
    const { code, out, err } = await evaluate(set, { options: ['--allow-incomplete'] });
    expect(code).toBe(1);
    expect(err).toMatch(/weave\/test\/good\/000\.png: not an image/);
    expect(out).toMatch(/^weave +5 +3 /m);
  });

  test.each([
    ['a folder of plain images', (): string => goldenPath('images'), /plain folder of images.*crane detect/],
    [
      'a folder of other things',
      (): string => (fs.mkdirSync(inFolder('other'), { recursive: true }), inFolder('other')),
      /no known layout: it is empty/,
    ],
    ['a file', (): string => goldenPath('prompts_tiny.pth'), /is a file, not a folder/],
    ['a name that is none', (): string => 'no-such-set', /neither a registered set nor a folder/],
  ] as const)('%s is wrong use', async (_, dataset, message) => {
    const { code, out, err } = await evaluate(dataset());
    expect(err).toMatch(message);
    expect([code, out]).toEqual([2, '']);
  });

  test('what was read is said in one line; --layout decides; a set is asked for', async () => {
    const { err } = await evaluate(goldenPath('e2e/dataset'));
    expect(err).toMatch(/^meta-json layout: 10 images, 5 with masks$/m);
    const forced = await evaluate(goldenPath('e2e/dataset'), {
      options: ['--layout', 'mvtec', '--categories', 'button'],
    });
    expect(forced.err).toMatch(/^mvtec layout: 4 images, 2 with masks; 1 file is not part of it$/m);
    expect(await runCrane('eval')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Missing required argument: dataset') as string,
    });
  });

  test('masks only for the defects: refused, or normal with --normal-without-mask', async () => {
    const set = inFolder('defects-only');
    const copy = (from: string, to: string): void =>
      fs.cpSync(goldenPath(`e2e/dataset/button/${from}`), path.join(set, to));
    ['000', '002'].forEach((name) => copy(`test/good/${name}.png`, `images/${name}.png`));
    ['001', '003'].forEach((name) => copy(`test/fault/${name}.png`, `images/${name}.png`));
    ['001', '003'].forEach((name) => copy(`ground_truth/fault/${name}_mask.png`, `masks/${name}.png`));
    const refused = await evaluate(set);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/000\.png is anomalous but has no mask[^]*--normal-without-mask/);
    const { code, out, err } = await evaluate(set, { options: ['--normal-without-mask'] });
    expect(code).toBe(0);
    expect(err).toMatch(/^images-masks layout: 4 images, 2 with masks$/m);
    expect(out).toMatch(/^defects-only +4 +2 +75\.0 +83\.3 +80\.0/m);
  });

  test('a category called __proto__ is scored like any other, with its report', async () => {
    const set = inFolder('prototype');
    fs.cpSync(goldenPath('e2e/dataset'), set, { recursive: true });
    const list = path.join(set, 'meta.json');
    const renamed = fs
      .readFileSync(list, 'utf8')
      .replaceAll('"button"', '"__proto__"')
      .replaceAll('"weave"', '"constructor"')
      .replaceAll('"fault"', '"toString"');
    fs.writeFileSync(list, renamed);
    const { code, out } = await evaluate(set, { options: ['--report'] });
    expect(code).toBe(0);
    expect(out).toMatch(/^__proto__ +4 +2 +75\.0/m);
    const { datasets } = JSON.parse(fs.readFileSync(inFolder('out', 'results.json'), 'utf8')) as Results;
    expect(datasets[0]?.categories.map(({ name, images }) => [name, images])).toEqual([
      ['__proto__', 4],
      ['constructor', 6],
    ]);
    expect(fs.readFileSync(inFolder('out', 'report.html'), 'utf8')).toContain('__proto__');
  });

  test('a place that cannot be written is refused before the work', async () => {
    fs.writeFileSync(inFolder('file'), '');
    for (const options of [
      ['--json', inFolder('file', 'x.json')],
      ['--json', folder],
    ]) {
      const { code, err } = await evaluate(goldenPath('e2e/dataset'), { options });
      expect(err).toMatch(/--json .*(there is a file of that name|is a folder)/);
      expect(code).toBe(2);
    }
  });

  test('Ctrl-C stops with one line and writes nothing', async () => {
    fs.rmSync(inFolder('out'), { recursive: true, force: true });
    const running = evaluate(goldenPath('e2e/dataset'), { options: ['--batch-size', '1'] });
    const stopping = setInterval(() => process.listenerCount('SIGINT') > 0 && process.emit('SIGINT'), 1);
    const { code, out, err } = await running;
    clearInterval(stopping);
    expect(err).toMatch(/Stopped\.\n$/);
    expect([code, out]).toEqual([130, '']);
    expect(fs.existsSync(inFolder('out', 'results.json'))).toBe(false);
  });
});

test('what a large image size costs is said before the run, and nothing of the usual one', async () => {
  const image = await png(32, 32, 90);
  const set = makeTree({
    'nut/test/good/0.png': image,
    'nut/test/bent/1.png': image,
    'nut/ground_truth/bent/1_mask.png': await png(32, 32, 0, 255),
  });
  const errorsAt = async (size: string): Promise<string> => {
    const words = ['--backbone', 'nano', '--image-size', size, '--no-report', '--out', inFolder('cost')];
    const { code, err } = await runCrane('eval', '--dataset', set, ...words);
    expect([code, err]).toEqual([0, expect.any(String)]);
    return err;
  };
  expect(await errorsAt('224')).toMatch(
    /^Image size 224: .*[\d.]+ MB of memory per image, [\d.]+ times the time and [\d.]+ times the memory of the usual 112\.$/m,
  );
  expect(await errorsAt('112')).not.toContain('Image size');
});

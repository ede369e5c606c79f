import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describeWithGoldens, goldenPath, tinyBackbone } from '../goldens';
import { jsonLines, runCrane } from './run-crane';

describeWithGoldens('crane detect --spatial', () => {
  let folder: string;
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-cli-plus-'));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  const model = (): string[] => [
    '--backbone',
    tinyBackbone(),
    '--prompts',
    goldenPath('prompts_tiny.pth'),
    '--image-size',
    '70',
    '--eattn-blocks',
    '5',
  ];
  const picture = (): string => {
    const name = fs
      .readdirSync(goldenPath('e2e/dataset'), { recursive: true, encoding: 'utf8' })
      .find((file) => /test.good.*\.png$/.test(file));
    return path.join(goldenPath('e2e/dataset'), name as string);
  };
  const scoreWith = async (...options: string[]): Promise<number> => {
    const { code, out, err } = await runCrane(
      'detect',
      picture(),
      ...model(),
      '--out',
      folder,
      '--json',
      '-',
      ...options,
    );
    expect([code, err.includes('Error')]).toEqual([0, false]);
    return jsonLines(out)[0]?.['score'] as number;
  };

  test('every option of Crane+ changes the score, and without a second model there is the old one', async () => {
    const sam = ['--spatial', 'sam', '--spatial-weights', goldenPath('vfm_sam.safetensors')];
    const plain = await scoreWith();
    expect(await scoreWith('--spatial', 'none')).toBe(plain);
    const plus = await scoreWith(...sam);
    // Weights alone tell their family.
    expect(await scoreWith(...sam.slice(2))).toBe(plus);
    const others = [plain, plus];
    for (const option of [['--spatial-only'], ['--dattn-beta', '0.5'], ['--dattn-gamma', '9'], ['--layers', '3,6']]) {
      const score = await scoreWith(...sam, ...option);
      expect(others.map((other) => Math.abs(other - score)).every((difference) => difference > 1e-6)).toBe(true);
      others.push(score);
    }
  });

  test.each([
    [['--spatial', 'none', '--spatial-weights', 'x.pth'], /leave one of them out/],
    [['--spatial-heads', '3'], /--spatial-heads describes the model that/],
    [['--spatial', 'mae'], /Choices: "none", "dinov2", "dino", "sam"/],
    [['--spatial-only'], /--spatial/],
    [['--spatial', 'dinov2', '--dattn-beta', '-1'], /--dattn-beta -1: expected 0 or more/],
    [['--spatial', 'dinov2', '--spatial-weights', 'nowhere/dino.pth'], /nowhere.dino.pth/],
  ])('wrong use %j', async (options, message) => {
    const { code, err } = await runCrane('detect', picture(), ...model(), ...options);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  test('training says how to use prompts that need a second model, and those words work', async () => {
    const weights = goldenPath('vfm_sam.safetensors');
    const set = goldenPath('e2e/dataset');
    const run = path.join(folder, 'run');
    const place = ['--backbone', tinyBackbone(), '--image-size', '70', '--eattn-blocks', '5', '--no-cache'];
    const { code, out } = await runCrane(
      'train',
      '--aux',
      set,
      ...place,
      '--spatial',
      'sam',
      '--spatial-weights',
      weights,
      '--epochs',
      '1',
      '--out',
      run,
    );
    expect(code).toBe(0);
    const words = /Detect: +crane detect IMAGES (.*)/.exec(out)?.[1]?.split(' ') ?? [];
    expect(words.map((word) => path.resolve(word))).toContain(weights);
    const used = await runCrane(
      'detect',
      picture(),
      ...words.map((word) => (word === 'results' ? folder : word)),
      '--json',
      '-',
    );
    expect([used.code, used.err.includes('trained with')]).toEqual([0, false]);
    expect(jsonLines(used.out)[0]?.['score']).toBeGreaterThan(0);
  });
});

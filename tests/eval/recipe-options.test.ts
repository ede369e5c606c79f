import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { byRecipe, completeByRecipe } from '../../eval/recipe-options';
import { RECIPES } from '../../eval/recipes';
import type { Results } from '../../eval/results';
import { runCrane } from '../cli/run-crane';
import { smallSizes, writeSmallBackbone, writeSmallSet } from '../train/tiny-files';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-recipe-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('a recipe fills in what was not given by hand, for the backbone at hand', async () => {
  const backbone = writeSmallBackbone(folder);
  expect(smallSizes.vision.layers).toBe(3);
  expect(await completeByRecipe(RECIPES['crane-plus'], 'mvtec', { backbone })).toEqual({
    backbone,
    layers: [3],
    fusion: 'logit',
  });
  expect(await completeByRecipe(RECIPES['crane-plus'], 'dagm', { backbone, layers: [1], prompts: 'mine.pth' })).toEqual(
    { backbone, layers: [1], fusion: 'soft', prompts: 'mine.pth' },
  );
  await expect(completeByRecipe(RECIPES.crane, 'mvtec', { backbone: path.join(folder, 'gone.pt') })).rejects.toThrow(
    /gone\.pt/,
  );
});

test('a second vision model by hand wins; weights alone are for the recipes that have one', () => {
  const network = { blocks: 24, takesPublishedPrompts: true };
  const spatialOf = (recipe: 'crane' | 'crane-plus', spatial?: Parameters<typeof byRecipe>[3]['spatial']): unknown =>
    byRecipe(RECIPES[recipe], 'visa', network, spatial === undefined ? {} : { spatial }).spatial;
  expect([spatialOf('crane'), spatialOf('crane-plus')]).toEqual(['none', 'dinov2']);
  expect([spatialOf('crane', 'none'), spatialOf('crane-plus', 'none')]).toEqual(['none', 'none']);
  expect([spatialOf('crane', 'sam'), spatialOf('crane-plus', 'sam')]).toEqual(['sam', 'sam']);
  const weights = { model: undefined, weights: 'dinov2.pth', heads: undefined };
  expect([spatialOf('crane', weights), spatialOf('crane-plus', weights)]).toEqual(['none', weights]);
  expect(
    byRecipe(RECIPES['crane-plus'], 'visa', { ...network, takesPublishedPrompts: false }, { spatial: weights }).spatial,
  ).toBe(weights);
});

test('crane eval --recipe', async () => {
  const set = await writeSmallSet(path.join(folder, 'MPDD'), { normal: 1, anomalous: 1 });
  const evaluate = async (...options: string[]): Promise<Results['model']> => {
    const { code, out, err } = await runCrane(
      'eval',
      '--dataset',
      set,
      '--backbone',
      'nano',
      '--image-size',
      '48',
      '--no-report',
      '--out',
      path.join(folder, 'out'),
      '--json',
      '-',
      ...options,
    );
    expect([code, err]).toEqual([0, expect.any(String)]);
    return (JSON.parse(out) as Results).model;
  };
  // The folder's name makes it the registered set.
  expect(await evaluate('--recipe', 'crane-plus')).toMatchObject({
    prompts: 'nano-prompts',
    options: { fusion: 'logit', layers: [6], imageSize: 48 },
  });
  expect(await evaluate('--recipe', 'crane-plus', '--fusion', 'soft')).toMatchObject({
    options: { fusion: 'soft', layers: [6] },
  });
  expect((await runCrane('eval', '--dataset', set, '--recipe', 'crane+')).code).toBe(2);
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { Crane } from '../..';
import { prepareBackend } from '../../lib/backend';
import { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../../lib/encoders/clip-vision';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { withResizedPositions } from '../../lib/methods/resized-positions';
import { winclipFlop } from '../../lib/methods/winclip/flop';
import { WinclipModel } from '../../lib/methods/winclip/model';
import { completeWinclipOptions, type WinclipOptions } from '../../lib/methods/winclip/options';
import { sentencesOf, type TemplateSet } from '../../lib/methods/winclip/sentences';
import { harmonicMap, harmonicMean, windowPatches } from '../../lib/methods/winclip/windows';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { runTraining } from '../../train/run';
import {
  describeWithGoldens,
  expectClose,
  golden,
  goldenCases,
  goldenPath,
  goldenTokenIds,
  tinyBackbone,
  type GoldenCase,
} from '../goldens';
import { expectNoLeak, goldenImages, goldenParameters, goldenTensor } from '../tensors';
import { tinySizes } from '../tiny-crane';

beforeAll(async () => {
  await prepareBackend();
});

const FOLDER = 'winclip/';
const of = (reference: string | undefined): ReturnType<typeof golden> => golden(`${FOLDER}${reference}`);
const json = <T>(name: string): T => JSON.parse(fs.readFileSync(goldenPath(FOLDER + name), 'utf8')) as T;

interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}
type Tolerances = Tolerance & { readonly per_output?: Readonly<Record<string, Tolerance>> };

/** How near an output of a case has to come. */
function toleranceOf({ tolerance }: GoldenCase, output: string): Tolerance {
  const all = tolerance as unknown as Tolerances;
  return all.per_output?.[output] ?? all;
}

function expectOutput(item: GoldenCase, output: string, got: tf.Tensor): void {
  const { atol, rtol } = toleranceOf(item, output);
  expectClose(got.dataSync(), of(item.outputs[output]).data, atol, rtol);
}

/** The goldens' network with exact GELU, as open_clip computes; on a larger grid with the positions of the goldens. */
function tinyWinclip(input: Partial<WinclipOptions> = {}, positions?: string): WinclipModel {
  const options = completeWinclipOptions(input, tinySizes);
  const gridSize = options.imageSize / tinySizes.vision.patchSize;
  const network = goldenParameters('clip_tiny.safetensors');
  const tokenIds = goldenTokenIds('clip_tiny.safetensors');
  const common = { embedDimension: 64, activation: 'gelu' as const };
  return new WinclipModel({
    vision: new ClipVisionEncoder({
      ...common,
      parameters: (name, shape) =>
        positions !== undefined && name === 'visual.positional_embedding'
          ? goldenTensor(FOLDER + positions)
          : network(name, shape),
      sizes: { ...tinySizes.vision, gridSize },
      eattnBlocks: 0,
      attention: 'qq+kk+vv',
    }),
    text: new ClipTextEncoder({
      ...common,
      parameters: network,
      sizes: tinySizes.text,
      ...(tokenIds ? { tokenIds } : {}),
    }),
    tokenizer: ClipTokenizer.embedded(),
    options,
    preprocessing: CLIP_PREPROCESSING,
  });
}

const casesOf = (group: string): [string, GoldenCase][] => goldenCases(group, FOLDER).map((item) => [item.id, item]);

describeWithGoldens('WinCLIP without normal images', () => {
  test.each<[TemplateSet, string, number, number]>([
    ['full-stop', 'anomalib', 147, 84],
    ['plain', 'winclip_repo', 154, 88],
  ])('the sentences of %s templates', (templates, name, normal, anomalous) => {
    const all = json<Record<string, { classes: { weave: { normal: string[]; anomalous: string[] } } }>>('prompts.json');
    const want = all[name]?.classes.weave;
    const got = sentencesOf('weave', templates);
    expect([got.normal.length, got.anomalous.length]).toEqual([normal, anomalous]);
    // Sorted, since their order does not matter to a mean, and the two programs have different ones.
    expect([...got.normal].sort()).toEqual([...(want?.normal ?? [])].sort());
    expect([...got.anomalous].sort()).toEqual([...(want?.anomalous ?? [])].sort());
  });

  test.each(casesOf('text'))('%s', async (id, item) => {
    const model = tinyWinclip({ templates: id.includes('winclip_repo') ? 'plain' : 'full-stop' });
    const { class_name: name } = item.inputs;
    await expectNoLeak(() => {
      const text = model.encodeClass(name as string);
      expectOutput(item, 'text_unit', text);
      text.dispose();
    });
    model.dispose();
  });

  test('the patches of every window', () => {
    const { grids } = json<{ grids: Record<string, { windows: Record<string, number[][]> }> }>('windows.json');
    expect(Object.keys(grids).length).toBeGreaterThan(3);
    for (const [grid, { windows }] of Object.entries(grids))
      for (const [side, want] of Object.entries(windows))
        expect(windowPatches(Number(grid), Number(side))).toEqual(want);
  });

  test.each(casesOf('units').filter(([id]) => id.startsWith('units/harmonic')))('%s', async (_, item) => {
    const { grid, side } = item.config as unknown as { grid: [number, number]; side: number };
    await expectNoLeak(() => {
      const scores = goldenTensor<tf.Rank.R2>(FOLDER + (item.inputs['scores'] as string));
      const map = harmonicMap(scores, grid[0], side);
      expectOutput(item, 'map', map);
      tf.dispose([scores, map]);
    });
  });

  test.each(casesOf('zero_shot'))('%s', async (_, item) => {
    const config = item.config as unknown as { image_size: number; grid: [number, number]; temperature: number };
    const model = tinyWinclip(
      { imageSize: config.image_size, temperature: config.temperature },
      item.inputs['positional_embedding'],
    );
    const images = goldenImages(FOLDER + (item.inputs['images'] as string));
    await expectNoLeak(() =>
      tf.tidy(() => {
        const { scores, maps } = model.score(images, model.encodeClass('weave'));
        expectOutput(item, 'image_score0', scores);
        expectOutput(item, 'map', maps);
        if (!('window_embedding.2' in item.outputs)) return;
        for (const side of [2, 3]) {
          const windows = model.encodeWindows(tokensOf(model, images), side);
          expectOutput(item, `window_embedding.${side}`, windows);
        }
      }),
    );
    images.dispose();
    model.dispose();
  });

  test('positions for a larger grid are those that open_clip makes', () => {
    tf.tidy(() => {
      const resized = withResizedPositions(goldenParameters('clip_tiny.safetensors'), 4, 7);
      expectClose(
        resized('visual.positional_embedding', [50, 128]).dataSync(),
        of('scores.safetensors#s98.pos').data,
        1e-6,
      );
    });
  });

  test('a set of files is scored as the reference does, each by the name of its class', async () => {
    const item = goldenCases('e2e', FOLDER).find(({ id }) => id === 'e2e/zero_shot') as GoldenCase;
    const names = item.outputs['images'] as unknown as string[];
    const before = tf.memory().numTensors;
    const crane = await Crane.load({
      method: 'winclip',
      backbone: tinyBackbone(),
      activation: 'gelu',
      imageSize: 56,
      referenceImages: true,
      classNames: ['weave', 'button'],
    });
    expect(crane.description).toMatchObject({ method: 'winclip', prompts: null, auxiliary: null });
    const scores: number[] = [];
    const maps: number[] = [];
    for (const className of ['weave', 'button']) {
      const files = names.filter((name) => name.startsWith(className)).map((name) => path.join('e2e/dataset', name));
      for (const { score, map } of await crane.detect(files.map(goldenPath), { className })) {
        scores.push(score);
        maps.push(...(map.native?.data ?? []));
      }
    }
    const { atol, rtol } = toleranceOf(item, 'scores');
    expectClose(scores, of(item.outputs['scores']).data, atol, rtol);
    expectClose(maps, of(item.outputs['maps']).data, atol, rtol);
    crane.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

function tokensOf(model: WinclipModel, images: tf.Tensor4D): tf.Tensor3D {
  return (model as unknown as { parts: { vision: ClipVisionEncoder } }).parts.vision.embed(images);
}

test('a harmonic mean of maps is theirs element by element, and 0 where one of them is', () => {
  tf.tidy(() => {
    const mean = harmonicMean([tf.tensor1d([0.5, 0.2, 0]), tf.tensor1d([0.5, 0.4, 0.9]), tf.tensor1d([0.5, 0.8, 0.3])]);
    expectClose(mean.dataSync(), [0.5, 3 / (5 + 2.5 + 1.25), 0], 1e-6);
  });
});

test('operations are those of the image and of each window', () => {
  const sizes = { embedDimension: 8, vision: { ...tinySizes.vision, width: 4, layers: 1 } };
  const block = (tokens: number): number => 2 * (4 * tokens * 16 + 2 * tokens * tokens * 4 + 2 * tokens * 64);
  const { vision, windows, total } = winclipFlop({ imageSize: 56, windows: [2, 3] }, sizes);
  expect(vision).toBe(2 * 16 * (3 * 196) * 4 + block(17) + 2 * 4 * 8);
  expect(windows).toBe(9 * (block(5) + 64) + 4 * (block(10) + 64));
  expect(total).toBe(vision + windows);
});

test('windows larger than the image are refused before anything is computed', () => {
  expect(() => completeWinclipOptions({ windows: [2, 5] }, tinySizes)).toThrow(
    /`windows` 5: the image has 4 x 4 patches/,
  );
});

test('a method that learns nothing cannot be trained', async () => {
  await expect(runTraining({ auxiliary: 'synthetic-auxiliary', method: 'winclip' })).rejects.toThrow(
    /the method winclip learns nothing, so there is nothing to train; methods that learn: crane/,
  );
});

test('options of other methods, prompts and second vision models are refused by name', async () => {
  await expect(Crane.load({ method: 'winclip', sigma: 4 })).rejects.toThrow(/`sigma`: the method winclip has no such/);
  await expect(Crane.load({ method: 'winclip', prompts: 'crane-visa' })).rejects.toThrow(/leave `prompts` out/);
  await expect(Crane.load({ method: 'winclip', checkpoint: 'x.pth' })).rejects.toThrow(/leave `checkpoint` out/);
  await expect(Crane.load({ method: 'winclip', spatial: 'sam' })).rejects.toThrow(/leave `spatial` out/);
  await expect(Crane.load({ windows: [2] })).rejects.toThrow(/`windows`: the method crane has no such/);
  await expect(Crane.load({ prompts: 'a.pth', checkpoint: 'b.pth' })).rejects.toThrow(/mean the same/);
  await expect(Crane.load({ method: 'winklip' as 'winclip' })).rejects.toThrow(/Did you mean winclip\?/);
});

import * as fc from 'fast-check';
import { defectKinds } from '../../../datasets/synthetic/defects';
import { pretrainingFamilies, targetFamilies } from '../../../datasets/synthetic/families';
import { captionsFor } from '../../../datasets/synthetic/captions';
import { Random } from '../../../datasets/synthetic/random';
import {
  coverageOfPatches,
  drawLooks,
  placeView,
  renderView,
  sampleMask,
  type Looks,
} from '../../../tools/pretraining/augmentation';
import {
  captionBatch,
  conditionsOf,
  drawPoolPair,
  makeBatch,
  type ImagePair,
} from '../../../tools/pretraining/batches';
import { DEFAULT_RECIPE, learningRateAt, phaseAt, poolWindow, type Recipe } from '../../../tools/pretraining/recipe';
import { expectClose } from '../../goldens';

const recipe: Recipe = {
  ...DEFAULT_RECIPE,
  steps: 100,
  cropBatch: 16,
  wholeBatch: 4,
  firstPairs: 10,
  pairsPerBatch: 2,
  keptPairs: 12,
  captionedImages: 8,
};
const pairs = new Map<number, ImagePair>();
const pairAt = (index: number): ImagePair => {
  const pair = pairs.get(index) ?? drawPoolPair(recipe, index);
  pairs.set(index, pair);
  return pair;
};
const plain: Looks = {
  matrix: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  offset: [0, 0, 0],
  gamma: 1,
  slope: [0, 0],
  blur: 0,
  noise: 0,
  levels: 0,
  noiseSeed: 1,
};

const bytes = (values: Float32Array | Int32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('the pool of drawn pairs', () => {
  test('has no family and no kind of defect that is kept for scoring', () => {
    const kept = new Set(targetFamilies.map(({ name }) => name));
    for (let index = 0; index < 40; index++) {
      const { family, defect } = pairAt(index);
      expect(pretrainingFamilies.map(({ name }) => name)).toContain(family);
      expect(kept.has(family)).toBe(false);
      expect(defectKinds.seen).toContain(defect);
    }
  });

  test('a pair is equal outside its mask and differs inside', () => {
    const { clean, damaged, mask } = pairAt(3);
    let [outside, inside] = [0, 0];
    mask.forEach((marked, at) => {
      for (let i = 3 * at; i < 3 * at + 3; i++) {
        if (marked) inside += Math.abs(clean[i]! - damaged[i]!);
        else outside += Math.abs(clean[i]! - damaged[i]!);
      }
    });
    expect(outside).toBe(0);
    expect(inside).toBeGreaterThan(1000);
  });
});

describe('batches', () => {
  test('are the same whenever they are made, and differ from step to step', () => {
    const [first, again, next] = [
      makeBatch(recipe, 5, 8, pairAt),
      makeBatch(recipe, 5, 8, (index) => drawPoolPair(recipe, index)),
      makeBatch(recipe, 6, 8, pairAt),
    ];
    for (const part of ['images', 'coverage', 'families', 'defects'] as const)
      expect(bytes(again[part]).equals(bytes(first[part]))).toBe(true);
    expect(again.phase).toEqual(first.phase);
    expect(bytes(next.images).equals(bytes(first.images))).toBe(false);
  });

  test('use only pairs of the window', () => {
    for (const step of [0, 3, 9]) {
      const [from, to] = poolWindow(recipe, step);
      expect(to - from).toBeLessThanOrEqual(recipe.keptPairs);
      makeBatch(recipe, step, 8, (index) => {
        expect(index).toBeGreaterThanOrEqual(from);
        expect(index).toBeLessThan(to);
        return pairAt(index);
      });
    }
  });

  test('pairs stand side by side: the same view without and with the defect', () => {
    const { images, coverage, phase } = makeBatch(recipe, 2, 8, pairAt);
    const [length, patches] = [phase.size ** 2 * 3, (phase.size / 8) ** 2];
    for (let first = 0; first < 12; first += 2) {
      const clean = images.subarray(first * length, (first + 1) * length);
      const damaged = images.subarray((first + 1) * length, (first + 2) * length);
      expect(coverage.subarray(first * patches, (first + 1) * patches).every((share) => share === 0)).toBe(true);
      let differing = 0;
      for (let i = 0; i < length; i++) if (Math.abs(clean[i]! - damaged[i]!) > 0.5) differing += 1;
      expect(differing).toBeLessThan(0.5 * length);
    }
    expect(
      conditionsOf({ coverage, families: new Int32Array(phase.batch) }).filter((condition) => condition === 'damaged')
        .length,
    ).toBeGreaterThan(3);
  });

  test('captions are true of their images, and marked where they are true of others', () => {
    const batch = makeBatch(recipe, 4, 8, pairAt);
    const conditions = conditionsOf(batch);
    const { captions, alsoTrue } = captionBatch(recipe, 4, batch, conditions);
    expect(captions).toHaveLength(8);
    const truths = captions.map((_, image) =>
      captionsFor({
        family: pretrainingFamilies[batch.families[image]!]!.name,
        defect: conditions[image] === 'normal' ? null : defectKinds.seen[batch.defects[image]!]!,
      }),
    );
    captions.forEach((caption, column) => {
      expect(truths[column]).toContain(caption);
      truths.forEach((set, row) =>
        expect(alsoTrue[row * 8 + column]).toBe(row !== column && set.includes(caption) ? 1 : 0),
      );
    });
  });

  test('a sliver of a defect is neither normal nor damaged', () => {
    const coverage = Float32Array.from([0, 0, 0.05, 0, 0.1, 0.1]);
    expect(conditionsOf({ coverage, families: new Int32Array(3) })).toEqual(['normal', 'unclear', 'damaged']);
  });
});

describe('views', () => {
  test('the whole picture at its own size is the picture', () => {
    const { clean } = pairAt(0);
    const into = new Float32Array(128 * 128 * 3);
    renderView(clean, 128, { left: 0, top: 0, side: 128, size: 128, turn: 0 }, plain, into);
    const mean = [0.48145466, 0.4578275, 0.40821073];
    const deviation = [0.26862954, 0.26130258, 0.27577711];
    expectClose(
      into.map((value, at) => (value * deviation[at % 3]! + mean[at % 3]!) * 255),
      clean,
      1e-3,
    );
  });

  test('mask and picture are turned and mirrored alike', () => {
    const size = 16;
    const mask = new Uint8Array(size * size);
    mask[3 * size + 5] = 1;
    mask[3 * size + 6] = 1;
    const picture = Uint8Array.from({ length: size * size * 3 }, (_, at) => 255 * mask[Math.floor(at / 3)]!);
    const places = new Set<string>();
    for (let turn = 0; turn < 8; turn++) {
      const view = { left: 2, top: 1, side: 12, size: 12, turn };
      const shown = sampleMask(mask, size, view);
      const into = new Float32Array(12 * 12 * 3);
      renderView(picture, size, view, plain, into);
      expect(Array.from(shown, (_, at) => (into[3 * at]! > 0 ? 1 : 0))).toEqual([...shown]);
      places.add(shown.join(''));
    }
    expect(places.size).toBe(8);
  });

  test('near views show the defect, and every view lies inside the picture', () => {
    const mask = new Uint8Array(128 * 128);
    mask[100 * 128 + 20] = 1;
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (seed, whole) => {
        const view = placeView(mask, 128, { size: whole ? 112 : 56, batch: 1, whole }, true, new Random(seed));
        expect(view.left).toBeGreaterThanOrEqual(0);
        expect(view.left + view.side).toBeLessThanOrEqual(128 + 1e-9);
        expect(view.left).toBeLessThanOrEqual(20);
        expect(view.left + view.side).toBeGreaterThan(20);
        expect(view.top).toBeLessThanOrEqual(100);
        expect(view.top + view.side).toBeGreaterThan(100);
      }),
      { numRuns: 50 },
    );
  });

  test('looks keep pixels within what a picture can hold', () => {
    const { clean } = pairAt(1);
    for (let i = 0; i < 20; i++) {
      const random = new Random(`looks/${i}`);
      const into = new Float32Array(56 * 56 * 3);
      renderView(clean, 128, { left: 10, top: 10, side: 64, size: 56, turn: i % 8 }, drawLooks(random), into);
      // Black and white, normalised.
      expect(into.reduce((least, value) => Math.min(least, value))).toBeGreaterThan(-1.8);
      expect(into.reduce((most, value) => Math.max(most, value))).toBeLessThan(2.2);
    }
  });

  test('coverage of patches by hand', () => {
    const mask = new Uint8Array(16 * 16);
    for (let row = 4; row < 12; row++) for (let column = 0; column < 4; column++) mask[row * 16 + column] = 1;
    const into = new Float32Array(4);
    coverageOfPatches(mask, 16, 8, into);
    expectClose(into, [0.25, 0, 0.25, 0], 1e-6);
  });
});

describe('the schedule', () => {
  const [first] = DEFAULT_RECIPE.stages;
  const cycled: Recipe = {
    ...DEFAULT_RECIPE,
    steps: 1000,
    stages: [first as Recipe['stages'][number]],
    cycles: [
      { from: 0, decayFrom: 550, wholeFrom: 780 },
      { from: 800, decayFrom: 800, wholeFrom: 900 },
    ],
  };

  test('is the same for runs of any length until the last fall of the learning rate', () => {
    const long = { ...cycled, steps: 2000 };
    for (let step = 0; step < 800; step++) {
      expect(learningRateAt(long, step)).toBe(learningRateAt(cycled, step));
      expect(phaseAt(long, step)).toEqual(phaseAt(cycled, step));
    }
    expect(learningRateAt(long, 900)).toBeGreaterThan(learningRateAt(cycled, 900));
  });

  test('warms up, stays level, and falls to a hundredth in each cycle', () => {
    const rates = Array.from({ length: 1000 }, (_, step) => learningRateAt(cycled, step));
    const { learningRate, warmUpSteps } = cycled;
    expect(rates[0]).toBeCloseTo(learningRate / warmUpSteps, 12);
    expect(rates[warmUpSteps]).toBe(learningRate);
    expect(rates[549]).toBe(learningRate);
    expect((rates[799] as number) / learningRate).toBeCloseTo(0.01, 3);
    expect(rates[800]).toBe(learningRate);
    expect((rates[999] as number) / learningRate).toBeCloseTo(0.01, 3);
    expect([779, 780, 800, 899, 900].map((step) => phaseAt(cycled, step).size)).toEqual([56, 112, 56, 56, 112]);
  });

  test("a run's stages and cycles stand in the order of their steps", () => {
    for (const list of [DEFAULT_RECIPE.stages, DEFAULT_RECIPE.cycles]) {
      const starts = list.map(({ from }) => from);
      expect(starts[0]).toBe(0);
      expect(starts).toEqual([...starts].sort((a, b) => a - b));
      expect(starts.at(-1)).toBeLessThan(DEFAULT_RECIPE.steps);
    }
  });
});

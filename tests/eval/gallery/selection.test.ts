import * as fc from 'fast-check';
import { imageThreshold, SHOWN_KINDS, selectImages } from '../../../eval/gallery/selection';
import { categoryOf, evaluationOf } from '../report/sample-evaluation';

const scoresOf = (of: readonly { readonly score: number }[]): number[] => of.map(({ score }) => score);

test('the clearest finds, the weakest anomalous images and the highest normal ones, three of each', () => {
  const [selected] = selectImages(
    evaluationOf([categoryOf('gear', [0.1, 0.4, 0.2, 0.35], [0.3, 0.9, 0.5, 0.6, 0.8, 0.7, 0.2])]),
  ).categories;
  expect(scoresOf(selected?.images.found ?? [])).toEqual([0.9, 0.8, 0.7]);
  expect(scoresOf(selected?.images.missed ?? [])).toEqual([0.2, 0.3, 0.5]);
  expect(scoresOf(selected?.images.alarm ?? [])).toEqual([0.4, 0.35, 0.2]);
});

test('few anomalous images are shared out, the higher scores as found', () => {
  const [selected] = selectImages(evaluationOf([categoryOf('gear', [], [0.3, 0.9, 0.5])])).categories;
  expect(scoresOf(selected?.images.found ?? [])).toEqual([0.9, 0.5]);
  expect(scoresOf(selected?.images.missed ?? [])).toEqual([0.3]);
  expect(selected?.images.alarm).toEqual([]);
});

test('no image twice, kinds as they say, and a bounded number however large the set', () => {
  const score = fc.double({ min: 0, max: 1, noNaN: true });
  const category = fc.tuple(fc.array(score, { maxLength: 12 }), fc.array(score, { maxLength: 12 }));
  fc.assert(
    fc.property(fc.array(category, { minLength: 1, maxLength: 60 }), (drawn) => {
      const evaluation = evaluationOf(
        drawn.map(([normal, anomalous], index) => ({
          ...categoryOf(`c${index}`, [], []),
          scores: [...normal.map((of) => [of, false] as const), ...anomalous.map((of) => [of, true] as const)].map(
            ([of, bad], at) => ({
              path: `/set/c${index}/${at}.png`,
              defect: 'x',
              anomalous: bad,
              maskPath: null,
              score: of,
            }),
          ),
        })),
      );
      const { categories, leftOut } = selectImages(evaluation);
      const shown = categories.flatMap(({ images }) =>
        SHOWN_KINDS.flatMap((kind) => images[kind].map((image) => ({ kind, image }))),
      );
      expect(new Set(shown.map(({ image }) => image.path)).size).toBe(shown.length);
      expect(shown.every(({ kind, image }) => image.anomalous === (kind !== 'alarm'))).toBe(true);
      expect(shown.length).toBeLessThanOrEqual(120);
      expect(categories.length + leftOut).toBe(drawn.length);
    }),
    { numRuns: 40 },
  );
});

test('of very many categories the hardest are shown, in their own order', () => {
  const categories = Array.from({ length: 50 }, (_, index) =>
    categoryOf(`c${index}`, [0.5], [index % 5 === 0 ? 0.9 : 0.1]),
  );
  const selection = selectImages(evaluationOf(categories));
  expect(selection.leftOut).toBe(10);
  expect(selection.categories.map(({ category }) => category.name)).toEqual(
    categories.filter((_, index) => index % 5 !== 0).map(({ name }) => name),
  );
});

test('and those without an image AUROC last', () => {
  const categories = Array.from({ length: 50 }, (_, index) =>
    categoryOf(`c${index}`, [0.5], index % 5 === 0 ? [] : [0.9]),
  );
  const names = selectImages(evaluationOf(categories)).categories.map(({ category }) => category.name);
  expect(names).toEqual(categories.filter((_, index) => index % 5 !== 0).map(({ name }) => name));
});

test('the threshold with the best F1; none where there is one class only', () => {
  // From 0.6 on: 2 of 3 found, no false alarm, F1 0.8; from 0.3 on: 3 found, 1 false alarm, F1 0.857.
  expect(imageThreshold(categoryOf('gear', [0.1, 0.4], [0.3, 0.6, 0.7]))).toBe(0.3);
  expect(imageThreshold(categoryOf('gear', [0.1, 0.4], []))).toBeNull();
  expect(imageThreshold(categoryOf('gear', [], [0.4]))).toBeNull();
});

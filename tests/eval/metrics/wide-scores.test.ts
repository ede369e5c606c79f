import * as fc from 'fast-check';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';
import {
  pixelsOf,
  slowAuroc,
  slowAveragePrecision,
  slowBestF1,
  slowExactAupro,
  slowPaperAupro,
  type SlowMap,
} from './slow-metrics';

/** Scores that float32 makes one, among some that it holds. */
const CLOSE = [
  1,
  1 + 2 ** -52,
  1 + 2 ** -51,
  1 - 2 ** -53,
  0.1,
  0.1 + 2 ** -56,
  0,
  -0,
  5e-324,
  -5e-324,
  1e-50,
  1e300,
  -1e300,
  2 ** 53,
  2 ** 53 - 1,
  16777217,
  16777216,
];

const width = 6;
const maps = fc.array(fc.constantFrom(...CLOSE), { minLength: 2, maxLength: 6 }).chain((pool) =>
  fc.array(
    fc.record({
      scores: fc.array(fc.constantFrom(...pool), { minLength: 5 * width, maxLength: 5 * width }),
      mask: fc.array(fc.constantFrom(0, 0, 1), { minLength: 5 * width, maxLength: 5 * width }),
      /** Whether it comes as float32, its scores being rounded. */
      narrow: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
);

test('float64 maps, float32 maps and both together equal the slow metrics on the very scores', () => {
  let defined = 0;
  fc.assert(
    fc.property(maps, (drawn) => {
      const metrics = new PixelMetrics();
      const seen = drawn.map(({ scores, mask, narrow }): SlowMap => ({
        width,
        height: 5,
        mask,
        scores: narrow ? scores.map((score) => Math.fround(score % 1e30)) : scores,
      }));
      seen.forEach(({ scores, mask }, at) =>
        metrics.add(
          drawn[at]?.narrow ? Float32Array.from(scores) : Float64Array.from(scores),
          Uint8Array.from(mask),
          width,
          5,
        ),
      );
      const pixels = pixelsOf(seen);
      if (new Set(pixels.map(({ isAnomalous }) => isAnomalous)).size < 2) return;
      defined++;
      const values = metrics.value();
      expect(values['pixel/auroc']).toBeCloseTo(slowAuroc(pixels), 12);
      expect(values['pixel/ap']).toBeCloseTo(slowAveragePrecision(pixels), 12);
      expect(values['pixel/f1max']).toBeCloseTo(slowBestF1(pixels), 12);
      expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(slowExactAupro(seen, 0.3), 12);
      const rounds = pixels.some(({ score }) => Math.fround(score) !== score);
      const paper = slowPaperAupro(seen, 0.3, rounds ? (threshold) => threshold : Math.fround);
      if (Number.isNaN(paper)) expect(values['pixel/aupro/paper200@0.3']).toBeNull();
      else expect(values['pixel/aupro/paper200@0.3']).toBeCloseTo(paper, 12);
      // Each category by itself and then all together is the same as all at once.
      const whole = new PixelMetrics();
      seen.forEach(({ scores, mask }) => {
        const one = new PixelMetrics();
        one.add(Float64Array.from(scores), Uint8Array.from(mask), width, 5);
        whole.include(one);
      });
      expect(whole.value()['pixel/ap']).toBeCloseTo(values['pixel/ap'] as number, 12);
    }),
    { numRuns: 150 },
  );
  expect(defined).toBeGreaterThan(60);
});

test('float64 scores half a float32 step apart are told apart, and the threshold is theirs', () => {
  const metrics = new PixelMetrics();
  metrics.add(Float64Array.of(1, 1 + 1e-12, 1, 1), Uint8Array.of(0, 1, 0, 0), 2, 2);
  expect(metrics.value()).toMatchObject({
    'pixel/auroc': 1,
    'pixel/ap': 1,
    'pixel/aupro/paper200@0.3': null,
    'pixel/aupro/exact@0.3': 1,
  });
  expect(metrics.bestF1Threshold()).toEqual({ f1: 1, threshold: 1 + 1e-12 });
  expect(metrics.rocCurve()).toEqual({ x: [0, 0, 1], y: [0, 1, 1], thresholds: [Infinity, 1 + 1e-12, -Infinity] });
});

test('what a map collects later changes the ranking, whichever precision comes first', () => {
  const metrics = new PixelMetrics();
  metrics.add(Float32Array.of(1, 0), Uint8Array.of(1, 0), 2, 1);
  expect(metrics.value()['pixel/auroc']).toBe(1);
  metrics.add(Float64Array.of(1 + 2 ** -40, 0), Uint8Array.of(0, 0), 2, 1);
  // Of three normal pixels one lies above the anomalous one.
  expect(metrics.value()['pixel/auroc']).toBeCloseTo(2 / 3, 12);
  metrics.add(Float32Array.of(2, 0), Uint8Array.of(1, 0), 2, 1);
  expect(metrics.value()['pixel/auroc']).toBeCloseTo(7 / 8, 12);
});

test('scores too near or too far apart for a sweep of 200 thresholds have all the other metrics', () => {
  for (const [low, high] of [
    [-5e-324, 5e-324],
    [-1.7e308, 1.7e308],
  ] as const) {
    const metrics = new PixelMetrics();
    metrics.add(Float64Array.of(high, low), Uint8Array.of(1, 0), 2, 1);
    expect(metrics.value()).toMatchObject({
      'pixel/auroc': 1,
      'pixel/aupro/exact@0.3': 1,
      'pixel/aupro/paper200@0.3': null,
    });
    expect(metrics.reasons()['pixel/aupro/paper200@0.3']).toBe(
      `there are no 200 thresholds between the scores ${low} and ${high}`,
    );
  }
});

test('NaN and infinities in float64 maps are refused, with their place', () => {
  const metrics = new PixelMetrics();
  expect(() => metrics.add(Float64Array.of(1e-300, 0, 0, -Infinity), new Uint8Array(4), 2, 2)).toThrow(
    /-Infinity at x 1, y 1/,
  );
  expect(() => metrics.add(Float64Array.of(1e-300, NaN), new Uint8Array(2), 2, 1)).toThrow(/NaN at x 1, y 0/);
  expect(metrics.ranking()).toMatchObject({ normals: 0, anomalous: 0 });
});

describe('ignored pixels', () => {
  test.each([
    ['float32', Float32Array],
    ['float64', Float64Array],
  ] as const)('are in no metric, in no region, and may hold anything: %s', (_, Scores) => {
    // The ignored column splits one region in two: the left of 2 pixels is found, the right of 2 is not.
    const scores = [9 + 1e-12, NaN, 1, 9 + 1e-12, Infinity, 1, 5, -Infinity, 5];
    const metrics = new PixelMetrics();
    metrics.add(
      Scores.from(scores),
      Uint8Array.of(1, 1, 1, 1, 1, 1, 0, 0, 0),
      3,
      3,
      Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 1, 0),
    );
    expect(metrics.ranking()).toMatchObject({
      normals: 2,
      anomalous: 4,
      least: 1,
      largest: Scores === Float32Array ? 9 : 9 + 1e-12,
    });
    expect(metrics.value()).toMatchObject({ 'pixel/auroc': 0.5, 'pixel/aupro/exact@0.3': 0.5 });
  });

  test('are the same as pixels that were never there', () => {
    const row = fc.array(
      fc.record({ score: fc.integer({ min: 0, max: 4 }), mask: fc.constantFrom(0, 1), ignored: fc.boolean() }),
      { minLength: 2, maxLength: 30 },
    );
    fc.assert(
      fc.property(row, (pixels) => {
        // Every second column is empty, so that each pixel is a region of its own, with or without the ignored ones.
        const spread = pixels.flatMap((pixel) => [pixel, { score: 0, mask: 0, ignored: true }]);
        const some = new PixelMetrics();
        some.add(
          Float32Array.from(spread, ({ score }) => score),
          Uint8Array.from(spread, ({ mask }) => mask),
          spread.length,
          1,
          Uint8Array.from(spread, ({ ignored }) => (ignored ? 1 : 0)),
        );
        const kept = pixels.filter(({ ignored }) => !ignored);
        const without = new PixelMetrics();
        for (const { score, mask } of kept) without.add(Float32Array.of(score), Uint8Array.of(mask), 1, 1);
        expect(some.value()).toEqual(without.value());
      }),
    );
  });

  test('all of a map: the image is counted, and no pixel', () => {
    const metrics = new PixelMetrics();
    metrics.add(Float32Array.of(1, 2), Uint8Array.of(1, 0), 2, 1, Uint8Array.of(1, 1));
    expect(metrics.reasons()['pixel/auroc']).toBe('no pixel was scored');
    expect(() => metrics.add(Float32Array.of(1, 2), Uint8Array.of(1, 0), 2, 1, Uint8Array.of(1))).toThrow(
      expect.objectContaining({ code: 'metric/mask-size' }),
    );
  });
});

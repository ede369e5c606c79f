import * as fc from 'fast-check';
import { precisionRecallCurve } from '../../../eval/metrics/curves';
import { ImageMetrics } from '../../../eval/metrics/image-metrics';
import { meanOverCategories } from '../../../eval/metrics/metric-ids';
import { rankScores } from '../../../eval/metrics/ranking';
import { MetricError } from '../../../lib/errors';
import { randomSamples } from './random-cases';
import { f1At, slowAuroc, slowAveragePrecision, slowBestF1, type Scored } from './slow-metrics';

function metricsOf(samples: readonly Scored[]): ImageMetrics {
  const metrics = new ImageMetrics();
  for (const { score, isAnomalous } of samples) metrics.add(score, isAnomalous);
  return metrics;
}

const scored = (normal: readonly number[], anomalous: readonly number[]): Scored[] => [
  ...normal.map((score) => ({ score, isAnomalous: false })),
  ...anomalous.map((score) => ({ score, isAnomalous: true })),
];

describe('image metrics by hand', () => {
  test('one wrong pair of four', () => {
    // From the top: anomalous .9, normal .8, anomalous .7, normal .1.
    expect(metricsOf(scored([0.8, 0.1], [0.9, 0.7])).value()).toEqual({
      'image/auroc': 3 / 4,
      'image/ap': (1 + 2 / 3) / 2,
      'image/f1max': 4 / 5,
    });
  });

  test('a tie counts one half, and its samples are called together', () => {
    expect(metricsOf(scored([0.5, 0.1], [0.5])).value()).toEqual({
      'image/auroc': 3 / 4,
      'image/ap': 1 / 2,
      'image/f1max': 2 / 3,
    });
  });

  test('0 and -0 are one score', () => {
    expect(metricsOf(scored([0], [-0])).value()['image/auroc']).toBe(0.5);
    expect(metricsOf(scored([-0], [0])).value()['image/auroc']).toBe(0.5);
  });

  test('the best threshold is inclusive, and the highest of equals', () => {
    expect(metricsOf(scored([0.8, 0.1], [0.9, 0.7])).bestF1Threshold()).toEqual({ f1: 0.8, threshold: 0.7 });
    const twice = metricsOf(scored([0.5, 0.4, 0.3, 0.2], [0.9, 0.35]));
    expect(twice.bestF1Threshold()).toEqual({ f1: 2 / 3, threshold: 0.9 });
  });
});

test('image metrics equal the slow ones on 200 random lists', () => {
  for (let seed = 0; seed < 200; seed++) {
    const samples = randomSamples(seed);
    const metrics = metricsOf(samples);
    const values = metrics.value();
    expect(values['image/auroc']).toBeCloseTo(slowAuroc(samples), 12);
    expect(values['image/ap']).toBeCloseTo(slowAveragePrecision(samples), 12);
    expect(values['image/f1max']).toBeCloseTo(slowBestF1(samples), 12);
    const best = metrics.bestF1Threshold();
    expect(f1At(samples, best?.threshold ?? NaN)).toBeCloseTo(values['image/f1max'] as number, 12);
  }
});

describe('properties', () => {
  const sample = fc.record({ score: fc.integer({ min: -20, max: 20 }), isAnomalous: fc.boolean() });
  const samples = fc
    .array(sample, { minLength: 2, maxLength: 40 })
    .filter((list) => list.some((one) => one.isAnomalous) && list.some((one) => !one.isAnomalous));

  test('values are fractions, unchanged by order and by any rising function of the scores', () => {
    fc.assert(
      fc.property(samples, fc.integer(), (list, seed) => {
        const values = metricsOf(list).value();
        for (const value of Object.values(values)) expect(value).toBeGreaterThanOrEqual(0);
        for (const value of Object.values(values)) expect(value).toBeLessThanOrEqual(1);
        const shuffled = [...list].sort((a, b) => Math.sin(seed + a.score * 7) - Math.sin(seed + b.score * 7));
        expect(metricsOf(shuffled).value()).toEqual(values);
        expect(metricsOf(list.map((one) => ({ ...one, score: Math.exp(one.score / 3) - 5 }))).value()).toEqual(values);
      }),
    );
  });

  test('turning the scores round turns AUROC round', () => {
    fc.assert(
      fc.property(samples, (list) => {
        const turned = metricsOf(list.map((one) => ({ ...one, score: -one.score }))).value();
        expect(turned['image/auroc']).toBeCloseTo(1 - (metricsOf(list).value()['image/auroc'] as number), 12);
      }),
    );
  });
});

describe('where nothing is defined', () => {
  test.each([
    ['no image', scored([], []), 'no image was scored'],
    ['normal images only', scored([0.1, 0.2], []), 'all 2 images are normal'],
    ['anomalous images only', scored([], [0.3]), 'all 1 images are anomalous'],
  ])('%s: null with a reason', (_, samples, reason) => {
    const metrics = metricsOf(samples);
    expect(metrics.value()).toEqual({ 'image/auroc': null, 'image/ap': null, 'image/f1max': null });
    expect(metrics.reasons()['image/ap']).toContain(reason);
    expect(metrics.bestF1Threshold()).toBeNull();
    expect(metrics.rocCurve()).toBeNull();
  });

  test('reasons are empty where all is defined', () => {
    expect(metricsOf(scored([0], [1])).reasons()).toEqual({});
  });

  test.each([NaN, Infinity, -Infinity])('a score of %p is refused and not counted', (score) => {
    const metrics = metricsOf(scored([0], [1]));
    expect(() => metrics.add(score, true)).toThrow(MetricError);
    expect(metrics.value()['image/auroc']).toBe(1);
  });

  test('adding after reading is counted', () => {
    const metrics = metricsOf(scored([0.5], [1]));
    expect(metrics.value()['image/auroc']).toBe(1);
    metrics.add(0.1, true);
    expect(metrics.value()['image/auroc']).toBe(0.5);
  });
});

test('the mean leaves out categories in which a metric is not defined', () => {
  const mean = meanOverCategories([
    { 'image/auroc': 1, 'image/ap': null },
    { 'image/auroc': 0.5, 'image/ap': 0.25 },
    { 'image/auroc': null },
  ]);
  expect(mean['image/auroc']).toBe(0.75);
  expect(mean['image/ap']).toBe(0.25);
  expect(mean['pixel/auroc']).toBeNull();
  expect(meanOverCategories([])['image/auroc']).toBeNull();
});

test('with reference means a metric that is null counts as 0, one that was not measured does not', () => {
  const categories = [
    { 'image/auroc': 0.75, 'image/ap': null },
    { 'image/auroc': null },
    { 'image/auroc': 0.75, 'image/ap': 0.5 },
  ];
  const mean = meanOverCategories(categories, { referenceMeans: true });
  expect(mean['image/auroc']).toBe(0.5);
  expect(mean['image/ap']).toBe(0.25);
  expect(mean['pixel/auroc']).toBeNull();
});

describe('curves', () => {
  const samples = Array.from({ length: 3000 }, (_, at) => {
    const isAnomalous = at % 3 === 0;
    return { score: Math.sin(at * 1.7) + (isAnomalous ? 0.6 : 0), isAnomalous };
  });
  const metrics = metricsOf(samples);

  test('ROC: at most as many points as wanted, rising, and nearly the same area', () => {
    const curve = metrics.rocCurve(100);
    if (curve === null) throw new Error('no curve');
    expect(curve.x.length).toBeLessThanOrEqual(100);
    expect([curve.x[0], curve.y[0], curve.x.at(-1), curve.y.at(-1)]).toEqual([0, 0, 1, 1]);
    let area = 0;
    for (let at = 1; at < curve.x.length; at++) {
      const [x0, x1] = curve.x.slice(at - 1) as [number, number];
      const [y0, y1] = curve.y.slice(at - 1) as [number, number];
      expect(x1 >= x0 && y1 >= y0).toBe(true);
      area += ((x1 - x0) * (y0 + y1)) / 2;
    }
    expect(Math.abs(area - (metrics.value()['image/auroc'] as number))).toBeLessThan(0.01);
  });

  test('precision-recall: points are what their thresholds give', () => {
    const scoresOf = (anomalous: boolean): number[] =>
      samples.filter(({ isAnomalous }) => isAnomalous === anomalous).map(({ score }) => score);
    const curve = precisionRecallCurve(rankScores(scoresOf(false), scoresOf(true)), 50);
    expect(curve.x.length).toBeLessThanOrEqual(50);
    expect([curve.x[0], curve.y[0], curve.x.at(-1)]).toEqual([0, 1, 1]);
    for (let at = 1; at < curve.x.length; at++) {
      const called = samples.filter((one) => one.score >= (curve.thresholds[at] as number));
      const right = called.filter((one) => one.isAnomalous).length;
      expect(curve.y[at]).toBeCloseTo(right / called.length, 12);
      expect(curve.x[at]).toBeCloseTo(right / 1000, 12);
    }
  });

  test('a perfect ranking keeps its corner', () => {
    const corner = metricsOf(scored([0.1, 0.2, 0.3], [0.8, 0.9])).rocCurve();
    expect(corner?.x.map((x, at) => [x, corner.y[at]])).toContainEqual([0, 1]);
  });
});

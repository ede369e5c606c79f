import * as fc from 'fast-check';
import { CompensatedSum } from '../../../eval/metrics/compensated-sum';
import { PIXEL_METRIC_IDS } from '../../../eval/metrics/metric-ids';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';
import { keyOfScore } from '../../../eval/metrics/score-keys';
import { seeded } from './random-cases';
import {
  f1At,
  pixelsOf,
  slowAuroc,
  slowAveragePrecision,
  slowBestF1,
  slowExactAupro,
  slowPaperAupro,
  sortedMetrics,
  type SlowMap,
} from './slow-metrics';

function metricsOf(maps: readonly SlowMap[]): PixelMetrics {
  const metrics = new PixelMetrics();
  for (const { scores, mask, width, height } of maps)
    metrics.add(Float32Array.from(scores), Uint8Array.from(mask), width, height);
  return metrics;
}

/** Scores that are easily taken for each other: neighbours, zeros of both signs, numbers below the normal range, extremes. */
const NEIGHBOURS = [0.5, 0.5 + 2 ** -24, 0.5 - 2 ** -25, 1 - 2 ** -24, 1];
const TINY = [0, -0, 2 ** -149, -(2 ** -149), 2 ** -148, 2 ** -126, 2 ** -126 - 2 ** -149];
const HUGE = [3.4028234663852886e38, 3.402823263561193e38, -3.4028234663852886e38, 65536, 65537].map(Math.fround);

const score = fc.oneof(
  fc.constantFrom(...NEIGHBOURS, ...TINY, ...HUGE),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -3, max: 3 }),
);

/** One pool of few scores for all the maps, so that ties are common; masks with lone pixels, or full, or empty. */
const categories = fc.array(score, { minLength: 1, maxLength: 12 }).chain((pool) =>
  fc.array(
    fc
      .record({
        width: fc.integer({ min: 1, max: 7 }),
        height: fc.integer({ min: 1, max: 7 }),
        density: fc.constantFrom(0, 0.1, 0.4, 1),
      })
      .chain(({ width, height, density }) => {
        const pixels = { minLength: width * height, maxLength: width * height };
        return fc.record({
          width: fc.constant(width),
          height: fc.constant(height),
          scores: fc.array(fc.constantFrom(...pool), pixels),
          mask: fc.array(
            fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map((value) => (value < density ? 1 : 0)),
            pixels,
          ),
        });
      }),
    { minLength: 1, maxLength: 3 },
  ),
);

test('any scores, any masks: 300 categories equal the slow metrics, or are not defined where one class is missing', () => {
  const seen = { oneClass: 0, defined: 0 };
  fc.assert(
    fc.property(categories, (maps: SlowMap[]) => {
      const metrics = metricsOf(maps);
      const values = metrics.value();
      const pixels = pixelsOf(maps);
      if (new Set(pixels.map(({ isAnomalous }) => isAnomalous)).size < 2) {
        seen.oneClass++;
        expect(Object.values(values)).toEqual([null, null, null, null, null]);
        for (const id of PIXEL_METRIC_IDS)
          expect(metrics.reasons()[id]).toMatch(/^all \d+ pixels are (normal|anomalous)/);
        return;
      }
      seen.defined++;
      expect(values['pixel/auroc']).toBeCloseTo(slowAuroc(pixels), 12);
      expect(values['pixel/ap']).toBeCloseTo(slowAveragePrecision(pixels), 12);
      expect(values['pixel/f1max']).toBeCloseTo(slowBestF1(pixels), 12);
      expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(slowExactAupro(maps, 0.3), 12);
      expect(f1At(pixels, metrics.bestF1Threshold()?.threshold ?? NaN)).toBeCloseTo(
        values['pixel/f1max'] as number,
        12,
      );
      const paper = slowPaperAupro(maps, 0.3);
      if (Number.isNaN(paper)) expect(values['pixel/aupro/paper200@0.3']).toBeNull();
      else expect(values['pixel/aupro/paper200@0.3']).toBeCloseTo(paper, 12);
      const sorted = sortedMetrics(maps, 0.3);
      expect(values['pixel/auroc']).toBeCloseTo(sorted.auroc, 12);
      expect(values['pixel/ap']).toBeCloseTo(sorted.ap, 12);
      expect(values['pixel/f1max']).toBeCloseTo(sorted.f1, 12);
      expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(sorted.exactAupro, 12);
    }),
    { numRuns: 300 },
  );
  expect(seen.defined).toBeGreaterThan(100);
  expect(seen.oneClass).toBeGreaterThan(10);
});

/** Maps of thousands of pixels in few buckets, which are counted in another way than few pixels are. */
function crowded(seed: number, spread: (random: number) => number): SlowMap[] {
  const random = seeded(seed);
  return [0.02, 0, 0.3].map((density, index) => {
    const [width, height] = [90 + index, 70];
    const mask = Array.from({ length: width * height }, () => (random() < density ? 1 : 0));
    return { width, height, mask, scores: mask.map((inside) => Math.fround(spread(random() + 0.2 * inside))) };
  });
}

test.each([
  ['in one bucket', (value: number) => 0.5 + value / 1024],
  ['in one bucket, with many ties', (value: number) => 0.5 + Math.round(value * 50) / 2 ** 20],
  ['in many buckets', (value: number) => value ** 4],
  ['on both sides of zero', (value: number) => (value - 0.6) * 1e-40],
])('thousands of pixels %s', (_, spread) => {
  for (let seed = 0; seed < 3; seed++) {
    const maps = crowded(seed, spread);
    const values = metricsOf(maps).value();
    const sorted = sortedMetrics(maps, 0.3);
    expect(values['pixel/auroc']).toBeCloseTo(sorted.auroc, 10);
    expect(values['pixel/ap']).toBeCloseTo(sorted.ap, 10);
    expect(values['pixel/f1max']).toBeCloseTo(sorted.f1, 10);
    expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(sorted.exactAupro, 10);
    if (seed === 0) expect(values['pixel/aupro/paper200@0.3'] ?? NaN).toBeCloseTo(quickPaperAupro(maps), 10);
  }
});

/** The sweep of the papers once more, with the overlaps of all regions as one list of weights. */
function quickPaperAupro(maps: readonly SlowMap[]): number {
  const { regions, normal } = weighed(maps);
  const scores = maps.flatMap((map) => map.scores);
  const [least, largest] = [Math.min(...scores), Math.max(...scores)];
  const step = (largest - least) / 200;
  const points: [number, number][] = [];
  for (let index = 0; index < Math.ceil((largest - least) / step); index++) {
    const threshold = Math.fround(least + index * (least + step - least));
    const rate = normal.filter((value) => value > threshold).length / normal.length;
    if (rate < 0.3)
      points.push([rate, regions.reduce((sum, { value, weight }) => (value > threshold ? sum + weight : sum), 0)]);
  }
  const [low, high] = [points.at(-1)?.[0] as number, points[0]?.[0] as number];
  let area = 0;
  for (let at = 1; at < points.length; at++) {
    const [[x1, y1], [x0, y0]] = points.slice(at - 1, at + 1) as [[number, number], [number, number]];
    area += ((x1 - x0) / (high - low)) * ((y0 + y1) / 2);
  }
  return area;
}

function weighed(maps: readonly SlowMap[]): { regions: { value: number; weight: number }[]; normal: number[] } {
  const regions: { value: number; weight: number }[] = [];
  const pixels = pixelsOf(maps);
  const sizes = maps.map((map) => ({ map, areas: areasByPixel(map) }));
  const count = sizes.reduce(
    (sum, { areas }) => sum + areas.reduce((total, area) => (area > 0 ? total + 1 / area : total), 0),
    0,
  );
  for (const { map, areas } of sizes)
    areas.forEach(
      (area, at) => area > 0 && regions.push({ value: map.scores[at] as number, weight: 1 / area / count }),
    );
  return { regions, normal: pixels.filter(({ isAnomalous }) => !isAnomalous).map(({ score: value }) => value) };
}

/** Size of the region that each pixel is in, by spreading the largest index of a region until nothing changes. */
function areasByPixel({ mask, width, height }: SlowMap): number[] {
  const names = mask.map((inside, at) => (inside ? at : -1));
  for (let changed = true; changed;) {
    changed = false;
    for (let at = 0; at < names.length; at++) {
      if (names[at] === -1) continue;
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
          const other = names[at + dy * width + dx] as number;
          if (other > (names[at] as number)) [names[at], changed] = [other, true];
        }
      }
    }
  }
  const sizes = new Map<number, number>();
  for (const name of names) sizes.set(name, (sizes.get(name) ?? 0) + 1);
  return names.map((name) => (name === -1 ? 0 : (sizes.get(name) as number)));
}

describe('a huge map with hundreds of thousands of regions', () => {
  // Every second pixel of every second row is a region of its own; the left half of them is found before any normal pixel,
  // the right half lies among the normal pixels, all of one score.
  const side = 2100;
  const metrics = new PixelMetrics();
  const map = new Float32Array(side * side).fill(-0.25);
  const mask = new Uint8Array(side * side);
  for (let y = 0; y < side; y += 2) {
    for (let x = 0; x < side; x += 2) {
      mask[y * side + x] = 255;
      if (x < side / 2) map[y * side + x] = 0.75;
    }
  }
  const regions = (side / 2) ** 2;

  test('gives what can be worked out by hand', () => {
    metrics.add(map, mask, side, side);
    const values = metrics.value();
    expect(values['pixel/auroc']).toBe(0.75);
    expect(values['pixel/ap']).toBeCloseTo(0.5 + 0.5 * (regions / (side * side)), 12);
    expect(values['pixel/f1max']).toBeCloseTo(2 / 3, 12);
    // From (0, .5) straight to (1, 1).
    expect(values['pixel/aupro/exact@0.3']).toBeCloseTo(0.5 + 0.5 * 0.15, 12);
    expect(metrics.bestF1Threshold()).toEqual({ f1: expect.closeTo(2 / 3, 12) as number, threshold: 0.75 });
  });

  test('and the same with a second one, in a chunk of its own', () => {
    metrics.add(map, mask, side, side);
    expect(metrics.value()['pixel/auroc']).toBe(0.75);
    expect(metrics.value()['pixel/aupro/exact@0.3']).toBeCloseTo(0.575, 12);
    expect(metrics.ranking()).toMatchObject({ normals: 2 * (side * side - regions), anomalous: 2 * regions });
  });
});

test('more regions than 16 bits can number keep their own areas', () => {
  // Above, regions of two pixels, of which one is found at once; below, lone pixels, all found at once.
  const [width, height] = [900, 600];
  const map = new Float32Array(width * height);
  const mask = new Uint8Array(width * height);
  let [pairs, lone] = [0, 0];
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 3) {
      const at = y * width + x;
      mask[at] = 1;
      if (y >= height / 2) {
        lone++;
        map[at] = 1;
        continue;
      }
      pairs++;
      mask[at + 1] = 1;
      map[at + 1] = 1;
    }
  }
  expect(pairs + lone).toBeGreaterThan(65536);
  const metrics = new PixelMetrics();
  metrics.add(map, mask, width, height);
  const found = (0.5 * pairs + lone) / (pairs + lone);
  expect(metrics.value()['pixel/aupro/exact@0.3']).toBeCloseTo(found + (1 - found) * 0.15, 12);
});

test('as many regions as 16 bits can number, and one more', () => {
  for (const count of [65536, 65537]) {
    // The first region has two pixels, all others one; the last is found at once, all others with the normal pixels.
    const width = 2 * count + 1;
    const mask = Uint8Array.from({ length: width }, (_, at) => (at === 0 || (at % 2 === 1 && at < width) ? 1 : 0));
    const map = new Float32Array(width);
    map[mask.lastIndexOf(1)] = 1;
    const metrics = new PixelMetrics();
    metrics.add(map, mask, width, 1);
    expect(metrics.value()['pixel/aupro/exact@0.3']).toBeCloseTo(1 / count + (1 - 1 / count) * 0.15, 12);
  }
});

test('a sum keeps what each addition loses, in either order', () => {
  const sumOf = (terms: readonly number[]): number => {
    const sum = new CompensatedSum();
    terms.forEach((term) => sum.add(term));
    return sum.value;
  };
  expect(sumOf([2 ** 53, 1, 1, 1, -(2 ** 53)])).toBe(3);
  expect(sumOf([1, 2 ** 60, 1, -(2 ** 60)])).toBe(2);
});

describe('a whole set from its categories', () => {
  const maps = (seed: number): SlowMap[] =>
    crowded(seed, (value) => value - 0.3).map((map) => ({
      ...map,
      scores: map.scores.map((value) => value * (seed + 1)),
    }));

  test('has the metrics of all their maps', () => {
    const whole = new PixelMetrics();
    for (const seed of [0, 1, 2]) whole.include(metricsOf(maps(seed)));
    const once = metricsOf([0, 1, 2].flatMap(maps));
    for (const id of PIXEL_METRIC_IDS) expect(whole.value()[id]).toBeCloseTo(once.value()[id] as number, 12);
    expect(whole.bestF1Threshold()).toEqual(once.bestF1Threshold());
    expect(whole.rocCurve()).toEqual(once.rocCurve());
  });

  test('leaves the categories as they were, and does not see what they collect later', () => {
    const [first, second] = [metricsOf(maps(0)), metricsOf(maps(1))];
    const before = first.value();
    const whole = new PixelMetrics();
    whole.include(first);
    whole.include(second);
    const values = whole.value();
    expect(first.value()).toEqual(before);
    first.add(Float32Array.of(5, 4), Uint8Array.of(0, 1), 2, 1);
    expect(first.value()).not.toEqual(before);
    expect(whole.value()).toEqual(values);
    whole.add(Float32Array.of(5, 4), Uint8Array.of(0, 1), 2, 1);
    expect(whole.value()).not.toEqual(values);
  });
});

describe('curves of pixels', () => {
  // A region of one pixel, found first; one of three, of which one ties with a normal pixel and two come last.
  const maps: SlowMap[] = [
    { width: 6, height: 1, scores: [9, 7, 5, 5, 3, 1], mask: [1, 0, 0, 0, 0, 0] },
    { width: 6, height: 1, scores: [5, 2, 2, 8, 0, 0], mask: [1, 1, 1, 0, 0, 0] },
  ];
  const third = 1 / 3;

  test('have the points that can be worked out by hand', () => {
    const metrics = metricsOf(maps);
    // Normal pixels: 8, 7, 5, 5, 3, 1, 0, 0.
    const [none, two, four, five, all] = [0, 2 / 8, 4 / 8, 5 / 8, 1];
    const overlaps = [0, 0.5, 0.5, 0.5 + third / 2, 0.5 + third / 2, 1, 1];
    const close = (values: readonly number[]): unknown[] => values.map((value) => expect.closeTo(value, 12));
    expect(metrics.proCurve(1000)).toEqual({
      x: close([none, none, two, four, five, five, all]),
      y: close(overlaps),
      thresholds: [Infinity, 9, 5, 5, 2, 2, -Infinity],
    });
    expect(metrics.rocCurve(1000)).toMatchObject({
      x: close([none, none, two, four, five, five, all]),
      y: close([0, 0.25, 0.25, 0.5, 0.5, 1, 1]),
    });
    expect(metrics.precisionRecallCurve(1000)).toEqual({
      x: [0, 0.25, 0.5, 1],
      y: close([1, 1, 2 / 6, 4 / 9]),
      thresholds: [Infinity, 9, 5, 2],
    });
  });

  test('of which too many are left out at even steps of the way', () => {
    // Ten anomalous pixels one after another, then a normal one: the way up is the first half, of five steps.
    const metrics = metricsOf([
      { width: 11, height: 1, scores: [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], mask: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0] },
    ]);
    expect(metrics.rocCurve(12)).toEqual({
      x: [0, 0, 0, 0, 0, 0, 1],
      y: [0, 0.2, 0.4, 0.6, 0.8, 1, 1],
      thresholds: [Infinity, 9, 7, 5, 3, 1, -Infinity],
    });
  });

  test('drawn without a number of points are those of the default number, and follow what is added', () => {
    const metrics = metricsOf(maps);
    const before = [metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()];
    expect(before).toEqual([metrics.rocCurve(200), metrics.precisionRecallCurve(200), metrics.proCurve(200)]);
    metrics.add(Float32Array.of(4, 6), Uint8Array.of(1, 0), 2, 1);
    const after = [metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()];
    expect(after).toEqual([metrics.rocCurve(200), metrics.precisionRecallCurve(200), metrics.proCurve(200)]);
    after.forEach((curve, at) => expect(curve).not.toEqual(before[at]));
  });
});

test('only 0 and -0 share a key', () => {
  const all = [...NEIGHBOURS, ...TINY, ...HUGE];
  expect(new Set(all.map(keyOfScore)).size).toBe(all.length - 1);
});

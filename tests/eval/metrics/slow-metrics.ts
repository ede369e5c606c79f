/**
 * The metrics once more, in the plainest way: every threshold from scratch, pixels as objects, regions by flood fill.
 * Shares nothing with the code under test.
 */

export interface Scored {
  readonly score: number;
  readonly isAnomalous: boolean;
}

export interface SlowMap {
  readonly scores: readonly number[];
  readonly mask: readonly number[];
  readonly width: number;
  readonly height: number;
}

export function slowAuroc(samples: readonly Scored[]): number {
  const anomalous = samples.filter((sample) => sample.isAnomalous);
  const normal = samples.filter((sample) => !sample.isAnomalous);
  let wins = 0;
  for (const one of anomalous) {
    for (const other of normal) wins += one.score > other.score ? 1 : one.score === other.score ? 0.5 : 0;
  }
  return wins / (anomalous.length * normal.length);
}

/** Precision and recall at every distinct score, from the highest down; a sample at the threshold counts as found. */
function precisionsAndRecalls(samples: readonly Scored[]): { precision: number; recall: number; threshold: number }[] {
  const anomalous = samples.filter((sample) => sample.isAnomalous).length;
  return distinctDescending(samples.map((sample) => sample.score)).map((threshold) => {
    const called = samples.filter((sample) => sample.score >= threshold);
    const right = called.filter((sample) => sample.isAnomalous).length;
    return { precision: right / called.length, recall: right / anomalous, threshold };
  });
}

export function slowAveragePrecision(samples: readonly Scored[]): number {
  let recallBefore = 0;
  let sum = 0;
  for (const { precision, recall } of precisionsAndRecalls(samples)) {
    sum += (recall - recallBefore) * precision;
    recallBefore = recall;
  }
  return sum;
}

export function slowBestF1(samples: readonly Scored[]): number {
  return Math.max(
    ...precisionsAndRecalls(samples)
      .map(({ precision, recall }) => (2 * precision * recall) / (precision + recall))
      .filter(Number.isFinite),
  );
}

/** F1 of calling everything at or above `threshold` anomalous. */
export function f1At(samples: readonly Scored[], threshold: number): number {
  const called = samples.filter((sample) => sample.score >= threshold);
  const right = called.filter((sample) => sample.isAnomalous).length;
  return (2 * right) / (called.length + samples.filter((sample) => sample.isAnomalous).length);
}

export function pixelsOf(maps: readonly SlowMap[]): Scored[] {
  return maps.flatMap(({ scores, mask }) => scores.map((score, at) => ({ score, isAnomalous: mask[at] !== 0 })));
}

/** Pixel indices of each region of a mask, by flood fill over the eight neighbours. */
export function slowRegions({ mask, width, height }: Omit<SlowMap, 'scores'>): number[][] {
  const seen = new Set<number>();
  const regions: number[][] = [];
  for (let start = 0; start < mask.length; start++) {
    if (mask[start] === 0 || seen.has(start)) continue;
    const region: number[] = [];
    const todo = [start];
    seen.add(start);
    while (todo.length > 0) {
      const at = todo.pop() as number;
      region.push(at);
      for (const [dx, dy] of [
        [-1, -1],
        [0, -1],
        [1, -1],
        [-1, 0],
        [1, 0],
        [-1, 1],
        [0, 1],
        [1, 1],
      ] as const) {
        const x = (at % width) + dx;
        const y = Math.floor(at / width) + dy;
        const next = y * width + x;
        if (x < 0 || y < 0 || x >= width || y >= height || mask[next] === 0 || seen.has(next)) continue;
        seen.add(next);
        todo.push(next);
      }
    }
    regions.push(region.sort((a, b) => a - b));
  }
  return regions;
}

/** Scores of the pixels of each region, and of all normal pixels. */
function scoresByRegion(maps: readonly SlowMap[]): { regions: number[][]; normal: number[] } {
  return {
    regions: maps.flatMap((map) => slowRegions(map).map((region) => region.map((at) => map.scores[at] as number))),
    normal: pixelsOf(maps)
      .filter((pixel) => !pixel.isAnomalous)
      .map((pixel) => pixel.score),
  };
}

/** Mean share of each region's pixels with a score that `isCalled` says is anomalous. */
function meanOverlap(regions: readonly number[][], isCalled: (score: number) => boolean): number {
  const shares = regions.map((scores) => scores.filter(isCalled).length / scores.length);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

type CurvePoint = readonly [rate: number, overlap: number];

/** Area under straight lines from the first point to `limit`, by inserting a point there. */
function areaUpTo(points: readonly CurvePoint[], limit: number): number {
  let area = 0;
  for (let at = 1; at < points.length; at++) {
    const [x0, y0] = points[at - 1] as CurvePoint;
    const [x1, y1] = points[at] as CurvePoint;
    if (x0 >= limit || x1 === x0) continue;
    const x = Math.min(x1, limit);
    const y = x1 <= limit ? y1 : y0 + ((y1 - y0) * (limit - x0)) / (x1 - x0);
    area += (x - x0) * 0.5 * (y0 + y);
  }
  return area;
}

export function slowExactAupro(maps: readonly SlowMap[], limit: number): number {
  const { regions, normal } = scoresByRegion(maps);
  const points = distinctDescending(maps.flatMap((map) => map.scores)).map((threshold): CurvePoint => {
    const isCalled = (score: number) => score >= threshold;
    return [normal.filter(isCalled).length / normal.length, meanOverlap(regions, isCalled)];
  });
  return areaUpTo([[0, 0], ...points], limit) / limit;
}

/**
 * The sweep of docs/method.md#aupro, threshold by threshold. NaN where it gives nothing.
 * @param rounded thresholds in the precision of the maps
 */
export function slowPaperAupro(
  maps: readonly SlowMap[],
  limit: number,
  rounded: (threshold: number) => number = Math.fround,
): number {
  const { regions, normal } = scoresByRegion(maps);
  const scores = maps.flatMap((map) => map.scores);
  const least = scores.reduce((a, b) => Math.min(a, b));
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const step = (largest - least) / 200;
  if (step === 0 || !Number.isFinite(step)) return NaN;
  const kept: CurvePoint[] = [];
  for (let index = 0; index < Math.ceil((largest - least) / step); index++) {
    const threshold = rounded(least + index * (least + step - least));
    const isCalled = (score: number) => score > threshold;
    const rate = normal.filter(isCalled).length / normal.length;
    if (rate < limit) kept.push([rate, meanOverlap(regions, isCalled)]);
  }
  const rates = kept.map(([rate]) => rate);
  const [low, high] = [Math.min(...rates), Math.max(...rates)];
  const scaled = kept.map(([rate, overlap]): CurvePoint => [(rate - low) / (high - low), overlap]).reverse();
  return low < high ? areaUpTo(scaled, 1) : NaN;
}

/**
 * AUPRO as the MVTec authors' programs compute it: thresholds at even ranks of the normal pixels' scores. Close to the
 * exact value; here to prove regions, overlaps and integration above on the golden numbers.
 */
export function authorsAupro(maps: readonly SlowMap[], limit: number, thresholds: number): number {
  const { regions, normal } = scoresByRegion(maps);
  normal.sort((a, b) => a - b);
  const points: CurvePoint[] = [[1, 1]];
  for (let index = 0; index < thresholds; index++) {
    const rank = Math.floor((index * (normal.length - 1)) / (thresholds - 1));
    const threshold = normal[rank] as number;
    points.push([1 - (rank + 1) / normal.length, meanOverlap(regions, (score) => score > threshold)]);
  }
  points.reverse();
  return areaUpTo(points, limit) / limit;
}

function distinctDescending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => b - a);
}

/**
 * The metrics of tens of thousands of pixels: all of them in one list, sorted, threshold by threshold. Proven on the ones
 * above, which take the square of the number of pixels.
 */
export function sortedMetrics(
  maps: readonly SlowMap[],
  limit: number,
): { auroc: number; ap: number; f1: number; exactAupro: number } {
  const regions = maps.flatMap((map) => slowRegions(map).map((region) => ({ map, region })));
  const shareOf = new Map(maps.map((map) => [map, new Map<number, number>()]));
  for (const { map, region } of regions)
    for (const at of region) shareOf.get(map)?.set(at, 1 / region.length / regions.length);
  const pixels = maps
    .flatMap((map) => map.scores.map((score, at) => ({ score, share: shareOf.get(map)?.get(at) })))
    .sort((a, b) => b.score - a.score);
  const anomalous = pixels.filter(({ share }) => share !== undefined).length;
  const normals = pixels.length - anomalous;
  let [found, wrong, overlap, auroc, ap, f1] = [0, 0, 0, 0, 0, 0];
  const points: CurvePoint[] = [[0, 0]];
  for (let at = 0; at < pixels.length;) {
    const [foundBefore, wrongBefore] = [found, wrong];
    for (const score = pixels[at]?.score; pixels[at]?.score === score && at < pixels.length; at++) {
      const { share } = pixels[at] as (typeof pixels)[number];
      if (share === undefined) wrong++;
      else [found, overlap] = [found + 1, overlap + share];
    }
    auroc += ((wrong - wrongBefore) / normals) * ((found + foundBefore) / 2 / anomalous);
    ap += ((found - foundBefore) / anomalous) * (found / (found + wrong));
    f1 = Math.max(f1, (2 * found) / (found + wrong + anomalous));
    points.push([wrong / normals, overlap]);
  }
  return { auroc, ap, f1, exactAupro: areaUpTo(points, limit) / limit };
}

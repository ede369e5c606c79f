import type { Measured } from './metric-ids';
import { keyOfScore } from './radix-sort';
import { visitThresholds, type RankedScores } from './ranking';

/**
 * Area under the per-region overlap curve. The per-region overlap (PRO) of a threshold is the share of each connected
 * anomalous region that is found, averaged over the regions of all images of a category, so that small defects count
 * as much as large ones. It is drawn over the false positive rate of all normal pixels.
 */

/** Pixels of a category in sorted order, each anomalous one with the region that it belongs to. */
export interface RankedRegions extends RankedScores {
  readonly normal: Uint32Array;
  readonly anomalous: Uint32Array;
  /** Region of each anomalous pixel, in the order of `anomalous`. */
  readonly regions: Uint32Array;
  /** Pixels of each region. */
  readonly areas: Uint32Array;
}

/**
 * Point of the PRO curve: the same as a threshold visited by `visitThresholds`, with the overlap (0..1) in place of the
 * number of true positives.
 */
type OverlapVisitor = (overlap: number, falsePositives: number, normalsAbove: number, key: number) => void;

/** Visits the PRO curve from the highest threshold to the lowest. */
export function visitOverlaps(ranked: RankedRegions, visit: OverlapVisitor): void {
  const { anomalous, regions, areas } = ranked;
  const shares = Float64Array.from(areas, (area) => 1 / area / areas.length);
  let next = anomalous.length - 1;
  // Compensated (Neumaier), because millions of small shares are added.
  let sum = 0;
  let lost = 0;
  visitThresholds(ranked, (truePositives, falsePositives, normalsAbove, key) => {
    for (; next >= anomalous.length - truePositives; next--) {
      const share = shares[regions[next] as number] as number;
      const total = sum + share;
      lost += sum >= share ? sum - total + share : share - total + sum;
      sum = total;
    }
    visit(next < 0 ? 1 : sum + lost, falsePositives, normalsAbove, key);
  });
}

/**
 * AUPRO over all thresholds: the area under the straight lines between the points of the PRO curve, from a false
 * positive rate of 0 to `limit`, with the value at the limit interpolated, divided by `limit`.
 *
 * @param limit false positive rate, above 0 and at most 1
 * @returns 0..1; a map that cannot tell anything (constant) gives `limit / 2`; needs normal and anomalous pixels
 */
export function exactAupro(ranked: RankedRegions, limit: number): number {
  const normals = ranked.normal.length;
  const end = limit * normals;
  let area = 0;
  let fromX = 0;
  let fromOverlap = 0;
  const addLine = (toX: number, toOverlap: number): void => {
    if (fromX < end && toX > fromX) {
      const cutX = Math.min(toX, end);
      const cutOverlap = fromOverlap + ((toOverlap - fromOverlap) * (cutX - fromX)) / (toX - fromX);
      area += ((cutX - fromX) * (fromOverlap + cutOverlap)) / 2;
    }
    fromX = toX;
    fromOverlap = toOverlap;
  };
  visitOverlaps(ranked, (overlap, falsePositives, normalsAbove) => {
    addLine(normalsAbove, fromOverlap);
    addLine(falsePositives, overlap);
  });
  addLine(normals, fromOverlap);
  return area / end;
}

const PAPER_STEPS = 200;

/**
 * AUPRO as the reference programs compute it: a sweep over 200 evenly spaced thresholds (`score > threshold`), the
 * points with a false positive rate below `limit` kept, their rates rescaled to 0..1 by their own least and largest,
 * and the area under the straight lines between them (spec 2). It depends on the extremes of the maps, and is not the
 * area up to the limit divided by the limit; use `exactAupro` to compare anything but published numbers.
 *
 * @returns no value where the reference gives NaN or stops: maps of one value, or all points at one false positive rate
 */
export function paperAupro(ranked: RankedRegions, limit: number): Measured {
  const least = Math.min(firstScore(ranked, ranked.normal), firstScore(ranked, ranked.anomalous));
  const largest = Math.max(lastScore(ranked, ranked.normal), lastScore(ranked, ranked.anomalous));
  if (least === largest) return { value: null, reason: `all pixels have the same score ${least}` };
  const points = sweep(ranked, evenThresholds(least, largest)).filter(({ rate }) => rate < limit);
  const lowestRate = points.at(-1)?.rate ?? NaN;
  const highestRate = points[0]?.rate ?? NaN;
  if (!(highestRate > lowestRate)) {
    return {
      value: null,
      reason: `of ${PAPER_STEPS} thresholds, those with a false positive rate below ${limit} span no range of rates (${points.length} points)`,
    };
  }
  let area = 0;
  for (let at = 1; at < points.length; at++) {
    const [one, other] = [points[at - 1], points[at]] as [SweepPoint, SweepPoint];
    area += ((one.rate - other.rate) / (highestRate - lowestRate)) * ((one.overlap + other.overlap) / 2);
  }
  return { value: area };
}

interface SweepPoint {
  /** False positive rate, 0..1. */
  readonly rate: number;
  /** Mean overlap of the regions, 0..1. */
  readonly overlap: number;
}

/** `numpy.arange(least, largest, (largest - least) / 200)`: 200 values, or 201 where rounding makes room for one more. */
function evenThresholds(least: number, largest: number): number[] {
  const step = (largest - least) / PAPER_STEPS;
  const actualStep = least + step - least;
  return Array.from({ length: Math.ceil((largest - least) / step) }, (_, index) => least + index * actualStep);
}

/** Points of ascending thresholds: rates and overlaps fall. */
function sweep(ranked: RankedRegions, thresholds: readonly number[]): SweepPoint[] {
  const found = new Float64Array(ranked.areas.length);
  let next = ranked.anomalous.length - 1;
  const descending = [...thresholds].reverse().map((threshold): SweepPoint => {
    // Maps are float32, and the reference compares them with the threshold rounded to float32.
    const key = keyOfScore(threshold);
    for (; next >= 0 && (ranked.anomalous[next] as number) > key; next--) found[ranked.regions[next] as number]!++;
    const overlap = found.reduce((sum, count, region) => sum + count / (ranked.areas[region] as number), 0);
    return { rate: countAbove(ranked.normal, key) / ranked.normal.length, overlap: overlap / ranked.areas.length };
  });
  return descending.reverse();
}

/** How many of the ascending keys are larger than `key`. */
function countAbove(keys: Uint32Array, key: number): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as number) > key) high = middle;
    else low = middle + 1;
  }
  return keys.length - low;
}

function firstScore(ranked: RankedScores, keys: Uint32Array): number {
  return ranked.scoreOfKey(keys[0] as number);
}

function lastScore(ranked: RankedScores, keys: Uint32Array): number {
  return ranked.scoreOfKey(keys[keys.length - 1] as number);
}

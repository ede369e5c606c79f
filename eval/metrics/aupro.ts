import type { Measured } from './metric-ids';
import { keyOfScore, scoreOfKey } from './radix-sort';
import { rankSorted, type Ranking } from './ranking';

/**
 * Area under the per-region overlap curve. The per-region overlap (PRO) of a threshold is the share of each connected
 * anomalous region that is found, averaged over the regions of all images of a category, so that small defects count
 * as much as large ones. It is drawn over the false positive rate of all normal pixels.
 */

/** The pixels of a category, ranked, with the overlap that each threshold reaches. */
export interface RankedRegions {
  readonly ranking: Ranking;
  /** Per-region overlap at each threshold of the ranking, 0..1. [thresholds] */
  readonly overlaps: Float64Array;
  /** Keys of the normal pixels, ascending. */
  readonly normal: Uint32Array;
  /** Keys of the anomalous pixels, ascending. */
  readonly anomalous: Uint32Array;
}

/**
 * Ranks pixels that are sorted already.
 *
 * @param normal keys of the normal pixels, ascending
 * @param anomalous keys of the anomalous pixels, ascending
 * @param regions region of each anomalous pixel, in the same order
 * @param areas pixels of each region
 */
export function rankRegions(
  normal: Uint32Array,
  anomalous: Uint32Array,
  regions: Uint32Array,
  areas: Uint32Array,
): RankedRegions {
  const ranking = rankSorted(normal, anomalous, scoreOfKey);
  const shares = Float64Array.from(areas, (area) => 1 / area / areas.length);
  const overlaps = new Float64Array(ranking.truePositives.length);
  let next = anomalous.length - 1;
  // Compensated (Neumaier), because millions of small shares are added.
  let sum = 0;
  let lost = 0;
  for (let at = 0; at < overlaps.length; at++) {
    const firstFound = anomalous.length - (ranking.truePositives[at] as number);
    for (; next >= firstFound; next--) {
      const share = shares[regions[next] as number] as number;
      const total = sum + share;
      lost += sum >= share ? sum - total + share : share - total + sum;
      sum = total;
    }
    overlaps[at] = sum + lost;
  }
  if (overlaps.length > 0) overlaps[overlaps.length - 1] = 1;
  return { ranking, overlaps, normal, anomalous };
}

/**
 * AUPRO over all thresholds: the area under the straight lines between the points of the PRO curve, from a false
 * positive rate of 0 to `limit`, with the value at the limit interpolated, divided by `limit`.
 *
 * @param limit false positive rate, above 0 and at most 1
 * @returns 0..1; a map that cannot tell anything (constant) gives `limit / 2`; needs normal and anomalous pixels
 */
export function exactAupro({ ranking, overlaps }: RankedRegions, limit: number): number {
  const { normals, falsePositives, normalsAbove } = ranking;
  const end = limit * normals;
  let area = 0;
  let x = 0;
  let overlap = 0;
  for (let at = 0; at < overlaps.length && x < end; at++) {
    const levelTo = Math.min(normalsAbove[at] as number, end);
    area += (levelTo - x) * overlap;
    // Normal pixels of the threshold's own score: the curve climbs on a straight line, which the limit may cut.
    const climb = (falsePositives[at] as number) - (normalsAbove[at] as number);
    const climbTo = Math.min(falsePositives[at] as number, end);
    const rise = (overlaps[at] as number) - overlap;
    const overlapReached = climb > 0 ? overlap + (rise * (climbTo - levelTo)) / climb : overlap + rise;
    area += ((climbTo - levelTo) * (overlap + overlapReached)) / 2;
    x = climbTo;
    overlap = overlapReached;
  }
  return (area + Math.max(0, end - x) * overlap) / end;
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
  const least = scoreOfKey(Math.min(ranked.normal[0] as number, ranked.anomalous[0] as number));
  const largest = scoreOfKey(Math.max(ranked.normal.at(-1) as number, ranked.anomalous.at(-1) as number));
  if (least === largest) return { value: null, reason: `all pixels have the same score ${least}` };
  const points = evenThresholds(least, largest)
    .map((threshold) => pointAt(ranked, threshold))
    .filter(({ rate }) => rate < limit);
  const lowestRate = points.at(-1)?.rate ?? NaN;
  const highestRate = points[0]?.rate ?? NaN;
  if (!(highestRate > lowestRate)) {
    return {
      value: null,
      reason:
        `of ${PAPER_STEPS} thresholds, those with a false positive rate below ${limit} ` +
        `span no range of rates (${points.length} points)`,
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

/**
 * `numpy.arange(least, largest, (largest - least) / 200)`: 200 values, or 201 where rounding makes room for one more,
 * with the step that numpy takes from the first two values.
 */
function evenThresholds(least: number, largest: number): number[] {
  const step = (largest - least) / PAPER_STEPS;
  const actualStep = least + step - least;
  return Array.from({ length: Math.ceil((largest - least) / step) }, (_, index) => least + index * actualStep);
}

function pointAt({ ranking, overlaps, normal, anomalous }: RankedRegions, threshold: number): SweepPoint {
  // Maps are float32, and the reference compares them with the threshold rounded to float32.
  const key = keyOfScore(threshold);
  const found = countAbove(anomalous, key);
  // All pixels of one score are found together, so some threshold of the ranking finds exactly these.
  const same = ranking.truePositives.length - countAbove(ranking.truePositives, found) - 1;
  return {
    rate: countAbove(normal, key) / normal.length,
    overlap: found === 0 ? 0 : (overlaps[same] as number),
  };
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

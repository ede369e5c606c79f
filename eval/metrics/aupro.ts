import { CompensatedSum } from './compensated-sum';
import type { Measured } from './metric-ids';
import type { PixelThreshold, RankedPixels } from './pixel-ranking';
import type { Sweep } from './ranking';

/**
 * Area under the per-region overlap curve. The per-region overlap (PRO) of a threshold is the share of each connected
 * anomalous region that is found, averaged over the regions of all images of a category, so that small defects count
 * as much as large ones. It is plotted over the false positive rate of all normal pixels.
 */

/**
 * AUPRO over all thresholds: the area under the straight lines between the points of the PRO curve, from a false
 * positive rate of 0 to `limit`, with the value at the limit interpolated, divided by `limit`. 0..1; a constant map
 * gives `limit / 2`. Needs normal and anomalous pixels.
 */
export class ExactAupro implements Sweep<number, PixelThreshold> {
  private readonly end: number;
  private readonly area = new CompensatedSum();
  private x = 0;
  private overlap = 0;

  /** @param limit false positive rate, above 0 and at most 1 */
  constructor({ normals }: Pick<RankedPixels, 'normals'>, limit: number) {
    this.end = limit * normals;
  }

  at({ normalsAbove, falsePositives, overlap }: PixelThreshold): void {
    if (this.x >= this.end) return;
    const levelTo = Math.min(normalsAbove, this.end);
    this.area.add((levelTo - this.x) * this.overlap);
    // Normal pixels with exactly the threshold's score: the curve climbs on a straight line, which the limit may cut.
    const climb = falsePositives - normalsAbove;
    const climbTo = Math.min(falsePositives, this.end);
    const rise = overlap - this.overlap;
    const reached = climb > 0 ? this.overlap + (rise * (climbTo - levelTo)) / climb : overlap;
    this.area.add(((climbTo - levelTo) * (this.overlap + reached)) / 2);
    this.x = climbTo;
    this.overlap = reached;
  }

  result(): number {
    return (this.area.value + Math.max(0, this.end - this.x) * this.overlap) / this.end;
  }
}

const PAPER_STEPS = 200;

/**
 * AUPRO as the reference programs compute it: a sweep over 200 evenly spaced thresholds (`score > threshold`), the
 * points with a false positive rate below `limit` kept, their rates rescaled to 0..1 by their minimum and maximum,
 * and the area under the straight lines between them (docs/method.md#aupro). It depends on the extremes of the maps
 * and is not the area up to the limit divided by the limit; use `ExactAupro` except to compare with published numbers.
 * Not defined where the reference gives NaN or fails: constant maps, or all points at one false positive rate.
 */
export class PaperAupro implements Sweep<Measured, PixelThreshold> {
  /** Keys of the thresholds, ascending: the reference compares float32 maps with a threshold rounded to float32. */
  private readonly keys: readonly number[];
  /** Overlap above each of the keys. */
  private readonly overlaps: Float64Array;
  /** The last key not yet passed. */
  private next: number;
  private overlap = 0;

  /** @param limit false positive rate, above 0 and at most 1 */
  constructor(
    private readonly ranking: RankedPixels,
    private readonly limit: number,
  ) {
    this.keys = evenThresholds(ranking.least, ranking.largest).map((score) => ranking.keyOfThreshold(score));
    this.overlaps = new Float64Array(this.keys.length);
    this.next = this.keys.length - 1;
  }

  at({ key, overlap }: PixelThreshold): void {
    // Pixels with exactly this score are not above it.
    for (; this.next >= 0 && (this.keys[this.next] as number) >= key; this.next--)
      this.overlaps[this.next] = this.overlap;
    this.overlap = overlap;
  }

  result(): Measured {
    const { limit, ranking } = this;
    const { least, largest } = ranking;
    if (least === largest) return { value: null, reason: `all pixels have the same score ${least}` };
    if (this.keys.length === 0)
      return {
        value: null,
        reason: `there are no ${PAPER_STEPS} thresholds between the scores ${least} and ${largest}`,
      };
    const overlaps = this.overlaps.slice().fill(this.overlap, 0, this.next + 1);
    const points = ranking
      .normalsAbove(this.keys)
      .map((above, at) => ({ rate: above / ranking.normals, overlap: overlaps[at] as number }))
      .filter(({ rate }) => rate < limit);
    const lowestRate = points.at(-1)?.rate ?? NaN;
    const highestRate = points[0]?.rate ?? NaN;
    if (!(highestRate > lowestRate)) {
      return {
        value: null,
        reason:
          `of ${PAPER_STEPS} thresholds, those with a false positive rate below ${limit} ` +
          `do not span a range of rates (${points.length} points)`,
      };
    }
    let area = 0;
    for (let at = 1; at < points.length; at++) {
      const [one, other] = [points[at - 1], points[at]] as [SweepPoint, SweepPoint];
      area += ((one.rate - other.rate) / (highestRate - lowestRate)) * ((one.overlap + other.overlap) / 2);
    }
    return { value: area };
  }
}

interface SweepPoint {
  /** False positive rate, 0..1. */
  readonly rate: number;
  /** Mean overlap of the regions, 0..1. */
  readonly overlap: number;
}

/**
 * `numpy.arange(least, largest, (largest - least) / 200)`: 200 values, or 201 where rounding allows one more,
 * with the step that numpy derives from the first two values. Empty where numpy would fail.
 */
function evenThresholds(least: number, largest: number): number[] {
  const step = (largest - least) / PAPER_STEPS;
  // For scores that are equal, adjacent around 0, or farther apart than the largest number.
  if (step === 0 || !Number.isFinite(step)) return [];
  const actualStep = least + step - least;
  return Array.from({ length: Math.ceil((largest - least) / step) }, (_, index) => least + index * actualStep);
}

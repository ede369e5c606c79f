import { CompensatedSum } from './compensated-sum';
import { BUCKETS, BUCKET_SHIFT, LOW_BITS, type Buckets, type PixelChunk } from './pixel-chunk';
import type { Ranking, Threshold } from './ranking';
import { keyOfScore, scoreOfKey } from './score-keys';

/** A threshold on pixels, with the overlap that it reaches. */
export interface PixelThreshold extends Threshold {
  /** Per-region overlap: the share of each anomalous region that is found, averaged over all regions. 0..1 */
  readonly overlap: number;
}

/** Ranked pixels, with what a sweep over evenly spaced thresholds needs. */
export interface RankedPixels extends Ranking<PixelThreshold> {
  /** The lowest score. */
  readonly least: number;
  /** The highest score. */
  readonly largest: number;
  /** The key of any score, rounded to the precision in which scores are kept. */
  keyOfThreshold(score: number): number;
  /**
   * How many normal pixels score above each key.
   * @param keys ascending
   */
  normalsAbove(keys: readonly number[]): number[];
}

/** Buckets with fewer pixels are visited score by score rather than scanned as a whole. */
const FEW_PIXELS = 2048;

/**
 * The pixels of some chunks, ranked without sorting: bucket by bucket from the highest scores down, the pixels of each
 * distinct score are counted. This is exact, since a bucket has at most 65536 distinct scores. It takes one pass over
 * the buckets that hold anomalous pixels, and 1 MB.
 */
export class PixelRanking implements RankedPixels {
  readonly least: number;
  readonly largest: number;
  readonly normals: number;
  readonly anomalous: number;
  private readonly regions: number;
  /** Pixels of all chunks in each bucket. [BUCKETS] */
  private readonly normalIn = new Uint32Array(BUCKETS);
  private readonly anomalousIn = new Uint32Array(BUCKETS);

  /**
   * @param leastKey key of the lowest score
   * @param largestKey key of the highest score
   */
  constructor(
    private readonly chunks: readonly PixelChunk[],
    leastKey: number,
    largestKey: number,
  ) {
    this.least = scoreOfKey(leastKey);
    this.largest = scoreOfKey(largestKey);
    for (const { normal, anomalous } of chunks) {
      addSizes(this.normalIn, normal);
      addSizes(this.anomalousIn, anomalous);
    }
    this.normals = chunks.reduce((sum, { normal }) => sum + normal.lows.length, 0);
    this.anomalous = chunks.reduce((sum, { anomalous }) => sum + anomalous.lows.length, 0);
    this.regions = chunks.reduce((sum, { areas }) => sum + areas.length, 0);
  }

  forEachThreshold(visit: (threshold: PixelThreshold) => void): void {
    const threshold = { key: 0, truePositives: 0, falsePositives: 0, normalsAbove: 0, overlap: 0 };
    const counts = new ScoreCounts();
    let everyLow: Uint16Array | undefined;
    const shares = new CompensatedSum();
    let normalsSoFar = 0;
    for (let bucket = BUCKETS - 1; bucket >= 0; bucket--) {
      const anomalousHere = this.anomalousIn[bucket] as number;
      const normalHere = this.normalIn[bucket] as number;
      if (anomalousHere === 0) {
        normalsSoFar += normalHere;
        continue;
      }
      for (const chunk of this.chunks) counts.add(chunk, bucket);
      const few = anomalousHere + normalHere < FEW_PIXELS;
      const lows = few ? this.lowsOf(bucket, anomalousHere + normalHere) : (everyLow ??= everyLowDownwards());
      for (let at = 0; at < lows.length; at++) {
        const low = lows[at] as number;
        const normal = counts.normal[low] as number;
        const anomalous = counts.anomalous[low] as number;
        if (anomalous > 0) {
          shares.add(counts.shares[low] as number);
          threshold.key = bucket * BUCKETS + low;
          threshold.normalsAbove = normalsSoFar;
          threshold.falsePositives = normalsSoFar + normal;
          threshold.truePositives += anomalous;
          threshold.overlap = threshold.truePositives === this.anomalous ? 1 : shares.value / this.regions;
          visit(threshold);
        }
        normalsSoFar += normal;
        counts.clear(low);
      }
    }
  }

  scoreOfKey(key: number): number {
    return scoreOfKey(key);
  }

  keyOfThreshold(score: number): number {
    return keyOfScore(score);
  }

  normalsAbove(keys: readonly number[]): number[] {
    const above = new Array<number>(keys.length);
    let next = keys.length - 1;
    let normalsSoFar = 0;
    for (let bucket = BUCKETS - 1; bucket >= 0 && next >= 0; bucket--) {
      const inBucket: number[] = [];
      for (; next >= 0 && (keys[next] as number) >>> BUCKET_SHIFT === bucket; next--)
        inBucket.push((keys[next] as number) & LOW_BITS);
      const counts = this.normalsWithLowAbove(inBucket, bucket);
      counts.forEach((count, at) => (above[next + counts.length - at] = normalsSoFar + count));
      normalsSoFar += this.normalIn[bucket] as number;
    }
    return above;
  }

  /** How many normal pixels of one bucket have a lower half above each of these descending ones. */
  private normalsWithLowAbove(lows: readonly number[], bucket: number): number[] {
    if (lows.length === 0) return [];
    if ((this.normalIn[bucket] as number) < FEW_PIXELS) return lows.map((low) => this.countNormals(bucket, low));
    const counts = new Uint32Array(BUCKETS);
    for (const { normal } of this.chunks) countScores(normal, bucket, counts);
    let at = LOW_BITS;
    let above = 0;
    return lows.map((low) => {
      for (; at > low; at--) above += counts[at] as number;
      return above;
    });
  }

  /** How many normal pixels of a bucket have a lower half above this. */
  private countNormals(bucket: number, low: number): number {
    let count = 0;
    for (const { normal } of this.chunks) {
      const end = normal.starts[bucket + 1] as number;
      for (let at = normal.starts[bucket] as number; at < end; at++) if ((normal.lows[at] as number) > low) count++;
    }
    return count;
  }

  /** Lower halves of the keys in a bucket, descending, repeated for each pixel. */
  private lowsOf(bucket: number, count: number): Uint16Array {
    const lows = new Uint16Array(count);
    let at = 0;
    for (const { normal, anomalous } of this.chunks) {
      for (const { lows: from, starts } of [normal, anomalous]) {
        const part = from.subarray(starts[bucket], starts[bucket + 1]);
        lows.set(part, at);
        at += part.length;
      }
    }
    return lows.sort().reverse();
  }
}

/** Pixels of one bucket, counted for each distinct score. */
class ScoreCounts {
  readonly normal = new Uint32Array(BUCKETS);
  readonly anomalous = new Uint32Array(BUCKETS);
  /** Sum of the anomalous pixels' shares of their regions. */
  readonly shares = new Float64Array(BUCKETS);

  add({ normal, anomalous, regions, areas }: PixelChunk, bucket: number): void {
    countScores(normal, bucket, this.normal);
    const { lows, starts } = anomalous;
    const end = starts[bucket + 1] as number;
    for (let at = starts[bucket] as number; at < end; at++) {
      const low = lows[at] as number;
      this.anomalous[low]!++;
      this.shares[low]! += 1 / (areas[regions[at] as number] as number);
    }
  }

  clear(low: number): void {
    this.normal[low] = 0;
    this.anomalous[low] = 0;
    this.shares[low] = 0;
  }
}

function everyLowDownwards(): Uint16Array {
  const lows = new Uint16Array(BUCKETS);
  for (let at = 0; at < BUCKETS; at++) lows[at] = LOW_BITS - at;
  return lows;
}

function countScores({ lows, starts }: Buckets, bucket: number, counts: Uint32Array): void {
  const end = starts[bucket + 1] as number;
  for (let at = starts[bucket] as number; at < end; at++) counts[lows[at] as number]!++;
}

function addSizes(sizes: Uint32Array, { starts }: Buckets): void {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    sizes[bucket]! += (starts[bucket + 1] as number) - (starts[bucket] as number);
  }
}
